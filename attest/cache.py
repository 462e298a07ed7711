"""A bounded cache of verified endorsements.

A hit saves signatures and parsing, never validity in time, revocation or binding. The key is a digest
over the role, the anchors passed, and the endorsement's bytes in order, so a chain verified under a
simulator's root, or in another role, never serves production (T-CACHE). Report, quote and QE report
signatures are never cached.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Any


class Cache:
    """At most `size` entries; the least recently used goes first. Safe for threads."""

    def __init__(self, size: int = 512) -> None:
        if size < 1:
            raise ValueError("a cache holds at least one entry")
        self._size = size
        self._entries: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def key(role: str, anchors: bytes, parts: Iterable[bytes]) -> bytes:
        """role: vcek, vlek, pck, tcb-signing, device, rim, crl, ocsp. anchors: `Anchors.digest`, or empty where
        the issuer itself is among `parts`. parts: the exact bytes, in order."""
        # One hash over the whole: each update costs more than the hashing of a short part.
        framed = [role.encode(), b"\0", anchors]
        for part in parts:
            framed += (len(part).to_bytes(8, "big"), part)
        return hashlib.sha256(b"".join(framed)).digest()

    def get(self, key: bytes) -> Any | None:
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def put(self, key: bytes, value: Any) -> None:
        """value: immutable, and only after it was verified."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
