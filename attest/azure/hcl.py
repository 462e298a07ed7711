"""The HCL report: what Azure's paravisor writes around the hardware's report.

Nothing in its header is signed. Sizes and kinds only say how to read it; the hardware's signature and the
hash of the runtime data decide. Little-endian.
Source: Microsoft Learn, Azure confidential VM guest attestation; azure-cvm-tooling, HCL report.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from attest.azure.runtime_data import RuntimeData
from attest.problems import malformed

Kind = Literal["snp", "tdx"]

MAX_SIZE = 8 << 10
MAGIC = b"HCLA"
_HEADER = struct.Struct("<4sIIII12s")
_AREA = 1184
_DATA = struct.Struct("<IIIII")
_DATA_AT = _HEADER.size + _AREA
_JSON_AT = _DATA_AT + _DATA.size
_KINDS: dict[int, Kind] = {2: "snp", 4: "tdx"}
SHA256 = 1


@dataclass(frozen=True, slots=True)
class HclReport:
    """A parsed HCL report, believed by nobody.

    raw: as it came, padding included. version: of the header. kind: by the unsigned report type. area: the
    1184 bytes of hardware report, an SNP report or a TDREPORT and zeros. hash_type: 1 is SHA-256. runtime:
    what the hash in the hardware's report data covers. zeros: whether reserved bytes and padding are zero.
    """

    raw: bytes
    version: int
    status: int
    kind: Kind
    area: bytes
    data_version: int
    hash_type: int
    runtime: RuntimeData
    zeros: bool

    @classmethod
    def parse(cls, data: bytes) -> HclReport:
        """Raises Malformed: other magic, sizes that do not agree, an unknown report type, runtime data that
        are not readable."""
        if not _JSON_AT <= len(data) <= MAX_SIZE:
            raise malformed(
                "An HCL report has 1236 to 8192 bytes", where="hcl", expected="1236 to 8192", found=len(data)
            )
        magic, version, report_size, _request_type, status, reserved = _HEADER.unpack_from(data)
        if magic != MAGIC:
            raise malformed("Not an HCL report", where="hcl.signature", expected=MAGIC, found=magic)
        data_size, data_version, report_type, hash_type, size = _DATA.unpack_from(data, _DATA_AT)
        end = _JSON_AT + size
        if end > len(data) or data_size != _DATA.size + size or report_size != _DATA_AT + data_size:
            raise malformed(
                "The sizes of the HCL report do not agree",
                where="hcl+0x4d0",
                expected=f"report {_DATA_AT}+20+N, data 20+N, N ≤ {len(data) - _JSON_AT}",
                found=f"report {report_size}, data {data_size}, N {size}",
            )
        if report_type not in _KINDS:
            raise malformed(
                "The HCL report holds no SNP or TDX report",
                where="hcl.report_type",
                expected="2 (SNP) or 4 (TDX)",
                found=report_type,
                code="azure.hcl.report-type",
            )
        return cls(
            data,
            version,
            status,
            _KINDS[report_type],
            data[_HEADER.size : _DATA_AT],
            data_version,
            hash_type,
            RuntimeData.parse(data[_JSON_AT:end]),
            not (any(reserved) or data[end:].strip(b"\0")),
        )
