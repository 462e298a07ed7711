"""Tokens of other verifiers, from the issuers that the configuration names.

The guest attested elsewhere and brings the token here. What it says becomes an `Attested`; whether that counts is each
owner's to say, by a rule that names the issuer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from attest.errors import Rejected
from attest.result.ear import Attested
from attest.result.passport import Issuer, claimed_issuer, read
from kbs.domain import hashed
from kbs.passport.keys import KeySource


@dataclass(frozen=True, slots=True)
class Passport:
    """id: SHA-256 of the token, which is kept nowhere."""

    id: bytes
    attested: Attested


class Issuers:
    """Those whose tokens are read, each with its keys. Raises ValueError where two have one name, or say that they
    are one."""

    def __init__(self, trusted: Sequence[tuple[Issuer, KeySource]] = ()) -> None:
        self._trusted = {issuer.iss: (issuer, keys) for issuer, keys in trusted}
        names = {issuer.name for issuer, _ in trusted}
        if len(self._trusted) != len(trusted) or len(names) != len(trusted):
            raise ValueError("two issuers have one name, or the same iss")

    def read(self, token: str, *, at: datetime, simulated: bool) -> Passport | None:
        """What the token says; None where no issuer of ours is said to have signed it.

        Raises Malformed, Rejected, and KeysUnavailable.
        """
        raw = token.encode("utf-8", "surrogatepass")
        issuer, source = self._trusted.get(claimed_issuer(raw) or "", (None, None))
        if issuer is None or source is None:
            return None
        try:
            attested = read(raw, issuer, source.current(at), at=at, simulated=simulated)
        except Rejected as refusal:
            renewed = source.renewed(at) if "ear.key" in refusal.codes else None
            if renewed is None:
                raise
            attested = read(raw, issuer, renewed, at=at, simulated=simulated)
        return Passport(hashed(token), attested)
