"""Hopper GPU evidence, byte-exact: the SPDM request and response, opaque data, chain and RIMs.

Source: DMTF DSP0274 1.1 (GET_MEASUREMENTS), NVIDIA GPU attestation (opaque data, measurement record).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from attest.simulator import nvidia, rim
from attest.simulator.certificates import CertificatePlan, day_of, pem
from attest.simulator.keys import Keyring
from attest.simulator.simulated import Simulated

if TYPE_CHECKING:
    from attest.endorsements import Endorsements
    from attest.evidence import Evidence, Verifiable

BLOCKS = 64
FLAGS = {"spt": 0, "mpt": 1, "ppcie": 2}

DRIVER_VERSION, GPU_INFO, VBIOS_VERSION, NVDEC0_STATUS = 3, 4, 6, 11
MSRSCNT, CPRINFO, BOARD_ID, CHIP_SKU, CHIP_SKU_MOD = 12, 13, 14, 15, 16
PROJECT, PROJECT_SKU, PROJECT_SKU_MOD, FWID, PROTECTED_PCIE = 17, 18, 19, 20, 21
SWITCH_PDI, OPAQUE_VERSION, FEATURE_FLAG = 22, 34, 36


@dataclass
class Block:
    """One measurement block, 55 bytes when honest."""

    index: int
    value: bytes
    specification: int = 1
    value_type: int = 1
    size: int | None = None
    value_size: int | None = None

    def encode(self) -> bytes:
        value_size = len(self.value) if self.value_size is None else self.value_size
        size = len(self.value) + 3 if self.size is None else self.size
        return (
            bytes((self.index, self.specification))
            + size.to_bytes(2, "little")
            + bytes((self.value_type,))
            + value_size.to_bytes(2, "little")
            + self.value
        )


@dataclass
class GpuPlan:
    """Everything that goes into one GPU's evidence; a fault changes one thing of it.

    request, response: the fixed bytes before nonce and record. opaque: (id, value) in order. chain: leaf
    first. sent: which of the chain are sent, in order. rims: driver and VBIOS manifests by role.
    """

    at: datetime
    keys: Keyring
    index: int
    nonce: bytes
    blocks: list[Block]
    opaque: list[tuple[int, bytes]]
    chain: list[CertificatePlan]
    rims: dict[str, rim.RimPlan]
    request: bytes = b"\x11\xe0\x01\xff"
    slot: int = 0
    response: bytes = b"\x11\x60\x00\x00"
    block_count: int | None = None
    record_length: int | None = None
    opaque_length: int | None = None
    opaque_tail: bytes = b""
    report_key: str = ""
    tail: bytes = b""
    arch: str = "HOPPER"
    sent: list[int] = field(default_factory=lambda: [0, 1, 2, 3, 4])
    edit: Callable[[bytearray], None] | None = None

    def set_opaque(self, kind: int, value: bytes | None) -> None:
        """Replace, add or (None) remove an opaque field."""
        present = [i for i, (k, _) in enumerate(self.opaque) if k == kind]
        if value is None:
            self.opaque = [pair for pair in self.opaque if pair[0] != kind]
        elif present:
            self.opaque[present[0]] = (kind, value)
        else:
            self.opaque.append((kind, value))

    def report(self) -> bytes:
        record = b"".join(block.encode() for block in self.blocks)
        opaque = b"".join(
            kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
            for kind, value in self.opaque
        )
        opaque += self.opaque_tail
        count = len(self.blocks) if self.block_count is None else self.block_count
        record_length = len(record) if self.record_length is None else self.record_length
        opaque_length = len(opaque) if self.opaque_length is None else self.opaque_length
        device_nonce = hashlib.sha256(b"simulated device nonce" + self.nonce).digest()
        signed = (
            self.request
            + self.nonce
            + bytes((self.slot,))
            + self.response
            + bytes((count,))
            + record_length.to_bytes(3, "little")
            + record
            + device_nonce
            + opaque_length.to_bytes(2, "little")
            + opaque
        )
        raw = bytearray(
            signed + self.keys.raw_ecdsa(self.report_key or self.chain[0].key, signed) + self.tail
        )
        if self.edit is not None:
            self.edit(raw)
        return bytes(raw)

    def build(self) -> Device:
        chain = [plan.build(self.keys) for plan in self.chain]
        return Device(
            self.report(),
            [chain[position] for position in self.sent],
            {plan.file: plan.build() for plan in self.rims.values()},
            self.arch,
            self.nonce,
        )


@dataclass
class Device:
    """One finished device: report, chain as sent, RIMs by file name."""

    report: bytes
    chain: list[bytes]
    rims: dict[str, bytes]
    arch: str
    nonce: bytes

    def document(self) -> dict[str, str]:
        """As NVIDIA's tools write it: one member of a list."""
        return {
            "arch": self.arch,
            "nonce": self.nonce.hex(),
            "evidence": base64.b64encode(self.report).decode(),
            "certificate": base64.b64encode(b"".join(map(pem, self.chain))).decode(),
        }


