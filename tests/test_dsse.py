"""Envelopes of ours: who signed, what kind of document, and nothing beside it (T-SIGTYPE)."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from attest.dsse import (
    KINDS,
    Envelope,
    Kind,
    PrivateKey,
    TrustedKey,
    TrustedKeys,
    key_id,
    media_type,
    open_envelope,
    pae,
    read_private_key,
    seal_envelope,
)
from attest.errors import Malformed, Rejected
from attest.recognise import Found, recognise

BODY = b'{"a":"b"}'
KEYS: dict[str, PrivateKey] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
}
ED = KEYS["ed25519"]


def public(key: Any) -> bytes:
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


def private(key: Any, encryption: Any = None) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return pem


def trust(*keys: PrivateKey, kind: Kind = "endorsements") -> TrustedKeys:
    return TrustedKeys([TrustedKey.read(kind, public(key)) for key in keys])


def open_(data: bytes, keys: TrustedKeys, kind: Kind = "endorsements") -> tuple[bytes, tuple[str, ...]]:
    opened = open_envelope(Envelope.parse(data), kind, keys)
    return opened.payload, opened.signers


def refused(data: bytes, keys: TrustedKeys, kind: Kind = "endorsements") -> set[str]:
    with pytest.raises(Rejected) as refusal:
        open_(data, keys, kind)
    return refusal.value.codes


def edited(data: bytes, **members: Any) -> bytes:
    return json.dumps({**json.loads(data), **members}).encode()


def test_the_pre_authentication_encoding_of_the_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@pytest.mark.parametrize("name", KEYS)
def test_what_a_trusted_key_signed_opens(name: str) -> None:
    key = KEYS[name]
    sealed = seal_envelope("endorsements", BODY, key)
    assert open_(sealed, trust(key)) == (BODY, (key_id(key.public_key()),))


def test_the_signature_is_one_that_any_dsse_library_checks() -> None:
    document = json.loads(seal_envelope("rims", BODY, KEYS["p384"]))
    message = b"DSSEv1 %d %b %d %b" % (
        len(document["payloadType"]),
        document["payloadType"].encode(),
        len(BODY),
        BODY,
    )
    key = KEYS["p384"].public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = base64.b64decode(document["signatures"][0]["sig"])
    key.verify(signature, message, ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "endorsements"])
def test_t_sigtype_a_signature_over_another_kind_of_document_opens_nothing(kind: Kind) -> None:
    sealed = seal_envelope(kind, BODY, ED)
    assert refused(sealed, trust(ED)) == {"dsse.kind"}
    relabelled = edited(sealed, payloadType=media_type("endorsements"))
    assert refused(relabelled, trust(ED)) == {"dsse.signature"}


def test_t_sigtype_a_key_for_another_kind_counts_for_nothing() -> None:
    sealed = seal_envelope("endorsements", BODY, ED)
    assert refused(sealed, trust(ED, kind="policy")) == {"dsse.kind"}
    nameless = edited(sealed, signatures=[{"sig": json.loads(sealed)["signatures"][0]["sig"]}])
    assert refused(nameless, trust(ED, kind="policy")) == {"dsse.key"}


def test_one_key_is_not_registered_for_two_kinds() -> None:
    with pytest.raises(ValueError, match=r"registered for endorsements and for rims"):
        TrustedKeys([TrustedKey.read("endorsements", public(ED)), TrustedKey.read("rims", public(ED))])


def test_a_key_nobody_trusts_opens_nothing() -> None:
    other = ed25519.Ed25519PrivateKey.generate()
    assert refused(seal_envelope("endorsements", BODY, other), trust(ED)) == {"dsse.key"}
    assert refused(seal_envelope("endorsements", BODY, ED), TrustedKeys()) == {"dsse.key"}


@pytest.mark.parametrize("name", KEYS)
def test_every_flipped_bit_of_payload_and_signature_is_refused(name: str) -> None:
    key = KEYS[name]
    document = json.loads(seal_envelope("endorsements", BODY, key))
    for member, holder in (("payload", document), ("sig", document["signatures"][0])):
        good = base64.b64decode(holder[member])
        for bit in range(8 * len(good)):
            bad = bytearray(good)
            bad[bit // 8] ^= 1 << bit % 8
            holder[member] = base64.b64encode(bad).decode()
            assert refused(json.dumps(document).encode(), trust(key)) == {"dsse.signature"}
        holder[member] = base64.b64encode(good).decode()


def test_one_good_signature_of_several_is_enough_and_the_others_are_not_named() -> None:
    stranger = ed25519.Ed25519PrivateKey.generate()
    sealed = seal_envelope("endorsements", BODY, stranger, ED, KEYS["p256"])
    assert open_(sealed, trust(ED)) == (BODY, (key_id(ED.public_key()),))
    assert len(open_(sealed, trust(ED, KEYS["p256"]))[1]) == 2


def test_a_trusted_name_over_a_bad_signature_refuses_beside_a_good_one() -> None:
    document = json.loads(seal_envelope("endorsements", BODY, ED, KEYS["p256"]))
    document["signatures"][1]["sig"] = base64.b64encode(bytes(64)).decode()
    assert refused(json.dumps(document).encode(), trust(ED, KEYS["p256"])) == {"dsse.signature"}


def test_the_same_signature_twice_is_one_signer() -> None:
    document = json.loads(seal_envelope("endorsements", BODY, ED))
    document["signatures"] *= 2
    assert len(open_(json.dumps(document).encode(), trust(ED))[1]) == 1


def test_without_a_key_id_each_trusted_key_is_tried() -> None:
    document = json.loads(seal_envelope("endorsements", BODY, ED))
    for signature in ({"sig": document["signatures"][0]["sig"]}, {**document["signatures"][0], "keyid": ""}):
        assert open_(edited(json.dumps(document).encode(), signatures=[signature]), trust(KEYS["p256"], ED))


SEALED = seal_envelope("endorsements", BODY, ED)
SIGNATURE = json.loads(SEALED)["signatures"][0]


@pytest.mark.parametrize(
    "members",
    [
        {"more": 1},
        {"signatures": []},
        {"signatures": [SIGNATURE] * 9},
        {"signatures": {}},
        {"signatures": ["x"]},
        {"signatures": [{"keyid": SIGNATURE["keyid"]}]},
        {"signatures": [{**SIGNATURE, "cert": ""}]},
        {"signatures": [{**SIGNATURE, "keyid": SIGNATURE["keyid"].upper()}]},
        {"signatures": [{**SIGNATURE, "keyid": 7}]},
        {"signatures": [{**SIGNATURE, "sig": ""}]},
        {"signatures": [{**SIGNATURE, "sig": SIGNATURE["sig"].replace("=", "")}]},
        {"signatures": [{**SIGNATURE, "sig": SIGNATURE["sig"] + "\n"}]},
        {"signatures": [{**SIGNATURE, "sig": base64.b64encode(bytes(129)).decode()}]},
        {"payload": None},
        {"payload": "eyJhIjoiYiJ9 "},
        {"payload": base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode()},
        {"payload": "YR=="},
        {"payloadType": 7},
        {"payloadType": "x" * 129},
    ],
)
def test_an_envelope_has_one_form(members: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refusal:
        Envelope.parse(edited(SEALED, **members))
    assert refusal.value.codes == {"dsse.malformed"}


def test_a_member_given_twice_is_refused() -> None:
    twice = SEALED.replace(b'"payload":', b'"payload": "", "payload":')
    with pytest.raises(Malformed, match="repeats a key"):
        Envelope.parse(twice)


@given(st.binary(max_size=200))
def test_any_bytes_give_an_envelope_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        Envelope.parse(data)


@pytest.mark.parametrize(
    "key", [rsa.generate_private_key(public_exponent=65537, key_size=2048), ec.generate_private_key(ec.SECP521R1())]
)  # fmt: skip
def test_other_kinds_of_key_are_no_keys_here(key: Any) -> None:
    with pytest.raises(ValueError, match="Ed25519, or ECDSA"):
        TrustedKey.read("endorsements", public(key))
    with pytest.raises(ValueError, match="Ed25519, or ECDSA"):
        read_private_key(private(key))


def test_a_file_that_is_no_key_is_said_to_be_none() -> None:
    with pytest.raises(ValueError, match="not a public key"):
        TrustedKey.read("endorsements", private(ED))
    with pytest.raises(ValueError, match="not a private key"):
        read_private_key(public(ED))
    with pytest.raises(ValueError, match="encrypted"):
        read_private_key(private(ED, BestAvailableEncryption(b"word")))


def test_a_signed_file_of_another_kind_is_no_endorsement(tmp_path: Path) -> None:
    with pytest.raises(Malformed) as refusal:
        recognise("rims.json", seal_envelope("rims", BODY, ED), Found())
    assert refusal.value.codes == {"dsse.kind"}
