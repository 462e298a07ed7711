"""What ends, ends though no guest comes: sessions, leases, and what was kept to explain decisions."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Final

import structlog

from kbs.store.failures import Unavailable

_log = structlog.get_logger("kbs")
EVERY_SECONDS: Final = 600.0


class Housekeeping:
    """Does `act` now and then, in a thread of its own; of several replicas each does, which does it once. A database that
    does not serve is asked again the next time."""

    def __init__(self, act: Callable[[], None], every_seconds: float = EVERY_SECONDS) -> None:
        self._act = act
        self._every = every_seconds
        self._ended = Event()
        self._thread = Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._act()
            except Unavailable as error:
                _log.warning("what has ended stays until the database serves", cause=str(error))
            except Exception as error:  # noqa: BLE001  (a thread that ends would be missed by nobody)
                _log.error("what has ended could not be removed", cause=type(error).__name__)
