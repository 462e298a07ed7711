"""One token of an identity provider: who it is about, when everything about it is as it must be.

What a header says chooses nothing: the key is one of the provider's by name, and its algorithm was fixed when it was read
(T-JWTALG). Required: `iss`, `aud`, `exp`, `iat` and `sub` (T-AUD). Source: RFC 8725 §3, RFC 9068 §4.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, NoReturn

import jwt

from attest.canonical import read_json
from attest.result.ear.jws import segments
from attest.untrusted import escape
from kbs.access import Subject
from kbs.sign_in.provider import Keys, Provider

SKEW: Final = timedelta(seconds=60)
_HEADER: Final = frozenset({"alg", "typ", "kid", "x5t", "x5t#S256"})
"""Thumbprints name a certificate that nobody looks for here. `crit`, `jku`, `jwk`, `x5u` and `x5c` refuse."""
_LONGEST: Final = 16 << 10
_LAST: Final = 1 << 40


class Check(Enum):
    """What a token was refused by, in the order they are made."""

    HEADER = "header"
    KEY = "key"
    ALGORITHM = "algorithm"
    TYPE = "type"
    SIGNATURE = "signature"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    TIME = "time"
    SUBJECT = "subject"


class TokenRefused(Exception):
    """For the log: an answer says no more than that the token does not count."""

    def __init__(self, check: Check, why: str) -> None:
        super().__init__(f"{check.value}: {why}")
        self.check = check


def claimed_issuer(token: bytes) -> str:
    """Whom the token says it is of; nothing is believed yet. Raises Malformed."""
    return str(_claims(segments(token)[1]).get("iss"))


def subject_of(token: bytes, provider: Provider, keys: Keys, at: datetime) -> Subject:
    """Raises Malformed, TokenRefused."""
    header, payload = segments(token)
    if len(token) > _LONGEST:
        _refuse(Check.HEADER, "token", f"≤ {_LONGEST} bytes", len(token))
    if more := sorted(set(header) - _HEADER):
        _refuse(Check.HEADER, "header", ", ".join(sorted(_HEADER)), ", ".join(more))
    # A provider with one key need not name it: OpenID Connect Core 1.0 §10.1.
    only = next(iter(keys)) if "kid" not in header and len(keys) == 1 else None
    key = keys.get(only or str(header.get("kid")))
    if key is None:
        _refuse(Check.KEY, "kid", " or ".join(sorted(keys)), header.get("kid"))
    if header.get("alg") != key.algorithm_name:
        _refuse(Check.ALGORITHM, "alg", key.algorithm_name, header.get("alg"))
    if _type(header.get("typ")) != provider.typ.lower():
        _refuse(Check.TYPE, "typ", provider.typ, header.get("typ"))
    try:
        jwt.PyJWS().decode_complete(token, key, algorithms=[key.algorithm_name])
    except jwt.PyJWTError:
        _refuse(Check.SIGNATURE, "signature", f"by key {header.get('kid')}", "another")
    return _subject(_claims(payload), provider, at)


def _subject(claims: Mapping[str, Any], provider: Provider, at: datetime) -> Subject:
    if claims.get("iss") != provider.iss:
        _refuse(Check.ISSUER, "iss", provider.iss, claims.get("iss"))
    audience = claims.get("aud")
    if provider.audience not in (audience if isinstance(audience, list) else [audience]):
        _refuse(Check.AUDIENCE, "aud", provider.audience, audience)
    issued, ends = _instant(claims, "iat"), _instant(claims, "exp")
    begins = _instant(claims, "nbf") if "nbf" in claims else issued
    now, skew = int(at.timestamp()), int(SKEW.total_seconds())
    if not (max(issued, begins) <= now + skew and now < ends + skew):
        _refuse(Check.TIME, "nbf, iat, exp", f"{now}, {skew} s more or less", f"{begins}, {issued}, {ends}")
    if not 0 < ends - issued <= provider.longest.total_seconds():
        _refuse(Check.TIME, "exp - iat", f"≤ {provider.longest.total_seconds():.0f} s", ends - issued)
    subject = claims.get("sub")
    if not (isinstance(subject, str) and 0 < len(subject) <= 255 and subject.isprintable()):
        _refuse(Check.SUBJECT, "sub", "1 to 255 printable characters", type(subject).__name__)
    return Subject(provider.name, subject)


def _claims(payload: bytes) -> Mapping[str, Any]:
    found = read_json(payload, where="payload", limit=_LONGEST)
    return found if isinstance(found, dict) else {}


def _instant(claims: Mapping[str, Any], name: str) -> int:
    found = claims.get(name)
    if type(found) is not int or not 0 <= found < _LAST:
        _refuse(Check.TIME, name, "whole seconds since 1970", type(found).__name__)
    return found


def _type(text: object) -> str:
    """As RFC 7515 §4.1.9 compares it: without case, and `application/` left out or not. Absent is `JWT`'s usual way."""
    return "jwt" if text is None else str(text).lower().removeprefix("application/")


def _refuse(check: Check, where: str, expected: object, found: object) -> NoReturn:
    raise TokenRefused(check, f"{where}: expected {expected}, found {escape(str(found), 200)}")
