"""The broker's keys together: one folder, three files, made by `kbs init`."""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kbs.keys import KeyStoreError, KeyWrap
from kbs.keys.file import KEY_BYTES, FileKeyWrap, read_private, write_new

WRAP, SESSION, TOKEN = "wrap.key", "session.key", "token.pem"
_SEAL_INFO: Final = b"kbs session seal v1"
_COOKIE_INFO: Final = b"kbs session cookie v1"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """wrap: for secrets at rest. seal: for `Verified.seal`. cookie: derives session identifiers.
    token: signs attestation tokens, nothing else."""

    wrap: KeyWrap
    seal: bytes
    cookie: bytes
    token: ec.EllipticCurvePrivateKey

    @staticmethod
    def create(folder: Path) -> None:
        """New keys in `folder`; raises KeyStoreError if any is there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = ec.generate_private_key(ec.SECP256R1())
        write_new(folder / WRAP, os.urandom(KEY_BYTES))
        write_new(folder / SESSION, os.urandom(KEY_BYTES))
        write_new(
            folder / TOKEN,
            token.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    @classmethod
    def open(cls, folder: Path) -> KeyRing:
        """Raises KeyStoreError."""
        session = read_private(folder / SESSION)
        if len(session) != KEY_BYTES:
            raise KeyStoreError("a session key is 32 bytes")
        try:
            token = serialization.load_pem_private_key(read_private(folder / TOKEN), None)
        except (ValueError, TypeError):
            raise KeyStoreError(f"{folder / TOKEN} is no PEM key") from None
        if not isinstance(token, ec.EllipticCurvePrivateKey) or token.curve.name != "secp256r1":
            raise KeyStoreError("the token key is EC P-256")
        return cls(
            FileKeyWrap(read_private(folder / WRAP)),
            _derive(session, _SEAL_INFO),
            _derive(session, _COOKIE_INFO),
            token,
        )

    def tokens(self, now: datetime) -> list[ec.EllipticCurvePrivateKey]:
        """What a token that still lives may have been signed with, newest first."""
        return [self.token]

    def session_cookie(self, challenge_cookie: str) -> str:
        """The identifier after `attest`: 256 bits that who knows the challenge's cookie cannot compute,
        and the same again for a client that repeats a lost answer."""
        return hmac.digest(self.cookie, challenge_cookie.encode(), "sha256").hex()


def _derive(key: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)
