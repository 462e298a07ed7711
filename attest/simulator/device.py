"""One NVIDIA device's evidence, byte-exact: the SPDM request and response, opaque data, chain, RIMs and answers.

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

from attest.simulator.certificates import CertificatePlan, pem
from attest.simulator.keys import Keyring
from attest.simulator.ocsp import OcspPlan
from attest.simulator.rim import RimPlan
from attest.simulator.simulated import Simulated

if TYPE_CHECKING:
    from attest.endorsements import Endorsements
    from attest.evidence import Evidence, Verifiable


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
class DevicePlan:
    """Everything that goes into one device's evidence; a fault changes one thing of it.

    request, response: the fixed bytes before nonce and record. opaque: (id, value) in order. chain: leaf
    first. sent: which of the chain are sent, in order. rims: manifests by role (driver and vbios, or bios).
    answers: OCSP answers by the certificate they are about: brom, provisioner, identity, and of the manifests'
    signers rim-signer, rim-third, rim-authority.
    """

    at: datetime
    keys: Keyring
    index: int
    nonce: bytes
    blocks: list[Block]
    opaque: list[tuple[int, bytes]]
    chain: list[CertificatePlan]
    rims: dict[str, RimPlan]
    answers: dict[str, OcspPlan]
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
            {plan.file: plan.build(self.keys) for plan in self.answers.values()},
            self.arch,
            self.nonce,
        )


@dataclass
class Device:
    """One finished device: report, chain as sent; RIMs and OCSP answers by file name."""

    report: bytes
    chain: list[bytes]
    rims: dict[str, bytes]
    answers: dict[str, bytes]
    arch: str
    nonce: bytes

    @property
    def endorsements(self) -> dict[str, bytes]:
        return {**self.rims, **self.answers}

    def document(self) -> dict[str, str]:
        """As NVIDIA's tools write it: one member of a list."""
        return {
            "arch": self.arch,
            "nonce": self.nonce.hex(),
            "evidence": base64.b64encode(self.report).decode(),
            "certificate": base64.b64encode(b"".join(map(pem, self.chain))).decode(),
        }


def list_of(devices: list[Device], at: datetime) -> Simulated:
    """Evidence of these devices, GPUs and switches, without a CPU: one JSON list, as NVIDIA's tools write it."""
    documents = [device.document() for device in devices]
    given: dict[str, bytes] = {}
    for device in devices:
        given.update(device.endorsements)
    files = {"simulated-gpu-evidence.json": json.dumps(documents, indent=1).encode(), **given}
    return Simulated(
        devices[0].report,
        files,
        at,
        tuple(certificate for device in devices for certificate in device.chain),
        lambda: _evidence(documents),
        lambda: device_endorsements(given),
    )


def device_endorsements(files: Mapping[str, bytes]) -> Endorsements:
    """Manifests (.xml) and OCSP answers (.der) among files by name."""
    from attest.endorsements import Endorsements

    rims = tuple(dict.fromkeys(data for name, data in files.items() if name.endswith(".xml")))
    answers = tuple(dict.fromkeys(data for name, data in files.items() if name.endswith(".der")))
    return Endorsements(rims=rims, ocsp=answers)


def _evidence(documents: list[dict[str, str]]) -> Evidence:
    from attest.evidence import Evidence
    from attest.nvidia.containers import read_json

    devices: tuple[Verifiable, ...] = read_json(documents, "simulated") or ()
    return Evidence(devices=devices)
