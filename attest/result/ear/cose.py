"""A result as a CWT: COSE_Sign1, four items, deterministically encoded.

    18([ protected {1: algorithm, 4: key id, 16: "application/eat+cwt"}, {}, payload, r ‖ s ])

What is signed is Sig_structure ["Signature1", protected, external_aad, payload]; external_aad is empty. The
reader knows the protected header before it reads one, so it compares bytes. cbor2 by itself ignores what follows an
item and keeps the last of two equal keys: both are refused here, and so is every encoding but the one that we write.
Source: RFC 9052 §4.2 and §4.4, RFC 9053 §2.1, RFC 9596 (typ), RFC 8949 §4.2.1.
"""

from __future__ import annotations

from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from attest.errors import Rejected
from attest.problems import malformed, problem
from attest.result.ear.keys import SigningKey, VerificationKey

MAX_TOKEN = 64 << 10
MAX_DEPTH = 12
TYPE = "application/eat+cwt"
_SIGN1 = 18
_FOUR_ITEMS = b"\xd2\x84"
_EMPTY_MAP = b"\xa0"
_ALGORITHM, _KEY_ID, _TYPE = 1, 4, 16


def sign_cose(payload: bytes, key: SigningKey) -> bytes:
    import cbor2

    suite = key.public.suite
    protected = protected_header(key.public)
    der = key.private.sign(sig_structure(protected, payload), ec.ECDSA(suite.digest))
    signature = b"".join(number.to_bytes(suite.size, "big") for number in decode_dss_signature(der))
    return encode(cbor2.CBORTag(_SIGN1, [protected, {}, payload, signature]))


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
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    try:
        key.public.verify(
            encode_dss_signature(r, s), sig_structure(protected, payload), ec.ECDSA(key.suite.digest)
        )
    except InvalidSignature:
        raise Rejected([problem("ear.signature", expected=f"by key {key.kid}")]) from None
    return payload


def protected_header(key: VerificationKey) -> bytes:
    return encode({_ALGORITHM: key.suite.cose, _KEY_ID: key.thumbprint, _TYPE: TYPE})


def sig_structure(protected: bytes, payload: bytes) -> bytes:
    return encode(["Signature1", protected, b"", payload])


def encode(value: Any) -> bytes:
    import cbor2

    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, where: str) -> Any:
    """One item and nothing after it, in the one encoding it has. Raises Malformed."""
    import cbor2

    try:
        value = cbor2.loads(data, max_depth=MAX_DEPTH)
        again = encode(value)
    except Exception:  # noqa: BLE001 - whatever a decoder of foreign bytes raises, it is no result of ours
        _refuse(where, "one CBOR item", "other bytes")
    if again != data:
        # What follows the item, a key that came twice and every longer spelling are lost on the way back.
        _refuse(where, "deterministic CBOR, one item, no key twice", "another encoding")
    return value


def _items(token: bytes) -> tuple[bytes, bytes, bytes]:
    """Protected header, payload and signature, before anybody's signature was checked: so byte strings alone are
    read, and no decoder with its many types is let loose on a stranger's bytes."""
    if len(token) > MAX_TOKEN:
        _refuse("token", f"≤ {MAX_TOKEN} bytes", len(token))
    if not token.startswith(_FOUR_ITEMS):
        _refuse("token", "COSE_Sign1: tag 18 over four items", token[:2].hex())
    protected, at = _byte_string(token, len(_FOUR_ITEMS), "protected")
    if token[at : at + 1] != _EMPTY_MAP:
        # What is not signed says nothing, so there is nothing to put there.
        _refuse("unprotected", "an empty map", token[at : at + 1].hex())
    payload, at = _byte_string(token, at + 1, "payload")
    signature, at = _byte_string(token, at, "signature")
    if at != len(token):
        _refuse("token", "four items and nothing after them", f"{len(token) - at} bytes")
    return protected, payload, signature


def _byte_string(data: bytes, at: int, where: str) -> tuple[bytes, int]:
    """A byte string with the shortest head that its length has, and where it ends."""
    head = data[at : at + 1]
    width = {b"\x58": 1, b"\x59": 2}.get(head, 0)
    begins = at + 1 + width
    length = int.from_bytes(data[at + 1 : begins], "big") if width else (head or b"\0")[0] - 0x40
    value = data[begins : begins + length] if length >= 0 else b""
    if len(value) != length or encode(value) != data[at : begins + length]:
        _refuse(where, "a byte string", head.hex() or "nothing")
    return value, begins + length


def _refuse(where: str, expected: object, found: object) -> NoReturn:
    raise malformed(
        "The result is not a CWT as we write them",
        where=where,
        expected=expected,
        found=found,
        code="ear.malformed",
    )
