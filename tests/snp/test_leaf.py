"""What a leaf's extensions say, read from certificates that say it otherwise than AMD does (AMD 57230)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from attest import Malformed
from attest.snp.leaf import LeafFacts, read_leaf
from attest.snp.tcb import LAYOUTS, SPL_OIDS
from attest.x509 import Certificate

KEY = ec.generate_private_key(ec.SECP384R1())
SPLS = [(name, SPL_OIDS[name]) for name in LAYOUTS["genoa"]]
NAMED = {"1": "structVersion", "2": "productName", **{tail: f"{name}SPL" for name, tail in SPLS}}
"""Tail of the object identifier → AMD's name for it, of those that no leaf is without."""


def integer(number: int) -> bytes:
    """A DER INTEGER of 0 to 32767."""
    content = number.to_bytes(1 if number < 0x80 else 2, "big")
    return bytes([2, len(content)]) + content


def ia5(text: str) -> bytes:
    return bytes([0x16, len(text)]) + text.encode()


WHOLE: Mapping[str, bytes] = {
    "1": integer(0),
    "2": ia5("Genoa-B1"),
    "4": bytes(range(64)),
    **{tail: integer(place) for place, (_, tail) in enumerate(SPLS)},
}


def certificate(extensions: Mapping[str, bytes]) -> Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SEV-VCEK")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2033, 1, 1, tzinfo=UTC))
    )
    for tail, value in extensions.items():
        oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.3704.1.{tail}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return Certificate(builder.sign(KEY, hashes.SHA384()).public_bytes(Encoding.DER))


def read(changed: Mapping[str, bytes | None]) -> LeafFacts:
    whole = {tail: value for tail, value in {**WHOLE, **changed}.items() if value is not None}
    return read_leaf(certificate(whole), "vcek", "genoa")


def refused(changed: Mapping[str, bytes | None]) -> tuple[str | None, str | None]:
    """Where, and what was found."""
    with pytest.raises(Malformed) as refusal:
        read(changed)
    (problem,) = refusal.value.problems
    assert problem.code == "snp.leaf.extension"
    return problem.where, problem.found


def test_each_fact_comes_from_its_own_extension() -> None:
    facts = read({"1": integer(1), "5": ia5("Example"), "4": None})
    assert (facts.kind, facts.struct_version, facts.product_name.shown) == ("vcek", 1, "genoa")
    assert facts.tcb.components == {name: place for place, (name, _) in enumerate(SPLS)}
    assert facts.hwid is None
    assert facts.csp_id == "Example"
    assert read({}).hwid == bytes(range(64))
    assert read({"4": bytes([4, 64]) + bytes(64)}).hwid == bytes(64)


@pytest.mark.parametrize("tail", NAMED, ids=NAMED.get)
def test_an_extension_that_is_missing_is_named(tail: str) -> None:
    assert refused({tail: None}) == (f"leaf.{NAMED[tail]}", "none")


@pytest.mark.parametrize("number", range(256))
def test_every_level_is_read(number: int) -> None:
    name, tail = SPLS[0]
    assert read({tail: integer(number)}).tcb.components[name] == number


@pytest.mark.parametrize(
    "value",
    [
        integer(256),
        integer(32767),
        bytes([2, 1, 0x80]),  # -128
        bytes([2, 1, 0xFF]),  # -1
        bytes([2, 2, 0, 5]),  # not minimal
        bytes([4, 1, 5]),  # another type
        bytes([2, 1, 5, 0]),  # a byte follows
        bytes([2, 2, 5]),  # cut off
        b"",
    ],
    ids=lambda value: value.hex() or "empty",
)
@pytest.mark.parametrize("tail", [tail for tail in NAMED if tail != "2"], ids=NAMED.get)
def test_what_is_no_level_is_refused_by_name(tail: str, value: bytes) -> None:
    where, found = refused({tail: value})
    assert where == f"leaf.{NAMED[tail]}"
    assert found == value.hex()


@pytest.mark.parametrize(("tail", "name"), [("2", "productName"), ("5", "CSP_ID")])
@pytest.mark.parametrize(
    "text", [bytes([0x0C, 1, 65]), bytes([0x16, 1, 0xE9]), bytes([0x16, 2, 65])], ids=bytes.hex
)
def test_what_is_no_text_is_refused_by_name(tail: str, name: str, text: bytes) -> None:
    assert refused({tail: text}) == (f"leaf.{name}", text.hex())


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw + b"\0", lambda _: b""])
def test_a_hardware_id_has_its_products_length(change: Callable[[bytes], bytes]) -> None:
    value = change(WHOLE["4"])
    assert refused({"4": value}) == ("leaf.hwID", f"{len(value)} bytes")
