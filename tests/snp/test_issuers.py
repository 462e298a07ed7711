"""The ASK of a leaf: sought by the leaf's issuer name among what was given and what is shipped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding

from attest.anchors import Anchors
from attest.errors import Rejected
from attest.simulator import Simulator
from attest.verifier import verify
from attest.x509 import Certificate
from tests.conftest import Sample


def namesake(certificate: Certificate) -> Certificate:
    """Another certificate of the same name, under a key of ours."""
    key, name = ec.generate_private_key(ec.SECP384R1()), certificate.parsed.subject
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2045, 1, 1, tzinfo=UTC))
        .sign(key, SHA384())
    )
    return Certificate(built.public_bytes(Encoding.DER))


def test_of_two_issuers_of_the_name_the_one_that_signed_the_leaf_is_taken(genoa: Sample) -> None:
    ask = next(one for one in Anchors.production().intermediates if one.common_name == "SEV-Genoa")
    other = namesake(ask)
    assert other.subject_der == ask.subject_der
    given = replace(genoa.endorsements, certificates=(*genoa.endorsements.certificates, other))
    verify(genoa.evidence, endorsements=given, at=genoa.at)


def test_a_leaf_whose_issuer_nobody_has_is_told_so(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.snp()
    vcek = next(one for one in made.endorsements.certificates if one.common_name == "SEV-VCEK")
    with pytest.raises(Rejected) as refusal:
        verify(
            made.evidence,
            endorsements=replace(made.endorsements, certificates=(vcek,)),
            at=made.at,
            anchors=replace(anchors, intermediates=()),
        )
    assert "x509.missing" in refusal.value.codes
