"""What an OVMF image tells the VMM about its launch under SEV-SNP.

Read here, strictly, before `sev-snp-measure` sees the image: that tool computes a value, and no error, for
an image whose tables it does not find.
Source: edk2, OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Self
from uuid import UUID

from attest.errors import Malformed
from attest.measure.guided_table import PAGE, offset_from_end, read_table
from attest.problems import malformed

MAX_SECTIONS = 64
MAX_PAGES = 16384
_METADATA = UUID("dc886566-984a-4798-a75e-5585a7bf67cc")
_KERNEL_HASHES = UUID("7255371f-3a3b-4b04-927b-1da6efa8d454")
_AP_RESET = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
HASH_TABLE = 176
"""Bytes of the padded table of kernel hashes."""


class SectionType(IntEnum):
    """What the VMM puts into a section's pages."""

    SEC_MEM = 1
    SECRETS = 2
    CPUID = 3
    SVSM_CAA = 4
    KERNEL_HASHES = 0x10


@dataclass(frozen=True, slots=True)
class SevSection:
    """gpa, size: guest-physical address and bytes, both whole pages."""

    gpa: int
    size: int
    type: SectionType


@dataclass(frozen=True, slots=True)
class SevMetadata:
    """sections: in the firmware's order, which is the order of measuring. ap_reset: EIP of all but the
    first vCPU. kernel_hashes: address of the table of kernel hashes, None where the firmware has none."""

    sections: tuple[SevSection, ...]
    ap_reset: int
    kernel_hashes: int | None

    @classmethod
    def parse(cls, firmware: bytes) -> Self:
        """Raises Malformed (`measure.firmware`, `measure.sev-metadata`)."""
        table = read_table(firmware)
        if _METADATA not in table:
            raise _wrong("The firmware has no SEV metadata: it is not built for SEV-SNP")
        start = offset_from_end(firmware, table[_METADATA], code="measure.sev-metadata")
        signature, length, version, count = struct.unpack_from("<4sIII", firmware, start)
        if signature != b"ASEV" or version != 1:
            raise _wrong("The SEV metadata are of no known version", start)
        if not 1 <= count <= MAX_SECTIONS or length < 16 + 12 * count or start + length > len(firmware):
            raise _wrong("The number of sections does not fit the SEV metadata", start)
        sections = tuple(_section(firmware, start + 16 + 12 * index) for index in range(count))
        _check_overlap(sections)
        reset = table.get(_AP_RESET, b"")
        if len(reset) < 4:
            raise _wrong("The firmware does not say where further vCPUs start (SEV-ES reset block)")
        return cls(
            sections, int.from_bytes(reset[:4], "little"), _hash_area(sections, table.get(_KERNEL_HASHES))
        )


def _section(firmware: bytes, offset: int) -> SevSection:
    gpa, size, kind = struct.unpack_from("<III", firmware, offset)
    if kind not in set(SectionType):
        raise _wrong(f"Unknown section type 0x{kind:x}", offset)
    pages = size // PAGE
    if gpa % PAGE or size % PAGE or not 1 <= pages <= MAX_PAGES or gpa + size > 1 << 32:
        raise _wrong("A section is not whole pages within 4 GiB", offset)
    if pages != 1 and kind in (SectionType.SECRETS, SectionType.CPUID, SectionType.KERNEL_HASHES):
        raise _wrong(f"Section type 0x{kind:x} is one page", offset)
    return SevSection(gpa, size, SectionType(kind))


def _check_overlap(sections: tuple[SevSection, ...]) -> None:
    ordered = sorted(sections, key=lambda section: section.gpa)
    for one, next_one in pairwise(ordered):
        if one.gpa + one.size > next_one.gpa:
            raise _wrong(f"Sections overlap at 0x{next_one.gpa:x}")
    if sum(section.size for section in sections) > MAX_PAGES * PAGE:
        raise _wrong("The sections are larger than any firmware's")


def _hash_area(sections: tuple[SevSection, ...], entry: bytes | None) -> int | None:
    """The table's address; None unless both the entry and a page for it are there."""
    pages = [section for section in sections if section.type is SectionType.KERNEL_HASHES]
    if entry is None or len(entry) < 8 or not pages:
        return None
    address, size = struct.unpack_from("<II", entry)
    page = pages[0]
    if address == 0 or len(pages) > 1:
        return None
    if not page.gpa <= address or address + max(size, HASH_TABLE) > page.gpa + page.size:
        raise _wrong("The table of kernel hashes does not lie in its page")
    return int(address)


def _wrong(message: str, offset: int | None = None) -> Malformed:
    where = "SEV metadata" if offset is None else f"SEV metadata, offset {offset}"
    return malformed(message, where=where, code="measure.sev-metadata")
