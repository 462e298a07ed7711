"""Measure a call against its floor in one run, alternating, so that both meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """value and floor: medians in milliseconds.

    target: the ratio aimed at; limit: the value in milliseconds aimed at; None where none is set.
    """

    name: str
    value: float
    floor: float
    target: float | None = None
    limit: float | None = None

    @property
    def ratio(self) -> float:
        return self.value / self.floor

    @property
    def aim(self) -> str:
        if self.target is not None:
            return f"≤ {self.target:g}"
        return f"< {self.limit:g} ms" if self.limit is not None else ""

    @property
    def missed(self) -> bool:
        return (self.target is not None and self.ratio > self.target) or (
            self.limit is not None and self.value >= self.limit
        )


def compare(
    name: str,
    call: Callable[[], object],
    floor: Callable[[], object],
    *,
    target: float | None = None,
    limit: float | None = None,
    rounds: int = 300,
) -> Result:
    """Medians of `rounds` alternating single calls, after a short warm-up."""
    for _ in range(5):
        call()
        floor()
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(_once(call))
        theirs.append(_once(floor))
    return Result(name, statistics.median(ours), statistics.median(theirs), target, limit)


def _once(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000
