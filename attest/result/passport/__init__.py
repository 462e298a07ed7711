"""Tokens of other verifiers: read by a named adapter that maps what they assert, and nothing more.

    issuer = Issuer("trustee-prod", iss="CoCo-Attestation-Service", adapter="trustee")
    attested = read(token, issuer, read_jwks(keys), at=now)     # Malformed, Rejected
    appraise(attested, policy, at=now).require_release()        # the owner's rule names trustee-prod, or it refuses

A guest carries such a token from one verifier to the relying parties that trust it: the passport model of RFC 9334
§5.1. What the token says is somebody's word. A claim that it does not make is unknown, and the unknown does not pass;
where that somebody never speaks of a claim that is judged by default, a warning tells, which an owner has to allow.
"""

from attest.result.passport.issuer import ADAPTERS, Adapter, Issuer
from attest.result.passport.jwks import IssuerKey, read_jwks
from attest.result.passport.read import claimed_issuer, read

__all__ = ["ADAPTERS", "Adapter", "Issuer", "IssuerKey", "claimed_issuer", "read", "read_jwks"]
