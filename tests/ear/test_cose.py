"""A result as a CWT, taken apart by hand: no COSE library of the time works, so the bytes themselves are asked."""

from __future__ import annotations

import base64
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from attest.cbor import encode
from attest.cose import sig_structure
from attest.errors import Malformed, Rejected
from attest.result import ear
from attest.result.ear.cose import decode, protected_header, sign_cose
from attest.result.ear.labels import from_labels, to_labels
from attest.result.ear.spelling import FORMS, SPELLINGS, Name
from tests.ear.conftest import AUDIENCE, ISSUER, NONCE, P256, P384, TERMS, ResultOf
from tests.policy.conftest import GPU, NOW, SNP, policy_of, tree

M = SNP["measurement"]
CLEAN = policy_of(f'{{snp: {{measurement: {{is: "{M}", covers: image}}}}}}')


def read(token: bytes, *keys: ear.SigningKey, spelling: Name = "ietf") -> ear.Attested:
    return ear.read(
        token,
        [key.public for key in keys or (P256,)],
        issuer=ISSUER,
        audience=AUDIENCE,
        at=NOW,
        spelling=spelling,
        form="cwt",
        nonce=NONCE,
    )


@pytest.fixture
def token(result_of: ResultOf) -> bytes:
    return ear.issue(result_of(tree(snp=SNP, gpu=[GPU]), CLEAN), TERMS, key=P256, form="cwt")


def codes(token: bytes, *keys: ear.SigningKey) -> set[str]:
    with pytest.raises((Malformed, Rejected)) as refused:
        read(token, *keys)
    return refused.value.codes


def sign1(protected: bytes, unprotected: dict[int, Any], payload: bytes, signature: bytes) -> bytes:
    return encode(cbor2.CBORTag(18, [protected, unprotected, payload, signature]))


# RFC 9052, appendix C.2.1: single ECDSA signature, with the key of appendix C.7.1 named "11".
CONTENT = b"This is the content."
TO_BE_SIGNED = "846a5369676e61747572653143a101264054546869732069732074686520636f6e74656e742e"
SIGNATURE = (
    "8eb33e4ca31d1c465ab05aac34cc6b23d58fef5c083106c4d25a91aef0b0117e"
    "2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c345cacb36"
)
X = 0xBAC5B11CAD8F99F9C72B05CF4B9E26D244DC189F745228255A219A86D6A09EFF
Y = 0x20138BF82DC1B6D562BE0FA54AB7804A3A64B6D72CCFED6B6FB6ED28BBFC117E


