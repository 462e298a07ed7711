"""Signed CoRIMs: under whom the reader names, with an algorithm of that key, in their dates; or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import cose
from attest.errors import Malformed, Rejected
from attest.policy.interchange.corim import Signer, read_corim, read_signers
from tests.ca import BORN, DIES, Authority
from tests.ca import name as named
from tests.interchange.corim_maker import (
    AT,
    MEASURED,
    PrivateKey,
    corim,
    environment,
    measured,
    pem,
    seconds,
    signed,
    triple,
)

PAYLOAD = corim(triple(environment(), measured(641, digest=MEASURED)))
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
KEYS: dict[str, PrivateKey] = {
    "ES256": P256,
    "ES384": P384,
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "PS256": rsa.generate_private_key(65537, 2048),
}
CA = Authority("CoRIM Root")
LEAF = Authority("CoRIM Signer", CA, ca=False, usage=None)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
"""Within the certificates' time."""


def trusted(*keys: PrivateKey) -> tuple[Signer, ...]:
    return tuple(signer for key in keys for signer in read_signers(pem(key)))


def certified(*ones: Authority) -> tuple[Signer, ...]:
    return tuple(
        signer for one in ones for signer in read_signers(one.certificate.parsed.public_bytes(Encoding.PEM))
    )


def chained(*ones: Authority, place: str = "header", **more: Any) -> bytes:
    """Signed by the first, which brings itself and the others."""
    chain = [one.certificate.der for one in ones]
    found = chain[0] if len(chain) == 1 else chain
    more[place] = {33: found}
    return signed(PAYLOAD, ones[0].key, **more)


def codes(data: bytes, signers: tuple[Signer, ...], at: datetime = AT) -> set[str]:
    with pytest.raises((Malformed, Rejected)) as refused:
        read_corim(data, at=at, signers=signers)
    return refused.value.codes


def measurements(data: bytes, signers: tuple[Signer, ...], at: datetime = AT) -> list[str]:
    (found,) = read_corim(data, at=at, signers=signers).references
    return [value for value, _ in found.values]


# -- keys


@pytest.mark.parametrize("name", KEYS)
def test_each_kind_of_key(name: str) -> None:
    key = KEYS[name]
    data = signed(PAYLOAD, key)
    assert measurements(data, trusted(key)) == [MEASURED.hex()]
    others = tuple(other for other in KEYS.values() if other is not key)
    assert codes(data, trusted(*others)) == {"corim.algorithm"}
    assert measurements(data, trusted(*others, key)) == [MEASURED.hex()]


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        (lambda made: made, PAYLOAD),
        (lambda made: CBORTag(502, made), PAYLOAD),
        (lambda made: CBORTag(500, CBORTag(502, made)), PAYLOAD),
        (lambda made: CBORTag(500, made), cbor2.dumps(cbor2.loads(PAYLOAD).value)),
    ],
)
def test_each_form_of_a_signed_corim(form: Any, payload: bytes) -> None:
    data = cbor2.dumps(form(cbor2.loads(signed(payload, P256))))
    assert measurements(data, trusted(P256)) == [MEASURED.hex()]


def test_another_key_of_the_kind_did_not_sign_it() -> None:
    assert codes(signed(PAYLOAD, P256), trusted(ec.generate_private_key(ec.SECP256R1()))) == {
        "corim.signature"
    }


def test_every_changed_byte_is_refused() -> None:
    data = signed(PAYLOAD, P256)
    trust = trusted(P256)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        assert codes(changed, trust) <= {
            "corim.malformed",
            "corim.algorithm",
            "corim.signature",
            "corim.payload",
        }, at


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(P256, -35), (P256, -37), (P256, 5), (P256, -8), (P384, -7), (KEYS["EdDSA"], -7), (KEYS["PS256"], -7), (KEYS["PS256"], -257)],
)  # fmt: skip
def test_t_jwtalg_the_key_decides_the_algorithm(key: PrivateKey, algorithm: int) -> None:
    """The signature itself is good each time: it is over the header that says another algorithm."""
    assert codes(signed(PAYLOAD, key, algorithm=algorithm), trusted(key)) == {"corim.algorithm"}


