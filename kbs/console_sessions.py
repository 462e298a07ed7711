"""Who reads in the console: signed in, and out again. No state in the process, no HTTP.

A session only ever reads: whatever changes something is asked for with the key itself, or with a token of now. It ends at its
time, when its holder signs out, and at once when his principal ends or is removed.
"""

from __future__ import annotations

import hmac
import os
from datetime import datetime, timedelta

from attest.canonical import canonical
from kbs.access import Principal, Subject
from kbs.acts import Acts
from kbs.domain import hashed
from kbs.http.auth import given, principal
from kbs.protocol.tee_key import encode
from kbs.refusals import Refusal
from kbs.sign_in import SignIn
from kbs.store.database import Store
from kbs.store.repository import Repository


class ConsoleSessions:
    """Raises Refusal."""

    def __init__(self, store: Store, acts: Acts, sign_in: SignIn, life: timedelta) -> None:
        self._store = store
        self._acts = acts
        self._sign_in = sign_in
        self.life = life

    def begin(self, secret: str) -> str:
        """A new session of whoever this key, or this token of an identity provider, is of: 256 random bits, of which the
        hash is kept."""
        proved = self._proved(secret)
        who = self._store.read(lambda tx: principal(tx, proved, self._acts.now_in(tx)))
        assert proved is not None
        token = encode(os.urandom(32))

        def change(tx: Repository, now: datetime) -> None:
            tx.console.add(hashed(token), _holder(proved), now, now + self.life)

        self._acts.act(who.name, "console-entered", {}, change)
        return token

    def end(self, token: str) -> None:
        self._store.write(lambda tx: tx.console.forget(hashed(token)))

    def of(self, token: str) -> Principal:
        return self._store.read(lambda tx: reader(tx, token, self._acts.now_in(tx)))

    def again(self, who: Principal, secret: str) -> None:
        """Returns where this is a key or a token of the principal who reads. Raises Refusal."""
        proved = self._proved(secret)
        try:
            found = self._store.read(lambda tx: principal(tx, proved, self._acts.now_in(tx)))
        except Refusal as refusal:
            if refusal.status != 401:
                raise
            said = f"give the key of {who.name}, or a token: this is nobody's, or its time is over"
            raise Refusal(401, "AdminAuthAccess", said) from None
        if found.name != who.name:
            raise Refusal(403, "AdminAuthAccess", f"this is not that of {who.name}, who is signed in")

    def _proved(self, secret: str) -> bytes | Subject | None:
        return given(f"Bearer {secret}", self._sign_in, self._acts.now)


def reader(tx: Repository, token: str, now: datetime) -> Principal:
    """Whose session this is, as he stands now. Raises Refusal.

    He is found by what he signed in with, so that somebody made later under the same name has no part in it.
    """
    holder = tx.console.holder_of(hashed(token), now)
    found = None
    former = tx.principals.former(now)
    for one, key_hash in tx.registry.principals():
        before = former.get(one.name)
        for own in (one.subject, key_hash, None if before is None else before.hash):
            if holder is not None and own is not None and hmac.compare_digest(_holder(own), holder):
                found = one
    if found is None or (found.expires is not None and now >= found.expires):
        raise Refusal(401, "AdminAuthAccess", "sign in: nobody is, or the time is over")
    return found


def _holder(proved: bytes | Subject) -> bytes:
    """What a session keeps of it. A key's own hash is no subject's: the latter is over JSON."""
    if isinstance(proved, bytes):
        return proved
    return hashed(canonical([proved.provider, proved.subject]).decode())
