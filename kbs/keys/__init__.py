"""Keys of the broker itself: wrapping secrets at rest, sealing sessions, signing tokens.

None is used for two things. `KeyWrap` is the door for other key stores (PKCS#11, Vault transit): they
wrap the 32-byte key of each secret and never see the secret.
"""

from __future__ import annotations

from typing import Protocol


class KeyWrap(Protocol):
    """Wraps 32-byte keys, bound to a context."""

    def wrap(self, key: bytes, context: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises KeyStoreError when key store, bytes or context are others."""
        ...


class KeyStoreError(Exception):
    """A key is missing, readable by others, or does not open what it should. Never carries key bytes."""
