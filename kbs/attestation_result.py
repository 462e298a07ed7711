"""What a token says of the machine: an attestation result in Trustee's shape, bound to the machine's key.

Brokers of Trustee and their policies read it; so does another broker of ours, which finds our own claim tree in each
part's member `attest`. Evidence stays out, for headers have limits, and digests stand in. The status is that of the
policy for tokens, and decides nothing here: a release asks the owners.
Source: guest protocol, token claims; draft-ietf-rats-ear.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from attest import Verified, appraise
from attest.canonical import canonical
from attest.evidence import Evidence
from attest.result.ear import Terms, of_appraisal
from attest.result.ear.claims import claims_of
from attest.result.ear.spelling import SPELLINGS
from attest.result.passport.kbs import member_of
from attest.result.trustee import cpu_claims, device_claims
from attest.verified import Vouched
from kbs.domain import Challenge
from kbs.protocol.tee_key import TeeKey
from kbs.token import TokenTerms

_SPELLING: Final = SPELLINGS["trustee"]


def claims_for(
    verified: Verified,
    evidence: Evidence,
    challenge: Challenge,
    key: TeeKey,
    terms: TokenTerms,
    *,
    token_id: bytes,
    now: datetime,
) -> dict[str, Any]:
    """The payload of the token that ends with the challenge, or earlier where what it rests on does. Raises
    ValueError where that has ended."""
    result = of_appraisal(appraise(verified, terms.policy, at=now), evidence, key=key.jwk)
    lifetime = challenge.expires - now
    claims = claims_of(
        result, Terms(issuer=terms.issuer, audience=terms.audience, lifetime=lifetime), _SPELLING, token_id
    )
    for name, part in claims["submods"].items():
        part[_SPELLING.annotated] |= _annotated(name, verified, evidence, challenge, result.key)
    return claims | {
        "tee": challenge.tee,
        "simulated": verified.simulated,
        "cnf": {"jkt": key.thumbprint},
        "claims-digest": claims_digest(verified),
    }


def _annotated(
    name: str,
    verified: Verified,
    evidence: Evidence,
    challenge: Challenge,
    key: Mapping[str, Any] | None,
) -> dict[str, Any]:
    own = {"attest": member_of(verified.claims, name)}
    if name != "cpu0":
        return device_claims(own["attest"]) | own
    # No key in the token of a machine that its policy refuses: nobody is to encrypt to it.
    runtime = (
        {"nonce": challenge.nonce} if key is None else {"nonce": challenge.nonce, "tee-pubkey": dict(key)}
    )
    if evidence.additional:
        runtime["additional-evidence-sha384"] = hashlib.sha384(evidence.additional.encode()).hexdigest()
    said = cpu_claims(verified) | {"runtime_data_claims": runtime}
    # On Azure the tree says a plain SNP or TDX machine until a policy pins the paravisor.
    return said if verified.paravisor_claims else said | own


def claims_digest(vouched: Vouched) -> str:
    """Names what a machine proved, in tokens and audit rows."""
    return "sha384:" + hashlib.sha384(canonical(vouched.claims)).hexdigest()
