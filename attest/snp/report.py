"""ATTESTATION_REPORT, 1184 bytes, versions 2 to 5 (AMD 56860, firmware ABI specification)."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import NamedTuple

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.evidence import PartResult
from attest.memory import Memory
from attest.problems import malformed

SIZE = 0x4A0
SIGNED = 0x2A0
"""Bytes 0x000..0x29F are signed, in every version."""
VERSIONS = (2, 3, 4, 5)
HOST_REQUESTED = 0xFFFFFFFF
"""VMPL of a report that the host asked for."""

_LAYOUT = struct.Struct(
    "<IIQ16s16sII8sQII64s48s32s48s48s32s32s8sBBB21s64s8s8s8sQQ152s72s72s368s",
)
_ZERO_21, _ZERO_24, _ZERO_152, _ZERO_368 = bytes(21), bytes(24), bytes(152), bytes(368)
if _LAYOUT.size != SIZE:  # pragma: no cover
    raise AssertionError("the layout does not add up")


class Report(NamedTuple):
    """The fields of a report under their names in AMD 56860; TCBs and identifiers as raw bytes.

    cpuid_fam_id, cpuid_mod_id, cpuid_step: None before version 3. launch_mit_vector,
    current_mit_vector: None before version 5 (version 4 has no public layout and is read as 3).
    """

    raw: bytes
    version: int
    guest_svn: int
    policy: int
    family_id: bytes
    image_id: bytes
    vmpl: int
    signature_algo: int
    current_tcb: bytes
    platform_info: int
    key_info: int
    report_data: bytes
    measurement: bytes
    host_data: bytes
    id_key_digest: bytes
    author_key_digest: bytes
    report_id: bytes
    report_id_ma: bytes
    reported_tcb: bytes
    cpuid_fam_id: int | None
    cpuid_mod_id: int | None
    cpuid_step: int | None
    chip_id: bytes
    committed_tcb: bytes
    current_version: tuple[int, int, int]
    committed_version: tuple[int, int, int]
    launch_tcb: bytes
    launch_mit_vector: int | None
    current_mit_vector: int | None
    signature_r: bytes
    signature_s: bytes
    signed_reserved_is_zero: bool
    unsigned_reserved_is_zero: bool

    @classmethod
    def parse(cls, raw: bytes) -> Report:
        """Read a report. Raises Malformed unless it is exactly 1184 bytes.

        Whatever the version says, fields are read at their offsets; `attest.snp.verify` refuses versions
        it does not know.
        """
        if len(raw) != SIZE:
            raise malformed("An SEV-SNP report has 1184 bytes", where="report", expected=SIZE, found=len(raw))
        (
            version,
            guest_svn,
            policy,
            family_id,
            image_id,
            vmpl,
            signature_algo,
            current_tcb,
            platform_info,
            key_info,
            reserved_04c,
            report_data,
            measurement,
            host_data,
            id_key_digest,
            author_key_digest,
            report_id,
            report_id_ma,
            reported_tcb,
            family,
            model,
            stepping,
            reserved_18b,
            chip_id,
            committed_tcb,
            versions,
            launch_tcb,
            launch_mit_vector,
            current_mit_vector,
            reserved_208,
            signature_r,
            signature_s,
            reserved_330,
        ) = _LAYOUT.unpack(raw)
        has_cpuid = version >= 3
        has_vectors = version >= 5
        return cls(
            raw,
            version,
            guest_svn,
            policy,
            family_id,
            image_id,
            vmpl,
            signature_algo,
            current_tcb,
            platform_info,
            key_info,
            report_data,
            measurement,
            host_data,
            id_key_digest,
            author_key_digest,
            report_id,
            report_id_ma,
            reported_tcb,
            family if has_cpuid else None,
            model if has_cpuid else None,
            stepping if has_cpuid else None,
            chip_id,
            committed_tcb,
            (versions[2], versions[1], versions[0]),
            (versions[6], versions[5], versions[4]),
            launch_tcb,
            launch_mit_vector if has_vectors else None,
            current_mit_vector if has_vectors else None,
            signature_r,
            signature_s,
            not (
                reserved_04c
                or reserved_18b != _ZERO_21
                or reserved_208 != _ZERO_152
                or versions[3]
                or versions[7]
                or (not has_cpuid and (family or model or stepping))
                or (not has_vectors and (launch_mit_vector or current_mit_vector))
                or key_info >> 5
            ),
            signature_r[48:] == signature_s[48:] == _ZERO_24 and reserved_330 == _ZERO_368,
        )

    @property
    def section(self) -> str:
        return "snp"

    @property
    def bound(self) -> bytes:
        return self.report_data

    @property
    def signed(self) -> bytes:
        """The bytes under the signature."""
        return self.raw[:SIGNED]

    @property
    def signing_key(self) -> int:
        """KEY_INFO bits 4:2: 0 VCEK, 1 VLEK, 7 none."""
        return self.key_info >> 2 & 7

    @property
    def chip_key_masked(self) -> bool:
        return bool(self.key_info >> 1 & 1)

    @property
    def author_key_en(self) -> bool:
        return bool(self.key_info & 1)

    def verify_with(
        self,
        *,
        endorsements: Endorsements,
        anchors: Anchors,
        at: datetime,
        log: CheckLog,
        cache: Cache | None,
        memory: Memory | None,
    ) -> PartResult | None:
        from attest.snp.verify import verify_snp

        return verify_snp(
            self, endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
        )
