"""Signatures of ours: DSSE envelopes, one media type a kind of document, one kind a key.

    {"payloadType": "application/vnd.attest.KIND.v1+json",
     "payload": "<base64>", "signatures": [{"keyid": "<SHA-256 of the SPKI>", "sig": "<base64>"}]}

What is signed is PAE(payloadType, payload), so a signature over a policy never holds over a bundle, and a key
is trusted for one kind only (T-SIGTYPE). Source: DSSE 1.0 (secure-systems-lab), protocol and envelope.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from attest import strict_base64
from attest.canonical import read_json
from attest.errors import Malformed, Rejected
from attest.problems import malformed, problem

Kind = Literal["endorsements", "rims", "policy", "floors", "manifest", "consent", "checkpoint"]
"""endorsements: the offline bundle. rims: golden measurements for the browser. The rest: their own rooms."""
KINDS: tuple[Kind, ...] = get_args(Kind)
PrivateKey: TypeAlias = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey: TypeAlias = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

MAX_ENVELOPE = 16 << 20
MAX_SIGNATURES = 8
_MEMBERS = {"payloadType", "payload", "signatures"}
_KEY_ID = re.compile(r"[0-9a-f]{64}")
_HASHES: dict[str, hashes.HashAlgorithm] = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384()}


def media_type(kind: Kind) -> str:
    return f"application/vnd.attest.{kind}.v1+json"


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding, the bytes that are signed. Source: DSSE 1.0, protocol."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A public key that somebody trusts for documents of one kind. key_id: SHA-256 of its SPKI, hex."""

    kind: Kind
    key: PublicKey
    key_id: str

    @classmethod
    def read(cls, kind: Kind, pem: bytes) -> TrustedKey:
        """pem: one public key, SubjectPublicKeyInfo. Raises ValueError for another kind of key or text."""
        try:
            key = load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValueError("not a public key in PEM") from None
        checked = _public(key)
        return cls(kind, checked, key_id(checked))


