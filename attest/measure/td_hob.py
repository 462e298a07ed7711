"""The hand-off block that QEMU writes for a TD: which memory is there, and which is accepted already.

Source: UEFI Platform Initialization, vol. 3, HOB; Intel TDX Virtual Firmware Design Guide, TD HOB; QEMU,
hw/i386/tdvf-hob.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attest.measure.linux_boot import LOW_MEMORY, LOW_MEMORY_SPLIT
from attest.measure.tdvf import TD_HOB, TEMP_MEM, Tdvf
from attest.problems import malformed

_SYSTEM_MEMORY = 0
_UNACCEPTED = 7
_PRESENT_INITIALIZED_TESTED = 7
_ABOVE = 1 << 32


def td_hob(tdvf: Tdvf, memory: int) -> bytes:
    """The hand-off block's bytes, for a q35 machine with `memory` bytes.

    Raises Malformed (`measure.tdvf-metadata`) where the firmware has no single place for it, ValueError
    where the memory does not hold the firmware's sections.
    """
    place = tdvf.only(TD_HOB)
    if place is None:
        raise malformed(
            "The firmware has not one section for the TD HOB",
            where="TDX metadata",
            code="measure.tdvf-metadata",
        )
    resources = list(_resources(tdvf, memory))
    size = 56 + 48 * len(resources)
    head = struct.pack("<HHIII5Q", 1, 56, 0, 9, 0, 0, 0, 0, 0, place.address + size + 8)
    # The closing HOB is not part of what the firmware measures.
    return head + b"".join(
        struct.pack("<HHI16xIIQQ", 3, 48, 0, kind, _PRESENT_INITIALIZED_TESTED, start, length)
        for kind, start, length in resources
    )


def _resources(tdvf: Tdvf, memory: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and length, upwards; the accepted pieces are those that the VMM added."""
    low = LOW_MEMORY if memory >= LOW_MEMORY_SPLIT else memory
    position = 0
    for section in sorted(tdvf.sections, key=lambda section: section.address):
        if section.type not in (TD_HOB, TEMP_MEM):
            continue
        if section.address + section.size > low:
            raise ValueError(f"a machine of {memory} bytes does not hold the firmware's {section.name}")
        if section.address > position:
            yield _UNACCEPTED, position, section.address - position
        yield _SYSTEM_MEMORY, section.address, section.size
        position = section.address + section.size
    if low > position:
        yield _UNACCEPTED, position, low - position
    if memory > low:
        yield _UNACCEPTED, _ABOVE, memory - low