def test_of_rsa_the_header_picks_the_hash_and_it_must_be_the_one_that_was_used() -> None:
    key = KEYS["PS256"]
    assert codes(signed(PAYLOAD, key, algorithm=-38), trusted(key)) == {"corim.signature"}


def test_the_numbers_that_name_the_curve_are_read() -> None:
    assert measurements(signed(PAYLOAD, P256, algorithm=-9), trusted(P256))
    assert measurements(signed(PAYLOAD, P384, algorithm=-51), trusted(P384))
    assert measurements(signed(PAYLOAD, KEYS["EdDSA"], algorithm=-19), trusted(KEYS["EdDSA"]))


@pytest.mark.parametrize("size", [0, 63, 65, 128])
def test_a_signature_has_its_length(size: int) -> None:
    protected, outer, payload, signature = cbor2.loads(signed(PAYLOAD, P256)).value
    data = cbor2.dumps(CBORTag(18, [protected, outer, payload, (signature * 2)[:size]]))
    assert codes(data, trusted(P256)) == {"corim.signature"}


def test_a_number_is_not_written_longer() -> None:
    """A zero before s is the same number, and another signature of the same bytes."""
    protected, outer, payload, signature = cbor2.loads(signed(PAYLOAD, P256)).value
    data = cbor2.dumps(CBORTag(18, [protected, outer, payload, signature[:32] + b"\x00" + signature[32:]]))
    assert codes(data, trusted(P256)) == {"corim.signature"}


def test_a_key_holds_under_its_own_algorithms_alone() -> None:
    signature = KEYS["EdDSA"].sign(b"message")  # type: ignore[call-arg]
    key = KEYS["EdDSA"].public_key()
    assert cose.verify(key, -8, signature, b"message")
    assert not cose.verify(key, -7, signature, b"message")


def test_ed448_and_small_keys() -> None:
    assert cose.algorithms(ed448.Ed448PrivateKey.generate().public_key()) == (-8, -53)
    for weak in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP224R1())):
        with pytest.raises(ValueError, match="its key is not"):
            read_signers(pem(weak))


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"key", pem(P256)[:60]])
def test_what_is_no_signer(data: bytes) -> None:
    with pytest.raises(ValueError, match="public key or certificates"):
        read_signers(data)


def test_a_key_in_der() -> None:
    der = P256.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert measurements(signed(PAYLOAD, P256), read_signers(der))


# -- who must be named


def test_a_signed_corim_wants_a_signer() -> None:
    assert codes(signed(PAYLOAD, P256), ()) == {"corim.signer-missing"}


def test_an_unsigned_corim_is_not_what_a_signer_signed() -> None:
    assert codes(PAYLOAD, trusted(P256)) == {"corim.not-signed"}


