"""A file sealed under one key: AES-256-GCM, the name bound to the content."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def seal(path: Path, content: bytes, key: bytes) -> None:
    """Write `content` so that only the holder of the 32-byte `key` reads it."""
    nonce = os.urandom(12)
    path.write_bytes(nonce + AESGCM(key).encrypt(nonce, content, path.name.encode()))


def open_sealed(path: Path, key: bytes) -> str:
    """The content. Raises InvalidTag when the key is another or a byte was changed."""
    sealed = path.read_bytes()
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], path.name.encode()).decode()
