"""Who administers: a bearer key of 256 random bits, kept as SHA-256. There is no default key."""

from __future__ import annotations

import hmac
import os
from datetime import datetime
from typing import Final

from kbs.access import Principal
from kbs.domain import hashed
from kbs.protocol.tee_key import encode
from kbs.refusals import Refusal
from kbs.store.repository import Repository

PREFIX: Final = "kbsadm_"


def make_key() -> str:
    """A new administration key, of nobody yet."""
    return PREFIX + encode(os.urandom(32))


def give_key(tx: Repository, name: str, key: str, now: datetime) -> None:
    """Make `key` that of the administrator `name`; only its hash is kept."""
    tx.registry.add_principal(Principal(name, "administrator"), hashed(key), now)


def principal(tx: Repository, authorization: str | None, now: datetime) -> Principal:
    """Who is behind an Authorization header. Raises Refusal.

    Every stored hash is compared, in constant time, whatever matched before.
    """
    scheme, _, key = (authorization or "").partition(" ")
    found = None
    if scheme.lower() == "bearer" and key.startswith(PREFIX):
        given = hashed(key)
        for one, key_hash in tx.registry.principals():
            if hmac.compare_digest(key_hash, given):
                found = one
    if found is None or (found.expires is not None and now >= found.expires):
        raise Refusal(401, "AdminAuthAccess", "administration needs its key")
    return found
