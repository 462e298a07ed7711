"""The one door to the key stores: one of them wraps, all of them unwrap.

A row says by an id which KEK it needs, so rows of several KEKs, and of several stores, open side by side
while they are rewrapped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime

from kbs.keys import KEY_BYTES, Kek, KeyStore, KeyStoreError, KeyStoreUnavailable
from kbs.keys.wrapped import read, write


class KeyWrap:
    """Wraps and unwraps 32-byte data keys, each bound to a context. Safe for threads.

    store: the one that wraps. former: others whose KEKs still unwrap.
    """

    def __init__(self, store: KeyStore, former: Sequence[KeyStore] = ()) -> None:
        self._store = store
        self._all = (store, *former)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Raises KeyStoreError."""
        return write(self._store.wrap(key, context))

    def unwrap(self, raw: bytes, context: bytes) -> bytes:
        """Raises KeyStoreError when key store, bytes or context are others."""
        wrapped = read(raw)
        for store in self._all:
            if store.name(wrapped.key_id) is not None:
                key = store.unwrap(wrapped, context)
                if len(key) != KEY_BYTES:
                    raise KeyStoreError(f"{wrapped.key_id} gave {len(key)} bytes, a data key has {KEY_BYTES}")
                return key
        raise KeyStoreError(
            f"no key store holds {wrapped.key_id}, which wraps it: name the store under former-keys"
        )

    def keks(self) -> list[Kek]:
        """Of all stores, former ones first, each oldest first: the last one wraps."""
        return [kek for store in reversed(self._all) for kek in store.keks()]

    def current(self) -> Kek:
        """The KEK that wraps now."""
        keys = self._store.keks()
        if not keys:
            raise KeyStoreError("the key store has no key yet: kbs keys create makes the first")
        return keys[-1]

    def named(self, key_ids: Iterable[str]) -> dict[str, Kek | None]:
        """The open KEK that each id of a row stands for."""
        keys = {kek.id: kek for kek in self.keks()}
        return {key_id: keys.get(self._name(key_id) or "") for key_id in key_ids}

    def _name(self, key_id: str) -> str | None:
        return next((name for store in self._all if (name := store.name(key_id)) is not None), None)

    def rotate(self, now: datetime) -> Kek:
        return self._store.rotate(now)

    def goes_with(self, kek: Kek) -> list[str]:
        return self._holder(kek).goes_with(kek)

    def retire(self, kek: Kek) -> None:
        self._holder(kek).retire(kek)

    def _holder(self, kek: Kek) -> KeyStore:
        return next(store for store in self._all if kek in store.keks())

    def prove(self) -> None:
        """Raises KeyStoreError unless the store opens what it closed, for the same context and no other.

        A token or a server that takes no notice of associated data would open a row put in another's place.
        """
        key, context, other = os.urandom(KEY_BYTES), os.urandom(16), os.urandom(16)
        raw = self.wrap(key, context)
        if self.unwrap(raw, context) != key:
            raise KeyStoreError("the key store does not give back what it was given")
        try:
            self.unwrap(raw, other)
        except KeyStoreUnavailable:
            raise
        except KeyStoreError:
            return
        raise KeyStoreError("the key store does not bind a key to its context: it cannot be used")

    def close(self) -> None:
        for store in self._all:
            store.close()
