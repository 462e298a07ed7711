"""What of two policies is compared at once: a claim with its rules, or claims that a group ties together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from attest.claims import CLAIMS, DEVICE_SECTIONS, Claim
from attest.policy.combine import MAX_CHANGES, Change, Combiner
from attest.policy.defaults import DEFAULTS, UNDER_LAG
from attest.policy.document import Policy
from attest.policy.edges import Raw, all_edges, dates_of, edges, tcb_edges, untried_references
from attest.policy.fixed import FLOOR
from attest.policy.floor_units import (
    accepted_changes,
    accepted_dates,
    evaluation_operators,
    fixed_options,
    floor_dates,
)
from attest.policy.model import FIXED, Entry, Group, Operator, ReferenceSet, Rule
from attest.policy.sketch import MAX_DEVICES


@dataclass(frozen=True)
class Unit:
    """name: as it is reported. claims: `section.claim` of all that it varies. rules: names under which its records
    stand. sets: `references.NAME` of those that its rules name. changes: what to try. near: with how many of these a
    machine is looked for that both accept. dates: after which something in its rules is otherwise, whatever changes.
    untried: how many reference values were left out. whole: whether nothing else was that its rules tell apart."""

    name: str
    claims: tuple[str, ...]
    rules: frozenset[str]
    changes: tuple[Change, ...]
    dates: frozenset[datetime]
    near: int = MAX_CHANGES
    sets: frozenset[str] = frozenset()
    untried: int = 0
    whole: bool = True

    @property
    def counts(self) -> bool:
        """Whether it varies how many devices there are."""
        return self.claims[0].endswith(".count")


def rules_of(policy: Policy, section: str) -> Iterator[tuple[Rule, Group | None]]:
    """Every rule of a section, with the outermost group it stands in."""

    def walk(entries: Sequence[Entry], outer: Group | None) -> Iterator[tuple[Rule, Group | None]]:
        for entry in entries:
            if isinstance(entry, Rule):
                yield entry, outer
            else:
                for branch in entry.branches:
                    yield from walk(branch, outer or entry)

    yield from walk(policy.body.sections.get(section, ()), None)


def units_of(policies: Sequence[Policy], sections: Sequence[str], at: datetime) -> list[Unit]:
    """The units of these sections, in the order of results. at: from when on the policies are compared."""
    units: list[Unit] = []
    for section in sections:
        operators: dict[str, list[Operator]] = {}
        claims = {}
        dates: dict[str, set[datetime]] = {}
        ties: list[set[str]] = []
        grouped: dict[str, set[str]] = {}
        for policy in policies:
            by_group: dict[int, set[str]] = {}
            for rule, group in rules_of(policy, section):
                name = rule.claim.name
                claims[name] = rule.claim
                operators.setdefault(name, []).extend(rule.operators)
                dates.setdefault(name, set()).update([rule.until] if rule.until is not None else ())
                if group is not None:
                    by_group.setdefault(id(group), set()).add(name)
                    grouped.setdefault(name, set()).add(group.name)
            ties += by_group.values()
        if section == "tdx":
            claims["tcb-evaluation"] = CLAIMS["tdx"]["tcb-evaluation"]
            for operator, begins in evaluation_operators(policies):
                operators.setdefault("tcb-evaluation", []).append(operator)
                dates.setdefault("tcb-evaluation", set()).add(begins)
        for rule in (*DEFAULTS, UNDER_LAG):
            if rule.section == section:
                claims[rule.claim.name] = rule.claim
                operators.setdefault(rule.claim.name, []).extend(rule.operators)
        for names in _joined(set(claims), ties):
            units.append(_unit(policies, section, names, claims, operators, dates, grouped, at))
        if section in DEVICE_SECTIONS and "count" not in claims:
            units.append(_count(section, []))
    if "tdx" in sections and any(policy.body.accepted for policy in policies):
        units.append(
            Unit(
                "accept",
                ("tdx.tcb-status", "tdx.tcb-lag", "tdx.advisories"),
                frozenset({"tdx.tcb-status", "tdx.tcb-lag", "tdx.advisories"}),
                tuple(Change(facts, raw) for facts, raw in accepted_changes(policies)),
                frozenset(accepted_dates(policies)),
            )
        )
    return units


def _unit(
    policies: Sequence[Policy],
    section: str,
    names: list[str],
    claims: Mapping[str, Any],
    operators: Mapping[str, list[Operator]],
    dates: Mapping[str, set[datetime]],
    grouped: Mapping[str, set[str]],
    at: datetime,
) -> Unit:
    when = frozenset(date for name in names for date in dates.get(name, ()))
    if section in DEVICE_SECTIONS and names == ["count"]:
        return _count(section, operators["count"], when)
    options = {}
    for name in names:
        if claims[name] is FIXED:
            advisories = sorted(
                {one for operator in operators[name] for one in cast("frozenset[str]", operator.operand)}
            )
            options[name] = [Change(facts) for facts in fixed_options(policies, advisories)]
            when |= floor_dates(policies, advisories) | accepted_dates(policies)
        else:
            options[name] = _options(claims[name], operators[name])
    mine = [
        (policy, rule, group)
        for policy in policies
        for rule, group in rules_of(policy, section)
        if rule.claim.name in names
    ]
    # Defaults tell values apart as well, whatever the files say of them.
    nobodys = [one for one in (*DEFAULTS, UNDER_LAG) if one.section == section and one.claim.name in names]
    if "tcb-evaluation" in names:
        nobodys += [
            Rule(CLAIMS["tdx"]["tcb-evaluation"], (operator,), FLOOR, order=0)
            for operator, _ in evaluation_operators(policies)
        ]
    combined = Combiner(
        options,
        [*((policy, rule) for policy, rule, _ in mine), *((policies[0], rule) for rule in nobodys)],
        list({id(group): (policy, group) for policy, _, group in mine if group is not None}.values()),
        at,
        frozenset(name for name in names if claims[name].values),
    ).combine()
    groups = {group for name in names for group in grouped.get(name, ())}
    title = f"{section}.{names[0]}"
    if groups:
        title = f"{' and '.join(sorted(groups))} ({', '.join(names)})"
    return Unit(
        title,
        tuple(f"{section}.{name}" for name in names),
        frozenset({*groups, *(f"{section}.{name}" for name in names)}),
        combined.changes,
        when,
        combined.near,
        frozenset(f"references.{one}" for _, rule, _ in mine for one in _sets(rule)),
        sum(untried_references(operators[name]) for name in names),
        combined.whole
        and all(claims[name] is FIXED or all_edges(claims[name], operators[name]) for name in names),
    )


def _sets(rule: Rule) -> Iterator[str]:
    for operator in rule.operators:
        if operator.name == "in":
            yield from (found.name for found in cast("tuple[ReferenceSet, ...]", operator.operand))


def _options(claim: Claim, operators: list[Operator]) -> list[Change]:
    name = f"{claim.section}.{claim.name}"
    if claim.kind == "tcb":
        return [Change({"snp.product": chip, name: tcb}) for chip, tcb in tcb_edges(operators)]
    found = [Change({name: raw}, dates=_dates(claim, operators, raw)) for raw in edges(claim, operators)]
    if name == "gpu.mode":
        # Older devices have no field for it, and pass the default.
        found.append(Change({name: None}, {"gpu": {"opaque_data_version": "0"}}))
    return found


def _dates(claim: Claim, operators: list[Operator], raw: Raw) -> frozenset[datetime]:
    if claim.kind not in ("bytes", "text") or not isinstance(raw, str):
        return frozenset()
    return dates_of(operators, bytes.fromhex(raw) if claim.kind == "bytes" else raw)


def _count(section: str, operators: list[Operator], dates: frozenset[datetime] = frozenset()) -> Unit:
    counts = {0, 1, 2}
    for operator in operators:
        operand = operator.operand
        for number in operand if isinstance(operand, tuple) else (operand,):
            if isinstance(number, int):
                counts |= {number - 1, number, number + 1}
    return Unit(
        f"{section}.count",
        (f"{section}.count",),
        frozenset({f"{section}.count", f"{section}.present"}),
        tuple(
            Change({f"{section}.count": str(count)}) for count in sorted(counts) if 0 <= count <= MAX_DEVICES
        ),
        dates,
        whole=max(counts) <= MAX_DEVICES,
    )


def _joined(names: set[str], ties: list[set[str]]) -> list[list[str]]:
    """Names in sets that no tie crosses, each set and all of them by name."""
    parts: list[set[str]] = [{name} for name in names]
    for tie in ties:
        touched = [part for part in parts if part & tie]
        parts = [part for part in parts if not part & tie]
        parts.append(set().union(*touched))
    return sorted(sorted(part) for part in parts)


def instants(dates: frozenset[datetime], at: datetime) -> list[datetime]:
    """`at`, and from it on each date, the second before and the second after: where rules with dates turn."""
    second = timedelta(seconds=1)
    near = {moment for date in dates for moment in (date - second, date, date + second) if moment > at}
    return [at, *sorted(near)]
