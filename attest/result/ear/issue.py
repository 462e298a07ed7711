"""Write and sign a result."""

from __future__ import annotations

import os

from attest.cbor import encode
from attest.result.ear.claims import Terms, claims_of, payload_of
from attest.result.ear.cose import sign_cose
from attest.result.ear.jws import sign_jws
from attest.result.ear.keys import SigningKey
from attest.result.ear.labels import to_labels
from attest.result.ear.result import AttestationResult
from attest.result.ear.spelling import SPELLINGS, Form, Name


def issue(
    result: AttestationResult,
    terms: Terms,
    *,
    key: SigningKey,
    spelling: Name = "ietf",
    form: Form = "jwt",
    token_id: bytes | None = None,
) -> bytes:
    """The signed token: a compact JWT, or the bytes of a CWT.

    It is issued at `result.at` and ends with `terms.lifetime`, or earlier where what the result rests on does.
    key: of results alone; its curve decides the algorithm, ES256 or ES384. token_id: 16 random bytes unless
    given. Raises ValueError for terms that the spelling's consumers cannot take.
    """
    if not isinstance(result, AttestationResult):
        raise TypeError("only an AttestationResult is signed: nothing else was judged")
    check_terms(terms, spelling, form)
    chosen = SPELLINGS[spelling]
    claims = claims_of(result, terms, chosen, os.urandom(16) if token_id is None else token_id)
    if form == "cwt":
        return sign_cose(encode(to_labels(claims, chosen)), key)
    return sign_jws(payload_of(claims), key, chosen)


def check_terms(terms: Terms, spelling: Name, form: Form) -> None:
    """Raises ValueError for terms that the spelling's consumers cannot take."""
    chosen = SPELLINGS[spelling]
    if form not in chosen.forms:
        raise ValueError(
            f"consumers of the {spelling} spelling read {' and '.join(chosen.forms)}, not {form}"
        )
    if terms.audience is not None and not chosen.audience:
        raise ValueError(f"consumers of the {spelling} spelling refuse a token with an audience")
