"""The ACPI table that says where a guest's event log lies: read, shown, and of no weight.

Source: ACPI 6.5 §5.2.34, Confidential Computing Event Log table. Integers are little-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from attest.problems import malformed
from attest.untrusted import Untrusted

SIZE = 56
SIGNATURE = b"CCEL"
_TABLE = struct.Struct("<4sIBB6s8sIIIBBHQQ")
_CC_TYPES = (1, 2)
"""1 SEV, 2 TDX."""


@dataclass(frozen=True, slots=True)
class CcelTable:
    """cc_type: 1 SEV, 2 TDX. log_area_minimum_length: bytes. log_area_start_address: guest physical."""

    raw: bytes
    revision: int
    oem_id: Untrusted
    oem_table_id: Untrusted
    cc_type: int
    cc_subtype: int
    log_area_minimum_length: int
    log_area_start_address: int

    @classmethod
    def parse(cls, raw: bytes, where: str = "CCEL table") -> CcelTable:
        """Raises Malformed: another length, signature, checksum or kind of machine."""
        if len(raw) != SIZE:
            raise malformed("A CCEL table is 56 bytes", where=where, expected=SIZE, found=len(raw))
        signature, length, revision, _, oem, table, _, _, _, cc_type, subtype, _, minimum, start = (
            _TABLE.unpack(raw)
        )
        if signature != SIGNATURE or length != SIZE:
            raise malformed("Not a CCEL table", where=where, expected="CCEL", found=length)
        if sum(raw) & 0xFF:
            raise malformed("The CCEL table's checksum is wrong", where=f"{where}+9")
        if cc_type not in _CC_TYPES:
            raise malformed("A CCEL table of an unknown machine", where=f"{where}+36", found=cc_type)
        return cls(raw, revision, _text(oem), _text(table), cc_type, subtype, minimum, start)


def _text(raw: bytes) -> Untrusted:
    return Untrusted(raw.rstrip(b"\0 ").decode("latin-1"))
