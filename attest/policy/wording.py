"""What a policy demands of a few claims, in a line: for those who compare two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from attest.claims import instant
from attest.policy.compare import wanted
from attest.policy.defaults import DEFAULTS, UNDER_LAG, replaces
from attest.policy.document import Policy
from attest.policy.model import Entry, Group, Operator, ReferenceSet, Rule


def in_words(policy: Policy, claims: Sequence[str]) -> str:
    """`≥ 24 on Milan`, `false, else warn until 2027-01-31T23:59:59Z`, `default: false`, `nothing`. claims: `snp.tcb`."""
    section = claims[0].partition(".")[0]
    names = {claim.partition(".")[2] for claim in claims}
    entries = policy.body.sections.get(section, ())
    mine = [entry for entry in entries if _speaks_of(entry, names)]
    said = [_entry(entry, alone=len(names) == 1) for entry in mine]
    lag = any(isinstance(entry, Rule) and entry.name == "tdx.tcb-lag" for entry in entries)
    for rule in DEFAULTS:
        if rule.section != section or rule.claim.name not in names:
            continue
        replaced = [entry for entry in mine if isinstance(entry, Rule) and entry.claim is rule.claim]
        if any(replaces(entry) for entry in replaced):
            continue
        held = UNDER_LAG if lag and rule.name == "tdx.tcb-status" else rule
        said.append(f"default: {_entry(held, alone=len(names) == 1)}")
    if section in ("gpu", "switch") and names == {"count"} and not said:
        return "at least one" if section in policy.body.sections else "nothing"
    return "; ".join(said) or "nothing"


def _speaks_of(entry: Entry, names: set[str]) -> bool:
    if isinstance(entry, Rule):
        return entry.claim.name in names
    return any(_speaks_of(inner, names) for branch in entry.branches for inner in branch)


def _entry(entry: Entry, *, alone: bool) -> str:
    if isinstance(entry, Group):
        branches = [" and ".join(_entry(inner, alone=False) for inner in branch) for branch in entry.branches]
        return f"{entry.kind} of ({') or ('.join(branches)})"
    said = " and ".join(_wanted(operator, entry) for operator in entry.operators)
    if not alone:
        said = f"{entry.claim.name} {said}"
    if entry.warn and entry.until is not None:
        said += f", else warn until {instant(entry.until)}"
    return said


def _wanted(operator: Operator, rule: Rule) -> str:
    said = wanted(operator, rule.claim)
    if rule.is_fixed:
        return f"{said.upper()} fixed"
    if operator.name == "in":
        sets = cast("tuple[ReferenceSet, ...]", operator.operand)
        said += f" ({sum(found.valid for found in sets)} not revoked)"
    return said
