"""Read a result of ours, as a broker or a relying party does: whose it is, for whom, of when, and what it says.

Nothing in the token chooses how it is checked. The reader says the key, the spelling, the issuer and the audience,
and whether a simulated machine is any use to him. Source: RFC 8725 §3, RFC 8392 §7.2, RFC 9711, and T-JWTALG, T-AUD,
T-CANON of the threat model.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from attest.canonical import refuse_floats
from attest.claims import instant
from attest.errors import Problem, Rejected
from attest.problems import problem
from attest.result.ear import members
from attest.result.ear.attested import Attested, mint
from attest.result.ear.cose import decode, verified_cose
from attest.result.ear.jws import read_object, verified_payload
from attest.result.ear.keys import VerificationKey
from attest.result.ear.labels import from_labels
from attest.result.ear.spelling import SPELLINGS, Form, Name, Spelling
from attest.result.ear.vector import TIERS, worse

MAX_LIFETIME = timedelta(minutes=10)
SKEW = timedelta(seconds=60)
"""How far the issuer's clock may be ahead of the reader's. A result never counts after its end."""


def read(
    token: bytes,
    keys: Sequence[VerificationKey],
    *,
    issuer: str,
    audience: str | None,
    at: datetime,
    spelling: Name = "ietf",
    form: Form = "jwt",
    nonce: bytes | None = None,
    simulated: bool = False,
) -> Attested:
    """What the token says, when a key of `keys` signed it, `issuer` issued it for `audience`, and it is in its
    time at `at`.

    audience: None accepts only a token for nobody in particular. nonce: the challenge that must be in it, None
    where none was given. simulated: whether a simulated machine is accepted. An Attested may well say that the
    machine is contraindicated: look at its status.

    Raises Malformed (`ear.malformed`) or Rejected with every problem found.
    """
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    if not keys:
        raise ValueError("give at least one key to check with")
    chosen = SPELLINGS[spelling]
    claims = _claims(bytes(token), tuple(keys), chosen, form)
    if claims.get("eat_profile") != chosen.profile:
        raise Rejected([problem("ear.profile", expected=chosen.profile, found=claims.get("eat_profile"))])
    problems = [
        *_addressed(claims, issuer, audience),
        *timely(claims, at),
        *_fresh(claims, nonce),
    ]
    attested = _attested(claims, chosen, issuer, nonce is not None)
    if attested.simulated and not simulated:
        problems.append(problem("ear.simulated", expected="evidence of real hardware", found="simulated"))
    if problems:
        raise Rejected(problems)
    return attested


def _claims(
    token: bytes, keys: tuple[VerificationKey, ...], spelling: Spelling, form: Form
) -> Mapping[str, Any]:
    if form == "cwt":
        payload = verified_cose(token, keys)
        try:
            return from_labels(decode(payload, "payload"), spelling)
        except ValueError as error:
            members.refuse("payload", str(error), "other CBOR")
    payload = verified_payload(token, keys, spelling)
    claims = read_object(payload, "payload")
    try:
        refuse_floats(claims)
    except ValueError:
        members.refuse("payload", "whole numbers", "a fraction")
    return claims


def _addressed(claims: Mapping[str, Any], issuer: str, audience: str | None) -> list[Problem]:
    """T-AUD: whose it is and whom it is for. `aud` is one text; a list would be for others too."""
    problems = []
    if claims.get("iss") != issuer:
        problems.append(problem("ear.issuer", expected=issuer, found=claims.get("iss"), where="iss"))
    if claims.get("aud") != audience:
        problems.append(
            problem(
                "ear.audience", expected=audience or "none", found=claims.get("aud") or "none", where="aud"
            )
        )
    return problems


def timely(claims: Mapping[str, Any], at: datetime, *, begins: bool = True) -> list[Problem]:
    """What is wrong with the token's times at `at`. begins: whether `nbf` must be there. Raises Malformed."""
    issued, ends = (_at(members.seconds(claims, name)) for name in ("iat", "exp"))
    starts = _at(members.seconds(claims, "nbf")) if begins or "nbf" in claims else issued
    problems = []
    if at >= ends:
        problems.append(
            problem("ear.expired", expected=f"before {instant(ends)}", found=instant(at), where="exp")
        )
    start = max(issued, starts)
    if at < start - SKEW:
        problems.append(
            problem(
                "ear.not-yet-valid", expected=f"from {instant(start)} on", found=instant(at), where="nbf, iat"
            )
        )
    if not timedelta(0) < ends - issued <= MAX_LIFETIME:
        found = f"{int((ends - issued).total_seconds())} s"
        problems.append(problem("ear.lifetime", expected="1 s to 600 s", found=found, where="exp"))
    return problems


def _fresh(claims: Mapping[str, Any], nonce: bytes | None) -> list[Problem]:
    if nonce is None:
        return []
    said = members.octets(claims, "eat_nonce", 8, 64) if "eat_nonce" in claims else b""
    if hmac.compare_digest(said, nonce):
        return []
    return [problem("ear.nonce", expected=nonce, found=said or "none", where="eat_nonce")]


def _attested(claims: Mapping[str, Any], spelling: Spelling, issuer: str, asked: bool) -> Attested:
    found = members.parts(claims, spelling)
    worst = max((part.status for part, _ in found.values()), key=TIERS.__getitem__)
    if spelling.overall:
        overall = members.tier(claims, spelling.status, spelling.status)
        worst = worse(worst, overall)
    annotated = found["cpu0"][1] if "cpu0" in found else {}
    runtime = annotated.get("runtime_data_claims")
    key = runtime.get("tee-pubkey") if isinstance(runtime, Mapping) else None
    bound = {"key": "true"} if isinstance(key, dict) else {}
    return mint(
        status=worst,
        claims={"binding": bound | ({"nonce": "true"} if asked else {})},
        parts=MappingProxyType({name: part for name, (part, _) in found.items()}),
        simulated=any(said["simulated"] for _, said in found.values()),
        issuer=issuer,
        audience=claims.get("aud"),
        issued=_at(members.seconds(claims, "iat")),
        expires=_at(members.seconds(claims, "exp")),
        token_id=members.octets(claims, "jti", 8, 64),
        nonce=members.octets(claims, "eat_nonce", 8, 64) if "eat_nonce" in claims else None,
        key=MappingProxyType(key) if isinstance(key, dict) else None,
    )


def _at(value: int) -> datetime:
    return datetime.fromtimestamp(value, UTC)
