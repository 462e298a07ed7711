"""Problem codes: what we sign ourselves, and the signed file of endorsements."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_DSSE = "DSSE 1.0, envelope"
_BUNDLE = "signed bundle of endorsements"

PROBLEMS: dict[str, Meaning] = {
    "dsse.malformed": Meaning(
        "The signed file is not a DSSE envelope as we write them", _DSSE, "get the file again from its signer"
    ),
    "dsse.kind": Meaning(
        "The signature is over a document of another kind",
        "DSSE 1.0, payloadType",
        "give a file of the kind that is wanted here, signed with the key for that kind",
    ),
    "dsse.key": Meaning(
        "No key that is trusted for this kind of document signed the file",
        "DSSE 1.0, verification",
        "give with --bundle-key the public key of whoever put the file together, or give a file that he signed",
    ),
    "dsse.signature": Meaning(
        "A signature that names a trusted key does not hold",
        "DSSE 1.0, verification; RFC 8032, FIPS 186-5",
        "the file was altered after it was signed: get it again from its signer",
    ),
    "bundle.malformed": Meaning(
        "The bundle is not built as one", _BUNDLE, "make it again with `attest endorsements bundle`"
    ),
    "bundle.digest": Meaning(
        "An entry of the bundle has another digest than is written beside it",
        "SHA-256, bundle entry",
        "make it again with `attest endorsements bundle`",
    ),
    "bundle.key-missing": Meaning(
        "A signed bundle was given, and no key to check who put it together",
        _BUNDLE,
        "give the public key of its signer with --bundle-key",
    ),
    "bundle.not-yet-valid": Meaning(
        "The bundle was made after the time of verification",
        _BUNDLE,
        "check the clock, or give the right time with --at",
    ),
    "bundle.expired": Meaning(
        "The bundle's own time has ended",
        _BUNDLE,
        "get the current bundle from its signer; --at judges old evidence at its own time",
    ),
    "bundle.rollback": Meaning(
        "The bundle is older than one of the same signer that was seen before",
        "RFC 9334, freshness of endorsements",
        "get the current bundle from its signer; what --memory keeps has seen a newer one",
    ),
}
