"""MRTD: the measurement of a TD's first pages.

SHA-384 over 128-byte blocks: `MEM.PAGE.ADD` with the page's address for each page that is added, and for
each 256 bytes that are measured `MR.EXTEND` with their address and the bytes themselves.
Source: Intel TDX module ABI, TDH.MEM.PAGE.ADD and TDH.MR.EXTEND.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

from attest.measure.guided_table import PAGE
from attest.measure.tdvf import Tdvf, TdvfSection

PageOrder = Literal["page", "section"]
_CHUNK = 256


def mrtd(tdvf: Tdvf, order: PageOrder = "page") -> bytes:
    """48 bytes.

    order: `page` where the VMM measures each page as it adds it (KVM since 6.16, QEMU since 9), `section`
    where it adds all pages of a section and then measures them (QEMU 8 with Intel's patches).
    """
    state = hashlib.sha384()
    for section in tdvf.sections:
        for block in _by_page(section) if order == "page" else _by_section(section):
            state.update(block)
    return state.digest()


def _by_page(section: TdvfSection) -> Iterator[bytes]:
    for offset in range(0, section.size, PAGE):
        yield from _add(section, offset)
        yield from _extend(section, offset)


def _by_section(section: TdvfSection) -> Iterator[bytes]:
    for offset in range(0, section.size, PAGE):
        yield from _add(section, offset)
    for offset in range(0, section.size, PAGE):
        yield from _extend(section, offset)


def _add(section: TdvfSection, offset: int) -> Iterator[bytes]:
    if section.is_added:
        yield _block(b"MEM.PAGE.ADD", section.address + offset)


def _extend(section: TdvfSection, offset: int) -> Iterator[bytes]:
    if section.is_measured:
        for chunk in range(offset, offset + PAGE, _CHUNK):
            yield _block(b"MR.EXTEND", section.address + chunk)
            yield section.data[chunk : chunk + _CHUNK].ljust(_CHUNK, b"\0")


def _block(operation: bytes, address: int) -> bytes:
    return (operation.ljust(16, b"\0") + address.to_bytes(8, "little")).ljust(128, b"\0")
