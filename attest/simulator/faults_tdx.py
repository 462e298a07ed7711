"""Faults of TDX quotes, by the number of the check that must refuse each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from attest.simulator import collateral, tdx
from attest.simulator.fault import FaultTable
from attest.simulator.tdx import TdxPlan

TDX_FAULTS = FaultTable("tdx")
_fault = TDX_FAULTS
_DAY = timedelta(days=1)
_MALFORMED = "evidence.malformed"
_SGX = "tdx.sgx-quote"


def _header(offset: int, value: bytes) -> Callable[[TdxPlan], None]:
    def apply(plan: TdxPlan) -> None:
        plan.header[offset : offset + len(value)] = value

    return apply


# -- 1: layout ------------------------------------------------------------------------------------------------

_fault("sgx-quote", "12.1 header", "TEE type 0: an SGX enclave's quote", _SGX)(_header(4, bytes(4)))
_fault("sgx-version-3", "12.1 header", "version 3: an SGX enclave's quote", _SGX)(_header(0, b"\x03"))
_fault("version-6", "12.1 header", "version 6", "tdx.quote.version")(_header(0, b"\x06"))
_fault("key-type", "12.1 header", "the attestation key is P-384", "tdx.quote.key-type")(_header(2, b"\x03"))
_fault("tee-type", "12.1 header", "TEE type 0x82", _MALFORMED)(_header(4, b"\x82"))
_fault("qe-vendor", "12.1 header", "the quoting enclave's vendor is not Intel", "tdx.quote.qe-vendor")(
    _header(12, bytes(16))
)


def _described(name_: str, breaks: str, kind: int, size: int, code: str = _MALFORMED) -> None:
    @_fault(name_, "12.1 body descriptor", breaks, code, version=5)
    def _(plan: TdxPlan) -> None:
        plan.descriptor = (kind, size)


_described("body-type-unknown", "body type 4", 4, 648)
_described("body-size", "type 3 with the size of type 2", 3, 584)
_described("body-type-smaller", "type 2, and a body of type 3", 2, 584)
_described("body-type-sgx", "body type 1, an enclave's", 1, 384, _SGX)


@_fault("outer-type", "12.1 certification data", "the outer type is 5, not 6", _MALFORMED)
def _(plan: TdxPlan) -> None:
    plan.outer_type = 5


@_fault("outer-slack", "12.1 certification data", "a byte follows the inner data", _MALFORMED)
def _(plan: TdxPlan) -> None:
    plan.outer_slack = b"\0"


@_fault("signature-slack", "12.1 certification data", "a byte follows the outer data", _MALFORMED)
def _(plan: TdxPlan) -> None:
    plan.slack = b"\0"


@_fault("truncated", "12.1 length", "the last byte is missing", _MALFORMED)
def _(plan: TdxPlan) -> None:
    def edit(raw: bytearray) -> None:
        del raw[-1]

    plan.edit = edit


@_fault("too-large", "12.1 cap", "zeros up to more than 64 KiB", _MALFORMED)
def _(plan: TdxPlan) -> None:
    plan.trailing = bytes(64 << 10)


@_fault("trailing-text", "12.1 trailing", "text follows the quote", warnings="tdx.trailing-bytes")
def _(plan: TdxPlan) -> None:
    plan.trailing = b"padding"


def _inner(number: int, data: bytes, what: str) -> None:
    @_fault(
        f"inner-type-{number}", "12.1 certification data", f"type {number}, {what}, and no chain is given",
        "tdx.quote.certification-data",
    )  # fmt: skip
    def _(plan: TdxPlan) -> None:
        plan.inner_type, plan.inner = number, data


_inner(1, bytes(36), "plain PPID")
_inner(2, bytes(276), "PPID under RSA-2048")
_inner(3, bytes(404), "PPID under RSA-3072")
_inner(7, bytes(64), "a platform manifest")


@_fault("inner-type-8", "12.1 certification data", "an unknown inner type", _MALFORMED)
def _(plan: TdxPlan) -> None:
    plan.inner_type = 8


# -- 4: QE report -----------------------------------------------------------------------------------------------


@_fault("qe-report-signed-by-another", "12.4 QE report", "another key signed it", "tdx.qe-report.signature")
def _(plan: TdxPlan) -> None:
    plan.qe_key = "p256/stranger"


@_fault("attestation-key-replaced", "12.4 binding", "the quote is signed by a key of one's own",
        "tdx.qe-report.binding")  # fmt: skip
def _(plan: TdxPlan) -> None:
    plan.attestation_key = "p256/stranger"


@_fault(
    "qe-report-data-tail", "12.4 binding", "the second half of REPORTDATA is used", "tdx.qe-report.binding"
)
def _(plan: TdxPlan) -> None:
    plan.qe.tail = b"\x01" * 32


@_fault("qe-auth-data", "12.4 binding", "the auth data changed after binding", "tdx.qe-report.binding")
def _(plan: TdxPlan) -> None:
    plan.bound_auth_data = bytes(32)


@_fault("qe-mrsigner", "12.4 QE identity", "SGX's quoting enclave signed", "tdx.qe-report.identity")
def _(plan: TdxPlan) -> None:
    plan.qe.mrsigner = bytes.fromhex(collateral.SGX_QE_MRSIGNER)


@_fault("qe-product", "12.4 QE identity", "ISVPRODID is 1, SGX's", "tdx.qe-report.identity")
def _(plan: TdxPlan) -> None:
    plan.qe.isvprodid = 1


@_fault("qe-debug", "12.4 QE identity", "a debug quoting enclave", "tdx.qe-report.identity")
def _(plan: TdxPlan) -> None:
    plan.qe.attributes = b"\x17" + plan.qe.attributes[1:]


@_fault("qe-miscselect", "12.4 QE identity", "MISCSELECT is not zero", "tdx.qe-report.identity")
def _(plan: TdxPlan) -> None:
    plan.qe.miscselect = b"\x01\0\0\0"


@_fault("qe-too-old", "12.4 QE level", "ISVSVN 3 is below every level", "tdx.qe-report.svn")
def _(plan: TdxPlan) -> None:
    plan.qe.isvsvn = 3


@_fault("qe-out-of-date", "12.4 QE level", "ISVSVN 5", claims={"tcb-status": "OutOfDate"}, qe_isvsvn=5)
def _(plan: TdxPlan) -> None:
    pass


@_fault("attestation-key-off-curve", "12.4 point", "the attestation key is no point of the curve",
        "tdx.attestation-key")  # fmt: skip
def _(plan: TdxPlan) -> None:
    plan.point = b"\x01" * 64


# -- 5, 6: quote signature, report data ----------------------------------------------------------------------------


@_fault("signed-by-another", "12.5 signature", "another key signed the quote", "tdx.quote.signature")
def _(plan: TdxPlan) -> None:
    plan.quote_key = "p256/stranger"


@_fault("altered", "12.5 signature", "one bit of MRTD changed afterwards", "tdx.quote.signature")
def _(plan: TdxPlan) -> None:
    def edit(raw: bytearray) -> None:
        raw[(54 if plan.descriptor else 48) + 136] ^= 1

    plan.edit = edit


@_fault("descriptor-unsigned", "12.5 signature", "the signature leaves the descriptor out",
        "tdx.quote.signature", version=5)  # fmt: skip
def _(plan: TdxPlan) -> None:
    def edit(raw: bytearray) -> None:
        start = 54 + len(plan.body) + 4
        raw[start : start + 64] = plan.keys.raw_ecdsa(
            plan.attestation_key, bytes(plan.header) + bytes(plan.body)
        )

    plan.edit = edit


@_fault("report-data", "12.6 REPORTDATA", "the last byte is not what was asked", "binding.report-data")
def _(plan: TdxPlan) -> None:
    plan.body[583] ^= 1


# -- 7: the TD and its module ---------------------------------------------------------------------------------------


def _attributes(name_: str, breaks: str, bit: int, clear: bool = False, **claims: str) -> None:
    value = tdx.SEPT_VE_DISABLE & ~(1 << bit) if clear else tdx.SEPT_VE_DISABLE | 1 << bit
    shown = {key.replace("_", "-"): text for key, text in claims.items()} or {"attributes": str(value)}

    @_fault(name_, "12.7 TDATTRIBUTES", breaks, claims=shown)
    def _(plan: TdxPlan) -> None:
        plan.set("tdattributes", value)


_attributes("debug", "the host may debug the TD", 0, debug="true")
_attributes("profiled", "bit 4: another way to look inside", 4, debug="true")
_attributes("migratable", "the TD may be migrated", 29, migratable="true")
_attributes("sept-ve", "SEPT_VE_DISABLE is off", 28, True, sept_ve_disable="false")
_attributes("attribute-reserved", "reserved bit 39 is set", 39)


@_fault("perfmon", "12.7 TDATTRIBUTES", "PERFMON is set", warnings="tdx.perfmon")
def _(plan: TdxPlan) -> None:
    plan.set("tdattributes", tdx.SEPT_VE_DISABLE | 1 << 63)


@_fault("xfam", "12.7 XFAM", "SSE state is off", "tdx.xfam")
def _(plan: TdxPlan) -> None:
    plan.set("xfam", 0x602E5)


@_fault("mrsignerseam", "12.7 MRSIGNERSEAM", "somebody else signed the module", "tdx.module.signer")
def _(plan: TdxPlan) -> None:
    plan.set("mrsignerseam", b"\x01")


@_fault("seamattributes", "12.7 SEAMATTRIBUTES", "a debug module", "tdx.module.attributes")
def _(plan: TdxPlan) -> None:
    plan.set("seamattributes", b"\x01")


@_fault(
    "mrservicetd", "12.7 MRSERVICETD", "a service TD is bound", claims={"mrservicetd": "01" * 48}, version=5
)
def _(plan: TdxPlan) -> None:
    plan.set("mrservicetd", b"\x01" * 48)
