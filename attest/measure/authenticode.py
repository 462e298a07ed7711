"""The digest by which firmware measures an EFI image: SHA-384 of it without checksum and signatures.

Source: Microsoft PE/COFF specification, Authenticode PE image hash; edk2, MeasureBootPeCoff.c, which adds no
padding.
"""

from __future__ import annotations

import hashlib
import struct

from attest.errors import Malformed
from attest.problems import malformed

_MAX_SECTIONS = 96
_SECURITY = 4


def authenticode_sha384(image: bytes) -> bytes:
    """48 bytes. Raises Malformed (`measure.kernel`) for what is no PE image, or reaches out of the file."""
    header = _u32(image, 0x3C) if image[:2] == b"MZ" else -1
    if header < 0 or image[header : header + 4] != b"PE\0\0":
        raise _wrong("The kernel is no EFI image: built without EFI stub?", 0x3C)
    count, optional_size = _u16(image, header + 6), _u16(image, header + 20)
    optional = header + 24
    magic = _u16(image, optional)
    if magic not in (0x10B, 0x20B) or count > _MAX_SECTIONS:
        raise _wrong("The kernel's PE header is of no known kind", optional)
    directories = optional + (112 if magic == 0x20B else 96)
    has_security = _u32(image, directories - 4) > _SECURITY
    security = directories + 8 * _SECURITY
    headers = _u32(image, optional + 60)
    table = optional + optional_size
    if not max(security + 8, table + 40 * count) <= headers <= len(image):
        raise _wrong("The kernel's headers have an impossible size", optional + 60)
    state = hashlib.sha384(image[: optional + 64])
    if has_security:
        state.update(image[optional + 68 : security])
        state.update(image[security + 8 : headers])
    else:
        state.update(image[optional + 68 : headers])
    hashed = headers
    sections = [struct.unpack_from("<II", image, table + 40 * index + 16) for index in range(count)]
    for size, start in sorted(sections, key=lambda section: section[1]):
        if size == 0:
            continue
        if start + size > len(image) or hashed + size > len(image):
            # Sections over each other would be hashed many times: no linker makes them.
            raise _wrong("A section of the kernel lies outside the file, or over another", table)
        state.update(image[start : start + size])
        hashed += size
    signatures = _u32(image, security + 4) if has_security else 0
    rest = len(image) - hashed - signatures
    if rest < 0 and len(image) > hashed:
        raise _wrong("The kernel's signatures are larger than what is left of the file", security)
    if rest > 0:
        state.update(image[hashed : hashed + rest])
    return state.digest()


def _u16(image: bytes, offset: int) -> int:
    return int.from_bytes(_bytes(image, offset, 2), "little")


def _u32(image: bytes, offset: int) -> int:
    return int.from_bytes(_bytes(image, offset, 4), "little")


def _bytes(image: bytes, offset: int, size: int) -> bytes:
    if not 0 <= offset <= len(image) - size:
        raise _wrong("The kernel ends within its headers", offset)
    return image[offset : offset + size]


def _wrong(message: str, offset: int) -> Malformed:
    return malformed(message, where=f"kernel, offset {offset}", code="measure.kernel")