def holds(public: ec.EllipticCurvePublicKey, signature: bytes, message: bytes, digest: Any) -> bool:
    half = len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    try:
        public.verify(encode_dss_signature(r, s), message, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def test_what_is_signed_is_what_the_standard_s_example_signs() -> None:
    assert sig_structure(bytes.fromhex("a10126"), CONTENT).hex() == TO_BE_SIGNED
    public = ec.EllipticCurvePublicNumbers(X, Y, ec.SECP256R1()).public_key()
    message = sig_structure(bytes.fromhex("a10126"), CONTENT)
    assert holds(public, bytes.fromhex(SIGNATURE), message, hashes.SHA256())


def bstr(data: bytes) -> bytes:
    """A CBOR byte string of under 64 KiB, without a library."""
    if len(data) < 24:
        return bytes([0x40 | len(data)]) + data
    if len(data) < 256:
        return bytes([0x58, len(data)]) + data
    return bytes([0x59]) + len(data).to_bytes(2, "big") + data


@pytest.mark.parametrize(
    ("key", "algorithm", "digest"),
    [(P256, bytes([0x26]), hashes.SHA256()), (P384, bytes([0x38, 0x22]), hashes.SHA384())],
)
def test_a_token_laid_out_by_hand(key: ear.SigningKey, algorithm: bytes, digest: Any) -> None:
    payload = b"\xa0"
    name = b"application/eat+cwt"
    # {1: algorithm, 4: thumbprint, 16: text}
    protected = b"\xa3\x01" + algorithm + b"\x04\x58\x20" + key.public.thumbprint + b"\x10\x73" + name
    assert protected_header(key.public) == protected
    token = sign_cose(payload, key)
    size = key.public.suite.size
    signature = token[-2 * size :]
    # 18([protected, {}, payload, signature])
    assert token == b"\xd2\x84" + bstr(protected) + b"\xa0" + bstr(payload) + bstr(signature)
    # ["Signature1", protected, h'', payload]
    message = b"\x84\x6aSignature1" + bstr(protected) + b"\x40" + bstr(payload)
    assert holds(key.public.public, signature, message, digest)
    assert not holds(key.public.public, signature, message + b"\x00", digest)


def test_a_token_reads_back(token: bytes) -> None:
    attested = read(token)
    assert (attested.status, attested.issuer, attested.audience) == ("warning", ISSUER, AUDIENCE)
    assert attested.nonce == NONCE
    assert set(attested.parts) == {"cpu0", "gpu0"}
    assert attested.parts["cpu0"].vector.values["executables"] == 3
    assert attested.parts["cpu0"].policies == (f"t@{CLEAN.digest}",)


@pytest.mark.parametrize("spelling", ["ietf", "veraison"])
def test_both_forms_say_the_same(result_of: ResultOf, spelling: Name) -> None:
    result = result_of(tree(snp=SNP, gpu=[GPU]), CLEAN)
    found = []
    for form in FORMS:
        token = ear.issue(result, TERMS, key=P384, spelling=spelling, form=form, token_id=bytes(range(16)))
        said = ear.read(
            token, [P384.public], issuer=ISSUER, audience=AUDIENCE, at=NOW, spelling=spelling, form=form
        )
        found.append({name: getattr(said, name) for name in ear.Attested.__slots__})
    assert found[0] == found[1]


def test_the_labels_are_the_draft_s(token: bytes) -> None:
    payload = cbor2.loads(cbor2.loads(token).value[2])
    start = int(NOW.timestamp())
    assert {label: payload[label] for label in (1, 3, 4, 5, 6, 10, 265, 1000)} == {
        1: ISSUER,
        3: AUDIENCE,
        4: start + 300,
        5: start,
        6: start,
        10: NONCE,
        265: "tag:ietf.org,2026:rats/ear#03",
        1000: 32,
    }
    assert set(payload[1004]) == {0, 1}
    cpu = payload[266]["cpu0"]
    assert cpu[1000] == 32
    assert cpu[1001] == {0: 0, 1: 32, 2: 3, 3: 0, 4: 2, 5: 2, 6: 0, 7: 0}
    assert cpu[1003] == [f"t@{CLEAN.digest}"]
    assert cpu[-70000]["simulated"] is False


def resigned(token: bytes, change: Any, key: ear.SigningKey = P256) -> bytes:
    """The token with another payload, signed again: what a careless issuer could send."""
    payload = cbor2.loads(cbor2.loads(token).value[2])
    made = change(payload)
    return sign_cose(made if isinstance(made, bytes) else encode(payload), key)


# -- the traps of a CBOR library --------------------------------------------------------------------


@pytest.mark.parametrize("more", [b"\x00", b"\xf6", b"\xd2\x84"])
def test_t_canon_bytes_after_the_token_are_refused(token: bytes, more: bytes) -> None:
    assert cbor2.loads(token + b"\x00") == cbor2.loads(token), "the library itself does not mind"
    assert codes(token + more) == {"ear.malformed"}


def test_t_canon_bytes_after_the_claims_are_refused(token: bytes) -> None:
    assert codes(resigned(token, lambda payload: encode(payload) + b"\x00")) == {"ear.malformed"}


def test_t_canon_a_claim_given_twice_is_refused(token: bytes) -> None:
    def twice(payload: dict[int, Any]) -> bytes:
        plain = encode(payload)
        count = plain[0] - 0xA0
        assert 0 < count < 22
        return bytes([0xA0 + count + 1]) + encode(1000) + encode(2) + plain[1:]

    made = resigned(token, twice)
    assert cbor2.loads(cbor2.loads(made).value[2])[1000] == 32, "the library itself takes the last"
    assert codes(made) == {"ear.malformed"}


def test_t_canon_one_value_has_one_encoding(token: bytes) -> None:
    longer = lambda payload: encode(payload).replace(b"\x19\x03\xe8\x18\x20", b"\x19\x03\xe8\x19\x00\x20", 1)  # noqa: E731
    assert codes(resigned(token, longer)) == {"ear.malformed"}
    indefinite = lambda payload: b"\xbf" + encode(payload)[1:] + b"\xff"  # noqa: E731
    assert codes(resigned(token, indefinite)) == {"ear.malformed"}


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\x81" * 100 + b"\x00", b"\x9b" + b"\xff" * 8, b"\xd8\x1c\x81\xd8\x1d\x00", b"\xc1\xfb" + b"\x7f" * 8,
     b"\xfb\x7f\xf8" + bytes(6)],
)  # fmt: skip
def test_bytes_that_are_no_item(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode(data, "here")


# -- the envelope -----------------------------------------------------------------------------------


def test_an_unprotected_header_is_refused(token: bytes) -> None:
    protected, _, payload, signature = cbor2.loads(token).value
    assert codes(sign1(protected, {4: b"another key"}, payload, signature)) == {"ear.malformed"}


@pytest.mark.parametrize("other", [b"\xf6", b"\x80", b"\x40", b"\xa1"])
def test_the_unprotected_header_is_an_empty_map(token: bytes, other: bytes) -> None:
    before = b"\xd2\x84" + encode(protected_header(P256.public))
    assert token.startswith(before + b"\xa0")
    assert codes(before + other + token[len(before) + 1 :]) == {"ear.malformed"}


def test_t_canon_a_length_has_one_spelling(token: bytes) -> None:
    assert token.startswith(b"\xd2\x84\x58\x3b")
    assert codes(b"\xd2\x84\x59\x00\x3b" + token[4:]) == {"ear.malformed"}


def test_a_token_is_bounded(token: bytes) -> None:
    padded = resigned(token, lambda payload: payload.update({-80000: "a" * 64_700}))
    assert len(cbor2.loads(padded).value[2]) < 1 << 16 < len(padded)
    assert codes(padded) == {"ear.malformed"}
    assert read(resigned(token, lambda payload: payload.update({-80000: "a" * 60_000}))).status == "warning"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xa0",
        encode({1: -7}),
        encode({1: -7, 4: P256.public.thumbprint}),
        encode({1: -35, 4: P256.public.thumbprint, 16: "application/eat+cwt"}),
        encode({1: 5, 4: P256.public.thumbprint, 16: "application/eat+cwt"}),
        encode({1: -7, 4: P256.public.thumbprint, 16: "application/cwt"}),
        encode({1: -7, 2: [16], 4: P256.public.thumbprint, 16: "application/eat+cwt"}),
        encode({1: -7, 4: P384.public.thumbprint, 16: "application/eat+cwt"}),
    ],
)
def test_t_jwtalg_the_protected_header_is_the_key_s_own(token: bytes, header: bytes) -> None:
    _, _, payload, _ = cbor2.loads(token).value
    signature = P256.private.sign(sig_structure(header, payload), ec.ECDSA(hashes.SHA256()))
    raw = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(signature))
    assert codes(sign1(header, {}, payload, raw)) == {"ear.header"}


