"""Attestation tokens: ES256 under keys that sign nothing else, at most five minutes.

The newest key of the ring signs, and those before it are believed until what they signed has ended, so that a rotation
ends nobody's session and replicas agree (T-EPHEMERAL). What a token says is `kbs.attestation_result`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from attest import Policy
from attest.result.ear import SigningKey
from attest.result.passport.kbs import TYPE

MAX_SECONDS: Final = 300
_REQUIRED: Final = ["iss", "exp", "nbf", "iat", "jti"]


class InvalidToken(Exception):
    """Not a token of ours, or not now."""


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """issuer: who the broker is to those that read its tokens. audience: whom they are for; None for nobody in
    particular, as brokers of Trustee before August 2026 demand. policy: what the status in a token is judged by;
    None for the defaults, which pin no workload and so never affirm. No release asks for it."""

    issuer: str = "kbs"
    audience: str | None = "kbs-guest"
    policy: Policy | None = None

    def __post_init__(self) -> None:
        for name, text in (("issuer", self.issuer), ("audience", self.audience)):
            if text is not None and not (0 < len(text) <= 256 and text.isprintable()):
                raise ValueError(f"the {name} of tokens is 1 to 256 printable characters")


class Tokens:
    """Signs and reads the broker's own tokens. The algorithm is fixed here, never taken from a header.

    keys: those that count at an instant, newest first.
    """

    def __init__(
        self,
        keys: Callable[[datetime], Sequence[ec.EllipticCurvePrivateKey]],
        terms: TokenTerms | None = None,
    ) -> None:
        self._keys = keys
        self.terms = terms or TokenTerms()

    def issue(self, claims: Mapping[str, Any]) -> str:
        """claims: the whole payload, its times included. Raises ValueError for a life over five minutes."""
        start, end = claims["iat"], claims["exp"]
        if not 0 < end - start <= MAX_SECONDS:
            raise ValueError("a token lives between one second and five minutes")
        key = self._ring(datetime.fromtimestamp(start, UTC))[0]
        headers = {"typ": TYPE, "kid": key.public.kid}
        return jwt.encode(dict(claims), key.private, algorithm="ES256", headers=headers)

    def read(self, text: str, at: datetime) -> Mapping[str, Any]:
        """Payload of a token of ours that is in its time at `at`; raises InvalidToken."""
        try:
            header = jwt.get_unverified_header(text)
            key = self._named(header.get("kid"), at)
            if header != {"alg": "ES256", "typ": TYPE, "kid": key.public.kid}:
                raise InvalidToken("foreign header")
            audience = self.terms.audience
            payload: dict[str, Any] = jwt.decode(
                text,
                key.public.public,
                algorithms=["ES256"],
                audience=audience,
                issuer=self.terms.issuer,
                # The clock is ours, not the library's: exp and nbf are compared below.
                options={
                    "require": _REQUIRED if audience is None else [*_REQUIRED, "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(type(error).__name__) from None
        now = at.timestamp()
        start, end = payload["nbf"], payload["exp"]
        if not (isinstance(start, int) and isinstance(end, int) and start <= now < end):
            raise InvalidToken("not in its time")
        return payload

    def jwks(self, at: datetime) -> dict[str, Any]:
        """The public keys that a token of ours may be signed with at `at`, newest first: RFC 7517."""
        return {"keys": [key.public.jwk() for key in self._ring(at)]}

    def _named(self, kid: object, at: datetime) -> SigningKey:
        found = next((key for key in self._ring(at) if key.public.kid == kid), None)
        if found is None:
            raise InvalidToken("foreign key")
        return found

    def _ring(self, at: datetime) -> list[SigningKey]:
        return [SigningKey(key) for key in self._keys(at)]
