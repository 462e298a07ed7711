"""Keys in files: 0600, made once, one file a key.

Python cannot wipe them from memory, and root of this machine can read them; a hardware or remote key
store goes behind `KeyWrap`, and the broker itself may run inside a confidential machine.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kbs.keys import KeyStoreError

KEY_BYTES: Final = 32
_IV = 12


class FileKeyWrap:
    """AES-256-GCM under the key in a file; the context is associated data."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise KeyStoreError("a wrapping key is 32 bytes")
        self._cipher = AESGCM(key)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        iv = os.urandom(_IV)
        return iv + self._cipher.encrypt(iv, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:_IV], wrapped[_IV:], context)
        except (InvalidTag, ValueError):
            raise KeyStoreError(
                "a wrapped key does not open: other key file, or the row was changed"
            ) from None


def write_new(path: Path, content: bytes) -> None:
    """Raises KeyStoreError if the file is there: a key is never overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyStoreError(f"{path} exists; a key is never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_private(path: Path) -> bytes:
    """Raises KeyStoreError if the file is missing or open to group or others."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyStoreError(f"{path} is open to others; make it 0600")
            return file.read(1 << 16)
    except OSError as error:
        raise KeyStoreError(f"{path}: {error.strerror}") from None
