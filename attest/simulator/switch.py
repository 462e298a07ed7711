"""LS10 NVSwitches: what an honest one reports of itself and of the eight GPUs behind its ports.

Source: NVIDIA attestation report of NVSwitches (opaque data 22 to 26).
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from attest.simulator import nvidia, ocsp, rim
from attest.simulator.certificates import day_of
from attest.simulator.device import Block, DevicePlan
from attest.simulator.gpu import NODE_GPUS, NODE_SWITCHES
from attest.simulator.keys import Keyring
from attest.simulator.nvidia import LS10

BIOS_VERSION, MSRSCNT, DEVICE_PDI, DISABLED_PORTS, POSITION_ID, LOCKED, GPU_PDIS = 6, 12, 22, 23, 24, 25, 26
PORTS = 64


def plan(
    keys: Keyring,
    made: datetime,
    at: datetime,
    *,
    nonce: bytes | None = None,
    bios: str = "96.10.55.00.01",
    index: int = 0,
    locked: int = 1,
) -> DevicePlan:
    """One honest switch, not yet signed.

    nonce: 32 bytes. bios: five hex bytes. index: which of the simulator's switches; four stand in one node.
    Raises ValueError.
    """
    nonce = hashlib.sha256(b"simulated nonce").digest() if nonce is None else nonce
    if len(nonce) != 32:
        raise ValueError("a switch nonce is exactly 32 bytes")
    if len(bytes.fromhex(bios.replace(".", ""))) != 5:
        raise ValueError("a BIOS version is five hex bytes")
    values = [rim.golden_switch(i) for i in rim.SWITCH_INDEXES]
    counts = b"".join((0 if value == rim.ZERO else 1).to_bytes(4, "little") for value in values[:26])
    opaque = [
        (BIOS_VERSION, bios.upper().encode()),
        (DEVICE_PDI, nvidia.device_id(index, "switch")),
        (MSRSCNT, counts),
        (GPU_PDIS, gpu_list(index)),
        (DISABLED_PORTS, b"\xec\x00"),
        (POSITION_ID, (index % NODE_SWITCHES).to_bytes(2, "little")),
        (LOCKED, locked.to_bytes(2, "little")),
    ]
    fwid = hashlib.sha384(f"simulated switch fmc {bios}".encode()).digest()
    chain = nvidia.device_chain(keys, index, fwid, LS10)
    signers = nvidia.rim_chain(keys, day_of(at), LS10)
    digits = bios.replace(".", "").upper()
    manifest = rim.RimPlan(
        keys,
        f"simulated-NV_SWITCH_BIOS_5612_0002_890_{digits}.xml",
        bios.upper(),
        rim.switch_entries(),
        signers,
        product=LS10.product,
        edition="SWITCH",
    )
    return DevicePlan(
        at,
        keys,
        index,
        nonce,
        [Block(i + 1, value) for i, value in enumerate(values)],
        opaque,
        chain,
        {"bios": manifest},
        ocsp.answers(keys, at, chain, signers),
        arch="LS10",
    )


def gpu_list(index: int, links: int = 4) -> bytes:
    """The eight GPUs of a switch's node, then which of them is behind each port, `links` ports for each."""
    node = index // NODE_SWITCHES
    gpus = [nvidia.device_id(node * NODE_GPUS + i) for i in range(NODE_GPUS)]
    ports = bytes(i // links if i < NODE_GPUS * links else 0xFF for i in range(PORTS))
    return b"".join(gpus) + ports
