"""Places outside that get every checkpoint, and the thread that brings them there.

Nothing of a release waits for a place. One that does not take a checkpoint is tried again with the next, which proves all that
the one before did.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any, Final, Protocol

import httpx
import structlog

from kbs.audit import GENESIS, Head
from kbs.checkpoint import LIMIT, Checkpoint

_log = structlog.get_logger("kbs.places")
_SECONDS: Final = 10.0
_NONE: Final = Head(0, GENESIS)
_LOOK: Final = 5.0
"""Seconds between looks at how many rows were added."""
SUFFIX: Final = ".checkpoint.json"


class Place(Protocol):
    def take(self, checkpoint: Checkpoint, document: bytes) -> None:
        """Raises OSError or httpx.HTTPError."""


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A file a checkpoint, whole or not at all: `BROKER-NUMBER-HASH.checkpoint.json`. The hash is in the name, so that another
    row of the same number stands beside the first and writes over nothing."""

    folder: Path

    def take(self, checkpoint: Checkpoint, document: bytes) -> None:
        head = checkpoint.head
        name = f"{checkpoint.broker}-{head.number:019d}-{head.hash.hex()[:16]}{SUFFIX}"
        part = self.folder / f".{name}.{os.getpid()}"
        part.write_bytes(document)
        part.replace(self.folder / name)

    def documents(self, broker: str) -> list[bytes]:
        """Those of this broker's with the highest number. Raises OSError."""
        form = re.compile(rf"{re.escape(broker)}-([0-9]{{19}})-[0-9a-f]{{16}}{re.escape(SUFFIX)}")
        found = [(one[1], one[0]) for name in os.listdir(self.folder) if (one := form.fullmatch(name))]
        newest = max((number for number, _ in found), default="")
        return [_read(self.folder / name) for number, name in sorted(found) if number == newest]


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(LIMIT + 1)


class UrlPlace:
    """A POST a checkpoint, of `application/json`; any 2xx will do. No redirect is followed, no proxy asked, no answer read."""

    def __init__(self, url: str, verify: Any = True) -> None:
        self._url = url
        self._http = httpx.Client(verify=verify, timeout=_SECONDS, follow_redirects=False, trust_env=False)

    def take(self, checkpoint: Checkpoint, document: bytes) -> None:
        kind = {"content-type": "application/json"}
        with self._http.stream("POST", self._url, content=document, headers=kind) as answer:
            if not answer.is_success:
                raise httpx.HTTPStatusError("not taken", request=answer.request, response=answer)


class Messenger:
    """Brings checkpoints to every place: where `rows` rows were added since its last, or any within `seconds`, and once at
    the end. A place has a thread of its own: owners need not trust each other, and one that hangs holds up no other."""

    def __init__(
        self,
        places: Sequence[tuple[str, Place]],
        make: Callable[[], tuple[Checkpoint, bytes] | None],
        seconds: float,
        rows: int = 1000,
    ) -> None:
        self._make = make
        self._seconds = seconds
        self._rows = rows
        self._ended = Event()
        self._lines = [_Line(name, place) for name, place in places]
        self._threads = [
            Thread(target=self._run, args=(line,), name="checkpoints", daemon=True) for line in self._lines
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Brings the last one, and returns when it was tried, or after a while."""
        self._ended.set()
        until = monotonic() + 2 * _SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - monotonic()))

    def bring(self) -> None:
        """To each place that lacks the head of now."""
        for line in self._lines:
            self._bring(line, 1)

    def _run(self, line: _Line) -> None:
        pause = min(self._seconds, _LOOK)
        waited = 0.0
        while not self._ended.wait(pause):
            waited += pause
            due = waited >= self._seconds
            if self._bring(line, 1 if due else self._rows) or due:
                waited = 0.0
        self._bring(line, 1)

    def _bring(self, line: _Line, rows: int) -> bool:
        """Whether it was tried: only where `rows` rows were added since the last that the place took."""
        try:
            made = self._make()
        except Exception as error:  # noqa: BLE001  (a thread that ends would be missed by nobody)
            _log.error("no checkpoint could be made", cause=type(error).__name__)
            return False
        if made is None:
            return False
        head = made[0].head
        if head == line.taken or 0 < head.number - line.taken.number < rows:
            return False
        try:
            line.place.take(*made)
        except (OSError, httpx.HTTPError) as error:
            _log.error("a place did not take a checkpoint", place=line.name, cause=type(error).__name__)
        else:
            line.taken = head
        return True


@dataclass(slots=True)
class _Line:
    """name: for the log; two places may have the same. taken: the last that it took."""

    name: str
    place: Place
    taken: Head = _NONE
