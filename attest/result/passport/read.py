"""Read a token of another verifier: whose, for whom, of when, about what kind of machine, and what it asserts.

A token without an end, one that lives for longer than ten minutes, one about a test TEE and one that its own issuer
contradicts say nothing here. Source: RFC 8725 §3; guest protocol, token claims; T-JWTALG, T-AUD, T-SAMPLE, T-EMPTY.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from attest.canonical import refuse_floats
from attest.errors import Malformed, Problem, Rejected
from attest.problems import problem
from attest.result.ear import members
from attest.result.ear.attested import Attested, mint
from attest.result.ear.jws import read_object, segments
from attest.result.ear.read import timely
from attest.result.ear.spelling import SPELLINGS
from attest.result.ear.vector import TIERS
from attest.result.passport import kbs, trustee
from attest.result.passport.issuer import Adapter, Issuer
from attest.result.passport.jwks import IssuerKey
from attest.result.passport.parts import Said, read_parts
from attest.result.passport.signature import verified_payload

_PROFILE: Final = SPELLINGS["trustee"].profile
_TYPES: Final[Mapping[Adapter, str]] = {"trustee": "JWT", "kbs": kbs.TYPE}
_ADAPTERS: Final[Mapping[Adapter, Callable[[Mapping[str, Said]], tuple[dict[str, Any], frozenset[str]]]]] = {
    "trustee": trustee.claims_of,
    "kbs": kbs.claims_of,
}


def claimed_issuer(token: bytes) -> str | None:
    """Whose the token says it is, which nobody signed yet: to pick the issuer whose keys will tell."""
    try:
        said = read_object(segments(token)[1], "payload").get("iss")
    except Malformed:
        return None
    return said if isinstance(said, str) else None


def read(
    token: bytes, issuer: Issuer, keys: Sequence[IssuerKey], *, at: datetime, simulated: bool = False
) -> Attested:
    """What `issuer` says of a machine in a token that one of its keys signed, at the instant `at`.

    simulated: whether a simulated machine is accepted. Raises Malformed (`ear.malformed`) or Rejected with every
    problem found once the signature holds.
    """
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    claims = read_object(verified_payload(bytes(token), keys, _TYPES[issuer.adapter]), "payload")
    try:
        refuse_floats(claims)
    except ValueError:
        members.refuse("payload", "whole numbers", "a fraction")
    if claims.get("eat_profile") != _PROFILE:
        raise Rejected([problem("ear.profile", expected=_PROFILE, found=claims.get("eat_profile"))])
    parts = read_parts(claims)
    worst = max((part.status for part, _ in parts.values()), key=TIERS.__getitem__)
    from_simulator = any(_simulated(name, said) for name, (_, said) in parts.items())
    key = _key(parts["cpu0"][1])
    problems = [
        *_addressed(claims, issuer),
        *timely(claims, at, begins=issuer.adapter == "kbs"),
        *_status(worst),
    ]
    if from_simulator and not simulated:
        problems.append(problem("ear.simulated", expected="evidence of real hardware", found="simulated"))
    if key is None:
        problems.append(problem("issuer.key-missing", where="submods.cpu0"))
    tree: dict[str, Any] = {}
    silent: frozenset[str] = frozenset()
    try:
        tree, silent = _ADAPTERS[issuer.adapter]({name: said for name, (_, said) in parts.items()})
    except Rejected as refusal:
        problems += refusal.problems
    if problems:
        raise Rejected(problems)
    return mint(
        issuer=issuer.name,
        status=worst,
        simulated=from_simulator,
        claims=tree,
        silent=silent,
        parts=MappingProxyType({name: part for name, (part, _) in parts.items()}),
        audience=issuer.audience,
        issued=_instant(claims, "iat"),
        expires=_instant(claims, "exp"),
        token_id=members.octets(claims, "jti", 8, 64) if "jti" in claims else b"",
        nonce=None,
        key=key,
    )


def _addressed(claims: Mapping[str, Any], issuer: Issuer) -> list[Problem]:
    problems = []
    if claims.get("iss") != issuer.iss:
        problems.append(problem("ear.issuer", expected=issuer.iss, found=claims.get("iss"), where="iss"))
    if claims.get("aud") != issuer.audience:
        expected, found = issuer.audience or "none", claims.get("aud") or "none"
        problems.append(problem("ear.audience", expected=expected, found=found, where="aud"))
    return problems


def _status(worst: str) -> list[Problem]:
    """What its own issuer contradicts, or says nothing of, nobody here affirms in its place."""
    if worst in ("affirming", "warning"):
        return []
    return [problem("issuer.status", expected="affirming or warning", found=worst)]


def _simulated(name: str, said: Mapping[str, Any]) -> bool:
    found = said.get("simulated", False)
    if not isinstance(found, bool):
        members.refuse(f"submods.{name}", "simulated, true or false", found)
    return found


def _key(said: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The key to encrypt to. One place, whatever else the token holds: never the first that is found (T-KEYSWAP)."""
    runtime = said.get("runtime_data_claims")
    key = runtime.get("tee-pubkey") if isinstance(runtime, Mapping) else None
    return MappingProxyType(key) if isinstance(key, dict) else None


def _instant(claims: Mapping[str, Any], name: str) -> datetime:
    return datetime.fromtimestamp(members.seconds(claims, name), UTC)
