"""Attestation results that others can check: EAR, signed, as JWT or CWT, in the spelling its reader knows.

    from attest.result import ear

    result = ear.of_appraisal(appraisal, evidence)         # or ear.of_rejected(error, evidence, …)
    token = ear.issue(result, ear.Terms(issuer="https://verifier.example"), key=ear.SigningKey.read(pem))

    attested = ear.read(token, [ear.VerificationKey.read(public)], issuer=…, audience=…, at=now)
    if attested.status == "affirming": …

Source: draft-ietf-rats-ear, draft-ietf-rats-ar4si, RFC 9711. Needs the extra `results`.
"""

from attest.result.ear.attested import Attested, AttestedPart
from attest.result.ear.claims import Terms
from attest.result.ear.issue import issue
from attest.result.ear.keys import SigningKey, VerificationKey
from attest.result.ear.read import read
from attest.result.ear.result import (
    AttestationResult,
    Part,
    of_appraisal,
    of_fault,
    of_malformed,
    of_rejected,
)
from attest.result.ear.vector import Vector

__all__ = [
    "AttestationResult",
    "Attested",
    "AttestedPart",
    "Part",
    "SigningKey",
    "Terms",
    "Vector",
    "VerificationKey",
    "issue",
    "of_appraisal",
    "of_fault",
    "of_malformed",
    "of_rejected",
    "read",
]
