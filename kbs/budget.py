"""How much somebody may ask for in a time: of one name, and all together. In memory, of this process alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Final

_NAMES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds; all of them at once, after a pause of that length. said: for people."""

    count: int
    seconds: float
    said: str


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float

    def refill(self, rate: Rate, now: float) -> None:
        self.left = min(rate.count, self.left + (now - self.at) * rate.count / rate.seconds)
        self.at = now

    def wait(self, rate: Rate) -> float:
        """Seconds until there is one."""
        return max(0.0, (1 - self.left) * rate.seconds / rate.count)


@dataclass(frozen=True, slots=True)
class Spent:
    """rate: the one that is used up. wait: seconds until something is left."""

    rate: Rate
    wait: float


class Budget:
    """Safe for threads. Each process has its own: replicas together may spend as many times as much. each: of one name.
    all: of all of them; None for no such limit."""

    def __init__(self, each: Rate, all: Rate | None = None, clock: Callable[[], float] = monotonic) -> None:
        self._each, self._all = each, all
        self._clock = clock
        self._lock = Lock()
        self._whole = _Bucket(0 if all is None else all.count, clock())
        self._of: OrderedDict[str, _Bucket] = OrderedDict()

    def used_up(self, name: str) -> Spent | None:
        """What `spend` would say now of the name's own budget, with nothing taken."""
        with self._lock:
            own = self._of.get(name)
            if own is None:
                return None
            own.refill(self._each, self._clock())
            return Spent(self._each, own.wait(self._each)) if own.left < 1 else None

    def spend(self, name: str) -> Spent | None:
        """Take one from both budgets. None where it may be had."""
        with self._lock:
            now = self._clock()
            own = self._of.pop(name, None) or _Bucket(self._each.count, now)
            self._of[name] = own
            if len(self._of) > _NAMES:
                self._of.popitem(last=False)
            own.refill(self._each, now)
            if own.left < 1:
                return Spent(self._each, own.wait(self._each))
            if self._all is not None:
                self._whole.refill(self._all, now)
                if self._whole.left < 1:
                    return Spent(self._all, self._whole.wait(self._all))
                self._whole.left -= 1
            own.left -= 1
            return None
