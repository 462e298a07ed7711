"""The attestation service's public keys: a JWK set, and the one key that a token names.

Who hands the set in vouches for it: it came over TLS from the service's own host, or from a file an operator
keeps. The certificates in it are containers of keys; no chain of theirs is pinned, as the service's
intermediate that was published has expired.
Source: RFC 7517; RFC 7518 §6.2; NVIDIA Remote Attestation Service, `/.well-known/jwks.json`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec

from attest import strict_base64
from attest.canonical import read_json
from attest.errors import Malformed
from attest.problems import malformed
from attest.x509 import Certificate, simulator_role

MAX_JWKS = 1 << 20
MAX_KEYS = 64
_WIDTH = 48


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """kid: as a token's header names it. simulated: the key came from a simulator."""

    kid: str
    public: ec.EllipticCurvePublicKey
    simulated: bool


@dataclass(frozen=True, slots=True)
class Jwks:
    """A JWK set that parses. keys: kid → members, unread; each is read when a token names it."""

    keys: Mapping[str, Mapping[str, Any]]

    @classmethod
    def parse(cls, data: bytes) -> Jwks:
        """Keys without a kid can be named by no token and are left out. Raises Malformed, also for two keys
        of one kid."""
        document = read_json(data, where="jwks", limit=MAX_JWKS)
        keys = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
            _refuse("jwks.keys", f"1 to {MAX_KEYS} keys", "none" if not keys else type(keys).__name__)
        named: dict[str, Mapping[str, Any]] = {}
        for index, key in enumerate(keys):
            if not isinstance(key, dict):
                _refuse(f"jwks.keys[{index}]", "a JSON object", type(key).__name__)
            kid = key.get("kid")
            if not isinstance(kid, str) or not kid:
                continue
            if kid in named:
                _refuse(f"jwks.keys[{index}].kid", "each kid once", kid[:64])
            named[kid] = MappingProxyType(key)
        return cls(MappingProxyType(named))

    def key(self, kid: str) -> ServiceKey | None:
        """The P-384 signature key of this kid; None when there is none.

        Raises Malformed when the key is another kind, not on the curve, meant for something else, or when its
        certificate holds another key.
        """
        members = self.keys.get(kid)
        if members is None:
            return None
        for name, wanted in (("kty", "EC"), ("crv", "P-384")):
            if members.get(name) != wanted:
                _refuse(f"jwks.{name}", wanted, members.get(name))
        for name, wanted in (("alg", "ES384"), ("use", "sig")):
            if members.get(name, wanted) != wanted:
                _refuse(f"jwks.{name}", wanted, members.get(name))
        if "d" in members:
            _refuse("jwks.d", "a public key", "a private one")
        try:
            public = ec.EllipticCurvePublicNumbers(
                _coordinate(members, "x"), _coordinate(members, "y"), ec.SECP384R1()
            ).public_key()
        except ValueError:
            _refuse("jwks.x", "a point of P-384", "another")
        return ServiceKey(kid, public, _simulated(members, public))


def _simulated(members: Mapping[str, Any], public: ec.EllipticCurvePublicKey) -> bool:
    """Whether a simulator made the key; its first certificate must hold the same key."""
    if "x5c" not in members:
        return False
    chain = members["x5c"]
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        _refuse("jwks.x5c", "base64 certificates", type(chain).__name__)
    try:
        leaf = Certificate(strict_base64.decode(chain[0]), where="jwks.x5c[0]")
    except (binascii.Error, Malformed):
        _refuse("jwks.x5c[0]", "a certificate", chain[0][:16])
    held = leaf.public_key
    if not isinstance(held, ec.EllipticCurvePublicKey) or held != public:
        _refuse("jwks.x5c[0]", "the key that the JWK states", "another key")
    return simulator_role(leaf) is not None


def _coordinate(members: Mapping[str, Any], name: str) -> int:
    """48 bytes, base64url. Source: RFC 7518 §6.2.1.2."""
    text = members.get(name)
    if not isinstance(text, str) or len(text) != 64:
        _refuse(f"jwks.{name}", f"{_WIDTH} bytes", "others")
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        _refuse(f"jwks.{name}", "base64url", "other characters")
    return int.from_bytes(raw, "big")


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "A key set of the attestation service cannot be used",
        where=where,
        expected=expected,
        found=found,
        code="nras.keys",
    )
