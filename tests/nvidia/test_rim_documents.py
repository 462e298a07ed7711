"""Reference manifests as documents: structure, signature form, wrapping; any bytes give one or Malformed."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from attest import Rejected, verify
from attest.cache import Cache
from attest.checks import CheckLog
from attest.errors import Malformed
from attest.nvidia.rim import MAX_RIM, SWID, Rim, parse_xml, read_statement
from attest.nvidia.rim_payload import read_measurements
from attest.nvidia.rim_signature import check_rim
from tests.conftest import Sample, Vectors
from tests.counts import tenth
from tests.nvidia.conftest import AT, Bench


@pytest.fixture(scope="module")
def document(bench: Bench) -> bytes:
    return bench.plan().rims["driver"].build()


@pytest.fixture(scope="module")
def driver(h100: Sample) -> bytes:
    rims = [rim for rim in h100.endorsements.rims if isinstance(rim, Rim)]
    return next(rim.raw for rim in rims if rim.stated.version == "550.90.07")


def refused(data: bytes) -> set[str]:
    with pytest.raises(Malformed) as refusal:
        Rim.parse(data)
    return refusal.value.codes


def swap(pattern: bytes, replacement: bytes) -> Callable[[bytes], bytes]:
    def edit(text: bytes) -> bytes:
        changed, count = re.subn(pattern, replacement, text, count=1, flags=re.DOTALL)
        assert count == 1, pattern
        return changed

    return edit


def test_a_real_manifest_says_whom_it_speaks_of(driver: bytes) -> None:
    rim = Rim.parse(driver)
    assert (rim.stated.product, rim.stated.edition, rim.stated.version) == ("GH100", "GPU", "550.90.07")
    assert rim.digest == hashlib.sha256(driver).digest()
    assert len(rim.chain) == 4


@pytest.mark.parametrize(
    "name",
    ["duplicate_index", "empty_payload", "invalid_base64_cert", "missing_hash", "no_payload", "invalid_size"],
)
def test_the_malformed_samples_are_refused(name: str, vectors: Vectors) -> None:
    assert refused(vectors.path(f"nvidia/rims/failure_{name}.xml").read_bytes()) == {"nvidia.rim.malformed"}


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("NV_GPU_DRIVER_GH100_550.144.03.xml", set()),
        ("g520_0202_885_9600740018_PROD.swidtag", set()),
        ("Driver_RIM_test_no_gpu.swidtag", set()),
        ("incorrect_signature_driver_rim.xml", {"nvidia.rim.signature"}),
        ("incorrect_cert_chain_driver_rim.xml", {"x509.depth"}),
    ],
)
def test_single_manifests_of_the_vectors(name: str, codes: set[str], vectors: Vectors) -> None:
    from attest.anchors import Anchors

    rim = Rim.parse(vectors.path(f"nvidia/rims/{name}").read_bytes())
    log = CheckLog()
    verified = check_rim(rim, "gpu.driver-rim", at=AT, anchors=Anchors.production(), log=log, cache=Cache())
    assert {problem.code for problem in log.problems} == codes
    assert (verified is None) == bool(codes)


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda text: b'<!DOCTYPE a [<!ENTITY b "c">]>' + text, "dtd"),
        (lambda text: b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + text, "dtd"),
        (lambda text: text + bytes(MAX_RIM), "malformed"),
        (lambda text: text + b" " * MAX_RIM, "malformed"),
        (lambda text: text + bytes(1), "malformed"),
        (swap(rb'BindingSpec="RIMIM"', b'BindingSpec="OTHER"'), "malformed"),
        (lambda text: text.decode().encode("utf-16"), "malformed"),
        (lambda text: b'<?xml version="1.0" encoding="utf-7"?>' + text, "malformed"),
        (lambda text: text[:-5], "malformed"),
        (lambda text: text + text, "malformed"),
        (lambda text: b"", "malformed"),
        (lambda text: b"<foreign>" + text + b"</foreign>", "malformed"),
        (swap(rb"<ds:Signature .*</ds:Signature>", b""), "malformed"),
        (swap(rb"(<ds:Signature .*</ds:Signature>)", rb"\1\1"), "wrapping"),
        (swap(rb"(</ns0:Payload>)(.*?)(<ds:Signature .*</ds:Signature>)", rb"\3\1\2"), "wrapping"),
        (swap(rb"(<ds:Signature .*</ds:Signature>)", rb"\1<!-- after -->"), "wrapping"),
        (swap(rb"<ns0:Entity [^>]*/>", b""), "malformed"),
        (swap(rb"(<ns0:Payload)", rb"<ns0:Payload/>\1"), "malformed"),
        (swap(rb'edition="GPU"', b'edition="CPU"'), "malformed"),
        (swap(rb'colloquialVersion="[^"]*"', b""), "malformed"),
        (swap(rb'colloquialVersion="[^"]*"', b'colloquialVersion="../../etc"'), "malformed"),
        (swap(rb'PayloadType="direct"', b'PayloadType="other"'), "malformed"),
        (swap(rb"ecdsa-sha384", b"hmac-sha384"), "algorithm"),
        (swap(rb"xml-c14n11", b"xml-c14n11#WithComments"), "algorithm"),
        (swap(rb"(DigestMethod Algorithm=\")[^\"]*", rb"\1http://www.w3.org/2000/09/xmldsig#sha1"), "algorithm"),
        (swap(rb'URI=""', b'URI="#x"'), "algorithm"),
        (swap(rb"(<ds:Reference .*</ds:Reference>)", rb"\1\1"), "algorithm"),
        (swap(rb"enveloped-signature", b"base64"), "algorithm"),
        (swap(rb"<ds:Transform [^>]*enveloped-signature\"/>", b""), "algorithm"),
        (swap(rb"(</ds:Transforms>)", rb'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>\1'),
         "algorithm"),
        (swap(rb"(<ds:X509Data>)", rb"<ds:KeyValue/>\1"), "algorithm"),
        (swap(rb"<ds:Transforms>(.*?)</ds:Transforms>", rb"<ds:Transforms/>\1"), "algorithm"),
        (swap(rb"<ds:KeyInfo>(.*)</ds:KeyInfo>", rb"<ds:KeyInfo/>\1"), "algorithm"),
        (swap(rb"(<ds:X509Data>)(<ds:X509Certificate>.*?</ds:X509Certificate>)", rb"\2\1"), "algorithm"),
        (swap(rb"(<ds:X509Certificate>)[^<]{8}", rb"\1!!!!!!!!"), "malformed"),
        (swap(rb"(<ds:X509Certificate>)[^<]*", rb"\1AAAA"), "malformed"),
        (swap(rb"<ds:X509Certificate>.*</ds:X509Certificate>", b""), "malformed"),
    ],
)  # fmt: skip
def test_t_rim_each_departure_from_the_one_form_is_refused(
    edit: Callable[[bytes], bytes], code: str, driver: bytes
) -> None:
    assert refused(edit(driver)) == {f"nvidia.rim.{code}"}


@pytest.mark.parametrize("name", [b"UTF-8", b"utf-8"])
def test_a_manifest_may_say_that_it_is_utf_8(driver: bytes, name: bytes) -> None:
    declared = b'<?xml version="1.0" encoding="' + name + b'"?>' + driver
    assert Rim.parse(declared).stated == Rim.parse(driver).stated


def _declared(count: int) -> bytes:
    return b" ".join(b'xmlns:n%d="urn:%d"' % (number, number) for number in range(count))


@pytest.mark.parametrize(
    "inside",
    [
        b"<ns0:Resource " + _declared(40) + b"/>",
        b"<ns0:Resource/>" * 2500,
        b"<!---->" * 2500,
        b"<ns0:Resource " + b" ".join(b'a%d=""' % number for number in range(200)) + b"/>",
        (b"<ns0:Resource " + b" ".join(b'a%d=""' % number for number in range(120)) + b"/>") * 70,
    ],
)
def test_what_canonical_xml_would_take_hours_for_is_refused_before(driver: bytes, inside: bytes) -> None:
    """Its price is the number of tags times that of namespaces: anybody can sign with a key of his own."""
    assert refused(swap(rb"(</ns0:Payload>)", inside + rb"\1")(driver)) == {"nvidia.rim.malformed"}


ENTRY = (
    '<a:Resource xmlns:a="http://standards.iso.org/iso/19770/-2/2015/schema.xsd" '
    'xmlns:h="http://www.w3.org/2001/04/xmlenc#sha384" type="Measurement" index="{index}" active="{active}" '
    'alternatives="{alternatives}" {hashes} name="m" size="{size}"/>'
)
GOOD = {"index": "7", "active": "True", "alternatives": "1", "hashes": f'h:Hash0="{"ab" * 48}"', "size": "48"}


def payload(*entries: str) -> object:
    return etree.fromstring(f'<p xmlns="{SWID[1:-1]}">{"".join(entries)}</p>')


def test_active_entries_are_read_with_all_alternatives() -> None:
    two = {**GOOD, "alternatives": "2", "hashes": f'h:Hash0="{"AB" * 48}" h:Hash1="{"cd" * 48}"'}
    idle = {**GOOD, "index": "8", "active": "False"}
    golden = read_measurements(payload(ENTRY.format(**two), ENTRY.format(**idle)))
    assert golden == {7: (b"\xab" * 48, b"\xcd" * 48)}


@pytest.mark.parametrize(
    "change",
    [
        {"index": "64"}, {"index": "-1"}, {"index": "07"}, {"index": " 7"}, {"index": "7.0"}, {"index": "\u0667"},
        {"active": "true"}, {"active": "1"}, {"active": ""}, {"active": "False"},
        {"alternatives": "0"}, {"alternatives": "2"}, {"alternatives": "65"}, {"alternatives": "x"},
        {"size": "32"}, {"size": "048"}, {"size": "abc"},
        {"hashes": ""}, {"hashes": f'h:Hash1="{"ab" * 48}"'}, {"hashes": f'Hash0="{"ab" * 48}"'},
        {"hashes": f'h:Hash0="{"ab" * 47}"'}, {"hashes": f'h:Hash0="{"ab" * 47} a"'}, {"hashes": f'h:Hash0="{"ab" * 48} "'}, {"hashes": f'h:Hash0="{"ab" * 47}  "'}, {"hashes": 'h:Hash0="hash0"'},
        {"hashes": f'h:Hash0="{"ab" * 48}" h:Hash1="{"ab" * 48}"'},
        {"hashes": f'h:Hash0="{"ab" * 48}" more="x"'},
    ],
)  # fmt: skip
def test_an_unclear_entry_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(Malformed) as refusal:
        read_measurements(payload(ENTRY.format(**{**GOOD, **change})))
    assert refusal.value.codes == {"nvidia.rim.malformed"}


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [ENTRY.format(**GOOD)] * 2,
        [ENTRY.format(**{**GOOD, "active": "False"}), ENTRY.format(**GOOD)],
        [ENTRY.format(**GOOD).replace("Measurement", "Other")],
        [ENTRY.format(**GOOD).replace("a:Resource", "a:File")],
        [ENTRY.format(**GOOD), "<other/>"],
        [ENTRY.format(**{**GOOD, "index": str(index % 64)}) for index in range(129)],
    ],
)
def test_an_unclear_payload_is_refused(entries: list[str]) -> None:
    with pytest.raises(Malformed) as refusal:
        read_measurements(payload(*entries))
    assert refusal.value.codes == {"nvidia.rim.malformed"}


def test_comments_are_no_content(driver: bytes) -> None:
    """Canonical XML leaves comments out, so one may stand inside signed content and is read by nobody."""
    commented = driver.replace(b'colloquialVersion="550', b'colloquialVersion="550', 1).replace(
        b"<ns0:Payload", b"<!-- 999.99 --><ns0:Payload", 1
    )
    assert Rim.parse(commented).stated == Rim.parse(driver).stated


def test_the_signed_tree_holds_no_signature(driver: bytes) -> None:
    root = parse_xml(driver)
    with pytest.raises(Malformed):
        read_statement(root, signed=False)


@settings(max_examples=tenth(2000), deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: f"<a>{text}</a>".encode()))
def test_any_bytes_give_a_manifest_or_malformed(data: bytes) -> None:
    try:
        Rim.parse(data)
    except Malformed as refusal:
        assert all(code.startswith("nvidia.rim.") for code in refusal.codes)


@settings(max_examples=tenth(1500), deadline=None)
@given(st.data())
def test_any_change_of_a_manifest_is_refused_or_outside_its_content(
    bench: Bench, document: bytes, data: st.DataObject
) -> None:
    raw = bytearray(document)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    honest, log = Rim.parse(document), CheckLog()
    wanted = check_rim(honest, "gpu.driver-rim", at=AT, anchors=bench.anchors, log=CheckLog(), cache=Cache())
    try:
        rim = Rim.parse(bytes(raw))
    except Malformed as refusal:
        assert all(code.startswith("nvidia.rim.") for code in refusal.codes)
        return
    verified = check_rim(rim, "gpu.driver-rim", at=AT, anchors=bench.anchors, log=log, cache=Cache())
    if verified is None:
        assert log.problems
    else:
        assert wanted is not None
        assert (verified.golden, verified.stated) == (wanted.golden, wanted.stated)


def test_a_second_certificate_of_the_same_name_cannot_sign(bench: Bench, driver: bytes) -> None:
    """The signature is checked with the very leaf whose chain was checked, not with what KeyInfo offers."""
    leaf = bench.plan().rims["driver"].chain[0].build(bench.keys)
    forged = swap(rb"(<ds:X509Certificate>)[^<]*", rb"\g<1>" + base64.b64encode(leaf))(driver)
    log = CheckLog()
    assert (
        check_rim(Rim.parse(forged), "gpu.driver-rim", at=AT, anchors=bench.anchors, log=log, cache=Cache())
        is None
    )
    assert {problem.code for problem in log.problems} >= {"nvidia.rim.signature"}


def test_a_signer_with_a_key_of_an_unknown_curve_refuses(h100: Sample) -> None:
    """`cryptography` raises another exception for these than for other keys, in the middle of the verification."""
    driver = h100.read("driver-rim.xml")
    first = re.search(rb"<ds:X509Certificate>([^<]+)<", driver)
    assert first is not None
    der = base64.b64decode(first.group(1))
    p384, unknown = bytes.fromhex("06052b81040022"), bytes.fromhex("06052b81050022")
    assert der.count(p384) == 1
    altered = driver.replace(first.group(1), base64.b64encode(der.replace(p384, unknown)), 1)
    rims = tuple(
        Rim.parse(altered) if isinstance(rim, Rim) and rim.raw == driver else rim
        for rim in h100.endorsements.rims
    )
    with pytest.raises(Rejected) as refusal:
        verify(h100.evidence, endorsements=replace(h100.endorsements, rims=rims), at=h100.at)
    assert {"nvidia.rim.signature", "x509.key"} <= refusal.value.codes
