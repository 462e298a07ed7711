"""A bounded cache of verified endorsements.

A hit saves signatures and parsing, never validity in time, revocation or binding. The key holds
the role, the anchors passed, and the endorsement's digests in order, so a chain verified under a
simulator's root, or in another role, never serves production (T-CACHE). Report, quote and QE report
signatures are never cached.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import Any, TypeAlias

Key: TypeAlias = tuple[str | bytes, ...]


class Cache:
    """At most `size` entries; the least recently used goes first. Safe for threads."""

    def __init__(self, size: int = 512) -> None:
        if size < 1:
            raise ValueError("a cache holds at least one entry")
        self._size = size
        self._entries: OrderedDict[Key, Any] = OrderedDict()
        self._lock = Lock()

    @staticmethod
    def key(role: str, anchors: bytes, parts: Iterable[bytes]) -> Key:
        """role: vcek, vlek, pck, tcb-signing, device, rim, crl, ocsp. anchors: `Anchors.digest`, or empty where
        the issuer itself is among `parts`. parts: the exact
        bytes of each document or their SHA-256, in order."""
        return (role, anchors, *parts)

    def get(self, key: Key) -> Any | None:
        with self._lock:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def put(self, key: Key, value: Any) -> None:
        """value: immutable, and only after it was verified, or a refusal that these bytes always meet with."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > self._size:
                self._entries.popitem(last=False)

    def __len__(self) -> int:
        return len(self._entries)
