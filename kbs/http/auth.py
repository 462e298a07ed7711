"""Who administers: a bearer key of 256 random bits, kept as SHA-256, or a token of an identity provider. There is no
default key."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from datetime import datetime
from typing import Final

from kbs.access import Principal, Subject
from kbs.domain import hashed
from kbs.protocol.tee_key import encode
from kbs.refusals import Refusal
from kbs.sign_in import SignIn
from kbs.store.repository import Repository

PREFIX: Final = "kbsadm_"


def make_key() -> str:
    """A new administration key, of nobody yet."""
    return PREFIX + encode(os.urandom(32))


def give_key(tx: Repository, name: str, key: str, now: datetime) -> None:
    """Make `key` that of the administrator `name`; only its hash is kept."""
    tx.registry.add_principal(Principal(name, "administrator"), hashed(key), now)


def given(authorization: str | None, sign_in: SignIn, now: Callable[[], datetime]) -> bytes | Subject | None:
    """What an Authorization header proves: a key, by its SHA-256, or who an identity provider says this is. Before any
    transaction: its keys may have to be fetched. Raises Refusal."""
    scheme, _, text = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    if text.startswith(PREFIX):
        return hashed(text)
    return sign_in.subject(text, now()) if text.count(".") == 2 and sign_in.names else None


def principal(tx: Repository, proved: bytes | Subject | None, now: datetime) -> Principal:
    """Who that is here. Raises Refusal.

    Every stored hash is compared, in constant time, whatever matched before.
    """
    found = None
    former = tx.principals.former(now)
    for one, key_hash in tx.registry.principals():
        if isinstance(proved, Subject):
            found = one if one.subject == proved else found
            continue
        before = former.get(one.name)
        for counts in (key_hash, None if before is None else before.hash):
            if proved is not None and counts is not None and hmac.compare_digest(counts, proved):
                found = one
    if found is None or (found.expires is not None and now >= found.expires):
        raise Refusal(401, "AdminAuthAccess", "administration needs its key, or a token that counts here")
    return found
