"""The keys of an issuer: a JWK set, of which the EC keys for signatures are read.

The curve decides the algorithm, as for every key of results; a key that says another is a mistake of its issuer.
Source: RFC 7517 §4 and §5, RFC 7518 §6.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric import ec

from attest.canonical import read_json
from attest.errors import Malformed
from attest.problems import malformed
from attest.result.ear import members
from attest.result.ear.keys import VerificationKey

_LIMIT: Final = 256 << 10
_MOST: Final = 64
_CURVES: Final[Mapping[str, tuple[type[ec.EllipticCurve], int]]] = {
    "P-256": (ec.SECP256R1, 32),
    "P-384": (ec.SECP384R1, 48),
}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})


@dataclass(frozen=True)
class IssuerKey:
    """kid: as the set names it, None where it does not."""

    key: VerificationKey
    kid: str | None


def read_jwks(data: bytes) -> tuple[IssuerKey, ...]:
    """The keys that can have signed a token. Keys of other types and for other uses are passed over.

    Raises Malformed (`issuer.keys`) where none is left, where two have one name, and for a private key.
    """
    try:
        document = read_json(data, where="jwks", limit=_LIMIT)
    except Malformed as error:
        _refuse("jwks", "a JWK set", error.problems[0].message)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _MOST:
        _refuse("jwks.keys", f"a list of at most {_MOST} keys", type(listed).__name__)
    keys: list[IssuerKey] = []
    for index, entry in enumerate(listed):
        if not isinstance(entry, dict):
            _refuse(f"jwks.keys[{index}]", "an object", type(entry).__name__)
        if _PRIVATE & set(entry):
            _refuse(f"jwks.keys[{index}]", "a public key", "a private member")
        if entry.get("kty") == "EC" and entry.get("crv") in _CURVES and entry.get("use", "sig") == "sig":
            keys.append(_key(entry, f"jwks.keys[{index}]"))
    names = [one.kid for one in keys if one.kid is not None]
    if len(names) != len(set(names)) or len(keys) != len({one.key.kid for one in keys}):
        _refuse("jwks.keys", "keys that differ in name and in value", "the same twice")
    if not keys:
        _refuse("jwks.keys", "at least one EC key over P-256 or P-384 for signatures", "none")
    return tuple(keys)


def read_jwk(entry: Mapping[str, Any], where: str) -> VerificationKey:
    """The public key of one JWK over P-256 or P-384. Raises Malformed (`issuer.keys`, `ear.malformed`)."""
    curve = _CURVES.get(str(entry.get("crv"))) if entry.get("kty") == "EC" else None
    if curve is None:
        _refuse(where, "an EC key over P-256 or P-384", str(entry.get("crv")))
    kind, size = curve
    x, y = (int.from_bytes(members.octets(entry, name, size, size), "big") for name in ("x", "y"))
    try:
        return VerificationKey(ec.EllipticCurvePublicNumbers(x, y, kind()).public_key())
    except ValueError:
        _refuse(where, "a point on its curve", "another")


def _key(entry: Mapping[str, Any], where: str) -> IssuerKey:
    key = read_jwk(entry, where)
    if entry.get("alg", key.algorithm) != key.algorithm:
        _refuse(f"{where}.alg", key.algorithm, str(entry["alg"]))
    kid = entry.get("kid")
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= 256):
        _refuse(f"{where}.kid", "a short text", type(kid).__name__)
    return IssuerKey(key, kid)


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The issuer's keys cannot be read", where=where, expected=expected, found=found, code="issuer.keys"
    )
