"""TDX quotes, version 4 and 5: header, TD report and nested signature data.

Source: Intel TDX DCAP quoting library API, quote format v4 and v5. Integers are little-endian; curve
coordinates and signature halves are big-endian.
"""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Literal, NamedTuple

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.evidence import PartResult
from attest.memory import Memory
from attest.problems import malformed
from attest.tdx.qe_report import SIZE as QE_REPORT_SIZE
from attest.tdx.qe_report import QeReport
from attest.tdx.verify import verify_quote

MAX_SIZE = 64 << 10
TEE_TDX = 0x81
TEE_SGX = 0
ECDSA_P256 = 2
PCK_CHAIN = 5
"""Certification data that is the PCK chain itself; all others only help to find one."""

_HEADER = struct.Struct("<HHIHH16s20s")
_DESCRIPTOR = struct.Struct("<HI")
_TD_10 = struct.Struct("<16s48s48s8sQQ48s48s48s48s48s48s48s48s64s")
_TD_15 = struct.Struct("<16s48s48s8sQQ48s48s48s48s48s48s48s48s64s16s48s")
_SIGNATURE = struct.Struct(f"<64s64sHI{QE_REPORT_SIZE}s64sH")
_CERTIFICATION = struct.Struct("<HI")

SGX_BODY, TD_10_BODY, TD_15_BODY = 1, 2, 3
_BODY_SIZES = {SGX_BODY: 384, TD_10_BODY: _TD_10.size, TD_15_BODY: _TD_15.size}
_QE_REPORT_CERTIFICATION = 6
_OUTER = 134  # signature, key, type and size of the outer certification data


class TdReport(NamedTuple):
    """What the CPU says about the TD. raw: 584 bytes (TD 1.0) or 648 (TD 1.5).

    tee_tcb_svn: the TCB at launch. tee_tcb_svn_2: the TCB now, and mr_servicetd: bound service TDs; both
    None in TD 1.0. td_attributes and xfam as u64.
    """

    raw: bytes
    tee_tcb_svn: bytes
    mr_seam: bytes
    mrsigner_seam: bytes
    seam_attributes: bytes
    td_attributes: int
    xfam: int
    mr_td: bytes
    mr_config_id: bytes
    mr_owner: bytes
    mr_owner_config: bytes
    rtmr0: bytes
    rtmr1: bytes
    rtmr2: bytes
    rtmr3: bytes
    report_data: bytes
    tee_tcb_svn_2: bytes | None = None
    mr_servicetd: bytes | None = None

    @classmethod
    def parse(cls, data: bytes) -> TdReport:
        """Raises Malformed unless the length is that of TD 1.0 or TD 1.5."""
        if len(data) == _TD_10.size:
            return cls(data, *_TD_10.unpack(data))
        if len(data) == _TD_15.size:
            return cls(data, *_TD_15.unpack(data))
        raise malformed(
            "A TD report has 584 or 648 bytes", where="quote.body", expected="584 or 648", found=len(data)
        )


