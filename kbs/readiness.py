"""Whether this broker can serve guests now: its database answers, its key store opens what it closed, its endorsements hold.

Strangers may ask, as often as they like: what was found counts for a moment, one of them at a time makes the broker look
again, and none of them is told what is wrong. The log and the metrics say that.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Lock
from time import monotonic
from types import MappingProxyType
from typing import Final

import structlog

from kbs.clock import Clock
from kbs.collateral import Collateral, Epoch
from kbs.endorsement_ends import ends
from kbs.keys import KEY_BYTES, KeyStoreError
from kbs.keys.wrap import KeyWrap
from kbs.observing import NOBODY, Observer
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.failures import Unavailable

_log = structlog.get_logger("kbs.readiness")
KEPT_SECONDS: Final = 2.0
CHECKS: Final = ("database", "clock", "key-store", "endorsements", "serving")


class Readiness:
    """Safe for threads. observer: is told where the key store failed; the store tells of itself."""

    def __init__(
        self,
        store: Store,
        keys: KeyWrap,
        collateral: Collateral,
        clock: Clock | None = None,
        ticks: Callable[[], float] = monotonic,
    ) -> None:
        self._store, self._keys, self._collateral = store, keys, collateral
        self._clock = clock or Clock()
        self.observer: Observer = NOBODY
        self._ticks = ticks
        self._context = os.urandom(16)
        self._canary: tuple[bytes, bytes] | None = None
        self._ends: tuple[Epoch, list[datetime]] | None = None
        self._looking = Lock()
        self._found: Mapping[str, bool] = MappingProxyType(dict.fromkeys(CHECKS, False))
        self._until = float("-inf")
        self._draining = False

    def drain(self) -> None:
        """From now on it is not ready: whoever sends guests here shall send them elsewhere."""
        self._draining = True

    @property
    def ready(self) -> bool:
        return all(self.checks().values())

    def checks(self) -> Mapping[str, bool]:
        """Each of CHECKS, as found within the last KEPT_SECONDS, or by whoever looks at this moment."""
        if self._ticks() >= self._until and self._looking.acquire(blocking=False):
            try:
                self._found = MappingProxyType(self._look())
                self._until = self._ticks() + KEPT_SECONDS
            finally:
                self._looking.release()
        return {**self._found, "serving": not self._draining}

    def first_end(self) -> datetime | None:
        """Of the endorsements in the folder; None where none of them ends."""
        dated = self._dated()
        return dated[0] if dated else None

    def _look(self) -> dict[str, bool]:
        now, clock = self._now()
        found = {
            "database": now is not None,
            "clock": clock,
            "key-store": self._opens(),
            "endorsements": not self._ended(now or self._clock.here()),
            "serving": True,
        }
        for name, good in found.items():
            if good != self._found[name]:
                (_log.info if good else _log.error)("ready" if good else "not ready", check=name)
        return found

    def _now(self) -> tuple[datetime | None, bool]:
        """The time, where the database answers, and whether it can be told."""
        try:
            return self._store.read(self._clock.now), True
        except Unavailable as error:
            _log.error("the database does not serve", cause=str(error))
            return None, True
        except Refusal:
            return self._clock.here(), False

    def _opens(self) -> bool:
        """Whether the key store opens the canary; where it does not, a new one: its KEK may have been retired."""
        cause = "the key store does not give back what it was given"
        for canary in (self._canary, None):
            try:
                key, closed = canary or self._close()
                if self._keys.unwrap(closed, self._context) == key:
                    self._canary = (key, closed)
                    return True
            except KeyStoreError as error:
                cause = str(error)
        self.observer.failed("key-store")
        _log.error("the key store does not serve", cause=cause)
        return False

    def _close(self) -> tuple[bytes, bytes]:
        key = os.urandom(KEY_BYTES)
        return key, self._keys.wrap(key, self._context)

    def _ended(self, now: datetime) -> bool:
        """Whether all of the folder has ended. One list that ended refuses one vendor's machines, and says so in the
        metrics; taking every replica out of service for it would refuse all."""
        dated = self._dated()
        return bool(dated) and dated[-1] < now

    def _dated(self) -> list[datetime]:
        epoch = self._collateral.current()
        if self._ends is None or self._ends[0] is not epoch:
            self._ends = (epoch, ends(epoch.endorsements))
        return self._ends[1]
