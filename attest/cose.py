"""COSE_Sign1: the bytes that are signed, and signatures by the one kind of key they are of.

    18([ protected, unprotected, payload, signature ])
    Sig_structure: ["Signature1", protected, external_aad, payload], external_aad empty

The key decides which algorithms there are; of several, all its own, a header may say which.
Source: RFC 9052 §4.2 and §4.4; RFC 9053 §2.1 and §2.2 (ECDSA, EdDSA), RFC 8230 §2 (PS), RFC 9864 (numbers that name
the curve too).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from attest.cbor import encode

SIGN1 = 18
PublicKey: TypeAlias = (
    ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | rsa.RSAPublicKey
)
_EDWARDS = MappingProxyType({ed25519.Ed25519PublicKey: (-8, -19), ed448.Ed448PublicKey: (-8, -53)})
_PSS: Mapping[int, hashes.HashAlgorithm] = MappingProxyType(
    {-37: hashes.SHA256(), -38: hashes.SHA384(), -39: hashes.SHA512()}
)
_RSA_BITS = range(2048, 8192 + 1)


class Curve(NamedTuple):
    """What ECDSA over a curve is in COSE. algorithms: its numbers. size: of a coordinate, bytes."""

    algorithms: tuple[int, ...]
    size: int
    digest: hashes.HashAlgorithm


CURVES: Mapping[str, Curve] = MappingProxyType(
    {
        "secp256r1": Curve((-7, -9), 32, hashes.SHA256()),
        "secp384r1": Curve((-35, -51), 48, hashes.SHA384()),
        "secp521r1": Curve((-36, -52), 66, hashes.SHA512()),
    }
)


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    return encode(["Signature1", protected, b"", payload])


def algorithms(key: object) -> tuple[int, ...]:
    """Those that a key is for; none for a key that signs nothing here."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return CURVES[key.curve.name].algorithms if key.curve.name in CURVES else ()
    if isinstance(key, rsa.RSAPublicKey):
        return tuple(_PSS) if key.key_size in _RSA_BITS else ()
    return next((numbers for kind, numbers in _EDWARDS.items() if isinstance(key, kind)), ())


def sign(message: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """ECDSA as COSE writes it: r ‖ s."""
    curve = CURVES[key.curve.name]
    numbers = decode_dss_signature(key.sign(message, ec.ECDSA(curve.digest)))
    return b"".join(number.to_bytes(curve.size, "big") for number in numbers)


def verify(key: PublicKey, algorithm: int, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is by `key`. algorithm: one of the key's own, or nothing holds."""
    if algorithm not in algorithms(key):
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            curve = CURVES[key.curve.name]
            if len(signature) != 2 * curve.size:
                return False
            r, s = (
                int.from_bytes(half, "big") for half in (signature[: curve.size], signature[curve.size :])
            )
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(curve.digest))
        elif isinstance(key, rsa.RSAPublicKey):
            digest = _PSS[algorithm]
            scheme = padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
            key.verify(signature, message, scheme, digest)
        else:
            key.verify(signature, message)
    except (InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
