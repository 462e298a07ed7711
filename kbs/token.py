"""Attestation tokens: ES256 under a key that signs nothing else, at most five minutes.

Device evidence stays out (headers have limits); a digest of the claims stands in. A guest decodes the
token without verifying it and takes a missing `exp` for "for ever", so `exp` is always there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from kbs.protocol.tee_key import encode

ISSUER: Final = "kbs"
AUDIENCE: Final = "kbs-guest"
TYPE: Final = "attestation+jwt"
MAX_SECONDS: Final = 300
_REQUIRED: Final = ["iss", "aud", "exp", "nbf", "iat", "jti"]


class InvalidToken(Exception):
    """Not a token of ours, or not now."""


class Tokens:
    """Signs and reads the broker's own tokens. The algorithm is fixed here, never taken from a header."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self._public = key.public_key()
        numbers = self._public.public_numbers()
        x, y = (encode(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        digest = hashes.Hash(hashes.SHA256())
        digest.update(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode())
        self.key_id = encode(digest.finalize())

    def issue(self, *, token_id: str, issued: datetime, expires: datetime, claims: Mapping[str, Any]) -> str:
        """Raises ValueError for a life over five minutes."""
        start, end = int(issued.timestamp()), int(expires.timestamp())
        if not 0 < end - start <= MAX_SECONDS:
            raise ValueError("a token lives between one second and five minutes")
        payload = {
            **claims,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": start,
            "nbf": start,
            "exp": end,
            "jti": token_id,
        }
        return jwt.encode(payload, self._key, algorithm="ES256", headers={"typ": TYPE, "kid": self.key_id})

    def read(self, text: str, at: datetime) -> Mapping[str, Any]:
        """Payload of a token of ours that is in its time at `at`; raises InvalidToken."""
        try:
            header = jwt.get_unverified_header(text)
            if header != {"alg": "ES256", "typ": TYPE, "kid": self.key_id}:
                raise InvalidToken("foreign header")
            payload: dict[str, Any] = jwt.decode(
                text,
                self._public,
                algorithms=["ES256"],
                audience=AUDIENCE,
                issuer=ISSUER,
                # The clock is ours, not the library's: exp and nbf are compared below.
                options={
                    "require": _REQUIRED,
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
