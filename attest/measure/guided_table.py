"""The table of GUIDs near the end of an OVMF image: how a VMM finds what the firmware wants of it.

Read backwards: each entry is its data, a length that counts data, length and GUID, and the GUID. The last
entry is the footer, whose length is that of the whole table; 32 bytes of reset vector follow it.
Source: edk2, OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from attest.problems import malformed

MAX_FIRMWARE = 64 << 20
PAGE = 4096
_FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
_AFTER = 32
_HEAD = 18


def has_table(firmware: bytes) -> bool:
    """Whether the footer's GUID stands where it should."""
    return firmware[-_AFTER - 16 : -_AFTER] == _FOOTER


def read_table(firmware: bytes) -> Mapping[UUID, bytes]:
    """GUID → its data. Raises Malformed (`measure.firmware`): no table, or one that does not add up."""
    if not PAGE <= len(firmware) <= MAX_FIRMWARE or len(firmware) % PAGE:
        raise malformed(
            "A firmware image is whole pages of 4096 bytes",
            where="firmware",
            expected=f"a multiple of {PAGE}, at most {MAX_FIRMWARE} bytes",
            found=len(firmware),
            code="measure.firmware",
        )
    if not has_table(firmware):
        raise malformed(
            "The firmware has no table of GUIDs at its end, so nothing says how it is launched",
            where=f"firmware, offset {len(firmware) - _AFTER - 16}",
            code="measure.firmware",
        )
    footer = len(firmware) - _AFTER - _HEAD
    start = footer + _HEAD - int.from_bytes(firmware[footer : footer + 2], "little")
    if not 0 <= start <= footer:
        raise malformed(
            "The table of GUIDs does not fit into the firmware",
            where=f"firmware, offset {footer}",
            code="measure.firmware",
        )
    found: dict[UUID, bytes] = {}
    end = footer
    while end > start:
        head = end - _HEAD
        length = int.from_bytes(firmware[head : head + 2], "little") if head >= start else 0
        guid = UUID(bytes_le=firmware[head + 2 : end]) if head >= start else None
        if guid is None or not _HEAD <= length <= end - start or guid in found:
            raise malformed(
                "An entry of the table of GUIDs has an impossible length, or stands twice",
                where=f"firmware, offset {head}",
                code="measure.firmware",
            )
        found[guid] = firmware[end - length : head]
        end -= length
    return found


def offset_from_end(firmware: bytes, data: bytes, *, code: str) -> int:
    """Where an entry that holds a distance from the image's end points. Raises Malformed."""
    distance = int.from_bytes(data, "little")
    if len(data) != 4 or not 16 <= distance <= len(firmware):
        raise malformed("The metadata lie outside the firmware", where="firmware table", code=code)
    return len(firmware) - distance
