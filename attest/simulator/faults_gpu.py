"""Faults of a GPU's report, by the number of the check that must refuse each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from attest.simulator import gpu, rim
from attest.simulator.device import DevicePlan
from attest.simulator.fault import FaultTable

GPU_FAULTS = FaultTable("gpu")
_fault = GPU_FAULTS
_DAY = timedelta(days=1)
_REPORT = "nvidia.report.malformed"
_OPAQUE = "nvidia.opaque.malformed"
_LEAF, _BROM, _PROVISIONER, _IDENTITY, _ROOT = range(5)


def _flip(offset: int) -> Callable[[bytearray], None]:
    def edit(raw: bytearray) -> None:
        raw[offset] ^= 1

    return edit


# -- 1, 2: layout of the report -----------------------------------------------------------------------------------


@_fault("too-large", "15.1 caps", "64 KiB of zeros follow", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.tail = bytes(64 << 10)


@_fault("spdm-version", "15.2 request", "SPDM 1.2 in the request", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.request = b"\x12\xe0\x01\xff"


@_fault("unsigned-request", "15.2 request", "Param1 asks for no signature", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.request = b"\x11\xe0\x00\xff"


@_fault("one-block-asked", "15.2 request", "Param2 asks for one block", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.request = b"\x11\xe0\x01\x01"


@_fault("slot", "15.2 response", "request and response speak of different slots", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.response = b"\x11\x60\x00\x01"


@_fault("response-code", "15.2 response", "the response is no MEASUREMENTS", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.response = b"\x11\x61\x00\x00"


@_fault("response-version", "15.2 response", "SPDM 1.2 in the response", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.response = b"\x12\x60\x00\x00"


@_fault("no-blocks", "15.2 record", "no measurement at all", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.blocks = []


@_fault("block-count", "15.2 record", "the record says one block more", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.block_count = len(plan.blocks) + 1


@_fault("record-length", "15.2 record", "the record says one byte less", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.record_length = 55 * len(plan.blocks) - 1


@_fault("block-index-doubled", "15.2 block", "two blocks have one index", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.blocks[10].index = plan.blocks[9].index


@_fault("block-index-zero", "15.2 block", "a block has index 0", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.blocks[0].index = 0


@_fault("block-specification", "15.2 block", "a block is not of DMTF's form", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.blocks[3].specification = 2


@_fault("block-size", "15.2 block", "the two sizes of a block contradict each other", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.blocks[3].value_size = 47


@_fault("block-raw", "15.2 block", "a block holds raw bytes, not a digest", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.blocks[3].value_type = 0x81


@_fault("opaque-doubled", "15.2 opaque", "the driver version stands twice", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.opaque.append((gpu.DRIVER_VERSION, b"999.99.99\0"))


@_fault("opaque-overrun", "15.2 opaque", "the last field runs past the end", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.opaque_tail = b"\x05\x00\x09\x00"


@_fault("opaque-length", "15.2 opaque", "the opaque data says eight bytes more", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.opaque_length = sum(4 + len(value) for _, value in plan.opaque) + 8


@_fault("opaque-unknown", "15.2 opaque", "a field nobody knows", warnings="nvidia.opaque.unknown")
def _(plan: DevicePlan) -> None:
    plan.opaque.append((60, b"new"))


@_fault("nvdec-status", "15.2 opaque", "NVDEC0 is neither on nor off", _OPAQUE)
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.NVDEC0_STATUS, b"\x00")


@_fault("fwid-size", "15.2 opaque", "the report's FWID has 32 bytes", _OPAQUE)
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.FWID, bytes(32))


@_fault("driver-text", "15.2 opaque", "terminal controls in the driver version", _OPAQUE)
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.DRIVER_VERSION, b"\x1b[2J550\0")


@_fault("tail", "15.2 tail", "text follows the signature", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.tail = b"more"


@_fault("tail-long", "15.2 tail", "nine zero bytes follow the signature", _REPORT)
def _(plan: DevicePlan) -> None:
    plan.tail = bytes(9)


@_fault(
    "tail-zero", "15.2 tail", "one zero byte follows, as on real drivers", warnings="nvidia.trailing-bytes"
)
def _(plan: DevicePlan) -> None:
    plan.tail = bytes(1)


@_fault("truncated", "15.2 signature", "half the signature is missing", _REPORT)
def _(plan: DevicePlan) -> None:
    def edit(raw: bytearray) -> None:
        del raw[-48:]

    plan.edit = edit


# -- 4, 5: signature and nonce ----------------------------------------------------------------------------------


@_fault("signed-by-another", "15.4 signature", "another key signed the report", "nvidia.signature.invalid")
def _(plan: DevicePlan) -> None:
    plan.report_key = "p384/stranger"


@_fault(
    "altered", "15.4 signature", "one bit of a measurement changed afterwards", "nvidia.signature.invalid"
)
def _(plan: DevicePlan) -> None:
    plan.edit = _flip(45 + 7 + 55)


@_fault("signature-zero", "15.4 signature", "r and s are zero", "nvidia.signature.invalid")
def _(plan: DevicePlan) -> None:
    def edit(raw: bytearray) -> None:
        raw[-96:] = bytes(96)

    plan.edit = edit


@_fault("nonce", "15.5 nonce", "the report answers another challenge", "binding.gpu-nonce")
def _(plan: DevicePlan) -> None:
    plan.nonce = hashlib.sha256(b"another challenge").digest()


# -- 8: modes ---------------------------------------------------------------------------------------------------


@_fault("spt-with-protected-pcie", "15.8 mode", "flag SPT, protected PCIe on",
        "nvidia.mode.contradiction", opaque_version=1)  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.PROTECTED_PCIE, b"\xaa")


@_fault("ppcie-without-status", "15.8 mode", "flag PPCIE, protected PCIe off",
        "nvidia.mode.contradiction", opaque_version=1, mode="ppcie")  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.PROTECTED_PCIE, b"\x55")


@_fault("ppcie-without-switches", "15.8 mode", "flag PPCIE, no switch identifiers",
        "nvidia.mode.contradiction", opaque_version=1, mode="ppcie")  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.SWITCH_PDI, None)


@_fault("spt-with-switches", "15.8 mode", "protected PCIe off, and switch identifiers",
        "nvidia.mode.contradiction")  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.SWITCH_PDI, bytes(range(144)))


@_fault("ppcie", "15.8 mode", "protected PCIe, which must be opted into", claims={"mode": "ppcie"},
        opaque_version=1, mode="ppcie")  # fmt: skip
def _(plan: DevicePlan) -> None:
    pass


# -- 10: measurements -------------------------------------------------------------------------------------------


@_fault("measurement", "15.10 measurements", "one measured value is not a golden one",
        claims={"measurements": "mismatch"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.blocks[9].value = hashlib.sha384(b"other firmware").digest()


@_fault("measurement-missing", "15.10 measurements", "block 41 (index 40) is not sent",
        claims={"measurements": "mismatch"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.blocks = [block for block in plan.blocks if block.index != 41]


@_fault("measurement-shifted", "15.10 measurements", "every value stands one index too low",
        claims={"measurements": "mismatch"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    for index, block in enumerate(plan.blocks):
        block.value = rim.golden((index + 1) % 64)


@_fault("nvdec-enabled", "15.10 index 35", "index 35 differs and NVDEC0 is on",
        claims={"measurements": "mismatch"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.NVDEC0_STATUS, b"\xaa")
    plan.blocks[35].value = hashlib.sha384(b"other firmware").digest()


@_fault("index-conflict", "15.10 index conflict", "both manifests claim index 9", "nvidia.rim.index-conflict")
def _(plan: DevicePlan) -> None:
    plan.rims["driver"].entries[9] = rim.Entry(9, "True", [rim.golden(9)])
