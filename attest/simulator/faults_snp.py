"""Faults of SEV-SNP reports, by the number of the check that must refuse each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from attest.simulator import amd, der
from attest.simulator.certificates import (
    Extension,
)
from attest.simulator.fault import FaultTable
from attest.simulator.snp import SnpPlan, chip, encode_tcb

SNP_FAULTS = FaultTable("snp")
_fault = SNP_FAULTS
_UNKNOWN_OID = "1.3.6.1.4.1.3704.1.99"
_DAY = timedelta(days=1)


def _value(plan: SnpPlan, field: str) -> int:
    value = plan.fields[field]
    return value if isinstance(value, int) else int.from_bytes(value, "little")


def _flip(offset: int, mask: int = 1) -> Callable[[bytearray], None]:
    def edit(raw: bytearray) -> None:
        raw[offset] ^= mask

    return edit


# -- 1: layout ---------------------------------------------------------------------------------------------


@_fault("short", "12.1 length", "the report lacks its last byte", "evidence.malformed")
def _(plan: SnpPlan) -> None:
    def edit(raw: bytearray) -> None:
        del raw[-1]

    plan.edit = edit


@_fault("trailing-byte", "12.1 length", "one zero byte follows the report", "evidence.malformed")
def _(plan: SnpPlan) -> None:
    def edit(raw: bytearray) -> None:
        raw.append(0)

    plan.edit = edit


@_fault("version-1", "12.1 version", "VERSION is 1", "snp.report.version", version=2)
def _(plan: SnpPlan) -> None:
    plan.fields["version"] = 1


@_fault("version-6", "12.1 version", "VERSION is 6", "snp.report.version")
def _(plan: SnpPlan) -> None:
    plan.fields["version"] = 6


@_fault("signature-algorithm", "12.1 algorithm", "SIGNATURE_ALGO is 2", "snp.report.signature-algorithm")
def _(plan: SnpPlan) -> None:
    plan.fields["signature_algo"] = 2


@_fault("signing-key-none", "12.1 signing key", "SIGNING_KEY is 7, none", "snp.report.signing-key")
def _(plan: SnpPlan) -> None:
    plan.fields["key_info"] = 7 << 2


@_fault("masked-key", "12.1 MASK_CHIP_KEY", "MASK_CHIP_KEY is set", "snp.report.masked-key")
def _(plan: SnpPlan) -> None:
    plan.fields["key_info"] = _value(plan, "key_info") | 2


@_fault("reserved-after-signature", "12.1 reserved", "an unsigned byte is not zero", "snp.report.reserved")
def _(plan: SnpPlan) -> None:
    plan.edit = _flip(0x330)


@_fault(
    "reserved-signed", "12.1 reserved", "a signed reserved byte is not zero", warnings="snp.reserved-bits"
)
def _(plan: SnpPlan) -> None:
    plan.fields["reserved_208"] = b"\x01"


# -- 4: signature of the report -----------------------------------------------------------------------------------


@_fault("signed-by-another", "12.4 signature", "another key signed the report", "snp.signature.invalid")
def _(plan: SnpPlan) -> None:
    plan.report_key = "p384/stranger"


@_fault("altered", "12.4 signature", "one bit of MEASUREMENT changed afterwards", "snp.signature.invalid")
def _(plan: SnpPlan) -> None:
    plan.edit = _flip(0x090)


@_fault("signature-zero", "12.4 signature", "R and S are zero", "snp.signature.invalid")
def _(plan: SnpPlan) -> None:
    def edit(raw: bytearray) -> None:
        raw[0x2A0:0x330] = bytes(144)

    plan.edit = edit


# -- 5: TCB and chip of the leaf ----------------------------------------------------------------------------------


def _spl(component: str, product: str) -> None:
    @_fault(
        f"spl-{component}",
        f"12.5 {component} SPL",
        f"the leaf was made for another {component} TCB",
        "snp.tcb.mismatch",
        product=product,
    )
    def _(plan: SnpPlan) -> None:
        plan.leaf.put(Extension(amd.SPL[component], der.integer(plan.product.tcb[component] ^ 1)))


for _component in ("bootloader", "tee", "snp", "microcode"):
    _spl(_component, "genoa")
_spl("fmc", "turin")


@_fault("spl-above-127", "12.5 SPL", "ucodeSPL 0xD9, reported 0: its third byte is 0 too", "snp.tcb.mismatch")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(amd.SPL["microcode"], der.integer(0xD9)))
    lower = {**plan.product.tcb, "microcode": 0}
    plan.fields["reported_tcb"] = encode_tcb(plan.product, lower)


@_fault("spl-missing", "12.5 SPL", "the leaf has no snpSPL", "snp.leaf.extension")
def _(plan: SnpPlan) -> None:
    plan.leaf.drop(amd.SPL["snp"])


@_fault("spl-too-large", "12.5 SPL", "snpSPL is 256 more", "snp.leaf.extension")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(amd.SPL["snp"], der.integer(256 + plan.product.tcb["snp"])))


@_fault("spl-doubled", "12.5 SPL", "the leaf has two snpSPL", "x509.malformed snp.leaf.extension")
def _(plan: SnpPlan) -> None:
    plan.leaf.extensions.append(Extension(amd.SPL["snp"], der.integer(255)))


@_fault("hwid-of-another-chip", "12.5 chip-id", "the VCEK is another chip's", "snp.chip-id.mismatch")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(amd.HWID, chip(1, plan.product)[: plan.product.hwid_size]))


@_fault("hwid-missing", "12.5 chip-id", "the VCEK has no hwID", "snp.leaf.extension")
def _(plan: SnpPlan) -> None:
    plan.leaf.drop(amd.HWID)


@_fault("hwid-short", "12.5 chip-id", "hwID has Turin's length on Genoa", "snp.leaf.extension")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(amd.HWID, chip(0, plan.product)[:8]))


@_fault("chip-id-masked", "12.5 chip-id", "CHIP_ID is zero", "snp.chip-id.masked")
def _(plan: SnpPlan) -> None:
    plan.fields["chip_id"] = bytes(64)


@_fault(
    "chip-id-tail", "12.5 chip-id", "bytes 8 to 63 of a Turin id are used", "snp.chip-id.mismatch",
    product="turin",
)  # fmt: skip
def _(plan: SnpPlan) -> None:
    plan.fields["chip_id"] = chip(0, plan.product)[:8] + b"\x01" * 56


# -- 6: report data -----------------------------------------------------------------------------------------------


@_fault("report-data", "12.6 REPORT_DATA", "the last byte is not what was asked", "binding.report-data")
def _(plan: SnpPlan) -> None:
    data = plan.fields.get("report_data", b"")
    padded = bytearray(data if isinstance(data, bytes) else b"").ljust(64, b"\0")
    padded[63] ^= 1
    plan.fields["report_data"] = bytes(padded)


# -- 7: guest policy and VMPL -------------------------------------------------------------------------------------


@_fault("policy-bit-17", "12.7 POLICY bit 17", "the bit that is always one is zero", "snp.report.policy-bit")
def _(plan: SnpPlan) -> None:
    plan.fields["policy"] = _value(plan, "policy") & ~(1 << 17)


@_fault("debug", "12.7 DEBUG", "the host may debug the guest", claims={"debug": "true"})
def _(plan: SnpPlan) -> None:
    plan.fields["policy"] = _value(plan, "policy") | 1 << 19


@_fault("migrate-ma", "12.7 MIGRATE_MA", "a migration agent is allowed", claims={"migrate-ma": "true"})
def _(plan: SnpPlan) -> None:
    plan.fields["policy"] = _value(plan, "policy") | 1 << 18


@_fault("policy-unknown-bit", "12.7 POLICY", "bit 40 is set", claims={"policy-unknown-bits": str(1 << 40)})
def _(plan: SnpPlan) -> None:
    plan.fields["policy"] = _value(plan, "policy") | 1 << 40


@_fault("vmpl-1", "12.7 VMPL", "VMPL 1 asked for the report", claims={"vmpl": "1"})
def _(plan: SnpPlan) -> None:
    plan.fields["vmpl"] = 1


@_fault("host-requested", "12.7 VMPL", "the host asked for the report", "snp.report.host-requested")
def _(plan: SnpPlan) -> None:
    plan.fields["vmpl"] = 0xFFFFFFFF


# -- 8: TCB relations ---------------------------------------------------------------------------------------------


def _lower(plan: SnpPlan, field: str) -> None:
    tcb = {**plan.product.tcb, "snp": plan.product.tcb["snp"] - 1}
    plan.fields[field] = encode_tcb(plan.product, tcb)


@_fault("committed-below-reported", "12.8 TCB order", "COMMITTED_TCB < REPORTED_TCB", "snp.tcb.order")
def _(plan: SnpPlan) -> None:
    _lower(plan, "committed_tcb")


@_fault("current-below-committed", "12.8 TCB order", "CURRENT_TCB < COMMITTED_TCB", "snp.tcb.order")
def _(plan: SnpPlan) -> None:
    _lower(plan, "current_tcb")


@_fault(
    "firmware-order", "12.8 firmware order", "the current firmware is below the committed", "snp.tcb.order"
)
def _(plan: SnpPlan) -> None:
    plan.fields["current_build"] = _value(plan, "committed_build") - 1


@_fault("old-firmware", "12.8 TCB minimum", "REPORTED_TCB snp is 10", claims={"tcb.snp": "10"},
        reported_tcb={"snp": 10})  # fmt: skip
def _(plan: SnpPlan) -> None:
    pass


@_fault(
    "alias-check", "12.8 PLATFORM_INFO", "no memory alias check (BadRAM)", claims={"alias-check": "false"}
)
def _(plan: SnpPlan) -> None:
    plan.fields["platform_info"] = _value(plan, "platform_info") & ~(1 << 5)