def test_a_changed_byte_of_the_payload_does_not_verify(token: bytes) -> None:
    protected, _, payload, signature = cbor2.loads(token).value
    for position in range(0, len(payload), 7):
        changed = payload[:position] + bytes([payload[position] ^ 1]) + payload[position + 1 :]
        assert codes(sign1(protected, {}, changed, signature)) == {"ear.signature"}


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 96])
def test_a_signature_has_its_length(token: bytes, length: int) -> None:
    protected, _, payload, signature = cbor2.loads(token).value
    assert codes(sign1(protected, {}, payload, (signature * 2)[:length])) == {"ear.malformed"}


@pytest.mark.parametrize(
    "shape",
    [
        lambda items: items,
        lambda items: cbor2.CBORTag(98, items),
        lambda items: cbor2.CBORTag(18, items[:3]),
        lambda items: cbor2.CBORTag(18, [*items, b""]),
        lambda items: cbor2.CBORTag(18, [items[0], {}, None, items[3]]),
        lambda items: cbor2.CBORTag(61, cbor2.CBORTag(18, items)),
        lambda items: cbor2.CBORTag(18, {"a": 1}),
    ],
)
def test_the_envelope_has_one_shape(token: bytes, shape: Any) -> None:
    assert codes(encode(shape(cbor2.loads(token).value))) == {"ear.malformed"}


def test_another_key_is_not_ours(token: bytes) -> None:
    assert codes(token, P384) == {"ear.header"}
    assert read(token, P384, P256).status == "warning"


# -- labels and names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        [],
        {7: "text"},
        {10: "text"},
        {1000: "affirming"},
        {1000: True},
        {1000: 3},
        {1004: {2: "x"}},
        {266: []},
        {266: {"cpu0": {1001: {8: 2}}}},
        {266: {"cpu0": {1001: {"hardware": 2}}}},
    ],
)
def test_claims_of_another_build(claims: object) -> None:
    with pytest.raises(ValueError):
        from_labels(claims, SPELLINGS["ietf"])


def test_labels_nobody_knows_are_left_out() -> None:
    assert from_labels({1: "x", 99: 1, "iss": "y", -80000: {}}, SPELLINGS["ietf"]) == {"iss": "x"}
    assert from_labels({True: "x"}, SPELLINGS["ietf"]) == {}


def test_names_and_labels_go_both_ways() -> None:
    claims = {
        "iss": "x",
        "jti": base64.urlsafe_b64encode(b"12345678").rstrip(b"=").decode(),
        "ear_status": "none",
    }
    assert from_labels(to_labels(claims, SPELLINGS["ietf"]), SPELLINGS["ietf"]) == claims
