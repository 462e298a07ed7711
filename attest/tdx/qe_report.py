"""The quoting enclave's own report: an SGX enclave report of 384 bytes.

Source: Intel TDX DCAP quoting library API, enclave report body.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from attest.problems import malformed

SIZE = 384
_LAYOUT = struct.Struct("<16s4s28x16s32s32x32s96xHH60x64s")


class QeReport(NamedTuple):
    """raw: the 384 bytes the PCK key signs. misc_select and attributes stay bytes: the QE identity gives
    values and masks in memory order. cpu_svn is the raw one and says nothing about the PCK's."""

    raw: bytes
    cpu_svn: bytes
    misc_select: bytes
    attributes: bytes
    mr_enclave: bytes
    mr_signer: bytes
    isv_prod_id: int
    isv_svn: int
    report_data: bytes

    @classmethod
    def parse(cls, data: bytes) -> QeReport:
        """Raises Malformed unless there are exactly 384 bytes."""
        if len(data) != SIZE:
            raise malformed(
                "An enclave report has 384 bytes", where="qe_report", expected=SIZE, found=len(data)
            )
        return cls(data, *_LAYOUT.unpack(data))
