"""Measure a call against its floor in one run, alternating, so that both meet the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """value and floor: medians in milliseconds.

    target: the ratio aimed at; limit: the value in milliseconds aimed at; least: the ratio that must be
    reached, where more is better; share: the least part of the value that the floor must be, and then the ratio is
    that part. None where none is set.
    """

    name: str
    value: float
    floor: float
    target: float | None = None
    limit: float | None = None
    least: float | None = None
    share: float | None = None

    @property
    def ratio(self) -> float:
        return self.value / self.floor if self.share is None else self.floor / self.value

    @property
    def aim(self) -> str:
        if self.target is not None:
            return f"≤ {self.target:g}"
        if self.least is not None:
            return f"≥ {self.least:g}"
        if self.share is not None:
            return f"≥ {self.share:g}"
        return f"< {self.limit:g} ms" if self.limit is not None else ""

    @property
    def missed(self) -> bool:
        return (
            (self.target is not None and self.ratio > self.target)
            or (self.limit is not None and self.value >= self.limit)
            or (self.least is not None and self.ratio < self.least)
            or (self.share is not None and self.ratio < self.share)
        )


def compare(
    name: str,
    call: Callable[..., object],
    floor: Callable[[], object],
    *,
    target: float | None = None,
    limit: float | None = None,
    rounds: int = 300,
    prepare: Callable[[], object] | None = None,
) -> Result:
    """Medians of `rounds` alternating single calls, after a short warm-up.

    prepare: makes, outside the time that counts, what `call` is then given. It runs before the floor too, so
    that both find the processor's caches in the same state.
    """
    ours, theirs = [], []
    for index in range(-5, rounds):
        given = () if prepare is None else (prepare(),)
        mine = _once(call, *given)
        if prepare is not None:
            prepare()
        bare = _once(floor)
        if index >= 0:
            ours.append(mine)
            theirs.append(bare)
    return Result(name, statistics.median(ours), statistics.median(theirs), target, limit)


def _once(call: Callable[..., object], *given: object) -> float:
    started = time.perf_counter()
    call(*given)
    return (time.perf_counter() - started) * 1000
