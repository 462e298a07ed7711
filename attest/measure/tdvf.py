"""What a TDX firmware image tells the VMM about its launch: the sections of a TD's first memory.

Source: Intel TDX Virtual Firmware Design Guide, TDVF metadata; td-shim specification, metadata.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Self
from uuid import UUID

from attest.errors import Malformed
from attest.measure.guided_table import MAX_FIRMWARE, PAGE, has_table, offset_from_end, read_table
from attest.problems import malformed

MAX_SECTIONS = 64
MAX_MEMORY = 512 << 20
"""Bytes of memory that all sections of a firmware may name: more is no firmware."""
_OFFSET = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")
_EXTEND_MR = 1
_PAGE_AUG = 2

BFV = 0
CFV = 1
TD_HOB = 2
TEMP_MEM = 3
PERM_MEM = 4
PAYLOAD = 5
PAYLOAD_PARAM = 6
TD_INFO = 7
TD_PARAMS = 8
_NAMES = {
    BFV: "boot firmware volume",
    CFV: "configuration volume",
    TD_HOB: "TD HOB",
    TEMP_MEM: "temporary memory",
    PERM_MEM: "permanent memory",
    PAYLOAD: "payload",
    PAYLOAD_PARAM: "payload parameters",
    TD_INFO: "TD info",
    TD_PARAMS: "TD parameters",
}
_WITHOUT_DATA = (TD_HOB, TEMP_MEM, PERM_MEM)


@dataclass(frozen=True, slots=True)
class TdvfSection:
    """data: the section's bytes in the file. address, size: guest-physical memory, whole pages; beyond the
    data it is zero."""

    type: int
    data: bytes
    address: int
    size: int
    attributes: int

    @property
    def name(self) -> str:
        return _NAMES[self.type]

    @property
    def is_added(self) -> bool:
        """Whether the VMM adds the pages before the launch; otherwise the guest accepts them later."""
        return not self.attributes & _PAGE_AUG

    @property
    def is_measured(self) -> bool:
        """Whether the contents, and not only the addresses, go into MRTD."""
        return bool(self.attributes & _EXTEND_MR)


@dataclass(frozen=True, slots=True)
class Tdvf:
    """sections: in the firmware's order, which is the order of measuring."""

    sections: tuple[TdvfSection, ...]

    @classmethod
    def parse(cls, firmware: bytes) -> Self:
        """Raises Malformed (`measure.firmware`, `measure.tdvf-metadata`)."""
        start = _descriptor(firmware)
        signature, length, version, count = struct.unpack_from("<4sIII", firmware, start)
        if signature != b"TDVF" or version != 1:
            raise _wrong("The TDX metadata are of no known version", start)
        if not 1 <= count <= MAX_SECTIONS or length < 16 + 32 * count or start + length > len(firmware):
            raise _wrong("The number of sections does not fit the TDX metadata", start)
        sections = tuple(_section(firmware, start + 16 + 32 * index) for index in range(count))
        _check_memory(sections)
        return cls(sections)

    def only(self, kind: int) -> TdvfSection | None:
        """The one section of a kind, None where there is none or several."""
        found = [section for section in self.sections if section.type == kind]
        return found[0] if len(found) == 1 else None


def _descriptor(firmware: bytes) -> int:
    """Where the metadata begin: by the table of GUIDs, or by td-shim's older pointer before the end."""
    if has_table(firmware):
        table = read_table(firmware)
        if _OFFSET in table:
            return offset_from_end(firmware, table[_OFFSET], code="measure.tdvf-metadata")
        raise _wrong("The firmware has no TDX metadata: it is not built for TDX")
    if PAGE <= len(firmware) <= MAX_FIRMWARE:
        start = int.from_bytes(firmware[-32:-28], "little")
        if start <= len(firmware) - 16 and firmware[start : start + 4] == b"TDVF":
            return start
    raise _wrong("The firmware has no TDX metadata: it is not built for TDX")


def _section(firmware: bytes, offset: int) -> TdvfSection:
    at, raw, address, size, kind, attributes = struct.unpack_from("<IIQQII", firmware, offset)
    if kind not in _NAMES:
        raise _wrong(f"Unknown section type {kind}", offset)
    if attributes & ~(_EXTEND_MR | _PAGE_AUG) or attributes == _EXTEND_MR | _PAGE_AUG:
        raise _wrong(f"Impossible section attributes 0x{attributes:x}", offset)
    if address % PAGE or size % PAGE or not PAGE <= size <= MAX_MEMORY or address + size > 1 << 48:
        raise _wrong("A section is not whole pages of memory", offset)
    if raw > size or at + raw > len(firmware):
        raise _wrong("The data of a section lie outside the file, or exceed its memory", offset)
    if raw and kind in _WITHOUT_DATA:
        raise _wrong(f"A section of {_NAMES[kind]} has no data", offset)
    return TdvfSection(kind, firmware[at : at + raw], address, size, attributes)


def _check_memory(sections: tuple[TdvfSection, ...]) -> None:
    ordered = sorted(sections, key=lambda section: section.address)
    for one, other in pairwise(ordered):
        if one.address + one.size > other.address:
            raise _wrong(f"The {one.name} and the {other.name} overlap at 0x{other.address:x}")
    if sum(section.size for section in sections) > MAX_MEMORY:
        raise _wrong("The sections name more memory than any firmware's")
    if not any(section.type == BFV and section.is_measured for section in sections):
        raise _wrong("No boot firmware volume is measured, so MRTD would say nothing")


def _wrong(message: str, offset: int | None = None) -> Malformed:
    where = "TDX metadata" if offset is None else f"TDX metadata, offset {offset}"
    return malformed(message, where=where, code="measure.tdvf-metadata")
