"""Where the keys of an issuer come from: a file that the operator keeps, or the issuer's own address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Generic, Protocol, TypeVar

import structlog

from attest import Malformed
from attest.result.passport import IssuerKey

_log = structlog.get_logger("kbs.passport")
T = TypeVar("T")


class KeysUnavailable(Exception):
    """The issuer's keys cannot be had now."""


class KeySource(Protocol):
    def current(self, now: datetime) -> Sequence[IssuerKey]:
        """Raises KeysUnavailable."""
        ...

    def renewed(self, now: datetime) -> Sequence[IssuerKey] | None:
        """Keys that are newer than `current` said, for a token under a key that is not among those; None where there
        are none, or where it was asked a moment ago."""
        ...


class KeyFile(Generic[T]):
    """A JWK set in a file, read again when it changes. read: what its bytes are. Safe for threads. One that does not
    parse keeps the last good keys in force, and is logged."""

    def __init__(self, path: Path, read: Callable[[bytes], T]) -> None:
        """Raises Malformed and OSError."""
        self._path = path
        self._read = read
        self._lock = Lock()
        self._seen = self._stamp()
        self._keys = read(path.read_bytes())

    def current(self, now: datetime) -> T:
        with self._lock:
            try:
                stamp = self._stamp()
                if stamp != self._seen:
                    self._keys = self._read(self._path.read_bytes())
                    self._seen = stamp
            except (Malformed, OSError) as error:
                _log.error("an issuer's keys not read again; the last good ones stay", cause=str(error))
            return self._keys

    def renewed(self, now: datetime) -> None:
        return None

    def _stamp(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino
