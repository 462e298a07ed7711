"""TDX metadata: what is read, and what is refused before anything is computed of it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.measure.tdvf import BFV, CFV, TD_HOB, Tdvf
from tests.measure.firmware import SIZE, TDX_METADATA, TDX_SECTIONS, firmware, tdx_metadata

BFV_SECTION, CFV_SECTION, *MEMORY = TDX_SECTIONS
TOP = 1 << 32


def changed(**fields: int) -> bytes:
    """Metadata whose boot firmware volume has other fields."""
    names = ("at", "raw", "address", "size", "type", "attributes")
    values = dict(zip(names, BFV_SECTION, strict=True)) | fields
    return tdx_metadata([tuple(values.values()), *TDX_SECTIONS[1:]])  # type: ignore[list-item]


def test_sections_in_the_order_of_the_firmware() -> None:
    image = firmware()
    tdvf = Tdvf.parse(image)
    assert [section.type for section in tdvf.sections] == [0, 1, 3, 3, 2, 3]
    bfv, cfv, hob = tdvf.only(BFV), tdvf.only(CFV), tdvf.only(TD_HOB)
    assert bfv is not None
    assert cfv is not None
    assert hob is not None
    assert (bfv.data, bfv.is_measured, bfv.is_added) == (image[0x2000:], True, True)
    assert (cfv.data, cfv.is_measured) == (image[:0x2000], False)
    assert (hob.address, hob.data) == (0x809000, b"")
    assert tdvf.only(3) is None


@pytest.mark.parametrize(
    ("tdx", "said"),
    [
        (changed(at=SIZE), "outside the file"),
        (changed(raw=SIZE), "outside the file"),
        (changed(raw=SIZE, at=0xFFFFFFFF), "outside the file"),
        (changed(size=0x1000), "outside the file, or exceed its memory"),
        (changed(size=0), "whole pages"),
        (changed(size=0x6800), "whole pages"),
        (changed(size=1 << 40), "whole pages"),
        (changed(address=0x800800), "whole pages"),
        (changed(address=(1 << 64) - 0x1000), "whole pages"),
        (changed(address=0x808000), "overlap at 0x809000"),
        (changed(address=TOP - SIZE), "overlap"),
        (changed(type=9), "Unknown section type 9"),
        (changed(attributes=4), "Impossible section attributes 0x4"),
        (changed(attributes=3), "Impossible section attributes 0x3"),
        (changed(attributes=0), "MRTD would say nothing"),
        (tdx_metadata(TDX_SECTIONS[1:]), "MRTD would say nothing"),
        (tdx_metadata([*TDX_SECTIONS, (0, 0x1000, 0x900000, 0x1000, 3, 0)]), "temporary memory has no data"),
        (
            tdx_metadata([*TDX_SECTIONS, (0, 0, 0x10000000, 512 << 20, 3, 0)]),
            "more memory than any firmware",
        ),
        (
            tdx_metadata([(0, 0, 0x1000 * n, 0x1000, 3, 0) for n in range(65)]),
            "number of sections",
        ),
        (tdx_metadata([]), "number of sections"),
        (tdx_metadata(TDX_SECTIONS, count=7), "number of sections"),
        (tdx_metadata(TDX_SECTIONS, count=0xFFFFFFFF), "number of sections"),
        (tdx_metadata(TDX_SECTIONS, version=0), "no known version"),
        (b"TDVX" + tdx_metadata(TDX_SECTIONS)[4:], "no known version"),
    ],
)
def test_metadata_that_cannot_be_followed(tdx: bytes, said: str) -> None:
    with pytest.raises(Malformed) as refused:
        Tdvf.parse(firmware(tdx=tdx))
    (problem,) = refused.value.problems
    assert problem.code == "measure.tdvf-metadata"
    assert said in problem.message


def test_a_length_beyond_the_end_of_the_file() -> None:
    tdx = bytearray(tdx_metadata(TDX_SECTIONS))
    tdx[4:8] = struct.pack("<I", 0x1000)
    with pytest.raises(Malformed) as refused:
        Tdvf.parse(firmware(tdx=bytes(tdx)))
    assert refused.value.codes == {"measure.tdvf-metadata"}


@pytest.mark.parametrize("distance", [0, 15, SIZE + 1])
def test_metadata_outside_the_file(distance: int) -> None:
    with pytest.raises(Malformed) as refused:
        Tdvf.parse(firmware(entries=[(TDX_METADATA, struct.pack("<I", distance))]))
    assert refused.value.codes == {"measure.tdvf-metadata"}


def test_a_firmware_without_tdx_says_so() -> None:
    for image in (firmware(entries=[]), bytes(SIZE), b"", b"\0" * 15):
        with pytest.raises(Malformed, match="not built for TDX"):
            Tdvf.parse(image)


def test_the_older_pointer_of_td_shim() -> None:
    image = bytearray(SIZE)
    metadata = tdx_metadata(TDX_SECTIONS)
    image[0x3000 : 0x3000 + len(metadata)] = metadata
    image[-32:-28] = struct.pack("<I", 0x3000)
    assert len(Tdvf.parse(bytes(image)).sections) == 6
    image[-32:-28] = struct.pack("<I", SIZE)
    with pytest.raises(Malformed):
        Tdvf.parse(bytes(image))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.integers(min_value=0, max_value=SIZE - 1))
def test_any_bytes_give_a_value_or_malformed(noise: bytes, at: int) -> None:
    image = firmware()
    image = image[:at] + noise[: SIZE - at] + image[at + len(noise[: SIZE - at]) :]
    try:
        Tdvf.parse(image)
    except Malformed as refused:
        assert refused.codes <= {"measure.firmware", "measure.tdvf-metadata"}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from([0, 1, 2, 0x1000, 0x2000, 0x7FFFFFFF, 0xFFFFFFFF])] * 6), max_size=5)
)
def test_any_sections_give_a_value_or_malformed(sections: list[tuple[int, int, int, int, int, int]]) -> None:
    try:
        Tdvf.parse(firmware(tdx=tdx_metadata(sections)))
    except Malformed as refused:
        assert refused.codes == {"measure.tdvf-metadata"}
