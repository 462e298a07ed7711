"""A whole machine: CPU evidence that covers its GPUs' evidence, as the guest protocol 0.4 binds them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest.binding import device_nonce, report_data
from attest.simulator.device import Device, device_endorsements
from attest.simulator.simulated import Simulated

if TYPE_CHECKING:
    from attest.endorsements import Endorsements
    from attest.evidence import Evidence


@dataclass
class MachinePlan:
    """cpu: makes the CPU's evidence for 64 bytes of report data. device: makes a GPU for an index and a
    nonce. nonce, key: what is bound; a fault binds others. devices: which GPUs are asked, in order; switches: which switches, after them; switch: makes one.
    write: the exact text of the device evidence; bound_write, bound_text: what the CPU covers in its place.
    after: changes the device list once it is bound."""

    at: datetime
    tee: str
    nonce: bytes
    key: Mapping[str, Any] | None
    devices: list[int]
    cpu: Callable[[bytes], Simulated]
    device: Callable[[int, bytes], Device]
    switches: list[int] = field(default_factory=list)
    switch: Callable[[int, bytes], Device] | None = None
    gpu_nonce: bytes | None = None
    bound_text: str | None = None
    bound_write: Callable[[list[dict[str, str]]], str] | None = None
    write: Callable[[list[dict[str, str]]], str] = field(default=lambda documents: additional(documents))
    after: Callable[[list[dict[str, str]]], None] | None = None

    def build(self) -> Simulated:
        asked = self.gpu_nonce or device_nonce(challenge(self.nonce), self.key)
        devices = [self.device(index, asked) for index in self.devices]
        if self.switch is not None:
            devices += [self.switch(index, asked) for index in self.switches]
        documents = [member(device) for device in devices]
        text = self.write(documents)
        bound = (self.bound_write or self.write)(documents) if self.bound_text is None else self.bound_text
        cpu = self.cpu(report_data(challenge(self.nonce), self.key, bound))
        if self.after is not None:
            self.after(documents)
            text = self.write(documents)
        rims: dict[str, bytes] = {}
        for device in devices:
            rims.update(device.endorsements)
        return Simulated(
            cpu.raw,
            composite_files(self.tee, cpu, text, rims),
            self.at,
            cpu.certificates,
            lambda: _evidence(cpu, text),
            lambda: _endorsements(cpu, rims),
            text,
            (cpu,),
        )


def challenge(nonce: bytes) -> str:
    """The challenge as it stands in the hashed JSON."""
    return base64.b64encode(nonce).decode()


def additional(documents: list[dict[str, str]]) -> str:
    """The exact text of the device evidence that the CPU covers; empty without devices."""
    if not documents:
        return ""
    return json.dumps({"nvidia": {"device_evidence_list": documents}}, separators=(",", ":"))


def member(device: Device) -> dict[str, str]:
    document = device.document()
    return {
        "arch": document["arch"],
        "uuid": "unknown",
        "evidence": document["evidence"],
        "certificate": document["certificate"],
    }


def primary(tee: str, cpu: Simulated) -> dict[str, Any]:
    """The CPU's evidence in the JSON form guests send. Raises Malformed where a fault made it unreadable."""
    from attest.composite import write_primary
    from attest.x509 import Certificate

    if tee == "snp":
        return write_primary("snp", cpu.raw, tuple(Certificate(der) for der in cpu.certificates))
    return write_primary("tdx", cpu.raw, event_log=cpu.files.get("simulated-ccel.bin"))


def composite_files(tee: str, cpu: Simulated, text: str, rims: Mapping[str, bytes]) -> dict[str, bytes]:
    """One JSON file for the composite evidence; endorsements beside it."""
    raw = ("simulated-report.bin", "simulated-quote.bin", "simulated-ccel.bin")
    files = {name: data for name, data in cpu.files.items() if name not in raw}
    document = {"primary_evidence": primary(tee, cpu), "additional_evidence": text}
    return {"simulated-machine.json": json.dumps(document, indent=1).encode(), **files, **rims}


def _evidence(cpu: Simulated, text: str) -> Evidence:
    from attest.composite import read_additional
    from attest.evidence import Evidence

    devices = read_additional(text, where="simulated") if text else ()
    return Evidence(cpu.evidence.cpu, devices, text, event_logs=cpu.evidence.event_logs)


def _endorsements(cpu: Simulated, rims: Mapping[str, bytes]) -> Endorsements:
    return cpu.endorsements + device_endorsements(rims)
