"""Problem codes: attestation results as a relying party reads them."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_AGAIN = "ask the verifier for another"

PROBLEMS: dict[str, Meaning] = {
    "ear.malformed": Meaning(
        "The attestation result is not built as one of ours",
        "draft-ietf-rats-ear; RFC 7515, RFC 9052, RFC 8785, RFC 8949 §4.2.1",
        "give the token as it was issued, and name the spelling and form that it was issued in",
    ),
    "ear.header": Meaning(
        "The header of the attestation result says more, or other things, than which key and type it is",
        "RFC 8725 §3.5 and §3.10; RFC 9052 §3",
        "do not use the token: a header that brings a key, an address or an extension chooses nothing here",
    ),
    "ear.algorithm": Meaning(
        "The attestation result names another algorithm than its key is for",
        "RFC 8725 §3.1",
        "do not use the token: the key's curve decides the algorithm, P-256 ES256 and P-384 ES384",
    ),
    "ear.key": Meaning(
        "The attestation result names a key that is not trusted",
        "RFC 7515 §4.1.4; RFC 7638",
        "give the verifier's current public key, over a way that you trust",
    ),
    "ear.type": Meaning(
        "The token is of another type than an attestation result in this spelling",
        "RFC 8725 §3.11; RFC 9711 §6",
        "give an attestation result, in the spelling that was asked for",
    ),
    "ear.signature": Meaning(
        "The signature of the attestation result does not hold",
        "FIPS 186-5; RFC 7515 §5.2, RFC 9052 §4.4",
        "the token was altered, or somebody else signed it: " + _AGAIN,
    ),
    "ear.profile": Meaning(
        "The attestation result is in another spelling",
        "RFC 9711 §6; draft-ietf-rats-ear",
        "name the spelling that it was issued in",
    ),
    "ear.issuer": Meaning(
        "The attestation result comes from another verifier",
        "RFC 8725 §3.8",
        "name the verifier that you trust, or ask that one",
    ),
    "ear.audience": Meaning(
        "The attestation result is for somebody else",
        "RFC 8725 §3.9",
        "ask the verifier for one with your own audience",
    ),
    "ear.expired": Meaning(
        "The attestation result has ended", "RFC 7519 §4.1.4; RFC 8392 §3.1.4", "attest again"
    ),
    "ear.not-yet-valid": Meaning(
        "The attestation result begins later than now",
        "RFC 7519 §4.1.5; RFC 8392 §3.1.5",
        "correct the clock, here or at the verifier",
    ),
    "ear.lifetime": Meaning(
        "The attestation result would count for too long",
        "RFC 9334 §10, freshness",
        "issue results for five minutes at most; ten are accepted",
    ),
    "ear.nonce": Meaning(
        "The attestation result does not carry the challenge that was given",
        "RFC 9711 §4.1; draft-ietf-rats-ear, eat_nonce",
        "attest again with the challenge",
    ),
    "ear.simulated": Meaning(
        "The attestation result is about simulated evidence",
        "design: simulator",
        "attest a real machine; for tests, say that simulated ones are accepted",
    ),
}
