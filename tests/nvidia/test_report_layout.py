"""The SPDM exchange: every field, every length, every text form; any bytes give a report or Malformed."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.opaque import Opaque
from attest.nvidia.spdm import MAGIC, MAX_REPORT, Report, decode_report, looks_like_report
from tests.conftest import EVIDENCE, Sample
from tests.counts import tenth
from tests.nvidia.conftest import Bench


@pytest.fixture(scope="module")
def raw(bench: Bench) -> bytes:
    return bench.plan(driver="580.65.06").report()


def code(data: bytes) -> set[str]:
    with pytest.raises(Malformed) as refusal:
        Report.parse(data)
    return refusal.value.codes


def test_every_field_is_where_the_exchange_has_it(raw: bytes) -> None:
    report = Report.parse(raw)
    assert report.raw == raw
    assert report.tbs + report.signature == raw
    assert len(report.signature) == 96
    assert report.request_nonce == raw[4:36]
    record = int.from_bytes(raw[42:45], "little")
    assert report.response_nonce == raw[45 + record : 77 + record]
    assert list(report.measurements) == list(range(1, 65))
    assert b"".join(report.measurements.values())[:48] == raw[52:100]
    assert report.trailing == 0


@pytest.mark.parametrize(
    ("offset", "why"),
    [(0, "version"), (1, "code"), (2, "no signature"), (3, "blocks"), (36, "slot"), (37, "version"),
     (38, "code"), (39, "param1"), (40, "param2"), (41, "count"), (42, "record length"), (43, "record length"),
     (44, "record length"), (46, "specification"), (47, "size"), (48, "size"), (49, "raw bit"), (50, "value size"),
     (51, "value size")],
)  # fmt: skip
def test_each_fixed_byte_is_checked(raw: bytes, offset: int, why: str) -> None:
    changed = bytearray(raw)
    changed[offset] ^= 0x80
    assert code(bytes(changed)) == {"nvidia.report.malformed"}


def test_request_and_response_speak_of_one_slot(raw: bytes) -> None:
    changed = bytearray(raw)
    changed[36] = changed[40] = 1
    assert code(bytes(changed)) == {"nvidia.report.malformed"}


@pytest.mark.parametrize("index", [0, 2, 255])
def test_block_indexes_ascend_from_one(raw: bytes, index: int) -> None:
    changed = bytearray(raw)
    changed[45] = index
    assert code(bytes(changed)) == {"nvidia.report.malformed"}


def test_every_shorter_report_is_refused(raw: bytes) -> None:
    for length in range(len(raw)):
        assert code(raw[:length]) == {"nvidia.report.malformed"}


@pytest.mark.parametrize("count", range(1, 9))
def test_up_to_eight_zero_bytes_may_follow_and_are_dropped(raw: bytes, count: int) -> None:
    report = Report.parse(raw + bytes(count))
    assert report.raw == raw
    assert report.trailing == count


@pytest.mark.parametrize("tail", [bytes(9), b"\x01", b"\0\x01", b"\n"])
def test_any_other_tail_is_refused(raw: bytes, tail: bytes) -> None:
    assert code(raw + tail) == {"nvidia.report.malformed"}


@pytest.mark.parametrize("tail", [b"\x05", b"\x05\x00\x00", b"\x05\x00\x01\x00", b"\x05\x00\xff\xff"])
def test_opaque_fields_end_where_the_opaque_data_ends(bench: Bench, tail: bytes) -> None:
    plan = bench.plan()
    plan.opaque_tail = tail
    assert code(plan.report()) == {"nvidia.report.malformed"}


def test_a_report_of_lawful_lengths_is_capped_too(bench: Bench) -> None:
    plan = bench.plan()
    plan.opaque.append((60, bytes(64000)))
    assert len(plan.report()) > MAX_REPORT
    assert code(plan.report()) == {"nvidia.report.malformed"}


def test_the_size_is_capped(raw: bytes) -> None:
    assert code(raw + bytes(MAX_REPORT)) == {"nvidia.report.malformed"}
    for text in (raw + bytes(MAX_REPORT), b"11e001ff" * (1 << 16)):
        with pytest.raises(Malformed):
            decode_report(text)


@pytest.mark.parametrize(
    "write",
    [
        lambda raw: raw,
        lambda raw: raw.hex().encode(),
        lambda raw: raw.hex().upper().encode() + b"\n",
        base64.b64encode,
        lambda raw: base64.b64encode(raw.hex().encode()),
        lambda raw: base64.b64encode(raw.hex().upper().encode()) + b"\r\n",
    ],
    ids=["raw", "hex", "HEX", "base64", "base64 of hex", "base64 of HEX"],
)
def test_text_forms_give_the_same_bytes(raw: bytes, write: Callable[[bytes], bytes]) -> None:
    text = write(raw)
    assert looks_like_report(text)
    assert decode_report(text) == raw
    assert DeviceEvidence.parse(text).report.raw == raw


@pytest.mark.parametrize(
    "write",
    [
        lambda raw: raw.hex().encode()[:-1],
        lambda raw: raw[1:].hex().encode(),
        lambda raw: b"0x" + raw.hex().encode(),
        lambda raw: base64.b64encode(raw)[:-1],
        lambda raw: base64.b64encode(base64.b64encode(raw)),
        lambda raw: base64.b64encode(raw[1:]),
        lambda raw: base64.urlsafe_b64encode(raw) + b"!",
        lambda raw: b"",
    ],
)
def test_nothing_else_is_guessed(raw: bytes, write: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Malformed) as refusal:
        decode_report(write(raw))
    assert refusal.value.codes == {"nvidia.report.malformed"}


@settings(max_examples=tenth(3000), deadline=None)
@given(st.binary(max_size=300).map(lambda tail: MAGIC + tail) | st.binary(max_size=200))
def test_any_bytes_give_a_report_or_malformed(data: bytes) -> None:
    for read in (Report.parse, decode_report, DeviceEvidence.parse):
        try:
            read(data)
        except Malformed as refusal:
            assert refusal.codes == {"nvidia.report.malformed"}


REAL = EVIDENCE / "h100"


@settings(max_examples=tenth(3000), deadline=None)
@given(st.data())
def test_a_changed_real_report_gives_a_report_or_malformed(h100: Sample, data: st.DataObject) -> None:
    name = next(path.name for path in h100.files if looks_like_report(path.read_bytes()))
    raw = bytearray(decode_report(h100.read(name)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(37, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        report = Report.parse(bytes(raw))
        Opaque.read(report.opaque, "gpu")
        Opaque.read(report.opaque, "switch")
    except Malformed as refusal:
        assert refusal.codes <= {"nvidia.report.malformed", "nvidia.opaque.malformed"}
    else:
        assert report.raw == bytes(raw)[: len(report.raw)]
