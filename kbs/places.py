"""Places outside that get every checkpoint, and the thread that brings them there.

Nothing of a release waits for a place. One that does not take a checkpoint is tried again with the next, which proves all that
the one before did.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final, Protocol

import httpx
import structlog

from kbs.audit import Head
from kbs.checkpoint import Checkpoint

_log = structlog.get_logger("kbs.places")
_SECONDS: Final = 10.0
SUFFIX: Final = ".checkpoint.json"


class Place(Protocol):
    def take(self, checkpoint: Checkpoint, document: bytes) -> None:
        """Raises OSError or httpx.HTTPError."""


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """A file a checkpoint, whole or not at all: `BROKER-NUMBER.checkpoint.json`."""

    folder: Path

    def take(self, checkpoint: Checkpoint, document: bytes) -> None:
        name = f"{checkpoint.broker}-{checkpoint.head.number:019d}{SUFFIX}"
        part = self.folder / f".{name}.{os.getpid()}"
        part.write_bytes(document)
        part.replace(self.folder / name)

    def documents(self, broker: str) -> list[bytes]:
        """The newest of this broker's. Raises OSError."""
        names = sorted(
            one for one in os.listdir(self.folder) if one.endswith(SUFFIX) and one.startswith(f"{broker}-")
        )
        return [(self.folder / name).read_bytes() for name in names[-1:]]


class UrlPlace:
    """A POST a checkpoint, of `application/json`; any 2xx will do. No redirect is followed, no proxy asked."""

    def __init__(self, url: str, verify: Any = True) -> None:
        self._url = url
        self._http = httpx.Client(verify=verify, timeout=_SECONDS, follow_redirects=False, trust_env=False)

    def take(self, checkpoint: Checkpoint, document: bytes) -> None:
        answer = self._http.post(self._url, content=document, headers={"content-type": "application/json"})
        if not answer.is_success:
            raise httpx.HTTPStatusError("not taken", request=answer.request, response=answer)


class Messenger:
    """Brings a checkpoint to every place when rows were added since the last, every `seconds` and once at the end."""

    def __init__(
        self,
        places: Sequence[tuple[str, Place]],
        make: Callable[[], tuple[Checkpoint, bytes] | None],
        seconds: float,
    ) -> None:
        self._places = places
        self._make = make
        self._seconds = seconds
        self._taken: dict[str, Head] = {}
        self._ended = Event()
        self._thread = Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        if self._places:
            self._thread.start()

    def stop(self) -> None:
        """Brings the last one, and returns when it was tried."""
        if self._thread.is_alive():
            self._ended.set()
            self._thread.join(_SECONDS * 2)

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.bring()
        self.bring()

    def bring(self) -> None:
        """To each place that lacks the head of now."""
        try:
            made = self._make()
        except Exception as error:  # noqa: BLE001  (a thread that ends would be missed by nobody)
            _log.error("no checkpoint could be made", cause=type(error).__name__)
            return
        if made is None:
            return
        checkpoint, document = made
        for name, place in self._places:
            if self._taken.get(name) == checkpoint.head:
                continue
            try:
                place.take(checkpoint, document)
            except (OSError, httpx.HTTPError) as error:
                _log.error("a place did not take a checkpoint", place=name, cause=type(error).__name__)
            else:
                self._taken[name] = checkpoint.head
