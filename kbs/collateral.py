"""The endorsements a broker verifies with: a folder of certificates, CRLs, collateral and RIMs.

Read at start and again whenever a file changes. The epoch names one content of the folder: a session
attested under another epoch attests again, so that a new revocation list counts at once (T-TOCTOU).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Protocol

import structlog

from attest import Endorsements, Malformed

_log = structlog.get_logger("kbs.collateral")


@dataclass(frozen=True, slots=True)
class Epoch:
    """name: changes with the content."""

    name: str = "none"
    endorsements: Endorsements = field(default_factory=Endorsements)


class Collateral(Protocol):
    def current(self) -> Epoch: ...


@dataclass(frozen=True, slots=True)
class NoCollateral:
    """Only what guests bring along."""

    def current(self) -> Epoch:
        return Epoch()


class Folder:
    """Safe for threads. A file that does not parse keeps the last good content in force, and is logged."""

    def __init__(self, path: Path) -> None:
        """Raises Malformed when a file in it is no endorsement, OSError when the folder cannot be read."""
        self._path = path
        self._lock = Lock()
        self._seen = self._stamps()
        self._epoch = self._read(self._seen)

    def current(self) -> Epoch:
        with self._lock:
            try:
                stamps = self._stamps()
                if stamps != self._seen:
                    self._epoch = self._read(stamps)
                    self._seen = stamps
            except (Malformed, OSError) as error:
                _log.error("endorsements not read again; the last good ones stay", cause=str(error))
            return self._epoch

    def _stamps(self) -> tuple[tuple[str, int, int, int], ...]:
        found = []
        for file in sorted(self._path.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                status = file.stat()
                found.append((file.name, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def _read(self, stamps: tuple[tuple[str, int, int, int], ...]) -> Epoch:
        from attest.loader import load_endorsements

        files = [self._path / name for name, *_ in stamps]
        digest = hashlib.sha256()
        for file in files:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return Epoch(digest.hexdigest(), load_endorsements(files))
