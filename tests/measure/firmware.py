"""OVMF-like firmware made by hand: a table of GUIDs, SEV metadata and TDX metadata around random code."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from uuid import UUID

SIZE = 0x8000
FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
SEV_METADATA = UUID("dc886566-984a-4798-a75e-5585a7bf67cc")
TDX_METADATA = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")
HASH_AREA = UUID("7255371f-3a3b-4b04-927b-1da6efa8d454")
RESET_BLOCK = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
AP_EIP = 0x80B004
HASH_TABLE_GPA = 0x810C00
HASH_PAGE = (0x810000, 0x1000, 0x10)

SEV_SECTIONS = (
    (0x800000, 0x9000, 1),
    (0x80D000, 0x1000, 2),
    (0x80E000, 0x1000, 3),
    (0x80F000, 0x1000, 4),
    HASH_PAGE,
)
"""gpa, size, type."""

TDX_SECTIONS = (
    (0x2000, SIZE - 0x2000, 0x1_0000_0000 - SIZE + 0x2000, SIZE - 0x2000, 0, 1),
    (0x0, 0x2000, 0x1_0000_0000 - SIZE, 0x2000, 1, 0),
    (0, 0, 0x810000, 0x10000, 3, 0),
    (0, 0, 0x80B000, 0x2000, 3, 0),
    (0, 0, 0x809000, 0x2000, 2, 0),
    (0, 0, 0x800000, 0x6000, 3, 0),
)
"""Data offset, raw size, address, memory size, type, attributes; the memory of a stock OVMF for TDX."""


def table(entries: Sequence[tuple[UUID, bytes]]) -> bytes:
    """Entries from the front; the footer last."""
    body = b"".join(data + struct.pack("<H", len(data) + 18) + guid.bytes_le for guid, data in entries)
    return body + struct.pack("<H", len(body) + 18) + FOOTER.bytes_le


def sev_metadata(
    sections: Sequence[tuple[int, int, int]], *, version: int = 1, count: int | None = None
) -> bytes:
    body = b"".join(struct.pack("<III", *section) for section in sections)
    number = len(sections) if count is None else count
    return struct.pack("<4sIII", b"ASEV", 16 + len(body), version, number) + body


def tdx_metadata(
    sections: Sequence[tuple[int, int, int, int, int, int]], *, version: int = 1, count: int | None = None
) -> bytes:
    body = b"".join(struct.pack("<IIQQII", *section) for section in sections)
    number = len(sections) if count is None else count
    return struct.pack("<4sIII", b"TDVF", 16 + len(body), version, number) + body


def firmware(
    *,
    sev: bytes | None = None,
    tdx: bytes | None = None,
    entries: Sequence[tuple[UUID, bytes]] | None = None,
    hash_area: tuple[int, int] | None = (HASH_TABLE_GPA, 0x400),
    reset: bytes | None = struct.pack("<I", AP_EIP),
) -> bytes:
    """An image of SIZE bytes. entries: replaces the whole table."""
    image = bytearray(random.Random(7).randbytes(SIZE))
    chosen: list[tuple[UUID, bytes]] = []
    place = SIZE - 0x1000
    for guid, metadata in (
        (SEV_METADATA, sev_metadata(SEV_SECTIONS) if sev is None else sev),
        (TDX_METADATA, tdx_metadata(TDX_SECTIONS) if tdx is None else tdx),
    ):
        image[place : place + len(metadata)] = metadata
        chosen.append((guid, struct.pack("<I", SIZE - place)))
        place += 0x600
    if hash_area is not None:
        chosen.append((HASH_AREA, struct.pack("<II", *hash_area)))
    if reset is not None:
        chosen.append((RESET_BLOCK, reset))
    found = table(chosen if entries is None else entries)
    image[SIZE - 32 - len(found) : SIZE - 32] = found
    return bytes(image)


def kernel(
    *,
    size: int = 0x5000,
    protocol: int = 0x020F,
    xloadflags: int = 0x7F,
    signature: bytes = b"",
    rest: bytes = b"",
) -> bytes:
    """A bzImage with EFI stub: a setup header within the PE image's headers, two sections."""
    image = bytearray(random.Random(11).randbytes(size))
    image[0:2] = b"MZ"
    image[0x1F1] = 3
    image[0x202:0x206] = b"HdrS"
    image[0x206:0x208] = struct.pack("<H", protocol)
    image[0x210:0x212] = b"\0\x01"
    image[0x218:0x220] = bytes(8)
    image[0x224:0x22C] = bytes(8)
    image[0x22C:0x230] = struct.pack("<I", 0x7FFFFFFF)
    image[0x236:0x238] = struct.pack("<H", xloadflags)
    header = 0x40
    image[0x3C:0x40] = struct.pack("<I", header)
    image[header : header + 4] = b"PE\0\0"
    struct.pack_into("<HHIIIHH", image, header + 4, 0x8664, 2, 0, 0, 0, 0xA0, 0x206)
    optional = header + 24
    struct.pack_into("<H", image, optional, 0x20B)
    struct.pack_into("<I", image, optional + 60, 0x1000)
    struct.pack_into("<I", image, optional + 108, 6)
    struct.pack_into("<II", image, optional + 112 + 32, size + len(rest) if signature else 0, len(signature))
    sections = optional + 0xA0
    # Out of order in the table, as the hash must not be.
    struct.pack_into("<8sIIII", image, sections, b".data", 0, 0, size - 0x3000, 0x3000)
    struct.pack_into("<8sIIII", image, sections + 40, b".text", 0, 0, 0x2000, 0x1000)
    return bytes(image) + rest + signature
