"""A result as a CWT: COSE_Sign1, four items, deterministically encoded.

    18([ protected {1: algorithm, 4: key id, 16: "application/eat+cwt"}, {}, payload, r ‖ s ])

The reader knows the protected header before it reads one, so it compares bytes; every encoding but the one that we
write is refused.
Source: RFC 9052 §4.2, RFC 9596 (typ), RFC 8949 §4.2.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from attest import cbor, cose
from attest.errors import Rejected
from attest.problems import malformed, problem
from attest.result.ear.keys import SigningKey, VerificationKey

MAX_TOKEN = 64 << 10
MAX_DEPTH = 12
TYPE = "application/eat+cwt"
_ALGORITHM, _KEY_ID, _TYPE = 1, 4, 16


def sign_cose(payload: bytes, key: SigningKey) -> bytes:
    from cbor2 import CBORTag

    protected = protected_header(key.public)
    signature = cose.sign(cose.sig_structure(protected, payload), key.private)
    return cbor.encode(CBORTag(cose.SIGN1, [protected, {}, payload, signature]))


def verified_cose(token: bytes, keys: tuple[VerificationKey, ...]) -> bytes:
    """The payload that one of `keys` signed as a result.

    Raises Malformed (`ear.malformed`), or Rejected: `ear.header`, `ear.signature`.
    """
    protected, payload, signature = _items(token)
    key = next((key for key in keys if protected_header(key) == protected), None)
    if key is None:
        expected = " or ".join(protected_header(key).hex() for key in keys)
        raise Rejected([problem("ear.header", expected=expected, found=protected[:128].hex())])
    size = key.suite.size
    if len(signature) != 2 * size:
        _refuse("signature", f"{2 * size} bytes", len(signature))
    if not cose.verify(key.public, key.suite.cose, signature, cose.sig_structure(protected, payload)):
        raise Rejected([problem("ear.signature", expected=f"by key {key.kid}")])
    return payload


def protected_header(key: VerificationKey) -> bytes:
    return cbor.encode({_ALGORITHM: key.suite.cose, _KEY_ID: key.thumbprint, _TYPE: TYPE})


def decode(data: bytes, where: str) -> Any:
    """One item and nothing after it, in the one encoding it has. Raises Malformed."""
    try:
        value = cbor.decode(data, max_depth=MAX_DEPTH)
    except cbor.Unreadable as error:
        _refuse(where, error.expected, error.found)
    if cbor.encode(value) != data:
        _refuse(where, "deterministic CBOR", "another order of keys")
    return value


def _items(token: bytes) -> tuple[bytes, bytes, bytes]:
    """Protected header, payload and signature, before anybody's signature was checked."""
    from cbor2 import CBORTag

    if len(token) > MAX_TOKEN:
        _refuse("token", f"≤ {MAX_TOKEN} bytes", len(token))
    try:
        envelope = cbor.decode(token, tags=(cose.SIGN1,), max_depth=3)
    except cbor.Unreadable as error:
        _refuse("token", error.expected, error.found)
    items = envelope.value if isinstance(envelope, CBORTag) else ()
    if not isinstance(items, (list, tuple)) or len(items) != 4:
        _refuse("token", "COSE_Sign1: tag 18 over four items", token[:2].hex())
    protected, unprotected, payload, signature = items
    if not isinstance(unprotected, Mapping) or unprotected:
        # What is not signed says nothing, so there is nothing to put there.
        _refuse("unprotected", "an empty map", "another item")
    if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
        _refuse("token", "byte strings for header, payload and signature", "another item")
    return protected, payload, signature


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The result is not a CWT as we write them",
        where=where,
        expected=expected,
        found=found,
        code="ear.malformed",
    )
