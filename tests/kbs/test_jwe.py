"""The answer's bytes: laid out as guests write them again, and opened by others' code."""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto import jwe as jwcrypto_jwe
from jwcrypto import jwk as jwcrypto_jwk

from attest.binding import runtime_data
from attest.canonical import canonical
from kbs.protocol import jwe
from kbs.protocol.tee_key import TeeKey
from tests.kbs.twin import CURVES, TwinKey, b64, concat_kdf, jcs, unb64

SECRET = bytes(range(48))


@pytest.mark.parametrize("curve", ["P-256", "P-521"])
def test_elliptic_answer_opens_under_the_strict_twin(curve: str) -> None:
    key = TwinKey.elliptic(curve)
    assert key.open(jwe.encrypt(SECRET, TeeKey.from_jwk(key.jwk))) == SECRET


def test_rsa_answer_opens_under_the_strict_twin() -> None:
    key = TwinKey.rsa()
    assert key.open(jwe.encrypt(SECRET, TeeKey.from_jwk(key.jwk))) == SECRET


@pytest.mark.parametrize("curve", ["P-256", "P-521"])
def test_jwcrypto_opens_the_answer(curve: str) -> None:
    key = TwinKey.elliptic(curve)
    assert isinstance(key.private, ec.EllipticCurvePrivateKey)
    size = CURVES[curve][1]
    d = key.private.private_numbers().private_value.to_bytes(size, "big")
    foreign = jwcrypto_jwk.JWK(kty="EC", crv=curve, x=key.jwk["x"], y=key.jwk["y"], d=b64(d))
    message = jwcrypto_jwe.JWE()
    message.deserialize(jwe.encrypt(SECRET, TeeKey.from_jwk(key.jwk)).decode(), key=foreign)
    assert message.payload == SECRET


def test_header_has_the_one_order_that_guests_write_again() -> None:
    key = TwinKey.elliptic()
    message = json.loads(jwe.encrypt(SECRET, TeeKey.from_jwk(key.jwk)))
    header = unb64(message["protected"]).decode()
    assert header.startswith('{"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":{"crv":"P-256","kty":"EC","x":"')
    rsa = json.loads(jwe.encrypt(SECRET, TeeKey.from_jwk(TwinKey.rsa().jwk)))
    assert unb64(rsa["protected"]) == b'{"alg":"RSA-OAEP-256","enc":"A256GCM"}'


def test_known_ephemeral_key_content_key_and_iv_give_known_bytes() -> None:
    """Private scalars 7 (guest) and 11 (ephemeral). The recorded bytes are opened by jwcrypto too."""
    recipient = ec.derive_private_key(7, ec.SECP256R1())
    ephemeral = ec.derive_private_key(11, ec.SECP256R1())
    header, wrapped = jwe.wrap_ec(bytes(range(32)), recipient.public_key(), ephemeral)
    answer = jwe.seal(b"secret", bytes(range(32)), bytes(range(12)), header, wrapped)
    assert answer == FIXED
    point = recipient.public_key().public_numbers()
    x, y, d = (b64(number.to_bytes(32, "big")) for number in (point.x, point.y, 7))
    message = jwcrypto_jwe.JWE()
    message.deserialize(FIXED.decode(), key=jwcrypto_jwk.JWK(kty="EC", crv="P-256", x=x, y=y, d=d))
    assert message.payload == b"secret"


def test_leading_zeros_of_a_coordinate_stay() -> None:
    scalar = next(
        n
        for n in range(1, 5000)
        if ec.derive_private_key(n, ec.SECP256R1()).public_key().public_numbers().x >> 248 == 0
    )
    recipient = ec.generate_private_key(ec.SECP256R1())
    header, _ = jwe.wrap_ec(bytes(32), recipient.public_key(), ec.derive_private_key(scalar, ec.SECP256R1()))
    assert len(unb64(json.loads(header)["epk"]["x"])) == 32


def test_every_answer_has_its_own_content_key_iv_and_ephemeral_key() -> None:
    key = TeeKey.from_jwk(TwinKey.elliptic().jwk)
    answers = [json.loads(jwe.encrypt(SECRET, key)) for _ in range(8)]
    for member in ("protected", "encrypted_key", "iv", "ciphertext", "tag"):
        assert len({answer[member] for answer in answers}) == 8


def test_twins_concat_kdf_meets_rfc_7518_appendix_c() -> None:
    shared = bytes.fromhex("9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4")
    expected = bytes.fromhex("56aa8deaf8236d205c2228cd71a7101a")
    assert concat_kdf(shared, "A128GCM", 128, b"Alice", b"Bob") == expected


def test_both_concat_kdfs_agree() -> None:
    assert jwe.concat_kdf(bytes(range(66))) == concat_kdf(bytes(range(66)), "ECDH-ES+A256KW", 256)


def test_runtime_data_digest_is_that_of_the_reference_server() -> None:
    """Test vector of Trustee's attestation service, Apache-2.0."""
    assert hashlib.sha384(canonical({"b": 1, "a": "test", "c": {"d": "e"}})).hexdigest() == (
        "e71ce8e70d814ba6639c3612ebee0ff1f76f650f8dbb5e47157e0f3f525cd22c4597480a186427c813ca941da78870c3"
    )
    key = TwinKey.elliptic().jwk
    message = {"additional-evidence": "ü\n", "nonce": "n", "tee-pubkey": key}
    assert runtime_data("n", key, "ü\n") == hashlib.sha384(jcs(message)).digest()


FIXED = (
    b'{"protected":"eyJhbGciOiJFQ0RILUVTK0EyNTZLVyIsImVuYyI6IkEyNTZHQ00iLCJlcGsiOnsiY3J2IjoiUC0yNTYiLC'
    b"JrdHkiOiJFQyIsIngiOiJQdEVUdDRnN1RGa0dPRGVkc01JYzJoWjBMdEFsVUVpX1F6T1IwM1M4SWRFIiwieSI6ImtKa2dtc3"
    b'pFeUtJa3lFT3ZwUFRHaWdrTkJOcGVtSW5hNHZqdV9PZ3FOMEEifX0","encrypted_key":"QWQHxnOkhLQSWABsSlpoXG1k'
    b'g5lCQpI5j7MRXJwDu-pfFd66hFDEIQ","iv":"AAECAwQFBgcICQoL","ciphertext":"NGe1aaCR","tag":"DAav8nIPf'
    b'GiM-DiBioEA2Q"}'
)
