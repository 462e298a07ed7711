"""The simulator's private keys, made when first asked for, and the signatures made once with them.

A key's name says its kind: `rsa4096/ark-genoa`, `p384/vcek-genoa`, `p256/pck`; an RSA kind that ends in
`-pkcs1` signs by PKCS #1 v1.5, the others by PSS. Whoever holds these keys
can make any simulated evidence; no production verifier trusts any of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    # Curves as wide as the vendors' that no vendor uses: a signature over them is the right length.
    "bp256": ec.BrainpoolP256R1,
    "bp384": ec.BrainpoolP384R1,
}
_FORMAT = "attest-simulator/1"


@dataclass
class Keyring:
    """keys: by name. signatures: by signer and what was signed, so that certificates stay byte-equal.
    documents: signed RIMs, by a digest of what went into them."""

    keys: dict[str, PrivateKey] = field(default_factory=dict)
    signatures: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)

    def private(self, name: str) -> PrivateKey:
        """The key of this name; made on the first call. RSA-4096 takes about half a second."""
        key = self.keys.get(name)
        if key is None:
            kind = name.partition("/")[0]
            if kind.startswith("rsa"):
                size = int(kind.removeprefix("rsa").removesuffix("-pkcs1"))
                key = rsa.generate_private_key(public_exponent=65537, key_size=size)
            else:
                key = ec.generate_private_key(_CURVES[kind]())
            self.keys[name] = key
        return key

    def elliptic(self, name: str) -> ec.EllipticCurvePrivateKey:
        key = self.private(name)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{name} is not an elliptic curve key")
        return key

    def spki(self, name: str) -> bytes:
        """DER SubjectPublicKeyInfo."""
        return self.private(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def point(self, name: str) -> bytes:
        """04 ‖ x ‖ y of an elliptic curve key."""
        return self.elliptic(name).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def identifier(self, name: str) -> bytes:
        """SHA-1 of the public key's bits, the usual subject key identifier (RFC 5280 §4.2.1.2)."""
        key = self.private(name)
        if isinstance(key, ec.EllipticCurvePrivateKey):
            body = self.point(name)
        else:
            body = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        return hashlib.sha1(body, usedforsecurity=False).digest()

    def sign(self, name: str, message: bytes) -> bytes:
        """PSS with SHA-384 under RSA, PKCS #1 v1.5 with SHA-256 where the name says so; DER ECDSA with the
        curve's usual digest otherwise."""
        key = self.private(name)
        if isinstance(key, rsa.RSAPrivateKey) and is_pkcs1(name):
            return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(message, padding.PSS(padding.MGF1(hashes.SHA384()), 48), hashes.SHA384())
        return key.sign(message, ec.ECDSA(_digest(key)))

    def sign_once(self, name: str, message: bytes) -> bytes:
        """`sign`, remembered: the same message gives the same signature, also after `save` and `load`."""
        what = f"{name}:{hashlib.sha256(message).hexdigest()}"
        signature = self.signatures.get(what)
        if signature is None:
            signature = self.signatures[what] = self.sign(name, message)
        return signature

    def raw_ecdsa(self, name: str, message: bytes, *, once: bool = False) -> bytes:
        """r ‖ s, big-endian, each as wide as the curve."""
        width = 32 if self.elliptic(name).curve.key_size == 256 else 48
        r, s = decode_dss_signature(self.sign_once(name, message) if once else self.sign(name, message))
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")

    # -- one file --------------------------------------------------------------------------------------

    def save(self, path: Path, **state: str) -> None:
        """Write keys, signatures and `state` to one file, readable by its owner alone, in one step."""
        document = {
            "format": _FORMAT,
            "warning": "SIMULATED keys: evidence made with them proves nothing about hardware",
            **state,
            "keys": {
                name: key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()).hex()
                for name, key in self.keys.items()
            },
            "signatures": {what: signature.hex() for what, signature in self.signatures.items()},
            "documents": {what: text.decode() for what, text in self.documents.items()},
        }
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w") as file:
            json.dump(document, file)
        Path(temporary).replace(path)

    @classmethod
    def load(cls, path: Path) -> tuple[Keyring, dict[str, str]]:
        """What `save` wrote. Raises ValueError when the file is anything else."""
        try:
            document = json.loads(path.read_text())
            if document.pop("format") != _FORMAT:
                raise ValueError("another format")
            keys: dict[str, PrivateKey] = {}
            for name, der in document.pop("keys").items():
                key = load_der_private_key(
                    bytes.fromhex(der),
                    None,
                    # Our own file: checking five RSA-4096 keys for primality costs a second.
                    unsafe_skip_rsa_key_validation=True,
                )
                if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
                    raise ValueError(f"{name} is no key of the simulator")
                keys[name] = key
            signatures = {what: bytes.fromhex(text) for what, text in document.pop("signatures").items()}
            documents = {what: text.encode() for what, text in document.pop("documents").items()}
            return cls(keys, signatures, documents), {
                str(name): str(value) for name, value in document.items()
            }
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name} is not a simulator state file: {error}") from None


def is_pkcs1(name: str) -> bool:
    return name.partition("/")[0].endswith("-pkcs1")


def _digest(key: ec.EllipticCurvePrivateKey) -> hashes.HashAlgorithm:
    return hashes.SHA256() if key.curve.key_size == 256 else hashes.SHA384()
