"""The records of judged rules → the vector of one part of the machine. A pure function of the records."""

from __future__ import annotations

from collections.abc import Iterable

from attest.result.ear.rules import Named
from attest.result.ear.table import RUNTIME_APPROVED, VALUES, categories_of
from attest.result.ear.vector import NO_CLAIM, Category, Vector

_WARNED = frozenset({"grace", "accepted", "observed"})


def weigh(records: Iterable[Named], *, identified: bool = True) -> Vector:
    """The worst of each category, which is its largest number; 0 where no rule speaks of it.

    identified: whether the policy says whose program runs there. Where it does not (`no-workload-identity`), rules
    on single registers, on a replayed log or on a digest being there at all may pass, and executables are not
    affirmed by them.
    """
    by_category: dict[Category, list[Named]] = {}
    for record in records:
        for category in categories_of(record.name):
            by_category.setdefault(category, []).append(record)
    return Vector.of(
        {category: _worst(category, found, identified) for category, found in by_category.items()}
    )


def _worst(category: Category, records: list[Named], identified: bool) -> int:
    only_defaults = all(record.by_default for record in records)
    values = VALUES[category]
    affirmed = values.by_default if only_defaults else values.passed
    if category == "executables":
        if not identified:
            affirmed = NO_CLAIM
        elif _runtime_approved(records):
            affirmed = RUNTIME_APPROVED
    return max(_value(category, record, affirmed) for record in records)


def _value(category: Category, record: Named, affirmed: int) -> int:
    values = VALUES[category]
    if record.outcome == "pass":
        return affirmed
    if record.outcome in _WARNED:
        return values.warned
    # Whatever outcome it is, it is none that affirms.
    if record.result == "U":
        return values.unknown
    for key in (record.claim, record.note):
        if key in values.named:
            return values.named[key]
    return values.failed


def _runtime_approved(records: list[Named]) -> bool:
    """Rules of the policy want a replayed log and say what RTMR3 is, and both are as wanted."""
    passed = {record.name for record in records if record.outcome == "pass"}
    return {"tdx.event-log", "tdx.rtmr3"} <= passed
