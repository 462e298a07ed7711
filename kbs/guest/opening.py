"""The guest's key and what it opens: made for one attestation, kept in memory only."""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from attest.canonical import read_json
from attest.errors import Malformed
from kbs.protocol.jwe import ENCRYPTION, concat_kdf
from kbs.protocol.tee_key import EC_ALGORITHM, TeeKey, decode, encode

_MEMBERS: Final = {"protected", "encrypted_key", "iv", "ciphertext", "tag"}


class CannotOpen(Exception):
    """An answer that is not a secret for this key."""


class GuestKey:
    """An EC P-256 key for ECDH-ES+A256KW."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, str]:
        point = self._private.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "alg": EC_ALGORITHM,
            "x": encode(point.x.to_bytes(32, "big")),
            "y": encode(point.y.to_bytes(32, "big")),
        }

    def open(self, answer: bytes) -> bytes:
        """The secret in a flattened JWE for this key. Raises CannotOpen, whatever was wrong."""
        try:
            return self._open(answer)
        except (Malformed, InvalidTag, InvalidUnwrap, ValueError, KeyError, TypeError):
            raise CannotOpen("the answer is not a secret for this machine's key") from None

    def _open(self, answer: bytes) -> bytes:
        message: dict[str, Any] = read_json(answer, where="answer")
        if set(message) != _MEMBERS:
            raise ValueError("not the five members")
        part = {name: decode(message[name], name) for name in _MEMBERS - {"ciphertext"}}
        # A secret is never empty, but say so here rather than in the base64 reader.
        ciphertext = decode(message["ciphertext"], "ciphertext")
        header = read_json(part["protected"], where="header")
        if set(header) != {"alg", "enc", "epk"}:
            raise ValueError("not the three members of the header")
        if header["alg"] != EC_ALGORITHM or header["enc"] != ENCRYPTION:
            raise ValueError("another algorithm than the key's")
        if len(part["iv"]) != 12 or len(part["tag"]) != 16:
            raise ValueError("lengths of AES-256-GCM")
        sender = TeeKey.from_jwk({**header["epk"], "alg": EC_ALGORITHM}).public
        if not isinstance(sender, ec.EllipticCurvePublicKey):
            raise ValueError("no curve point")
        cek = aes_key_unwrap(concat_kdf(self._private.exchange(ec.ECDH(), sender)), part["encrypted_key"])
        if len(cek) != 32:
            raise ValueError("a content key is 32 bytes")
        protected = message["protected"].encode("ascii")
        return AESGCM(cek).decrypt(part["iv"], ciphertext + part["tag"], protected)
