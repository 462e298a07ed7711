"""A result as a JWT: compact JWS with a header of three members, all of them decided before it is read.

The signature is PyJWT's. What a header says never chooses anything: not the algorithm, which is the key's; not
the key, which is the reader's (T-JWTALG). Source: RFC 7515, RFC 8725 §3.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NoReturn

from attest.canonical import read_json
from attest.errors import Malformed, Rejected
from attest.problems import malformed, problem
from attest.result.ear.keys import SigningKey, VerificationKey, base64url
from attest.result.ear.spelling import Spelling

MAX_TOKEN = 64 << 10
_SEGMENT = re.compile(r"[A-Za-z0-9_-]*")
_BRINGS_ITS_OWN = ("crit", "jku", "jwk", "x5u", "x5c", "x5t", "b64", "zip", "enc")


def sign_jws(payload: bytes, key: SigningKey, spelling: Spelling) -> bytes:
    import jwt

    header = {"typ": spelling.jwt_type, "kid": key.public.kid}
    text = jwt.PyJWS().encode(payload, key.private, algorithm=key.public.algorithm, headers=header)
    return text.encode("ascii")


def verified_payload(token: bytes, keys: tuple[VerificationKey, ...], spelling: Spelling) -> bytes:
    """The bytes that one of `keys` signed as a result in this spelling.

    Raises Malformed (`ear.malformed`), or Rejected: `ear.header`, `ear.algorithm`, `ear.key`, `ear.type`,
    `ear.signature`.
    """
    header, payload = segments(token)
    key = _key_for(header, keys, spelling)
    check_signature(token, key)
    return payload


def check_signature(token: bytes, key: VerificationKey) -> None:
    """Raises Rejected (`ear.signature`)."""
    import jwt

    try:
        jwt.PyJWS(algorithms=[key.algorithm]).decode_complete(token, key.public, algorithms=[key.algorithm])
    except jwt.PyJWTError:
        raise Rejected([problem("ear.signature", expected=f"by key {key.kid}")]) from None


def read_object(data: bytes, where: str) -> dict[str, Any]:
    """One JSON object, read strictly (T-CANON). Raises Malformed (`ear.malformed`)."""
    try:
        value = read_json(data, where=where, limit=MAX_TOKEN)
    except Malformed as error:
        first = error.problems[0]
        raise malformed(
            first.message,
            where=first.where or where,
            expected=first.expected,
            found=first.found,
            code="ear.malformed",
        ) from None
    if not isinstance(value, dict):
        _refuse(where, "a JSON object", type(value).__name__)
    return value


def _key_for(
    header: dict[str, Any], keys: tuple[VerificationKey, ...], spelling: Spelling
) -> VerificationKey:
    brought = [name for name in _BRINGS_ITS_OWN if name in header]
    if brought or not set(header) <= {"alg", "typ", "kid"}:
        found = ", ".join(brought or sorted(set(header) - {"alg", "typ", "kid"}))
        raise Rejected([problem("ear.header", expected="alg, typ and kid alone", found=found)])
    key = next((key for key in keys if key.kid == header.get("kid")), None)
    if key is None:
        expected = " or ".join(key.kid for key in keys)
        raise Rejected([problem("ear.key", expected=expected, found=header.get("kid"), where="kid")])
    if header.get("alg") != key.algorithm:
        raise Rejected(
            [problem("ear.algorithm", expected=key.algorithm, found=header.get("alg"), where="alg")]
        )
    if header.get("typ") != spelling.jwt_type:
        raise Rejected(
            [problem("ear.type", expected=spelling.jwt_type, found=header.get("typ"), where="typ")]
        )
    return key


def segments(token: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a compact JWS, which nobody signed yet. Raises Malformed (`ear.malformed`)."""
    if len(token) > MAX_TOKEN:
        _refuse("token", f"≤ {MAX_TOKEN} bytes", len(token))
    try:
        segments = token.decode("ascii").split(".")
    except UnicodeDecodeError:
        _refuse("token", "ASCII", "other bytes")
    if len(segments) != 3:
        _refuse("token", "three segments", len(segments))
    header, payload, _ = (_decoded(segment) for segment in segments)
    return read_object(header, "header"), payload


def _decoded(segment: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        _refuse("token", "base64url", f"{len(segment)} characters")
    if not _SEGMENT.fullmatch(segment) or base64url(raw) != segment:
        # Several texts of one token would have one meaning and different digests.
        _refuse("token", "base64url without padding, its unused bits zero", "another spelling")
    return raw


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The result is not a JWT as we write them",
        where=where,
        expected=expected,
        found=found,
        code="ear.malformed",
    )
