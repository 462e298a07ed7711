"""What a session's machine proved, sealed: opened under the key, times and TEE that it was sealed with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from attest import Malformed, Verified
from attest.canonical import canonical
from attest.claims import instant
from kbs.domain import Session
from kbs.keys.ring import SessionKey


def context_of(session: Session) -> bytes:
    """What a sealed Verified is bound to: everything else that a release reads from the session's row."""
    return canonical(
        {
            "attested": instant(session.attested),
            "collateral": session.collateral,
            "expires": instant(session.expires),
            "key": dict(session.key),
            "protocol": session.protocol,
            "session": session.id.hex(),
            "tee": session.tee,
            "token": session.token_id,
        }
    )


def opened(session: Session, keys: Sequence[SessionKey]) -> Verified | None:
    """None where none of the keys opens it."""
    for key in keys:
        with suppress(Malformed):
            return Verified.unseal(key.seal, context_of(session), session.sealed)
    return None
