"""ATTESTATION_REPORT: every field at its offset, every length, any bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.snp.report import SIZE, Report
from tests.counts import tenth

# name, offset, size as in AMD 56860; integers are little-endian.
INTEGERS = [
    ("version", 0x000, 4),
    ("guest_svn", 0x004, 4),
    ("policy", 0x008, 8),
    ("vmpl", 0x030, 4),
    ("signature_algo", 0x034, 4),
    ("platform_info", 0x040, 8),
    ("key_info", 0x048, 4),
    ("cpuid_fam_id", 0x188, 1),
    ("cpuid_mod_id", 0x189, 1),
    ("cpuid_step", 0x18A, 1),
    ("launch_mit_vector", 0x1F8, 8),
    ("current_mit_vector", 0x200, 8),
]
BYTES = [
    ("family_id", 0x010, 16),
    ("image_id", 0x020, 16),
    ("current_tcb", 0x038, 8),
    ("report_data", 0x050, 64),
    ("measurement", 0x090, 48),
    ("host_data", 0x0C0, 32),
    ("id_key_digest", 0x0E0, 48),
    ("author_key_digest", 0x110, 48),
    ("report_id", 0x140, 32),
    ("report_id_ma", 0x160, 32),
    ("reported_tcb", 0x180, 8),
    ("chip_id", 0x1A0, 64),
    ("committed_tcb", 0x1E0, 8),
    ("launch_tcb", 0x1F0, 8),
    ("signature_r", 0x2A0, 72),
    ("signature_s", 0x2E8, 72),
]
RESERVED_SIGNED = [(0x04C, 4), (0x18B, 21), (0x1EB, 1), (0x1EF, 1), (0x208, 152)]
RESERVED_UNSIGNED = [(0x2A0 + 48, 24), (0x2E8 + 48, 24), (0x330, 368)]

PATTERN = bytes(i * 7 % 251 for i in range(SIZE))


def blank(version: int = 5) -> bytearray:
    return bytearray(struct.pack("<I", version).ljust(SIZE, b"\0"))


@pytest.mark.parametrize(("name", "offset", "size"), INTEGERS)
def test_integers_stand_at_their_offsets(name: str, offset: int, size: int) -> None:
    raw = bytearray(PATTERN)
    raw[0:4] = struct.pack("<I", 5)
    assert getattr(Report.parse(bytes(raw)), name) == int.from_bytes(raw[offset : offset + size], "little")


@pytest.mark.parametrize(("name", "offset", "size"), BYTES)
def test_byte_fields_stand_at_their_offsets(name: str, offset: int, size: int) -> None:
    assert getattr(Report.parse(PATTERN), name) == PATTERN[offset : offset + size]


def test_firmware_versions_are_stored_build_first() -> None:
    raw = blank()
    raw[0x1E8:0x1F0] = bytes([43, 55, 1, 0, 41, 54, 1, 0])
    report = Report.parse(bytes(raw))
    assert report.current_version == (1, 55, 43)
    assert report.committed_version == (1, 54, 41)


@pytest.mark.parametrize("length", [0, 1, SIZE - 1, SIZE + 1, 2 * SIZE])
def test_any_other_length_is_malformed(length: int) -> None:
    with pytest.raises(Malformed) as refusal:
        Report.parse(bytes(length))
    assert refusal.value.codes == {"evidence.malformed"}


@pytest.mark.parametrize(("offset", "size"), RESERVED_SIGNED)
def test_signed_reserved_bytes_are_noticed(offset: int, size: int) -> None:
    assert Report.parse(bytes(blank())).signed_reserved_is_zero
    for at in (offset, offset + size - 1):
        raw = blank()
        raw[at] = 1
        report = Report.parse(bytes(raw))
        assert not report.signed_reserved_is_zero
        assert report.unsigned_reserved_is_zero


@pytest.mark.parametrize(("offset", "size"), RESERVED_UNSIGNED)
def test_unsigned_reserved_bytes_are_noticed(offset: int, size: int) -> None:
    for at in (offset, offset + size - 1):
        raw = blank()
        raw[at] = 1
        report = Report.parse(bytes(raw))
        assert not report.unsigned_reserved_is_zero
        assert report.signed_reserved_is_zero


def test_key_info_bits() -> None:
    raw = blank()
    raw[0x48] = 0b00111
    report = Report.parse(bytes(raw))
    assert (report.author_key_en, report.chip_key_masked, report.signing_key) == (True, True, 1)
    raw[0x48] = 0b100000
    assert not Report.parse(bytes(raw)).signed_reserved_is_zero


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_fields_of_later_versions_are_absent_not_zero(version: int) -> None:
    report = Report.parse(bytes(blank(version)))
    assert (report.cpuid_fam_id is None) is (version < 3)
    assert (report.launch_mit_vector is None) is (version < 5)
    assert (report.current_mit_vector is None) is (version < 5)


def test_bytes_that_a_version_reserves_count_as_reserved() -> None:
    for version, offset in ((2, 0x188), (4, 0x1F8), (4, 0x207)):
        raw = blank(version)
        raw[offset] = 1
        assert not Report.parse(bytes(raw)).signed_reserved_is_zero
        raw[0] = 5
        assert Report.parse(bytes(raw)).signed_reserved_is_zero


@settings(max_examples=tenth(3000))
@given(st.binary(max_size=3 * SIZE) | st.binary(min_size=SIZE, max_size=SIZE))
def test_any_bytes_are_a_report_or_malformed(data: bytes) -> None:
    try:
        report = Report.parse(data)
    except Malformed:
        assert len(data) != SIZE
    else:
        assert report.raw == data