def test_who_signed_is_told() -> None:
    draft = read_corim(signed(PAYLOAD, P256), at=AT, signers=trusted(P256))
    key = (
        __import__("hashlib")
        .sha256(P256.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        .hexdigest()
    )
    assert draft.references[0].origin == f"CoRIM corim 1, signed by Vendor, key {key[:16]}"
    assert any(key in note for note in draft.notes)
    assert not any("unsigned" in note for note in draft.notes)


# -- the header


@pytest.mark.parametrize(
    ("header", "meta", "code"),
    [
        ({3: None}, ..., "corim.malformed"),
        ({3: "application/cbor"}, ..., "corim.malformed"),
        ({2: [99]}, ..., "corim.malformed"),
        ({2: [[3]]}, ..., "corim.malformed"),
        ({2: [True]}, ..., "corim.malformed"),
        ({}, None, "corim.malformed"),
        ({8: b"\xa0"}, ..., "corim.malformed"),
        ({8: {0: {0: "Vendor"}}}, ..., "corim.malformed"),
        ({15: {1: "another"}}, ..., "corim.malformed"),
        ({15: {1: "Vendor", 4: 1_900_000_000}}, ..., "corim.malformed"),
        ({15: {2: "x"}}, None, "corim.malformed"),
        ({1: None}, ..., "corim.malformed"),
        ({1: "ES256"}, ..., "corim.malformed"),
        ({258: -16}, ..., "corim.payload"),
        ({33: b"\x30\x00"}, ..., "x509.malformed"),
        ({33: []}, ..., "corim.malformed"),
        ({33: [b"\x30"] * 9}, ..., "corim.malformed"),
    ],
)
def test_headers_that_are_refused(header: dict[Any, Any], meta: Any, code: str) -> None:
    assert codes(signed(PAYLOAD, P256, header=header, meta=meta), trusted(P256)) == {code}


@pytest.mark.parametrize(
    ("header", "meta"),
    [
        ({4: b"key"}, ...),
        ({2: [3, 8]}, ...),
        ({3: "application/corim-unsigned+cbor"}, ...),
        ({15: {1: "Vendor"}}, None),
        ({15: {1: "Vendor", 2: "sub", 99: "more"}}, ...),
    ],
)
def test_headers_that_are_read(header: dict[Any, Any], meta: Any) -> None:
    assert measurements(signed(PAYLOAD, P256, header=header, meta=meta), trusted(P256))


def test_the_unprotected_header_chooses_nothing() -> None:
    assert measurements(signed(PAYLOAD, P256, unprotected={1: -35, 4: b"x", 3: "text/plain"}), trusted(P256))


def test_a_payload_that_is_elsewhere_is_refused() -> None:
    assert codes(signed(None, P256), trusted(P256)) == {"corim.payload"}


@pytest.mark.parametrize(
    "items", [[], [b"", {}, b""], [b"", {}, b"", b"", b""], [{}, {}, b"", b""], [b"\xa0", [], b"", b""]]
)
def test_the_envelope_has_four_items(items: list[Any]) -> None:
    assert codes(cbor2.dumps(CBORTag(18, items)), trusted(P256)) == {"corim.malformed"}


def test_what_was_not_signed_is_not_parsed() -> None:
    """A damaged payload under a bad signature: the signature is what is wrong."""
    protected, outer, _, signature = cbor2.loads(signed(PAYLOAD, P256)).value
    data = cbor2.dumps(CBORTag(18, [protected, outer, b"\xff", signature]))
    assert codes(data, trusted(P256)) == {"corim.signature"}
    assert codes(signed(b"\xff", P256), trusted(P256)) == {"corim.malformed"}


# -- dates of the signature


META = {0: {0: "Vendor"}, 1: {0: seconds(2026, 3), 1: seconds(2026, 9)}}
CLAIMS = {1: "Vendor", 5: seconds(2026, 3).value, 4: seconds(2026, 9).value}
BEGINS, ENDS = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "data",
    [
        signed(PAYLOAD, P256, meta=META),
        signed(PAYLOAD, P256, meta=None, header={15: CLAIMS}),
        signed(PAYLOAD, P256, meta=META, header={15: CLAIMS}),
    ],
)
def test_a_signature_counts_within_its_dates(data: bytes) -> None:
    second = timedelta(seconds=1)
    for at in (BEGINS, ENDS):
        (found,) = read_corim(data, at=at, signers=trusted(P256)).references
        assert (found.begins, found.ends) == (BEGINS, ENDS)
    assert codes(data, trusted(P256), BEGINS - second) == {"corim.dates"}
    assert codes(data, trusted(P256), ENDS + second) == {"corim.dates"}


def test_values_count_while_both_corim_and_signature_do() -> None:
    inner = corim(
        triple(environment(), measured(641, digest=MEASURED)),
        validity={0: seconds(2026, 1), 1: seconds(2026, 7)},
    )
    (found,) = read_corim(signed(inner, P256, meta=META), at=NOW, signers=trusted(P256)).references
    assert (found.begins, found.ends) == (BEGINS, datetime(2026, 7, 1, tzinfo=UTC))


# -- certificates


@pytest.mark.parametrize("place", ["header", "unprotected"])
def test_a_certificate_under_an_issuer_that_was_named(place: str) -> None:
    assert measurements(chained(LEAF, place=place), certified(CA), NOW) == [MEASURED.hex()]
    assert measurements(chained(LEAF, CA, place=place), certified(CA), NOW) == [MEASURED.hex()]


def test_the_signers_own_certificate_needs_no_chain() -> None:
    assert measurements(signed(PAYLOAD, LEAF.key), certified(LEAF), NOW)


