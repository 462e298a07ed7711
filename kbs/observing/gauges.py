"""What a scrape reads of a broker's state: numbers only. Where the database does not serve, its numbers are left out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import time

from kbs.collateral import Collateral
from kbs.observing.metrics import Gauge
from kbs.readiness import Readiness
from kbs.store.database import Store
from kbs.store.failures import Unavailable
from kbs.store.repository import Repository


class Gauges:
    """now: the machine's clock, for a scrape shall also say how far off it is."""

    def __init__(
        self,
        store: Store,
        collateral: Collateral,
        readiness: Readiness,
        now: Callable[[], float] = time,
    ) -> None:
        self._store, self._collateral, self._readiness, self._now = store, collateral, readiness, now
        self._epoch = ""
        self._since = 0.0

    def __call__(self) -> list[Gauge]:
        found = [
            Gauge("kbs_ready", "Whether each thing that serving needs is there.", float(good), check)
            for check, good in self._readiness.checks().items()
        ]
        return found + self._of_endorsements() + self._of_database()

    def _of_endorsements(self) -> list[Gauge]:
        name = self._collateral.current().name
        if name != self._epoch:
            self._epoch, self._since = name, self._now()
        found = [
            Gauge(
                "kbs_endorsements_age_seconds",
                "Since this broker first saw the endorsements as they are.",
                self._now() - self._since,
            )
        ]
        first = self._readiness.first_end()
        if first is not None:
            about = "Until the first of the endorsements in the folder ends; less than nought where it has."
            left = first.timestamp() - self._now()
            found.append(Gauge("kbs_endorsements_first_end_seconds", about, left))
        return found

    def _of_database(self) -> list[Gauge]:
        def look(tx: Repository) -> tuple[int, int, int]:
            now = datetime.fromtimestamp(self._now()).astimezone()
            return (*tx.sessions.open_now(now), tx.audit.head().number)

        try:
            challenges, sessions, head = self._store.read(look)
        except Unavailable:
            return []
        return [
            Gauge("kbs_open_challenges", "Challenges that are not answered, of all replicas.", challenges),
            Gauge("kbs_sessions", "Attested sessions that have not ended, of all replicas.", sessions),
            Gauge("kbs_audit_head", "Number of the newest row of the audit trail.", head),
        ]
