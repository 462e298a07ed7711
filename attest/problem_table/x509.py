"""Problem codes: certification paths and revocation lists."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_RFC5280 = "RFC 5280, certification path validation"

PROBLEMS: dict[str, Meaning] = {
    "x509.malformed": Meaning(
        "A certificate or CRL does not parse",
        "RFC 5280",
        "give it as its vendor serves it, of a PEM text the blocks alone, or --fetch",
    ),
    "x509.missing": Meaning(
        "A certificate that the chain needs was not given", _RFC5280, "give the whole chain, or --fetch"
    ),
    "x509.depth": Meaning(
        "The chain has the wrong number of certificates", _RFC5280, "give the chain as issued"
    ),
    "x509.anchor": Meaning(
        "The chain does not end in a pinned root",
        "pinned roots",
        "only the vendor's own chain can be accepted; a simulator's needs --simulator-root FILE",
    ),
    "x509.signature": Meaning(
        "A certificate is not signed by its issuer",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.name": Meaning(
        "A certificate carries another name than expected", _RFC5280, "give the right chain, or --fetch"
    ),
    "x509.not-a-ca": Meaning(
        "An issuing certificate is not a CA",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.leaf-is-ca": Meaning(
        "The leaf certificate is a CA",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.path-length": Meaning(
        "A CA issued more levels than it may",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.key-usage": Meaning(
        "A certificate's key is used for what it must not do",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.key-identifier": Meaning(
        "Authority and subject key identifiers do not meet",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.critical-extension": Meaning(
        "A certificate has a critical extension this verifier does not know",
        _RFC5280,
        "a newer verifier may know it",
    ),
    "x509.duplicate": Meaning(
        "A certificate stands twice in the chain", _RFC5280, "give each certificate once"
    ),
    "x509.key": Meaning(
        "A certificate has a key of the wrong kind",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.signature-algorithm": Meaning(
        "A certificate is signed with a weak hash",
        _RFC5280,
        "give the chain as its vendor serves it: --fetch, or collect it again where the device gives it",
    ),
    "x509.not-yet-valid": Meaning(
        "A certificate is not valid yet", _RFC5280, "check the clock, or give the right time with --at"
    ),
    "x509.expired": Meaning(
        "A certificate has expired",
        _RFC5280,
        "give a current one, or --fetch; of a manifest's signer the manifest, which is issued anew under its id; "
        "--at judges old evidence at its own time",
    ),
    "x509.revoked": Meaning("A certificate is revoked", _RFC5280, "the vendor withdrew it: do not trust it"),
    "x509.crl.signature": Meaning(
        "A revocation list is not signed by its issuer",
        _RFC5280,
        "give the list as its vendor serves it, or --fetch",
    ),
    "x509.crl.stale": Meaning(
        "A revocation list is out of date",
        _RFC5280,
        "give a current list, or --fetch; --at judges old evidence at its own time",
    ),
    "x509.crl.stranger": Meaning(
        "The chain's revocation list is missing, and one of an issuer that nobody knows was given: it may be that list, damaged",
        _RFC5280,
        "give the issuer's CRL as the vendor serves it, or --fetch, and leave out lists of others",
    ),
    "x509.crl.missing": Meaning(
        "A revocation list is missing", _RFC5280, "give the issuer's CRL as a file, or --fetch"
    ),
    "x509.crl.rollback": Meaning(
        "A revocation list is older than one already seen",
        "memory of collateral",
        "give a current list, or --fetch; what --memory keeps has seen a newer one",
    ),
}
