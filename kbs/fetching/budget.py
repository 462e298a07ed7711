"""How many questions guests may cause: of one address, and all together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Final

_ADDRESSES: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float

    def refill(self, size: float, seconds: float, now: float) -> None:
        self.left = min(size, self.left + (now - self.at) * size / seconds)
        self.at = now


class Budget:
    """Safe for threads. Each process has its own: replicas together may spend as many times as much."""

    def __init__(
        self, *, an_address_an_hour: int, in_all_a_minute: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._address, self._all = float(an_address_an_hour), float(in_all_a_minute)
        self._clock = clock
        self._lock = Lock()
        self._whole = _Bucket(self._all, clock())
        self._of: OrderedDict[str, _Bucket] = OrderedDict()

    def spend(self, address: str) -> str | None:
        """Take one question from both budgets. None where it may be asked; else which budget is spent, in words."""
        with self._lock:
            now = self._clock()
            own = self._of.pop(address, None) or _Bucket(self._address, now)
            self._of[address] = own
            if len(self._of) > _ADDRESSES:
                # Who makes others be forgotten has spent the common budget on it.
                self._of.popitem(last=False)
            own.refill(self._address, 3600, now)
            self._whole.refill(self._all, 60, now)
            if own.left < 1:
                return f"{self._address:.0f} questions an hour for one address"
            if self._whole.left < 1:
                return f"{self._all:.0f} questions a minute for all guests"
            own.left -= 1
            self._whole.left -= 1
            return None
