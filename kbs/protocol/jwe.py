"""The answer: a flattened JWE, laid out by hand because guests do not use our header's bytes.

A guest parses the protected header, writes it again (`alg`, `enc`, then the other members sorted,
compact) and takes that as associated data. So exactly these texts open:

    {"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"crv":"P-256","kty":"EC","x":"..","y":".."}}
    {"alg":"RSA-OAEP-256","enc":"A256GCM"}

Source: RFC 7516 (flattened JSON), RFC 7518 §4.3, §4.6 and §5.3, guest-components `keypair.rs`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from kbs.protocol.tee_key import CURVES, EC_ALGORITHM, RSA_ALGORITHM, TeeKey, encode

ENCRYPTION: Final = "A256GCM"
_TAG = 16


def encrypt(secret: bytes, key: TeeKey) -> bytes:
    """`secret` for the holder of `key` alone: a fresh content key, IV and ephemeral key each call."""
    if key.algorithm not in (EC_ALGORITHM, RSA_ALGORITHM):
        raise ValueError("a guest opens what names the algorithm of its own key, and nothing else")
    cek, iv = os.urandom(32), os.urandom(12)
    if isinstance(key.public, ec.EllipticCurvePublicKey):
        ephemeral = ec.generate_private_key(key.public.curve)
        return seal(secret, cek, iv, *wrap_ec(cek, key.public, ephemeral))
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    return seal(secret, cek, iv, _header({"alg": RSA_ALGORITHM}), key.public.encrypt(cek, oaep))


def wrap_ec(
    cek: bytes, recipient: ec.EllipticCurvePublicKey, ephemeral: ec.EllipticCurvePrivateKey
) -> tuple[bytes, bytes]:
    """Header and wrapped content key for one ephemeral key, which must never be used again."""
    (name, size) = next((n, s) for n, (curve, s) in CURVES.items() if isinstance(recipient.curve, curve))
    shared = ephemeral.exchange(ec.ECDH(), recipient)
    point = ephemeral.public_key().public_numbers()
    epk = {
        "crv": name,
        "kty": "EC",
        "x": encode(point.x.to_bytes(size, "big")),  # leading zeros stay: clients want full length
        "y": encode(point.y.to_bytes(size, "big")),
    }
    return _header({"alg": EC_ALGORITHM, "epk": epk}), aes_key_wrap(concat_kdf(shared), cek)


def concat_kdf(shared: bytes) -> bytes:
    """RFC 7518 §4.6.2 for ECDH-ES+A256KW: 32 bytes, empty PartyUInfo and PartyVInfo."""
    name = EC_ALGORITHM.encode()
    other_info = len(name).to_bytes(4, "big") + name + bytes(4) + bytes(4) + (256).to_bytes(4, "big")
    return ConcatKDFHash(algorithm=hashes.SHA256(), length=32, otherinfo=other_info).derive(shared)


def seal(secret: bytes, cek: bytes, iv: bytes, header: bytes, encrypted_key: bytes) -> bytes:
    """The flattened JWE of ready parts. For `encrypt`, and for tests with known parts."""
    protected = encode(header)
    sealed = AESGCM(cek).encrypt(iv, secret, protected.encode("ascii"))
    message = {
        "protected": protected,
        "encrypted_key": encode(encrypted_key),
        "iv": encode(iv),
        "ciphertext": encode(sealed[:-_TAG]),
        "tag": encode(sealed[-_TAG:]),
    }
    return json.dumps(message, separators=(",", ":")).encode()


def _header(members: Mapping[str, Any]) -> bytes:
    ordered = {"alg": members["alg"], "enc": ENCRYPTION}
    ordered.update((name, members[name]) for name in sorted(members) if name != "alg")
    return json.dumps(ordered, separators=(",", ":")).encode()
