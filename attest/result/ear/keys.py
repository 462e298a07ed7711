"""Keys of results: ECDSA over P-256 or P-384, and with the curve the one algorithm that a key is for.

A signing key signs results and nothing else. Tokens of a broker, bundles and policies have keys of their own,
so that a signature over one can never pass for another.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from attest.canonical import canonical

Algorithm: TypeAlias = Literal["ES256", "ES384"]
_WANTED = "the key of results is ECDSA over P-256 or P-384"


class Suite(NamedTuple):
    """What a curve decides. cose: the algorithm's number (RFC 9053 §2.1). size: of a coordinate, bytes."""

    algorithm: Algorithm
    cose: int
    curve: str
    size: int


_SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "secp256r1": Suite("ES256", -7, "P-256", 32),
        "secp384r1": Suite("ES384", -35, "P-384", 48),
    }
)


@dataclass(frozen=True)
class VerificationKey:
    """The public key that somebody trusts for results, and nothing else."""

    public: ec.EllipticCurvePublicKey

    def __post_init__(self) -> None:
        if not isinstance(self.public, ec.EllipticCurvePublicKey) or self.public.curve.name not in _SUITES:
            raise ValueError(_WANTED)

    @classmethod
    def read(cls, pem: bytes) -> VerificationKey:
        """pem: SubjectPublicKeyInfo. Raises ValueError."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("not a public key in PEM") from None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError(_WANTED)
        return cls(key)

    @property
    def suite(self) -> Suite:
        return _SUITES[self.public.curve.name]

    @property
    def algorithm(self) -> Algorithm:
        return self.suite.algorithm

    @cached_property
    def thumbprint(self) -> bytes:
        """SHA-256 of the key's required members, RFC 7638: 32 bytes."""
        return hashlib.sha256(canonical(self._required())).digest()

    @cached_property
    def kid(self) -> str:
        return base64url(self.thumbprint)

    def jwk(self) -> dict[str, Any]:
        """As a member of a JWK set."""
        return {**self._required(), "alg": self.algorithm, "kid": self.kid, "use": "sig"}

    def _required(self) -> dict[str, str]:
        numbers, size = self.public.public_numbers(), self.suite.size
        x, y = (base64url(number.to_bytes(size, "big")) for number in (numbers.x, numbers.y))
        return {"crv": self.suite.curve, "kty": "EC", "x": x, "y": y}


@dataclass(frozen=True)
class SigningKey:
    private: ec.EllipticCurvePrivateKey

    def __post_init__(self) -> None:
        if not isinstance(self.private, ec.EllipticCurvePrivateKey):
            raise ValueError(_WANTED)
        VerificationKey(self.private.public_key())

    @classmethod
    def read(cls, pem: bytes) -> SigningKey:
        """Raises ValueError for anything else, encrypted keys included."""
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("not a private key in PEM") from None
        except TypeError:
            raise ValueError(
                "the private key is encrypted: give it in clear, in a file for its owner alone"
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(_WANTED)
        return cls(key)

    @cached_property
    def public(self) -> VerificationKey:
        return VerificationKey(self.private.public_key())

    def __repr__(self) -> str:
        return f"<SigningKey {self.public.kid}>"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