class TrustedKeys:
    """Keys by kind. The same key under two kinds is a mistake of whoever configured it."""

    def __init__(self, keys: Iterable[TrustedKey] = ()) -> None:
        self._keys: dict[str, TrustedKey] = {}
        for key in keys:
            known = self._keys.setdefault(key.key_id, key)
            if known.kind != key.kind:
                raise ValueError(f"key {key.key_id[:16]} is registered for {known.kind} and for {key.kind}")

    def of_kind(self, kind: Kind) -> dict[str, TrustedKey]:
        return {name: key for name, key in self._keys.items() if key.kind == kind}

    def find(self, name: str) -> TrustedKey | None:
        return self._keys.get(name)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed envelope, believed by nobody. signatures: (key id or "", signature), in its order."""

    payload_type: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def parse(cls, data: bytes) -> Envelope:
        """Raises Malformed: unknown members, base64 with a second spelling, no or too many signatures.

        DSSE lets a reader skip members it does not know; ours has one form, so that nothing unsigned rides
        along.
        """
        return cls.of_document(read_json(data, where="envelope", limit=MAX_ENVELOPE))

    @classmethod
    def of_document(cls, document: Any) -> Envelope:
        """The same from JSON that was read already, with duplicate members refused."""
        if not isinstance(document, dict) or set(document) != _MEMBERS:
            raise _broken("envelope", "payloadType, payload and signatures")
        payload_type, signatures = document["payloadType"], document["signatures"]
        if not isinstance(payload_type, str) or len(payload_type) > 128:
            raise _broken("payloadType", "a media type")
        if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
            raise _broken("signatures", f"1 to {MAX_SIGNATURES} signatures")
        return cls(
            payload_type,
            _base64(document["payload"], "payload"),
            tuple(_signature(entry, f"signatures[{index}]") for index, entry in enumerate(signatures)),
        )


@dataclass(frozen=True, slots=True)
class Opened:
    """A payload that a trusted key signed as this kind. signers: key ids whose signatures held."""

    kind: Kind
    payload: bytes
    signers: tuple[str, ...]


def is_envelope(document: object) -> bool:
    return isinstance(document, dict) and "payloadType" in document and "signatures" in document


def open_envelope(envelope: Envelope, kind: Kind, keys: TrustedKeys) -> Opened:
    """The payload, when a key trusted for `kind` signed it as `kind`.

    One good signature of a trusted key is enough. A signature that names a trusted key and does not hold
    refuses, whatever stands beside it; one that names a key we do not know counts for nothing; one
    without a key id is tried with each key of the kind. Raises Rejected: `dsse.kind`, `dsse.key`,
    `dsse.signature`.
    """
    wanted = media_type(kind)
    if envelope.payload_type != wanted:
        raise Rejected(
            [problem("dsse.kind", expected=wanted, found=envelope.payload_type[:80], where="payloadType")]
        )
    trusted = keys.of_kind(kind)
    message = pae(envelope.payload_type, envelope.payload)
    signers: list[str] = []
    problems = []
    for index, (name, signature) in enumerate(envelope.signatures):
        where = f"signatures[{index}]"
        if name:
            other = keys.find(name)
            if other is not None and other.kind != kind:
                problems.append(
                    problem(
                        "dsse.kind", expected=f"a key for {kind}", found=f"one for {other.kind}", where=where
                    )
                )
            candidates = [trusted[name]] if name in trusted else []
        else:
            candidates = list(trusted.values())
        held = [key.key_id for key in candidates if verify(key.key, signature, message)]
        if name and candidates and not held:
            problems.append(problem("dsse.signature", expected=f"by key {name[:16]}", where=where))
        signers += (signer for signer in held if signer not in signers)
    if not signers and not problems:
        problems.append(
            problem(
                "dsse.key",
                expected=" or ".join(name[:16] for name in trusted) or f"a key trusted for {kind}",
                found=", ".join(name[:16] or "no key id" for name, _ in envelope.signatures),
            )
        )
    if problems:
        raise Rejected(problems)
    return Opened(kind, envelope.payload, tuple(signers))


def seal_envelope(kind: Kind, payload: bytes, *signers: PrivateKey) -> bytes:
    """The envelope of `payload`, as JSON. With Ed25519 the same input gives the same bytes."""
    if not signers:
        raise ValueError("an envelope has at least one signature")
    message = pae(media_type(kind), payload)
    document = {
        "payloadType": media_type(kind),
        "payload": base64.b64encode(payload).decode(),
        "signatures": [
            {"keyid": key_id(signer.public_key()), "sig": base64.b64encode(_sign(signer, message)).decode()}
            for signer in signers
        ],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def read_private_key(pem: bytes) -> PrivateKey:
    """Ed25519, or ECDSA over P-256 or P-384. Raises ValueError for anything else, encrypted keys included."""
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a private key in PEM") from None
    except TypeError:
        raise ValueError(
            "the private key is encrypted: give it in clear, in a file for its owner alone"
        ) from None
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError(_WANTED)
    _public(key.public_key())
    return key


def key_id(key: PublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, lower-case hex."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def verify(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Ed25519, or ECDSA with the curve's usual hash; an ECDSA signature is DER."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
        else:
            key.verify(signature, message, ec.ECDSA(_HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


_WANTED = "the key is Ed25519, or ECDSA over P-256 or P-384"


def _public(key: object) -> PublicKey:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _HASHES:
        return key
    raise ValueError(_WANTED)


def _sign(key: PrivateKey, message: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return key.sign(message, ec.ECDSA(_HASHES[key.curve.name]))


def _signature(entry: object, where: str) -> tuple[str, bytes]:
    if not isinstance(entry, dict) or not {"sig"} <= set(entry) <= {"sig", "keyid"}:
        raise _broken(where, "sig, and keyid")
    name = entry.get("keyid", "")
    if not isinstance(name, str) or (name and not _KEY_ID.fullmatch(name)):
        raise _broken(f"{where}.keyid", "64 lower-case hex digits")
    signature = _base64(entry["sig"], f"{where}.sig")
    if not 1 <= len(signature) <= 128:
        raise _broken(f"{where}.sig", "a signature of Ed25519, P-256 or P-384")
    return name, signature


def _base64(text: object, where: str) -> bytes:
    if not isinstance(text, str):
        raise _broken(where, "base64 text")
    try:
        return strict_base64.decode(text)
    except binascii.Error:
        raise _broken(where, "padded standard base64") from None


def _broken(where: str, expected: str) -> Malformed:
    return malformed(
        "The signed file is not a DSSE envelope as we write them",
        where=where,
        expected=expected,
        code="dsse.malformed",
    )
