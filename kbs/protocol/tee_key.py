"""The guest's public key: a JWK kept with all members it came with, and the key read from it.

The object is hashed as it came (rebuilding it would break a client that adds `kid`); the key is read
strictly: a point on its curve, an RSA modulus of sane size, and an algorithm we wrap for.
Source: RFC 7517, RFC 7518 §6, guest-components `kbs_protocol/src/keypair.rs`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from attest.canonical import canonical
from attest.problems import malformed

CURVES: Final[Mapping[str, tuple[type[ec.EllipticCurve], int]]] = MappingProxyType(
    {"P-256": (ec.SECP256R1, 32), "P-521": (ec.SECP521R1, 66)}
)
EC_ALGORITHM: Final = "ECDH-ES+A256KW"
RSA_ALGORITHM: Final = "RSA-OAEP-256"
RSA1_5: Final = "RSA1_5"
"""Of protocols 0.1.0 and 0.1.1 alone: a padding oracle in the guest (T-JWE)."""
_OF_NOW: Final = frozenset({EC_ALGORITHM, RSA_ALGORITHM})
_TYPES: Final = {EC_ALGORITHM: "EC", RSA_ALGORITHM: "RSA", RSA1_5: "RSA"}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_RSA_BITS = range(2048, 4097)
_WHERE = "tee-pubkey"
_LIMIT = 16 << 10


@dataclass(frozen=True, slots=True)
class TeeKey:
    """jwk: all members, as parsed. public: the key itself. algorithm: how content keys are wrapped for it."""

    jwk: Mapping[str, Any]
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    algorithm: str

    @classmethod
    def from_jwk(cls, value: Any, algorithms: frozenset[str] = _OF_NOW) -> TeeKey:
        """Raises Malformed on anything but an EC key for ECDH-ES+A256KW or an RSA key for RSA-OAEP-256, or, of
        these and RSA1_5, on anything but `algorithms`."""
        if not isinstance(value, dict):
            raise malformed("The key is a JWK object", where=_WHERE)
        _only_text(value, _WHERE)
        if len(canonical(value)) > _LIMIT:  # kept with the session, and hashed at every release
            raise malformed("The key is too large", where=_WHERE, expected=f"≤ {_LIMIT} bytes")
        if secret := sorted(_PRIVATE & set(value)):
            raise malformed("The key shows a private member", where=f"{_WHERE}.{secret[0]}")
        kty, algorithm = value.get("kty"), value.get("alg")
        if isinstance(algorithm, str) and algorithm in algorithms:
            if kty == "EC" and algorithm == EC_ALGORITHM:
                return cls(value, _ec_key(value), algorithm)
            if kty == "RSA" and algorithm in (RSA_ALGORITHM, RSA1_5):
                return cls(value, _rsa_key(value), algorithm)
        # OKP and AKP keys have no wrapping that clients agree on.
        raise malformed(
            "The key's type or algorithm is not served",
            where=f"{_WHERE}.alg",
            expected=" or ".join(f"{_TYPES[name]} with {name}" for name in sorted(algorithms)),
            found=f"{kty} with {algorithm}",
        )

    @property
    def thumbprint(self) -> str:
        """RFC 7638, base64url without padding."""
        names = ("crv", "kty", "x", "y") if self.jwk["kty"] == "EC" else ("e", "kty", "n")
        required = {name: self.jwk[name] for name in names}
        text = json.dumps(required, sort_keys=True, separators=(",", ":"))
        return encode(hashlib.sha256(text.encode()).digest())


def encode(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: Any, where: str) -> bytes:
    """Strict base64url without padding: one text for one value. Raises Malformed."""
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text):
        raise malformed("Not base64url without padding", where=where)
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise malformed("Not base64url without padding", where=where) from None
    if encode(raw) != text:
        raise malformed("Not the one base64url text of its bytes", where=where)
    return raw


def _ec_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in CURVES:
        raise malformed("The curve is not served", where=f"{_WHERE}.crv", expected=list(CURVES), found=name)
    curve, size = CURVES[name]
    point = []
    for member in ("x", "y"):
        raw = decode(jwk.get(member), f"{_WHERE}.{member}")
        if len(raw) != size:
            raise malformed(
                "A coordinate has the wrong length", where=f"{_WHERE}.{member}", expected=size, found=len(raw)
            )
        point.append(int.from_bytes(raw, "big"))
    try:
        return ec.EllipticCurvePublicNumbers(point[0], point[1], curve()).public_key()
    except ValueError:
        raise malformed("The point is not on its curve", where=_WHERE) from None


def _rsa_key(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    modulus = int.from_bytes(decode(jwk.get("n"), f"{_WHERE}.n"), "big")
    exponent = int.from_bytes(decode(jwk.get("e"), f"{_WHERE}.e"), "big")
    if modulus.bit_length() not in _RSA_BITS:
        raise malformed(
            "The RSA modulus is too short or too long",
            where=f"{_WHERE}.n",
            expected="2048 to 4096 bits",
            found=modulus.bit_length(),
        )
    if not modulus & 1:
        raise malformed("The RSA modulus is even", where=f"{_WHERE}.n")
    if exponent.bit_length() > 32 or exponent < 65537:
        raise malformed("The RSA exponent is not served", where=f"{_WHERE}.e", expected="65537 to 2^32")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise malformed("The RSA numbers make no key", where=_WHERE) from None


def _only_text(value: Any, where: str) -> None:
    """Strings and objects only: numbers and lists canonicalise differently between clients (T-CANON)."""
    if isinstance(value, dict):
        for name, member in value.items():
            _writable(name)
            _only_text(member, f"{where}.{name}")
    elif isinstance(value, str):
        _writable(value)
    else:
        raise malformed("What is hashed holds texts and objects only", where=where)


def _writable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise malformed("The text holds half a surrogate pair", where=_WHERE) from None
