"""What time it is, for all replicas on one database together (T-CLOCK).

A broker keeps no time of its own. It asks this machine's clock and the newest act in the database, whichever
replica did it, and takes the later: between replicas whose clocks are a little apart time never goes back, so
a guest may begin at one and go on at another. A clock further behind than that is not believed at all: it
would revive what had ended.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from attest.claims import instant
from kbs.refusals import Refusal
from kbs.store.repository import Repository

SKEW: Final = timedelta(seconds=10)
_log = structlog.get_logger("kbs.clock")


class Clock:
    """machine: this machine's clock; tests turn another."""

    def __init__(self, machine: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._machine = machine

    def now(self, tx: Repository) -> datetime:
        """Whole seconds, UTC. Raises Refusal where this machine's clock is behind by more than SKEW."""
        here = self.here()
        newest = tx.newest()
        if newest is None:
            return here
        if here + SKEW < newest:
            _log.error(
                "this clock is behind the newest act in the database: set it right, or if it is right and "
                "another was wrong: kbs clock accept",
                here=instant(here),
                newest=instant(newest),
            )
            raise Refusal(503, "InternalError", "the broker does not know the time")
        return max(here, newest)

    def here(self) -> datetime:
        """This machine's time alone."""
        return self._machine().astimezone(UTC).replace(microsecond=0)
