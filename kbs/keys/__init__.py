"""Keys of the broker itself: wrapping secrets at rest, sealing sessions, signing tokens.

None is used for two things. Each version of a secret has a data key of its own; a key store (files, a
PKCS#11 token, a transit server) wraps those under a key encryption key, and never sees a secret.
`kbs.keys.wrap.KeyWrap` is the one door to all stores of a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Kek:
    """A key encryption key. id: stands beside what it wraps; says which store holds it. created: when it
    took over from the one before, None where the store cannot tell."""

    id: str
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A data key under a KEK. box: what the store of `key_id` made; its form is the store's own."""

    key_id: str
    box: bytes


class KeyStore(Protocol):
    """One place that holds KEKs. Its newest wraps; all of them unwrap.

    Every method may raise KeyStoreError, and KeyStoreUnavailable where asking again later may help.
    """

    @property
    def place(self) -> str:
        """What tells it from other stores of a configuration."""
        ...

    def keks(self) -> list[Kek]:
        """Oldest first; empty where the first is still to be made."""
        ...

    def name(self, key_id: str) -> str | None:
        """The `Kek.id` that `key_id` of a row stands for here, None where it is another store's. Asks nobody
        outside of this machine."""
        ...

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        """Under the newest KEK. key: 32 bytes. context: bound to it, any length."""
        ...

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes: ...

    def rotate(self, now: datetime) -> Kek:
        """A new KEK, which wraps from now on; the first one where there is none."""
        ...

    def goes_with(self, kek: Kek) -> list[str]:
        """Ids of the KEKs that cannot be used any more once this one is retired, itself among them."""
        ...

    def retire(self, kek: Kek) -> None:
        """Take it out of use. It can be brought back by the store's own means."""
        ...

    def close(self) -> None: ...


class KeyStoreError(Exception):
    """A key is missing, readable by others, or does not open what it should. Never carries key bytes."""


class KeyStoreUnavailable(KeyStoreError):
    """The key store does not answer now; nothing is wrong with what it was asked."""
