"""Secrets at rest: AES-256-GCM under a key of their own each version, bound to path, version, owners and terms.

A row moved to another path, an old version put in a new one's place, or one whose owners were made fewer or whose
terms were widened in the database, does not open.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attest.canonical import canonical
from kbs.domain import Envelope, ResourcePath, SecretVersion, WrappedRow
from kbs.keys import KEY_BYTES, KeyStoreError
from kbs.keys.wrap import KeyWrap
from kbs.terms import FREE, Terms


def seal(
    secret: bytes,
    path: ResourcePath,
    version: int,
    owners: Iterable[str],
    wrap: KeyWrap,
    terms: Terms = FREE,
) -> Envelope:
    """owners: the secret's whole set. Raises KeyStoreError."""
    context = _context(path, version, owners, terms)
    key, iv = os.urandom(KEY_BYTES), os.urandom(12)
    return Envelope(wrap.wrap(key, context), iv, AESGCM(key).encrypt(iv, secret, context))


def open_envelope(secret: SecretVersion, wrap: KeyWrap) -> bytes:
    """Raises KeyStoreError."""
    envelope, context = secret.envelope, _context(secret.path, secret.version, secret.owners, secret.terms)
    key = wrap.unwrap(envelope.wrapped_key, context)
    try:
        return AESGCM(key).decrypt(envelope.iv, envelope.ciphertext, context)
    except (InvalidTag, ValueError):
        raise KeyStoreError("a secret does not open: the row was changed or moved") from None


def rewrap(row: WrappedRow, owners: Iterable[str], wrap: KeyWrap) -> bytes:
    """The same data key under the KEK that wraps now; the secret itself stays as it is.

    Raises KeyStoreError.
    """
    context = _context(row.path, row.version, owners, row.terms)
    return wrap.wrap(wrap.unwrap(row.wrapped_key, context), context)


def _context(path: ResourcePath, version: int, owners: Iterable[str], terms: Terms) -> bytes:
    """Versions without terms are bound as those before there were any."""
    context: dict[str, Any] = {
        "kind": "kbs-secret/1",
        "owners": sorted(owners),
        "path": str(path),
        "version": str(version),
    }
    if terms != FREE:
        context |= {"kind": "kbs-secret/2", "terms": terms.as_dict()}
    return canonical(context)
