"""Problem codes: reference values that come in a CoRIM."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_DRAFT = "draft-ietf-rats-corim-11"

PROBLEMS: dict[str, Meaning] = {
    "corim.malformed": Meaning(
        "The CoRIM cannot be read",
        f"{_DRAFT}, CDDL; RFC 8949",
        "ask its producer for one of draft 00 or of 06 to 11, in CBOR with definite lengths",
    ),
    "corim.profile": Meaning(
        "The CoRIM is of a profile that is not known here",
        f"{_DRAFT} §4.1, profile",
        "nothing of it is read: ask for one of a profile named, or write the values into a policy yourself",
    ),
    "corim.payload": Meaning(
        "The CoRIM that was signed is not in the file",
        f"{_DRAFT} §4.2, payload",
        "ask its producer for the one with the CoRIM inside",
    ),
    "corim.signer-missing": Meaning(
        "The CoRIM is signed and no signer was named",
        f"{_DRAFT} §8, CoRIM trust anchors",
        "name whom you trust with --signer FILE: the producer's key or certificate, got over another way",
    ),
    "corim.not-signed": Meaning(
        "The CoRIM is not signed and a signer was named",
        f"{_DRAFT} §4.2",
        "ask its producer for the signed one; without --signer the values count as what nobody vouches for",
    ),
    "corim.algorithm": Meaning(
        "The CoRIM is signed with an algorithm that no signer's key is for",
        "RFC 9053 §2, RFC 9864: the key decides",
        "name the key that signed it: the header chooses nothing",
    ),
    "corim.signature": Meaning(
        "The signature of the CoRIM is by none of the signers named",
        "RFC 9052 §4.4, RFC 9360",
        "get the signer's current key from its owner; do not use the values",
    ),
    "corim.dates": Meaning(
        "The CoRIM, its signature or its signer's certificate does not count at this time",
        f"{_DRAFT} §7.3, validity; RFC 5280 §4.1.2.5",
        "ask its producer for the current one",
    ),
}
