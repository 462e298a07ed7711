"""KEKs in files: 32 random bytes each, 0600, `wrap.key` the first, `wrap-INSTANT.key` those after it.

Python cannot wipe them from memory, and root of this machine can read them: a PKCS#11 token or a transit
server keeps its keys to itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kbs.keys import KEY_BYTES, Kek, KeyStoreError, Wrapped
from kbs.keys.files import read_private
from kbs.keys.succession import KeyFile, Succession
from kbs.keys.wrapped import FIRST_FILE

FIRST: Final = "wrap.key"
_IV: Final = 12
_ID_INFO: Final = b"kbs wrapping key id v1"


@dataclass(frozen=True, slots=True)
class _Open:
    kek: Kek
    file: KeyFile
    cipher: AESGCM


@dataclass(frozen=True, slots=True)
class FileStore:
    """AES-256-GCM under the newest file; the context is associated data. An id is derived from its key, so
    that it follows the file wherever it is copied to."""

    folder: Path
    _read: dict[str, _Open] = field(default_factory=dict, repr=False)

    @property
    def place(self) -> str:
        return f"file:{self.folder.resolve()}"

    def keks(self) -> list[Kek]:
        return [one.kek for one in self._opened()]

    def name(self, key_id: str) -> str | None:
        for one in self._opened():
            if key_id == one.kek.id or (key_id == FIRST_FILE and one.file.path.name == FIRST):
                return one.kek.id
        return None

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        opened = self._opened()
        if not opened:
            raise KeyStoreError(f"there is no {FIRST} in {self.folder}: kbs keys create makes the first key")
        iv = os.urandom(_IV)
        return Wrapped(opened[-1].kek.id, iv + opened[-1].cipher.encrypt(iv, key, context))

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        kek_id = self.name(wrapped.key_id)
        for one in self._opened():
            if one.kek.id == kek_id:
                try:
                    return one.cipher.decrypt(wrapped.box[:_IV], wrapped.box[_IV:], context)
                except (InvalidTag, ValueError):
                    break
        raise KeyStoreError("a wrapped key does not open: other key file, or the row was changed")

    def rotate(self, now: datetime) -> Kek:
        if self._opened():
            wrapping_files(self.folder).add(os.urandom(KEY_BYTES), now)
        else:
            wrapping_files(self.folder).start(os.urandom(KEY_BYTES))
        return self.keks()[-1]

    def goes_with(self, kek: Kek) -> list[str]:
        return [kek.id]

    def retire(self, kek: Kek) -> None:
        """The file gets the ending `.retired`; without it, the key is in use again."""
        for one in self._opened():
            if one.kek.id == kek.id:
                try:
                    one.file.path.rename(f"{one.file.path}.retired")
                except OSError as error:
                    raise KeyStoreError(f"{one.file.path}: {error.strerror}") from None

    def close(self) -> None:
        pass

    def _opened(self) -> list[_Open]:
        """The folder is listed each time: another replica may have made a key, or retired one."""
        opened = []
        for file in wrapping_files(self.folder).files():
            if file.path.name not in self._read:
                self._read[file.path.name] = _open(file)
            opened.append(self._read[file.path.name])
        return opened


def wrapping_files(folder: Path) -> Succession:
    return Succession(folder, "wrap", ".key")


def _open(file: KeyFile) -> _Open:
    key = read_private(file.path)
    if len(key) != KEY_BYTES:
        raise KeyStoreError(f"{file.path}: a wrapping key is 32 bytes")
    mark = HKDF(algorithm=hashes.SHA256(), length=16, salt=None, info=_ID_INFO).derive(key)
    return _Open(Kek(f"file:{mark.hex()}", file.created), file, AESGCM(key))