def test_an_intermediate_may_be_the_anchor_and_may_stand_between() -> None:
    middle = Authority("CoRIM Intermediate", CA)
    leaf = Authority("Deep Signer", middle, ca=False)
    assert measurements(chained(leaf, middle), certified(CA), NOW)
    assert measurements(chained(leaf, middle, CA), certified(middle), NOW)
    assert measurements(chained(leaf, middle, CA), certified(CA), NOW)
    assert codes(chained(leaf), certified(CA), NOW) == {"corim.signature", "x509.anchor"}


@pytest.mark.parametrize("key", ["ES256", "PS256"])
def test_chains_of_other_keys(key: str) -> None:
    root = KEYS[key]
    leaf = KEYS["ES384"]
    anchor, below = issued("Root", root, root, ca=True), issued("Leaf", leaf, root, ca=False)
    data = signed(PAYLOAD, leaf, unprotected={33: below})
    assert measurements(data, read_signers(anchor), NOW)


def test_a_chain_that_begins_with_the_anchors_own_key() -> None:
    anchor, same = issued("Root", P256, P256, ca=True), issued("Leaf", P256, P256, ca=False)
    for one in (anchor, same):
        assert measurements(signed(PAYLOAD, P256, unprotected={33: one}), read_signers(anchor), NOW)
        stranger = signed(PAYLOAD, ec.generate_private_key(ec.SECP256R1()), unprotected={33: [one, anchor]})
        assert codes(stranger, read_signers(anchor), NOW) == {"corim.signature"}


def test_chains_of_a_curve_that_paths_have_not() -> None:
    root = KEYS["ES512"]
    anchor, below = issued("Root", root, root, ca=True), issued("Leaf", P256, root, ca=False)
    data = signed(PAYLOAD, P256, unprotected={33: below})
    assert codes(data, read_signers(anchor), NOW) == {"corim.signature", "x509.key"}


def issued(name: str, key: PrivateKey, issuer: PrivateKey, *, ca: bool) -> bytes:
    """A certificate under `Root`, DER."""
    usage = x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named("Root"))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(BORN)
        .not_valid_after(DIES)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer, hashes.SHA384())
        .public_bytes(Encoding.DER)
    )


def test_a_chain_to_another_root_counts_for_nothing() -> None:
    other = Authority("CoRIM Root")
    assert codes(chained(LEAF, CA), certified(other), NOW) == {"corim.signature", "x509.signature"}
    assert codes(chained(LEAF, CA), trusted(P384), NOW) == {"corim.signature"}


def test_a_leaf_that_may_not_sign() -> None:
    issuer = Authority("An issuer", CA)
    assert codes(chained(issuer), certified(CA), NOW) == {
        "corim.signature",
        "x509.leaf-is-ca",
        "x509.key-usage",
    }


@pytest.mark.parametrize(
    ("at", "code"),
    [(BORN - timedelta(seconds=1), "x509.not-yet-valid"), (DIES + timedelta(seconds=1), "x509.expired")],
)
def test_certificates_count_in_their_time(at: datetime, code: str) -> None:
    for good in (BORN, DIES):
        assert measurements(chained(LEAF), certified(CA), good)
        assert measurements(signed(PAYLOAD, LEAF.key), certified(LEAF), good)
    assert codes(chained(LEAF), certified(CA), at) == {"corim.signature", code}
    assert codes(signed(PAYLOAD, LEAF.key), certified(LEAF), at) == {"corim.dates"}


def test_a_certificate_that_comes_along_is_not_the_signer_by_itself() -> None:
    """Whose key it was signed with stands in the file; that alone proves nothing."""
    stranger = Authority("CoRIM Root")
    leaf = Authority("CoRIM Signer", stranger, ca=False)
    assert codes(chained(leaf, stranger), certified(CA), NOW) == {"corim.signature", "x509.signature"}


def test_a_bundle_of_certificates_names_each() -> None:
    data = b"".join(one.certificate.parsed.public_bytes(Encoding.PEM) for one in (Authority("Other"), CA))
    assert len(read_signers(data)) == 2
    assert measurements(chained(LEAF), read_signers(data), NOW)
