"""Every field in its place, every length checked, and any bytes give a quote or Malformed."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.simulator import Simulator
from attest.tdx.qe_report import QeReport
from attest.tdx.quote import Quote, TdReport
from tests.conftest import Sample, Vectors

SIGNATURE_DATA = 636
QE_AUTH_SIZE = SIGNATURE_DATA + 582
INNER_TYPE = QE_AUTH_SIZE + 2 + 32


def patched(quote: bytes, offset: int, value: bytes) -> bytes:
    return quote[:offset] + value + quote[offset + len(value) :]


def test_fields_are_those_an_independent_reader_found(vectors: Vectors) -> None:
    seen = 0
    for case in vectors.cases.values():
        if case["kind"] != "tdx":
            continue
        quote = Quote.parse(vectors.read(case["id"], "quote"))
        body, facts = quote.body, case["facts"]
        assert quote.version == facts["version"]
        assert quote.body_type == facts.get("body_type", 2)
        assert quote.trailing == facts["trailing_bytes_after_signature"]
        assert body.td_attributes == int.from_bytes(bytes.fromhex(facts["td_attributes"]), "little")
        assert body.xfam == int.from_bytes(bytes.fromhex(facts["xfam"]), "little")
        for ours, theirs in (
            (body.tee_tcb_svn, "tee_tcb_svn"),
            (body.mr_seam, "mr_seam"),
            (body.mrsigner_seam, "mrsignerseam"),
            (body.mr_td, "mrtd"),
            (body.mr_config_id, "mrconfigid"),
            (body.mr_owner, "mrowner"),
            (body.mr_owner_config, "mrownerconfig"),
            (body.rtmr0, "rtmr0"),
            (body.rtmr1, "rtmr1"),
            (body.rtmr2, "rtmr2"),
            (body.rtmr3, "rtmr3"),
            (body.report_data, "report_data"),
        ):
            assert ours.hex() == facts[theirs]
        if body.mr_servicetd is not None and "mrservicetd" in facts:
            assert body.mr_servicetd.hex() == facts["mrservicetd"]
        seen += 1
    assert seen >= 15


@pytest.mark.parametrize(
    ("version", "body", "start", "size"), [(4, "1.0", 48, 584), (5, "1.0", 54, 584), (5, "1.5", 54, 648)]
)
def test_signed_bytes_are_header_descriptor_and_body(
    simulator: Simulator, version: int, body: str, start: int, size: int
) -> None:
    raw = simulator.tdx(version=version, body=body).raw
    quote = Quote.parse(raw)
    assert quote.signed == raw[: start + size]
    assert quote.body.raw == raw[start : start + size]
    assert (quote.body.mr_servicetd is None) is (body == "1.0")


def test_padding_is_trimmed_and_belongs_to_no_identity(td: Sample) -> None:
    raw = td.read("quote.bin")
    quote = Quote.parse(raw)
    bare = Quote.parse(quote.raw)
    assert quote.trailing == 70
    assert quote.trailing_zero
    assert bare == quote
    assert bare.raw == quote.raw
    assert Quote.parse(quote.raw + b"\0" * 5).trailing_zero
    assert not Quote.parse(quote.raw + b"text").trailing_zero


@pytest.mark.parametrize("length", [0, 1, 47, 48, 100, 631, 632, 635, 636, 700, 1217, 1218, 1252, 4935])
def test_a_quote_cut_short_is_malformed(td: Sample, length: int) -> None:
    with pytest.raises(Malformed) as refusal:
        Quote.parse(td.read("quote.bin")[:length])
    assert refusal.value.codes == {"evidence.malformed"}


def test_more_than_64_kib_is_refused_before_reading(td: Sample) -> None:
    raw = Quote.parse(td.read("quote.bin")).raw
    Quote.parse(raw.ljust(64 << 10, b"\0"))
    with pytest.raises(Malformed):
        Quote.parse(raw.ljust((64 << 10) + 1, b"\0"))


@pytest.mark.parametrize(
    ("offset", "value", "code"),
    [
        (0, b"\x02\0", "tdx.quote.version"),
        (0, b"\x06\0", "tdx.quote.version"),
        (0, b"\x04\x01", "tdx.quote.version"),
        (0, b"\x03\0", "tdx.sgx-quote"),
        (2, b"\x03\0", "tdx.quote.key-type"),
        (4, b"\0\0\0\0", "tdx.sgx-quote"),
        (4, b"\x82\0\0\0", "evidence.malformed"),
        (4, b"\x81\0\0\x01", "evidence.malformed"),
        (632, b"\xff\xff\xff\xff", "evidence.malformed"),
        (SIGNATURE_DATA + 128, b"\x05\0", "evidence.malformed"),
        (SIGNATURE_DATA + 130, b"\xff\xff\xff\xff", "evidence.malformed"),
        (QE_AUTH_SIZE, b"\xff\xff", "evidence.malformed"),
        (QE_AUTH_SIZE, b"\x1f\0", "evidence.malformed"),
        (INNER_TYPE, b"\0\0", "evidence.malformed"),
        (INNER_TYPE, b"\x06\0", "evidence.malformed"),
        (INNER_TYPE, b"\x08\0", "evidence.malformed"),
        (INNER_TYPE + 2, b"\0\0\0\0", "evidence.malformed"),
    ],
)
def test_an_impossible_header_or_length_is_malformed(
    td: Sample, offset: int, value: bytes, code: str
) -> None:
    with pytest.raises(Malformed) as refusal:
        Quote.parse(patched(td.read("quote.bin"), offset, value))
    assert refusal.value.codes == {code}


@pytest.mark.parametrize("change", [-1, 1])
def test_lengths_that_leave_slack_or_overlap_are_malformed(td: Sample, change: int) -> None:
    raw = td.read("quote.bin")
    for offset in (632, SIGNATURE_DATA + 130, INNER_TYPE + 2):
        size = int.from_bytes(raw[offset : offset + 4], "little") + change
        with pytest.raises(Malformed):
            Quote.parse(patched(raw, offset, struct.pack("<I", size)))


@pytest.mark.parametrize(
    ("kind", "size", "code"),
    [
        (1, 384, "tdx.sgx-quote"),
        (2, 648, "evidence.malformed"),
        (3, 584, "evidence.malformed"),
        (3, 647, "evidence.malformed"),
        (4, 648, "evidence.malformed"),
        (0, 0, "evidence.malformed"),
    ],
)
def test_the_descriptor_of_version_5_must_fit(simulator: Simulator, kind: int, size: int, code: str) -> None:
    raw = simulator.tdx(version=5).raw
    with pytest.raises(Malformed) as refusal:
        Quote.parse(patched(raw, 48, struct.pack("<HI", kind, size)))
    assert refusal.value.codes == {code}


def test_a_real_sgx_quote_is_named_as_such(vectors: Vectors) -> None:
    with pytest.raises(Malformed) as refusal:
        Quote.parse((vectors.folder / "tdx/sgx-v3-conf-sw-hardening-phala/quote.bin").read_bytes())
    (problem,) = refusal.value.problems
    assert problem.code == "tdx.sgx-quote"
    assert "SGX" in problem.message
    assert "MRENCLAVE" in (problem.found or "")


@pytest.mark.parametrize("length", [0, 383, 385, 583, 585, 647, 649])
def test_reports_have_one_length_each(length: int) -> None:
    with pytest.raises(Malformed):
        TdReport.parse(bytes(length))
    with pytest.raises(Malformed):
        QeReport.parse(bytes(length))


@given(st.binary(max_size=2000))
def test_any_bytes_give_a_quote_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        Quote.parse(data)


@given(
    st.sampled_from([b"\x03\0\x02\0\0\0\0\0", b"\x04\0\x02\0\x81\0\0\0", b"\x05\0\x02\0\x81\0\0\0"]),
    st.binary(max_size=3000),
    st.integers(0, 2000),
)
def test_any_bytes_behind_a_good_head_give_a_quote_or_malformed(head: bytes, data: bytes, zeros: int) -> None:
    with contextlib.suppress(Malformed):
        Quote.parse(head + bytes(zeros) + data)


@settings(deadline=None)
@given(st.data())
def test_a_changed_real_quote_parses_back_to_its_bytes_or_is_malformed(
    td: Sample, data: st.DataObject
) -> None:
    raw = bytearray(td.read("quote.bin"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        quote = Quote.parse(bytes(raw))
    except Malformed:
        return
    assert raw.startswith(quote.raw)
    assert quote.raw.startswith(quote.signed)
    assert len(quote.raw) + quote.trailing == len(raw)
