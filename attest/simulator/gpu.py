"""Hopper and Blackwell GPUs: what an honest one reports, in each mode.

Source: NVIDIA GPU attestation (opaque data, measurement record).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from attest.simulator import nvidia, ocsp, rim
from attest.simulator.certificates import day_of
from attest.simulator.device import Block, DevicePlan
from attest.simulator.keys import Keyring
from attest.simulator.nvidia import BLACKWELL, HOPPER, Chip

BLOCKS = 64
FLAGS = {"spt": 0, "mpt": 1, "ppcie": 2}

DRIVER_VERSION, GPU_INFO, VBIOS_VERSION, NVDEC0_STATUS = 3, 4, 6, 11
MSRSCNT, CPRINFO, BOARD_ID, CHIP_SKU, CHIP_SKU_MOD = 12, 13, 14, 15, 16
PROJECT, PROJECT_SKU, PROJECT_SKU_MOD, FWID, PROTECTED_PCIE = 17, 18, 19, 20, 21
SWITCH_PDI, SYS_ENABLE, OPAQUE_VERSION, CHIP_INFO, FEATURE_FLAG = 22, 33, 34, 35, 36
LINKS, NODE_GPUS, NODE_SWITCHES = 18, 8, 4


@dataclass(frozen=True)
class _Model:
    """What differs between the families. driver, vbios: of an honest GPU unless said otherwise."""

    chip: Chip
    arch: str
    driver: str
    vbios: str
    board: int
    sku: bytes
    project: bytes
    info: bytes
    region: int


_MODELS = {
    "hopper": _Model(
        HOPPER, "HOPPER", "550.90.07", "96.00.9F.00.01", 0x3B1, b"882", b"1010", b"\x80", 0x1C000
    ),
    "blackwell": _Model(
        BLACKWELL, "BLACKWELL", "590.48.01", "97.00.88.00.0F", 0x66F, b"886", b"G525", b"\xa0", 0x40000
    ),
}


def plan(
    keys: Keyring,
    made: datetime,
    at: datetime,
    *,
    architecture: str = "hopper",
    nonce: bytes | None = None,
    driver: str | None = None,
    vbios: str | None = None,
    mode: str = "spt",
    index: int = 0,
    opaque_version: int | None = None,
    measurements: Mapping[int, bytes] | None = None,
) -> DevicePlan:
    """One honest GPU, not yet signed.

    architecture: hopper or blackwell. nonce: 32 bytes. driver: dotted numbers. vbios: five hex bytes. mode: spt,
    mpt (Blackwell's) or ppcie (Hopper's). index: which of the simulator's GPUs; eight stand in one node.
    opaque_version: None for that of the driver's branch (from 580 on version 1, which brings the feature flag).
    measurements: RIM index → 48 bytes in place of the golden value. Raises ValueError.
    """
    if architecture not in _MODELS:
        raise ValueError(f"architecture is one of {', '.join(_MODELS)}")
    model = _MODELS[architecture]
    driver, vbios = driver or model.driver, vbios or model.vbios
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
        (BOARD_ID, model.board.to_bytes(4, "little")),
        (CHIP_SKU, model.sku.ljust(9, b"\0")),
        (CHIP_SKU_MOD, b"0".ljust(5, b"\0")),
        (PROJECT, model.project + b"\0"),
        (PROJECT_SKU, b"0200\0"),
        (PROJECT_SKU_MOD, b"\0\0"),
        (DRIVER_VERSION, driver.encode() + b"\0"),
        (GPU_INFO, model.info + b"\x01" + bytes(6)),
        (MSRSCNT, counts),
        (CPRINFO, model.region.to_bytes(4, "little")),
        (NVDEC0_STATUS, b"\x55"),
        (FWID, fwid),
        (PROTECTED_PCIE, b"\xaa" if mode == "ppcie" else b"\x55"),
    ]
    if architecture == "blackwell":
        opaque += [(SYS_ENABLE, b"\x07\x07"), (CHIP_INFO, model.chip.product.encode() + b"\0")]
    if mode == "ppcie":
        opaque.append((SWITCH_PDI, links(index)))
    if opaque_version:
        opaque.append((OPAQUE_VERSION, opaque_version.to_bytes(2, "little")))
        opaque.append((FEATURE_FLAG, FLAGS[mode].to_bytes(2, "little")))
    chain = nvidia.device_chain(keys, index, fwid, model.chip)
    rims = _rims(keys, at, model, driver, vbios)
    return DevicePlan(
        at,
        keys,
        index,
        nonce,
        [Block(i + 1, value) for i, value in values.items()],
        opaque,
        chain,
        rims,
        ocsp.answers(keys, at, chain, rims["driver"].chain),
        arch=model.arch,
    )


def _rims(keys: Keyring, at: datetime, model: _Model, driver: str, vbios: str) -> dict[str, rim.RimPlan]:
    """Driver and VBIOS manifest, under the ids that NVIDIA's service has them."""
    product = model.chip.product
    head = "NV_GPU_DRIVER_GH100" if model.chip is HOPPER else f"NV_GPU_CC_DRIVER_{product}"
    board = f"{model.project.decode()}_0200_{model.sku.decode()}"
    documents = {
        "driver": (f"{head}_{driver}", driver, rim.DRIVER_INDEXES),
        "vbios": (f"NV_GPU_VBIOS_{board}_{vbios.replace('.', '').upper()}", vbios.upper(), rim.VBIOS_INDEXES),
    }
    return {
        role: rim.RimPlan(
            keys,
            f"simulated-{identifier}.xml",
            version,
            rim.entries(indexes),
            nvidia.rim_chain(keys, day_of(at), model.chip),
            product=product,
        )
        for role, (identifier, version, indexes) in documents.items()
    }


def links(index: int) -> bytes:
    """Which switch is behind each of a GPU's 18 links: identifiers with their bytes turned round."""
    first = index // NODE_GPUS * NODE_SWITCHES
    switches = [nvidia.device_id(first + i % NODE_SWITCHES, "switch")[::-1] for i in range(LINKS)]
    return b"".join(switches)


def encode_vbios(text: str) -> bytes:
    """`96.00.9F.00.01` → the 8 bytes of the opaque field. Raises ValueError."""
    parts = bytes.fromhex(text.replace(".", ""))
    if len(parts) != 5:
        raise ValueError("a VBIOS version is five hex bytes")
    return parts[:4][::-1] + parts[4:] + bytes(3)
