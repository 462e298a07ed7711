"""Certificates and lists: any bytes give a value or Malformed, also in what is read later."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.x509 import Certificate, Crl
from tests.ca import Authority
from tests.conftest import Sample
from tests.counts import tenth

CERTIFICATE = (
    "extensions",
    "critical",
    "common_name",
    "issuer_common_name",
    "issuer_text",
    "organisations",
    "public_key",
    "spki_sha256",
    "hash_name",
)


def use(kind: type[Certificate] | type[Crl], der: bytes) -> None:
    read = kind(der)
    if isinstance(read, Crl):
        read.revokes(5)
        assert read.issuer_text
        assert read.unknown_critical in (True, False)
        return
    for name in CERTIFICATE:
        getattr(read, name)
    read.issued_by(read)


@given(
    st.binary(max_size=400)
    | st.binary(max_size=200).map(lambda tail: b"\x30\x81" + bytes([len(tail)]) + tail)
)
def test_any_bytes_give_a_value_or_malformed(data: bytes) -> None:
    for kind in (Certificate, Crl):
        with contextlib.suppress(Malformed):
            use(kind, data)


@pytest.mark.parametrize("name", ["genoa", "td", "h100"])
@settings(
    max_examples=tenth(2000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_changed_real_ones_give_a_value_or_malformed(
    name: str, request: pytest.FixtureRequest, data: st.DataObject
) -> None:
    sample: Sample = request.getfixturevalue(name)
    ders: list[tuple[type[Certificate] | type[Crl], bytes]] = [
        (Certificate, one.der) for one in sample.endorsements.certificates
    ]
    ders += [(Crl, one.der) for one in sample.endorsements.crls]
    kind, der = data.draw(st.sampled_from(ders))
    changed = bytearray(der)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Malformed):
        use(kind, bytes(changed))


@pytest.mark.parametrize("kind", [Certificate, Crl])
def test_a_signature_is_whole_bytes(kind: type[Certificate] | type[Crl]) -> None:
    """`cryptography` reads an encoding that leaves out the last bit where it is zero, and the signature holds."""
    while True:
        issuer = Authority("Issuer")
        read = issuer.certificate if kind is Certificate else issuer.crl()
        if read.der[-1] & 1 == 0:
            break
    unused = len(read.der) - len(read.parsed.signature) - 1
    assert read.der[unused] == 0
    with pytest.raises(Malformed) as refusal:
        kind(read.der[:unused] + b"\x01" + read.der[unused + 1 :])
    assert refusal.value.codes == {"x509.malformed"}
    assert "unused bits" in str(refusal.value)
