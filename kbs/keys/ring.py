"""The broker's keys together: the door to the key stores, and the session and token keys in their files.

Session and token keys stand in the folder that `kbs init` made, also where a token or a server holds the
KEKs. The newest of each seals and signs; those before it count until what they made has ended (T-EPHEMERAL).
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kbs.keys import KEY_BYTES, KeyStoreError
from kbs.keys.file import FileStore, wrapping_files
from kbs.keys.files import read_private
from kbs.keys.succession import Succession
from kbs.keys.wrap import KeyWrap

_SEAL_INFO: Final = b"kbs session seal v1"
_COOKIE_INFO: Final = b"kbs session cookie v1"


@dataclass(frozen=True, slots=True)
class SessionKey:
    """seal: for `Verified.seal`. cookie: derives session identifiers."""

    seal: bytes = field(repr=False)
    cookie: bytes = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> SessionKey:
        """Raises KeyStoreError."""
        key = read_private(path)
        if len(key) != KEY_BYTES:
            raise KeyStoreError(f"{path}: a session key is 32 bytes")
        return cls(_derive(key, _SEAL_INFO), _derive(key, _COOKIE_INFO))

    def session_cookie(self, challenge_cookie: str) -> str:
        """The identifier after `attest`: 256 bits that who knows the challenge's cookie cannot compute,
        and the same again for a client that repeats a lost answer."""
        return hmac.digest(self.cookie, challenge_cookie.encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """wrap: for secrets at rest. The folder is listed each time and a file read once, so every replica on
    the same folder sees a new key at once. Methods raise KeyStoreError."""

    folder: Path
    wrap: KeyWrap
    _sessions: dict[Path, SessionKey] = field(default_factory=dict, repr=False)
    _tokens: dict[Path, ec.EllipticCurvePrivateKey] = field(default_factory=dict, repr=False)

    @staticmethod
    def create(folder: Path) -> None:
        """New keys in `folder`, its first KEK among them; raises KeyStoreError if any is there."""
        wrapping_files(folder).start(os.urandom(KEY_BYTES))
        _session_files(folder).start(os.urandom(KEY_BYTES))
        _token_files(folder).start(_new_token_key())
        _checkpoint_files(folder).start(_new_checkpoint_key())

    @classmethod
    def open(cls, folder: Path, wrap: KeyWrap | None = None) -> KeyRing:
        """wrap: where the KEKs are, the files of `folder` unless given. Raises KeyStoreError."""
        ring = cls(folder, KeyWrap(FileStore(folder)) if wrap is None else wrap)
        if not _checkpoint_files(folder).files():  # made by a program before there was one
            _checkpoint_files(folder).start(_new_checkpoint_key())
        # A broker that cannot use one of its keys says so before it serves.
        _ = ring.session, ring.token, ring.checkpoint, ring.wrap.current()
        return ring

    # -- sessions -----------------------------------------------------------------------------------

    @property
    def session(self) -> SessionKey:
        """What seals and names sessions now."""
        return self._session(_session_files(self.folder).newest())

    def sessions(self, now: datetime) -> list[SessionKey]:
        """What a session that still lives may have been sealed with, newest first."""
        return [self._session(path) for path in _session_files(self.folder).counting(now)]

    def rotate_session(self, now: datetime) -> list[str]:
        """A new session key. Returns the names of files that ended and were deleted."""
        return _take_over(_session_files(self.folder), os.urandom(KEY_BYTES), now)

    def _session(self, path: Path) -> SessionKey:
        if path not in self._sessions:
            self._sessions[path] = SessionKey.read(path)
        return self._sessions[path]

    # -- checkpoints --------------------------------------------------------------------------------

    @property
    def checkpoint(self) -> ed25519.Ed25519PrivateKey:
        """Signs checkpoints of the audit trail, and nothing else (T-SIGTYPE). Ed25519."""
        return _read_checkpoint_key(_checkpoint_files(self.folder).newest())

    # -- tokens -------------------------------------------------------------------------------------

    @property
    def token(self) -> ec.EllipticCurvePrivateKey:
        """Signs attestation tokens now, and nothing else. EC P-256."""
        return self._token(_token_files(self.folder).newest())

    def tokens(self, now: datetime) -> list[ec.EllipticCurvePrivateKey]:
        """What a token that still lives may have been signed with, newest first."""
        return [self._token(path) for path in _token_files(self.folder).counting(now)]

    def rotate_token(self, now: datetime) -> list[str]:
        """A new token key. Returns the names of files that ended and were deleted."""
        return _take_over(_token_files(self.folder), _new_token_key(), now)

    def _token(self, path: Path) -> ec.EllipticCurvePrivateKey:
        if path not in self._tokens:
            self._tokens[path] = _read_token_key(path)
        return self._tokens[path]


def _session_files(folder: Path) -> Succession:
    return Succession(folder, "session", ".key")


def _token_files(folder: Path) -> Succession:
    return Succession(folder, "token", ".pem")


def _checkpoint_files(folder: Path) -> Succession:
    return Succession(folder, "checkpoint", ".pem")


def _take_over(files: Succession, content: bytes, now: datetime) -> list[str]:
    files.add(content, now)
    return [path.name for path in files.remove_ended(now)]


def _new_token_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _new_checkpoint_key() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_checkpoint_key(path: Path) -> ed25519.Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(read_private(path), None)
    except (ValueError, TypeError):
        raise KeyStoreError(f"{path} is no PEM key") from None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeyStoreError(f"{path}: a checkpoint key is Ed25519")
    return key


def _read_token_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(read_private(path), None)
    except (ValueError, TypeError):
        raise KeyStoreError(f"{path} is no PEM key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeyStoreError(f"{path}: a token key is EC P-256")
    return key


def _derive(key: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)
