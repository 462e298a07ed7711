"""Names and signed bytes cut out of the DER are those that `cryptography` finds in it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest.anchors import Anchors
from attest.errors import Malformed
from attest.x509 import Certificate, Crl
from attest.x509_parts import certificate_names, list_issuer, public_key_info, signed_part
from tests.ca import BORN, DIES
from tests.conftest import Sample
from tests.counts import tenth


@pytest.fixture(params=["genoa", "td", "h100"])
def sample(request: pytest.FixtureRequest) -> Sample:
    found: Sample = request.getfixturevalue(request.param)
    return found


def all_of(sample: Sample) -> Iterator[Certificate]:
    anchors = Anchors.production()
    yield from (anchor.certificate for anchor in anchors.roots)
    yield from anchors.intermediates
    yield from sample.endorsements.certificates
    for document in sample.endorsements.documents:
        yield from document.chain
    for rim in sample.endorsements.rims:
        assert not isinstance(rim, bytes)
        yield from rim.chain


def only(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    parts = name.get_attributes_for_oid(oid)
    return str(parts[0].value) if len(parts) == 1 else ""


def test_parts_of_real_certificates(sample: Sample) -> None:
    for one in all_of(sample):
        parsed = one.parsed
        assert certificate_names(one.der) == (parsed.issuer.public_bytes(), parsed.subject.public_bytes())
        assert signed_part(one.der) == parsed.tbs_certificate_bytes
        key = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert public_key_info(one.der) == key
        assert one.common_name == only(parsed.subject, NameOID.COMMON_NAME)
        assert one.issuer_common_name == only(parsed.issuer, NameOID.COMMON_NAME)
        organisations = parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert list(one.organisations) == [str(part.value) for part in organisations]


def test_issuers_of_real_lists(sample: Sample) -> None:
    for crl in sample.endorsements.crls:
        assert list_issuer(crl.der) == crl.parsed.issuer.public_bytes()


def test_issued_by_says_what_cryptography_says(sample: Sample) -> None:
    every = list(dict.fromkeys(all_of(sample)))
    links = 0
    for subject in every:
        for issuer in every:
            try:
                subject.parsed.verify_directly_issued_by(issuer.parsed)
                says = True
            except (InvalidSignature, ValueError, TypeError):
                says = False
            assert subject.issued_by(issuer) is says
            links += says
    assert links >= 10


@settings(
    max_examples=tenth(3000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_changed_certificates_are_cut_like_they_are_parsed(genoa: Sample, data: st.DataObject) -> None:
    der = bytearray(data.draw(st.sampled_from([one.der for one in all_of(genoa)])))
    for _ in range(data.draw(st.integers(1, 3))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = Certificate(bytes(der))
        with contextlib.suppress(ValueError, TypeError):  # what cryptography cannot read
            assert one.common_name == only(one.parsed.subject, NameOID.COMMON_NAME)
        agreed = signed_part(one.der)
        assert agreed is None or agreed == one.parsed.tbs_certificate_bytes


def signed(
    name: x509.Name, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, **how: object
) -> Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BORN)
        .not_valid_after(DIES)
    )
    made = builder.sign(key, hashes.SHA384(), **how)  # type: ignore[arg-type]
    return Certificate(made.public_bytes(Encoding.DER))


@pytest.mark.parametrize("kind", [_ASN1Type.UTF8String, _ASN1Type.PrintableString, _ASN1Type.BMPString])
@pytest.mark.parametrize("text", ["SEV-VCEK", "a b"])
def test_every_string_type_is_read(kind: _ASN1Type, text: str) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, kind)])
    assert signed(name, ec.generate_private_key(ec.SECP256R1())).common_name == text


@pytest.mark.parametrize(
    "names", [[], ["SEV-VCEK", "SEV-VCEK"], ["SEV-VCEK", "SEV-VLEK"]], ids=["none", "doubled", "two"]
)
@pytest.mark.parametrize("together", [True, False])
def test_a_common_name_is_the_only_one(names: list[str], together: bool) -> None:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, one) for one in names]
    rdns = [x509.RelativeDistinguishedName(dict.fromkeys(parts))] if together and parts else []
    name = x509.Name(rdns if together else parts)
    found = signed(name, ec.generate_private_key(ec.SECP256R1())).common_name
    assert found == ("SEV-VCEK" if together and len(set(names)) == 1 else "")


def test_an_organisation_is_found_beside_another() -> None:
    organisations = ["Somebody", "NVIDIA Corporation"]
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organisations])
    assert signed(name, ec.generate_private_key(ec.SECP256R1())).organisations == tuple(organisations)


@pytest.mark.parametrize("how", ["pss", "pkcs1"])
def test_rsa_signatures_of_both_paddings(how: str) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    one, other = (signed(name, key, **({"rsa_padding": pss} if how == "pss" else {})) for key in keys)
    assert one.issued_by(one)
    assert not one.issued_by(other)


def test_the_algorithm_inside_is_the_one_outside() -> None:
    """RFC 5280 §4.1.1.2: the outer one is not signed."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    one = signed(name, ec.generate_private_key(ec.SECP256R1()))
    sha384, sha512 = bytes.fromhex("06082a8648ce3d040303"), bytes.fromhex("06082a8648ce3d040304")
    assert one.der.count(sha384) == 2
    assert one.issued_by(one)
    inner = one.der.replace(sha384, sha512, 1)
    head, _, tail = one.der.rpartition(sha384)
    for changed in (Certificate(inner), Certificate(head + sha512 + tail)):
        assert signed_part(changed.der) is None
        assert not changed.issued_by(one)


def test_a_key_of_another_kind_issues_nothing() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    elliptic = signed(name, ec.generate_private_key(ec.SECP256R1()))
    other = signed(name, rsa.generate_private_key(65537, 2048))
    assert not elliptic.issued_by(other)
    assert not other.issued_by(elliptic)


def test_an_edwards_key_issues_nothing() -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    key = ed25519.Ed25519PrivateKey.generate()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, BORN, DIES)
        .sign(key, None)
        .public_bytes(Encoding.DER)
    )
    assert not Certificate(made).issued_by(Certificate(made))


def test_a_list_that_parsed_names_its_issuer(genoa: Sample) -> None:
    (crl,) = genoa.endorsements.crls
    assert Crl(crl.der).issuer_text.startswith("CN=ARK-Genoa")
