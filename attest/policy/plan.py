"""A policy made ready for many machines: its rules in the order of results, and what is already known of a text.

Comparing has one definition, `Machine.judge`. What it said of a text is kept beside the rule, for the few texts that a
fleet shows again and again, wherever nothing but the text decides. A rule that passes needs no words until somebody
reads the records; every other answer comes from the full comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from attest.policy.compare import RANK, Result
from attest.policy.fixed import FLOOR
from attest.policy.model import Entry, Group, ReferenceSet, Rule

if TYPE_CHECKING:
    from attest.policy.machine import Machine

AGES = frozenset(
    {"time.evidence-age", "time.collateral-age", "gpu.evidence-age", "switch.evidence-age", "tdx.tcb-lag"}
)
"""Durations up to the instant of verification; they have grown since."""

Quick: TypeAlias = "Callable[[Machine, Mapping[str, object]], Result | None]"
"""P, F or U where that alone is known without comparing again; None where it is not, or where P carries a mark."""

_KEPT = 64
_LONGEST = 256
_FLIP: Mapping[Result, Result] = {"P": "F", "U": "U", "F": "P"}


def quick(entry: Entry) -> Quick:
    """What is known of `entry` at once."""
    if isinstance(entry, Group):
        return _of_group(entry)
    if entry.is_fixed or entry.place == FLOOR or entry.name in AGES:
        return _never
    if entry.operator("in"):
        return _of_sets(entry) if len(entry.operators) == 1 else _never
    return _of_product(entry) if entry.claim.kind == "tcb" else _of_text(entry)


def _never(machine: Machine, claims: Mapping[str, object]) -> Result | None:
    return None


def _of_text(rule: Rule) -> Quick:
    """For rules that nothing but the claim's text decides."""
    name = rule.claim.name
    known: dict[str | None, Result] = {}

    def of(machine: Machine, claims: Mapping[str, object]) -> Result | None:
        raw = claims.get(name)
        if raw is not None and not isinstance(raw, str):
            return None
        result = known.get(raw)
        if result is None:
            result = machine.judge(rule, claims).result
            if len(known) < _KEPT and (raw is None or len(raw) <= _LONGEST):
                known[raw] = result
        return result

    return of


def _of_product(rule: Rule) -> Quick:
    """For TCBs, whose product decides too."""
    name = rule.claim.name
    known: dict[object, Result] = {}

    def of(machine: Machine, claims: Mapping[str, object]) -> Result | None:
        raw = claims.get(name)
        if not isinstance(raw, Mapping) or len(raw) > 8:
            return None
        key = (machine.product, *raw.items())
        try:
            result = known.get(key)
        except TypeError:
            return None
        if result is None:
            result = machine.judge(rule, claims).result
            if len(known) < _KEPT and all(
                isinstance(one, str) and len(one) <= _LONGEST for one in raw.values()
            ):
                known[key] = result
        return result

    return of


def _of_sets(rule: Rule) -> Quick:
    """For reference values that pass at any time and without a mark, as canonical text."""
    name = rule.claim.name
    sets = cast("tuple[ReferenceSet, ...]", rule.operators[0].operand)
    always: set[str] = set()
    sometimes: set[str] = set()
    for found in sets:
        for one in found.values:
            text = one.value.hex() if isinstance(one.value, bytes) else str(one.value)
            plain = one.state == "active" and one.begins is None and one.ends is None
            (always if plain else sometimes).add(text)
    always -= sometimes

    def of(machine: Machine, claims: Mapping[str, object]) -> Result | None:
        raw = claims.get(name)
        return "P" if isinstance(raw, str) and raw in always else None

    return of


def _of_group(group: Group) -> Quick:
    """all = min, any = max, none = max with P and F swapped; a rule map is all of its entries."""
    branches = [[quick(entry) for entry in branch] for branch in group.branches]
    best = min if group.kind == "all" else max

    def of(machine: Machine, claims: Mapping[str, object]) -> Result | None:
        results: list[Result] = []
        for branch in branches:
            low: Result = "P"
            for one in branch:
                result = one(machine, claims)
                if result is None:
                    return None
                if RANK[result] < RANK[low]:
                    low = result
            results.append(low)
        chosen = best(results, key=RANK.__getitem__)
        return _FLIP[chosen] if group.kind == "none" else chosen

    return of


class Step:
    """One entry of a section, and what is known of it. entry: None for a device's being one of its own."""

    __slots__ = ("entry", "key", "quick")

    def __init__(self, claim: str, order: int, entry: Entry | None) -> None:
        self.entry = entry
        self.key = (claim.encode(), order)
        self.quick = _never if entry is None else quick(entry)


def steps(entries: Iterable[Entry], *, distinct: bool = False) -> tuple[Step, ...]:
    """Entries in the order of results: by claim, then by place. distinct: with a device's being one of its own."""
    found = [
        Step(entry.kind if isinstance(entry, Group) else entry.claim.name, entry.order, entry)
        for entry in entries
    ]
    if distinct:
        found.append(Step("id", 0, None))
    return tuple(sorted(found, key=lambda step: step.key))