def plan(
    keys: Keyring,
    made: datetime,
    at: datetime,
    *,
    nonce: bytes | None = None,
    driver: str = "550.90.07",
    vbios: str = "96.00.9F.00.01",
    mode: str = "spt",
    index: int = 0,
    opaque_version: int | None = None,
    measurements: Mapping[int, bytes] | None = None,
) -> GpuPlan:
    """One honest GPU, not yet signed.

    nonce: 32 bytes. driver: dotted numbers. vbios: five hex bytes. mode: spt, mpt or ppcie. index: which of
    the simulator's GPUs. opaque_version: None for that of the driver's branch (from 580 on version 1, which
    brings the feature flag). measurements: RIM index → 48 bytes in place of the golden value.
    Raises ValueError.
    """
    nonce = hashlib.sha256(b"simulated nonce").digest() if nonce is None else nonce
    if len(nonce) != 32:
        raise ValueError("a GPU nonce is exactly 32 bytes")
    if mode not in FLAGS:
        raise ValueError(f"mode is one of {', '.join(FLAGS)}")
    values = {i: rim.golden(i) for i in range(BLOCKS)}
    if mode == "ppcie":
        values[12] = rim.alternative(12)
    for changed, value in (measurements or {}).items():
        if changed not in values or len(value) != 48:
            raise ValueError("measurements: RIM index 0 to 63 → 48 bytes")
        values[changed] = value
    if opaque_version is None:
        opaque_version = 1 if int(driver.partition(".")[0]) >= 580 else 0
    fwid = hashlib.sha384(f"simulated gpu fmc {vbios}".encode()).digest()
    counts = b"".join((0 if value == rim.ZERO else 1).to_bytes(4, "little") for value in values.values())
    opaque: list[tuple[int, bytes]] = [
        (VBIOS_VERSION, encode_vbios(vbios)),
        (BOARD_ID, (0x3B1).to_bytes(4, "little")),
        (CHIP_SKU, b"882".ljust(9, b"\0")),
        (CHIP_SKU_MOD, b"0".ljust(5, b"\0")),
        (PROJECT, b"1010\0"),
        (PROJECT_SKU, b"0200\0"),
        (PROJECT_SKU_MOD, b"\0\0"),
        (DRIVER_VERSION, driver.encode() + b"\0"),
        (GPU_INFO, bytes.fromhex("8001000000000000")),
        (MSRSCNT, counts),
        (CPRINFO, (0x1C000).to_bytes(4, "little")),
        (NVDEC0_STATUS, b"\x55"),
        (FWID, fwid),
        (PROTECTED_PCIE, b"\xaa" if mode == "ppcie" else b"\x55"),
    ]
    if mode == "ppcie":
        switches = b"".join(hashlib.sha256(b"simulated switch %d" % (i % 4)).digest()[:8] for i in range(18))
        opaque.append((SWITCH_PDI, switches))
    if opaque_version:
        opaque.append((OPAQUE_VERSION, opaque_version.to_bytes(2, "little")))
        opaque.append((FEATURE_FLAG, FLAGS[mode].to_bytes(2, "little")))
    signers = nvidia.rim_chain
    digits = vbios.replace(".", "").upper()
    rims = {
        "driver": rim.RimPlan(
            keys,
            f"simulated-NV_GPU_DRIVER_GH100_{driver}.xml",
            driver,
            rim.entries(rim.DRIVER_INDEXES),
            signers(keys, day_of(at)),
        ),
        "vbios": rim.RimPlan(
            keys,
            f"simulated-NV_GPU_VBIOS_1010_0200_882_{digits}.xml",
            vbios.upper(),
            rim.entries(rim.VBIOS_INDEXES),
            signers(keys, day_of(at)),
        ),
    }
    return GpuPlan(
        at,
        keys,
        index,
        nonce,
        [Block(i + 1, value) for i, value in values.items()],
        opaque,
        nvidia.device_chain(keys, index, fwid),
        rims,
    )


def encode_vbios(text: str) -> bytes:
    """`96.00.9F.00.01` → the 8 bytes of the opaque field. Raises ValueError."""
    parts = bytes.fromhex(text.replace(".", ""))
    if len(parts) != 5:
        raise ValueError("a VBIOS version is five hex bytes")
    return parts[:4][::-1] + parts[4:] + bytes(3)


def list_of(devices: list[Device], at: datetime) -> Simulated:
    """Evidence of these devices without a CPU: one JSON list, as NVIDIA's tools write it."""
    documents = [device.document() for device in devices]
    rims: dict[str, bytes] = {}
    for device in devices:
        rims.update(device.rims)
    files = {"simulated-gpu-evidence.json": json.dumps(documents, indent=1).encode(), **rims}
    return Simulated(
        devices[0].report,
        files,
        at,
        tuple(certificate for device in devices for certificate in device.chain),
        lambda: _evidence(documents),
        lambda: rim_endorsements(rims),
    )


def rim_endorsements(rims: Mapping[str, bytes]) -> Endorsements:
    from attest.endorsements import Endorsements

    return Endorsements(rims=tuple(dict.fromkeys(rims.values())))


def _evidence(documents: list[dict[str, str]]) -> Evidence:
    from attest.evidence import Evidence
    from attest.nvidia.containers import read_json

    devices: tuple[Verifiable, ...] = read_json(documents, "simulated") or ()
    return Evidence(devices=devices)
