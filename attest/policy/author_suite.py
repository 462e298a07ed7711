"""A first suite for a policy that `init` wrote: what was shown passes, and each claim taken away is refused.

Where the default behind a rule refuses that as well, a value is sought that the rule alone refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from attest.claims import CLAIMS, DEVICE_SECTIONS, Claim, instant
from attest.policy.ablation import ablations
from attest.policy.author import Machinery
from attest.policy.author_rules import quoted
from attest.policy.defaults import default_of
from attest.policy.document import Policy
from attest.policy.edges import edges
from attest.policy.layout import lay_out
from attest.policy.model import Rule
from attest.policy.suppose import Change, judge, members, removal


@dataclass(frozen=True, slots=True)
class Shown:
    """machine: as it was shown. files: paths from the suite. expected: option of `attest verify` → text."""

    machine: Machinery
    files: Sequence[str]
    expected: Mapping[str, str]


def author_suite(shown: Sequence[Shown], policy: Policy, *, simulator_root: str | None) -> str:
    """The suite's text, laid out. Each expectation is what the policy says now: read them as you would read a diff."""
    lines = [
        f"# Tests of {policy.name}. Each line takes a part or a claim away, or adds one, after the evidence was verified:",
        "# `because` is what then refuses. Change the policy, run this again, and see which lines changed.",
        f"at: {instant(shown[0].machine.at)}",
    ]
    if simulator_root is not None:
        lines.append(f"simulator-root: {quoted(simulator_root)}")
    lines.append("evidence:")
    for index, one in enumerate(shown):
        lines += [f"  {_name(index)}:", f"    files: [{', '.join(map(quoted, one.files))}]"]
        lines += [f"    {name}: {quoted(text)}" for name, text in one.expected.items()]
    lines.append("tests:")
    for index, one in enumerate(shown):
        verdict = judge(one.machine.verified, policy, at=one.machine.at)
        because = (
            f", because: [{', '.join(map(_reason, verdict.reasons))}]" if verdict.verdict == "refused" else ""
        )
        lines.append(f"  - {{evidence: {_name(index)}, expect: {verdict.verdict}{because}}}")
    tried: list[tuple[int, Change]] = []
    for index, one in enumerate(shown):
        for change in _changes(policy, one.machine):
            known = change.name in {other.name for _, other in tried}
            if not known and _said(one.machine, policy, change)[0] == "refused":
                tried.append((index, change))
    for (_, place), others in ablations(policy).items():
        for other in others:
            if not any(_tells(shown[index].machine, policy, other, change) for index, change in tried):
                tried += islice(_telling(shown, policy, other, place), 1)
    for index, change in tried:
        what = (
            f"unset: [{change.name}]" if change.value is None else f"set: {{{change.name}: {_value(change)}}}"
        )
        said, reasons = _said(shown[index].machine, policy, change)
        because = f", because: [{', '.join(map(_reason, reasons))}]" if said == "refused" else ""
        lines.append(f"  - {{evidence: {_name(index)}, {what}, expect: {said}{because}}}")
    return lay_out("\n".join(lines) + "\n")


def _said(machine: Machinery, policy: Policy, change: Change) -> tuple[str, tuple[str, ...]]:
    judgement = judge(machine.verified, policy, at=machine.at, changes=[change])
    return judgement.verdict, judgement.reasons if judgement.verdict == "refused" else ()


def _tells(machine: Machinery, policy: Policy, other: Policy, change: Change) -> bool:
    return _said(machine, policy, change) != _said(machine, other, change)


def _telling(
    shown: Sequence[Shown], policy: Policy, other: Policy, place: str
) -> Iterator[tuple[int, Change]]:
    """Changes by which the policy is told from what is left of it without the rule at `place`."""
    for section, entries in policy.body.sections.items():
        for rule in (entry for entry in entries if isinstance(entry, Rule) and entry.place == place):
            default = default_of(rule.claim)
            operators = [*rule.operators, *(default.operators if default is not None else ())]
            if rule.is_fixed or rule.claim.kind == "tcb":
                continue
            for index, one in enumerate(shown):
                for raw in edges(rule.claim, operators) if one.machine.parts(section) else ():
                    change = Change(section, None, rule.claim, raw)
                    if raw is not None and _tells(one.machine, policy, other, change):
                        yield index, change


def _value(change: Change) -> str:
    value = change.value
    return f"[{', '.join(map(quoted, value))}]" if isinstance(value, list) else quoted(value)


def _name(index: int) -> str:
    return f"shown-{index + 1}"


def _reason(reason: str) -> str:
    return f'"{reason}"' if "[" in reason else reason


def _changes(policy: Policy, machine: Machinery) -> Iterator[Change]:
    """The CPU part taken away, which leaves no platform that the policy lists; one change for each claim that a rule
    speaks of."""
    for section in ("snp", "tdx"):
        if machine.parts(section):
            yield removal(section)
    for section, entries in policy.body.sections.items():
        parts = machine.parts(section)
        if not parts:
            continue
        if section in DEVICE_SECTIONS:
            yield removal(section)
        rules = [entry for entry in entries if isinstance(entry, Rule)] + members(entries)
        for claim in dict.fromkeys(rule.claim for rule in rules):
            if claim.name not in CLAIMS[section] or claim.name == "count":
                continue
            name = f"{section}.{claim.name}"
            if any(claim.name in part for part in parts):
                yield removal(name)
            else:
                yield Change(section, None, claim, _any(claim))


def _any(claim: Claim) -> str:
    """Some value of a claim that was not shown."""
    if claim.kind == "bytes":
        return "5a" * claim.size[0]
    return {"bool": "true", "text": claim.values[0] if claim.values else "other"}.get(claim.kind, "1")
