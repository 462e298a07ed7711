"""Problem codes: tokens of other verifiers, and the keys they are checked with."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "issuer.keys": Meaning(
        "The issuer's key set cannot be used",
        "RFC 7517 §5; RFC 7518 §6.2",
        "give the JWK set of the issuer: EC keys over P-256 or P-384 for signatures, each once, none private",
    ),
    "issuer.tee": Meaning(
        "The token speaks of a kind of machine that its adapter does not read",
        "guest protocol, token claims",
        "let the machine attest here; test TEEs and machines on Azure get nothing on another's word",
    ),
    "issuer.status": Meaning(
        "The issuer of the token does not affirm the machine",
        "draft-ietf-rats-ear, status",
        "ask the issuer which of its policies refused",
    ),
    "issuer.key-missing": Meaning(
        "The token names no key that the machine is bound to, so nothing can be encrypted to it",
        "guest protocol, token claims: tee-pubkey in the runtime data of cpu0",
        "attest with a key, and let the issuer put the runtime data into the token",
    ),
}
