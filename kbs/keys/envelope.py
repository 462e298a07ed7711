"""Secrets at rest: AES-256-GCM under a key of their own each version, bound to path and version.

A row moved to another path, or an old version put in a new one's place, does not open.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attest.canonical import canonical
from kbs.domain import Envelope, ResourcePath
from kbs.keys import KeyStoreError, KeyWrap


def seal(secret: bytes, path: ResourcePath, version: int, wrap: KeyWrap) -> Envelope:
    context = _context(path, version)
    key, iv = os.urandom(32), os.urandom(12)
    return Envelope(wrap.wrap(key, context), iv, AESGCM(key).encrypt(iv, secret, context))


def open_envelope(envelope: Envelope, path: ResourcePath, version: int, wrap: KeyWrap) -> bytes:
    """Raises KeyStoreError."""
    context = _context(path, version)
    key = wrap.unwrap(envelope.wrapped_key, context)
    try:
        return AESGCM(key).decrypt(envelope.iv, envelope.ciphertext, context)
    except (InvalidTag, ValueError):
        raise KeyStoreError("a secret does not open: the row was changed or moved") from None


def _context(path: ResourcePath, version: int) -> bytes:
    return canonical({"kind": "kbs-secret/1", "path": str(path), "version": str(version)})
