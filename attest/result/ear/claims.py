"""A result and the terms it is issued on → the claims, by the names of a spelling. JSON's names; `labels` has
CBOR's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from attest.canonical import canonical
from attest.result.ear.keys import base64url
from attest.result.ear.result import AttestationResult, Part
from attest.result.ear.spelling import Spelling

MAX_LIFETIME = timedelta(minutes=5)
DEVELOPER = "attest"


@dataclass(frozen=True, slots=True)
class Terms:
    """issuer: who says so, as relying parties know him. audience: whom it is for, None where it is for nobody in
    particular. nonce: what the machine was challenged with. lifetime: at most five minutes; the result ends
    earlier where what it rests on does. Raises ValueError."""

    issuer: str
    audience: str | None = None
    nonce: bytes | None = None
    lifetime: timedelta = MAX_LIFETIME

    def __post_init__(self) -> None:
        for name, text in (("issuer", self.issuer), ("audience", self.audience)):
            if text is not None and not (0 < len(text) <= 256 and text.isprintable()):
                raise ValueError(f"the {name} is 1 to 256 printable characters")
        if self.nonce is not None and not 8 <= len(self.nonce) <= 64:
            raise ValueError("a nonce in a result is 8 to 64 bytes")
        if not timedelta(seconds=1) <= self.lifetime <= MAX_LIFETIME:
            raise ValueError("a result lives between one second and five minutes")


def claims_of(result: AttestationResult, terms: Terms, spelling: Spelling, token_id: bytes) -> dict[str, Any]:
    """The whole claims set, JSON's names and types."""
    start = int(result.at.timestamp())
    end = start + int(terms.lifetime.total_seconds())
    if result.ends is not None:
        end = min(end, int(result.ends.timestamp()))
    if end <= start:
        raise ValueError("what the result rests on has ended: attest again")
    claims: dict[str, Any] = {
        "eat_profile": spelling.profile,
        "iss": terms.issuer,
        "iat": start,
        "nbf": start,
        "exp": end,
        "jti": base64url(token_id),
        spelling.verifier: {"developer": DEVELOPER, "build": _build()},
        "submods": {name: _part(name, part, result, spelling) for name, part in result.parts.items()},
    }
    if spelling.overall:
        claims[spelling.status] = result.status
    if terms.audience is not None:
        claims["aud"] = terms.audience
    if terms.nonce is not None:
        claims["eat_nonce"] = base64url(terms.nonce)
    return claims


def _part(name: str, part: Part, result: AttestationResult, spelling: Spelling) -> dict[str, Any]:
    claims: dict[str, Any] = {
        spelling.status: part.status,
        spelling.vector: dict(part.vector.values),
        spelling.annotated: _annotated(name, part, result),
    }
    if result.policies:
        claims[spelling.policies] = (
            list(result.policies) if spelling.many_policies else " ".join(result.policies)
        )
    return claims


def _annotated(name: str, part: Part, result: AttestationResult) -> dict[str, Any]:
    said: dict[str, Any] = {"simulated": result.simulated}
    if part.evidence_digest is not None:
        said["evidence-digest"] = part.evidence_digest
    if name == "cpu0" and result.key is not None:
        # Where Trustee's broker looks for the key to encrypt to.
        said["runtime_data_claims"] = {"tee-pubkey": dict(result.key)}
    return said


def payload_of(claims: Mapping[str, Any]) -> bytes:
    """RFC 8785: one text for one result."""
    return canonical(claims)


@cache
def _build() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"attest {version('attest')}"
    except PackageNotFoundError:
        return "attest, from source"
