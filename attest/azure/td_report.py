"""The TDREPORT in an HCL report, and whether it is of the TD that the quote is of.

Its MAC can be checked on that CPU alone, so it proves nothing; but quote and HCL report come from two calls,
and where the two speak of different TDs the evidence is mixed.
Source: Intel TDX module ABI specification, TDREPORT_STRUCT.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from attest.tdx.quote import TdReport

SIZE = 1024
TYPE = 0x81
_INFO = struct.Struct("<8s8s48s48s48s48s48s48s48s48s")
_INFO_AT = 512
_REPORT_DATA_AT = 128


@dataclass(frozen=True, slots=True)
class HostTdReport:
    """report_data, then the fields of TDINFO under the names of the quote's body, as raw bytes."""

    report_data: bytes
    td_attributes: bytes
    xfam: bytes
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes

    @classmethod
    def of(cls, area: bytes) -> HostTdReport | None:
        """From the hardware area of an HCL report; None where it holds no TDREPORT."""
        if len(area) < SIZE or area[0] != TYPE or any(area[SIZE:]):
            return None
        return cls(area[_REPORT_DATA_AT : _REPORT_DATA_AT + 64], *_INFO.unpack_from(area, _INFO_AT))

    def differences(self, body: TdReport) -> Iterator[tuple[str, bytes, bytes]]:
        """(field, in the quote, here) of each field that differs."""
        for name in self.__slots__:
            value = getattr(body, name)
            quoted = value.to_bytes(8, "little") if isinstance(value, int) else value
            own = getattr(self, name)
            if own != quoted:
                yield name, quoted, own