class Quote(NamedTuple):
    """A parsed quote, believed by nobody.

    raw: header to end of signature data, without what followed it: padding is not signed and identifies
    nothing. signed: the bytes under `signature`. body_type: 2 (TD 1.0) or 3 (TD 1.5). signature,
    attestation_key, qe_report_signature: r‖s or x‖y. certification_data: of type certification_data_type,
    PEM for type 5. trailing: bytes after the signature data; trailing_zero: whether all are zero.
    """

    raw: bytes
    version: int
    attestation_key_type: int
    tee_type: int
    reserved_1: int
    reserved_2: int
    qe_vendor_id: bytes
    user_data: bytes
    body_type: int
    body: TdReport
    signed: bytes
    signature: bytes
    attestation_key: bytes
    qe_report: QeReport
    qe_report_signature: bytes
    qe_auth_data: bytes
    certification_data_type: int
    certification_data: bytes
    trailing: int = 0
    trailing_zero: bool = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quote) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    @property
    def section(self) -> Literal["tdx"]:
        return "tdx"

    @property
    def bound(self) -> bytes:
        return self.body.report_data

    @classmethod
    def parse(cls, data: bytes) -> Quote:
        """Walk all structures; every length must be consumed exactly.

        Raises Malformed: code `tdx.sgx-quote` for a quote of an SGX enclave, `tdx.quote.version` and
        `tdx.quote.key-type` for what this verifier does not know, `evidence.malformed` otherwise.
        """
        if len(data) > MAX_SIZE:
            raise malformed(
                "The quote is too large", where="quote", expected=f"≤ {MAX_SIZE} bytes", found=len(data)
            )
        if len(data) < 48:
            raise _short(data, 48, "quote.header")
        version, key_type, tee_type, reserved_1, reserved_2, vendor, user_data = _HEADER.unpack_from(data)
        if version == 3 or (version in (4, 5) and tee_type == TEE_SGX):
            raise _sgx(data, version)
        if version not in (4, 5):
            raise malformed(
                "The quote version is not one this verifier knows",
                code="tdx.quote.version",
                where="quote.version",
                expected="4 or 5",
                found=version,
            )
        if tee_type != TEE_TDX:
            raise malformed(
                "The quote is of an unknown kind of TEE",
                where="quote.tee_type",
                expected=f"{TEE_TDX:#x}",
                found=f"{tee_type:#x}",
            )
        if key_type != ECDSA_P256:
            raise malformed(
                "The attestation key is not ECDSA P-256",
                code="tdx.quote.key-type",
                where="quote.attestation_key_type",
                expected=ECDSA_P256,
                found=key_type,
            )
        body_type, start = TD_10_BODY, 48
        if version == 5:
            if len(data) < 54:
                raise _short(data, 54, "quote.body_descriptor")
            body_type, size = _DESCRIPTOR.unpack_from(data, 48)
            start = 54
            if body_type == SGX_BODY:
                raise _sgx(data, version)
            if _BODY_SIZES.get(body_type) != size:
                raise malformed(
                    "The body descriptor names no known TD report",
                    where="quote.body_descriptor",
                    expected="type 2 of 584 bytes or type 3 of 648",
                    found=f"type {body_type} of {size}",
                )
        end = start + _BODY_SIZES[body_type]
        if len(data) < end + 4:
            raise _short(data, end + 4, "quote.body")
        length = int.from_bytes(data[end : end + 4], "little")
        stop = end + 4 + length
        if len(data) < stop:
            raise _short(data, stop, "quote.signature_data")
        signature, key, report, report_signature, auth, inner_type, inner = _signature_data(
            data[end + 4 : stop]
        )
        return cls(
            data[:stop],
            version,
            key_type,
            tee_type,
            reserved_1,
            reserved_2,
            vendor,
            user_data,
            body_type,
            TdReport.parse(data[start:end]),
            data[:end],
            signature,
            key,
            report,
            report_signature,
            auth,
            inner_type,
            inner,
            len(data) - stop,
            stop == len(data) or not data[stop:].strip(b"\0"),
        )

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
        """See `attest.evidence.Verifiable`."""
        return verify_quote(
            self,
            endorsements=endorsements,
            anchors=anchors,
            at=at,
            log=log,
            cache=cache,
            memory=memory,
        )


def _signature_data(data: bytes) -> tuple[bytes, bytes, QeReport, bytes, bytes, int, bytes]:
    if len(data) < _SIGNATURE.size:
        raise _short(data, _SIGNATURE.size, "quote.signature_data")
    signature, key, outer_type, outer_size, report, report_signature, auth_size = _SIGNATURE.unpack_from(data)
    if outer_type != _QE_REPORT_CERTIFICATION:
        raise malformed(
            "The outer certification data is not of type 6",
            where="quote.certification_data_type",
            expected=_QE_REPORT_CERTIFICATION,
            found=outer_type,
        )
    if _OUTER + outer_size != len(data):
        raise malformed(
            "The outer certification data does not end with the signature data",
            where="quote.certification_data_size",
            expected=len(data) - _OUTER,
            found=outer_size,
        )
    at = _SIGNATURE.size + auth_size
    if len(data) < at + _CERTIFICATION.size:
        raise _short(data, at + _CERTIFICATION.size, "quote.qe_auth_data")
    auth = data[_SIGNATURE.size : at]
    inner_type, inner_size = _CERTIFICATION.unpack_from(data, at)
    at += _CERTIFICATION.size
    if at + inner_size != len(data):
        raise malformed(
            "The inner certification data does not fill the outer exactly",
            where="quote.qe_certification_data_size",
            expected=len(data) - at,
            found=inner_size,
        )
    if not 1 <= inner_type <= 7 or inner_type == _QE_REPORT_CERTIFICATION:
        raise malformed(
            "The inner certification data is of an unknown type",
            where="quote.qe_certification_data_type",
            expected="1 to 5, or 7",
            found=inner_type,
        )
    return signature, key, QeReport.parse(report), report_signature, auth, inner_type, data[at:]


def _short(data: bytes, size: int, where: str) -> Malformed:
    return malformed("The quote is cut short", where=where, expected=f"≥ {size} bytes", found=len(data))


def _sgx(data: bytes, version: int) -> Malformed:
    start = 54 if version == 5 else 48
    enclave = data[start + 64 : start + 96]
    return malformed(
        "This is the quote of an SGX enclave, not of a TD; this verifier judges TDX",
        code="tdx.sgx-quote",
        where="quote.tee_type",
        expected=f"TEE type {TEE_TDX:#x}",
        found=f"SGX quote version {version}" + (f", MRENCLAVE {enclave.hex()}" if len(enclave) == 32 else ""),
    )
