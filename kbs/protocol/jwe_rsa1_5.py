"""The answer of protocols 0.1.0 and 0.1.1, which only resembles a JWE.

    {"protected": '{"alg":"RSA1_5","enc":"A256GCM"}', "encrypted_key": …, "iv": …, "ciphertext": …, "tag": ""}

`protected` is the plain text of the header and authenticates nothing; the tag stands behind the ciphertext.
PKCS #1 v1.5 makes a padding oracle of a guest that reports why a key did not unwrap (T-JWE), so these versions are
served only where the configuration says so. Source: Trustee 0.11 `kbs/src/jwe.rs`.
"""

from __future__ import annotations

import json
import os
from typing import Final

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kbs.protocol.tee_key import RSA1_5, TeeKey, encode

_HEADER: Final = '{"alg":"RSA1_5","enc":"A256GCM"}'


def encrypt(secret: bytes, key: TeeKey) -> bytes:
    """`secret` for the holder of `key` alone: a fresh content key and IV each call."""
    if key.algorithm != RSA1_5 or not isinstance(key.public, rsa.RSAPublicKey):
        raise ValueError("this answer is for RSA1_5 keys alone")
    cek, iv = os.urandom(32), os.urandom(12)
    return seal(secret, cek, iv, key.public.encrypt(cek, padding.PKCS1v15()))


def seal(secret: bytes, cek: bytes, iv: bytes, encrypted_key: bytes) -> bytes:
    """The answer of ready parts. For `encrypt`, and for tests with known parts."""
    message = {
        "protected": _HEADER,
        "encrypted_key": encode(encrypted_key),
        "iv": encode(iv),
        "ciphertext": encode(AESGCM(cek).encrypt(iv, secret, None)),
        "tag": "",
    }
    return json.dumps(message, separators=(",", ":")).encode()
