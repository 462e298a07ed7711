"""What of two policies is compared at once: a claim with its rules, or claims that a group ties together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations, islice, product
from typing import Any, cast

from attest.claims import CLAIMS, DEVICE_SECTIONS
from attest.policy.defaults import DEFAULTS, UNDER_LAG
from attest.policy.document import Policy
from attest.policy.edges import Raw, chosen_references, edges, tcb_edges, untried_references
from attest.policy.floor_units import (
    accepted_changes,
    accepted_dates,
    evaluation_operators,
    fixed_options,
    floor_dates,
)
from attest.policy.model import FIXED, Entry, Group, Operator, Rule

MAX_CHANGES = 1500
"""Changes tried a unit; a group of many claims has more combinations than anybody waits for."""


@dataclass(frozen=True)
class Change:
    """Facts that replace those of the common ground. raw: vendors' own fields that go with them."""

    facts: Mapping[str, Raw]
    raw: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Unit:
    """name: as it is reported. claims: `section.claim` of all that it varies. rules: names under which its records
    stand. changes: what to try. dates: after which something in its rules is otherwise. untried: how many reference
    values were left out."""

    name: str
    claims: tuple[str, ...]
    rules: frozenset[str]
    changes: tuple[Change, ...]
    dates: frozenset[datetime]
    untried: int = 0

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


def units_of(policies: Sequence[Policy], sections: Sequence[str]) -> list[Unit]:
    """The units of these sections, in the order of results."""
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
                dates.setdefault(name, set()).update(_dates(rule))
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
            units.append(_unit(policies, section, names, claims, operators, dates, grouped))
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
) -> Unit:
    when = frozenset(date for name in names for date in dates.get(name, ()))
    if section in DEVICE_SECTIONS and names == ["count"]:
        return _count(section, operators["count"], when)
    options = []
    for name in names:
        if claims[name] is FIXED:
            advisories = sorted(
                {one for operator in operators[name] for one in cast("frozenset[str]", operator.operand)}
            )
            options.append(fixed_options(policies, advisories))
            when |= floor_dates(policies, advisories) | accepted_dates(policies)
        else:
            options.append(_options(section, name, claims[name], operators[name]))
    changes = _combined(options)
    groups = {group for name in names for group in grouped.get(name, ())}
    title = f"{section}.{names[0]}"
    if groups:
        title = f"{' and '.join(sorted(groups))} ({', '.join(names)})"
    return Unit(
        title,
        tuple(f"{section}.{name}" for name in names),
        frozenset({*groups, *(f"{section}.{name}" for name in names)}),
        tuple(changes),
        when,
        sum(untried_references(operators[name]) for name in names),
    )


def _options(section: str, name: str, claim: Any, operators: list[Operator]) -> list[dict[str, Raw]]:
    if claim.kind == "tcb":
        return [{"snp.product": chip, f"{section}.{name}": tcb} for chip, tcb in tcb_edges(operators)]
    return [{f"{section}.{name}": raw} for raw in edges(claim, operators)]


def _combined(options: list[list[dict[str, Raw]]]) -> list[Change]:
    """All combinations where they are few; else each alone and each two together."""
    size = 1
    for one in options:
        size *= len(one)
    found: list[dict[str, Raw]] = []
    if size <= MAX_CHANGES:
        for choice in product(*options):
            found.append({name: value for one in choice for name, value in one.items()})
    else:
        found += [dict(choice) for one in options for choice in one]
        pairs = (
            {**left, **right}
            for one, other in combinations(options, 2)
            for left, right in product(one, other)
        )
        found += list(islice(pairs, MAX_CHANGES - len(found))) if len(found) < MAX_CHANGES else []
    return [Change(facts) for facts in found]


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
        tuple(Change({f"{section}.count": str(count)}) for count in sorted(counts) if 0 <= count <= 64),
        dates,
    )


def _joined(names: set[str], ties: list[set[str]]) -> list[list[str]]:
    """Names in sets that no tie crosses, each set and all of them by name."""
    parts: list[set[str]] = [{name} for name in names]
    for tie in ties:
        touched = [part for part in parts if part & tie]
        parts = [part for part in parts if not part & tie]
        parts.append(set().union(*touched))
    return sorted(sorted(part) for part in parts)


def _dates(rule: Rule) -> Iterator[datetime]:
    if rule.until is not None:
        yield rule.until
    for reference, _ in chosen_references(rule.operators):
        for date in (reference.begins, reference.ends, reference.since):
            if date is not None:
                yield date


def instants(dates: frozenset[datetime], at: datetime) -> list[datetime]:
    """`at`, and from it on each date, the second before and the second after: where rules with dates turn."""
    second = timedelta(seconds=1)
    near = {moment for date in dates for moment in (date - second, date, date + second) if moment > at}
    return [at, *sorted(near)]
