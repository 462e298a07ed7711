"""Answers of the vendors' services on disk, shared by threads and processes.

What an answer says of itself (nextUpdate, notAfter) decides how long it is kept, never an HTTP header.
Each entry is one file whose first line is the SHA-256 of the rest: an entry that was cut, mixed up or
edited is dropped, and what it holds is verified like anything else anyway. A refusal is kept too, for a
short time, so that a missing certificate is not asked for a thousand times (negative caching).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from attest.claims import instant, read_instant
from attest.sources.failure import failed
from attest.sources.folder import LOCK, Folder

Status = Literal["found", "refused"]

_MAGIC = b"attest-cache/1 "
MAX_ENTRY = 6 << 20
MAX_TOTAL = 256 << 20
MAX_ENTRIES = 20_000
_TOUCH = 24 * 3600
_LOCK_AGE = 24 * 3600
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Entry:
    """key: what was asked. body: the answer's bytes. chain: PEM of the issuer chain that came in a header.
    fetched: when. refresh: from then on a newer one is asked for while this one still serves. expires:
    from then on it is none. code, found: of a refusal, the problem it ended in."""

    key: str
    fetched: datetime
    refresh: datetime
    expires: datetime
    body: bytes = b""
    chain: bytes = b""
    code: str = ""
    found: str = ""

    @property
    def status(self) -> Status:
        return "refused" if self.code else "found"

    def encode(self) -> bytes:
        head = {
            "key": self.key,
            "fetched": instant(self.fetched),
            "refresh": instant(self.refresh),
            "expires": instant(self.expires),
            "code": self.code,
            "found": self.found,
            "chain": len(self.chain),
        }
        rest = json.dumps(head, separators=(",", ":")).encode() + b"\n" + self.chain + self.body
        return _MAGIC + hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest

    @classmethod
    def decode(cls, data: bytes) -> Entry | None:
        """None for anything that `encode` did not write."""
        line, _, rest = data.partition(b"\n")
        if line != _MAGIC + hashlib.sha256(rest).hexdigest().encode():
            return None
        head, _, content = rest.partition(b"\n")
        try:
            members = json.loads(head)
            size = int(members["chain"])
            if not 0 <= size <= len(content):
                return None
            return cls(
                str(members["key"]),
                read_instant(members["fetched"]),
                read_instant(members["refresh"]),
                read_instant(members["expires"]),
                content[size:],
                content[:size],
                str(members["code"]),
                str(members["found"]),
            )
        except (ValueError, KeyError, TypeError):
            return None


def default_folder() -> Path:
    """ATTEST_CACHE, or `attest` among the user's caches. Raises FetchFailed (`sources.cache`) where he has none."""
    given = os.environ.get("ATTEST_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "attest"
    try:
        return Path.home() / ".cache" / "attest"
    except RuntimeError:
        raise failed("sources.cache", where="~/.cache", found="no home folder", temporary=False) from None


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Store:
    """Entries in one folder. now: the wall clock, for ages alone: nothing is verified by it.

    Raises FetchFailed (`sources.cache`) where the folder cannot be used safely.
    """

    path: Path
    now: Callable[[], datetime] = utc_now
    max_total: int = MAX_TOTAL
    max_entries: int = MAX_ENTRIES
    folder: Folder = field(init=False)

    def __post_init__(self) -> None:
        self.folder = Folder(self.path)

    @staticmethod
    def name(key: str) -> str:
        """A file name that says nothing and holds no character of the key."""
        return hashlib.sha256(key.encode()).hexdigest()

    def get(self, key: str) -> Entry | None:
        """The entry, found or refused, while it is in its time; a broken one is dropped."""
        name = self.name(key)
        data = self.folder.read(name, MAX_ENTRY)
        if data is None:
            return None
        entry = Entry.decode(data)
        now = self.now()
        if entry is None or entry.key != key or now >= entry.expires or entry.fetched > now + _SKEW:
            # The last: a clock that stepped back knows nothing of ages.
            self.folder.remove(name)
            return None
        return entry

    def put(self, entry: Entry) -> None:
        """Keep an entry; an answer too large for a cache is not kept."""
        data = entry.encode()
        if len(data) > MAX_ENTRY:
            return
        self.folder.write(self.name(entry.key), data)
        self._tidy(self.name(entry.key))

    def used(self, entry: Entry) -> None:
        """What is used stays when room is made; said once a day at most."""
        if (self.now() - entry.fetched).total_seconds() > _TOUCH:
            self.folder.touch(self.name(entry.key))

    def _tidy(self, keep: str) -> None:
        """Make room: the longest unused first, never the one just written."""
        files = self.folder.sizes()
        newest = max((changed for *_, changed in files), default=0.0)
        entries = []
        for name, size, changed in files:
            if name.endswith(LOCK):
                if newest - changed > _LOCK_AGE:
                    self.folder.remove_lock(name.removesuffix(LOCK))
            elif len(name) == 64:
                entries.append((changed, size, name))
        total, count = sum(size for _, size, _ in entries), len(entries)
        for _, size, name in sorted(entries):
            if total <= self.max_total and count <= self.max_entries:
                break
            if name != keep:
                self.folder.remove(name)
                total, count = total - size, count - 1
