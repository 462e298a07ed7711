"""Who signed a token: a key of the issuer, under the one algorithm that the key is for (T-JWTALG).

Trustee repeats its public key in the header and names no `kid`. What stands there chooses nothing: the key must be one
of the issuer's, member by member; a chain beside it is not looked at. Source: RFC 7515 §4.1, RFC 8725 §3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from attest.errors import Malformed, Rejected
from attest.problems import problem
from attest.result.ear.jws import check_signature, segments
from attest.result.ear.keys import VerificationKey
from attest.result.passport.jwks import IssuerKey, read_jwk

_ALLOWED: Final = frozenset({"alg", "typ", "kid", "jwk"})


def verified_payload(token: bytes, keys: Sequence[IssuerKey], typ: str) -> bytes:
    """The bytes that one of `keys` signed as a token of type `typ`.

    Raises Malformed (`ear.malformed`), or Rejected: `ear.header`, `ear.key`, `ear.algorithm`, `ear.type`,
    `ear.signature`.
    """
    header, payload = segments(token)
    if more := sorted(set(header) - _ALLOWED):
        _refuse("ear.header", "header", "alg, typ, kid and jwk alone", ", ".join(more))
    key = _key_of(header, keys)
    if header.get("alg") != key.algorithm:
        _refuse("ear.algorithm", "alg", key.algorithm, header.get("alg"))
    if header.get("typ") != typ:
        _refuse("ear.type", "typ", typ, header.get("typ"))
    check_signature(token, key)
    return payload


def _key_of(header: Mapping[str, Any], keys: Sequence[IssuerKey]) -> VerificationKey:
    """The issuer's own copy of the key that the header names by `kid`, by its value, or by both."""
    named = [one for one in keys if "kid" in header and one.kid is not None and one.kid == header["kid"]]
    if "jwk" in header:
        brought = header["jwk"]
        if not isinstance(brought, dict) or "d" in brought:
            _refuse("ear.header", "jwk", "a public key", type(brought).__name__)
        try:
            value = read_jwk(brought, "header.jwk").thumbprint
        except Malformed:
            _refuse("ear.header", "jwk", "an EC key over P-256 or P-384", "another")
        of_value = [one for one in keys if one.key.thumbprint == value]
        named = [one for one in of_value if one in named] if "kid" in header else of_value
    if len(named) != 1:
        expected = " or ".join(one.kid or one.key.kid for one in keys)
        _refuse("ear.key", "kid", expected, header.get("kid", "another key" if "jwk" in header else None))
    return named[0].key


def _refuse(code: str, where: str, expected: object, found: object) -> NoReturn:
    raise Rejected([problem(code, where=where, expected=expected, found=found)])
