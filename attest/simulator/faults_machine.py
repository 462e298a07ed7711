"""Faults between the parts of a machine: what binds devices to the CPU, the challenge and the key."""

from __future__ import annotations

import hashlib
import json

from attest.binding import device_nonce
from attest.simulator.fault import FaultTable
from attest.simulator.machine import MachinePlan, additional, challenge, member

MACHINE_FAULTS = FaultTable("machine")
_fault = MACHINE_FAULTS
_REPORT_DATA = "binding.report-data"
_OTHER_KEY = {"alg": "ECDH-ES+A256KW", "crv": "P-256", "kty": "EC", "x": "b3RoZXI", "y": "b3RoZXI"}


@_fault(
    "replayed", "binding nonce", "everything answers another challenge", f"{_REPORT_DATA} binding.gpu-nonce"
)
def _(plan: MachinePlan) -> None:
    plan.nonce = hashlib.sha256(b"another challenge").digest()


@_fault("key-swapped", "binding key", "everything binds another key", f"{_REPORT_DATA} binding.gpu-nonce")
def _(plan: MachinePlan) -> None:
    plan.key = _OTHER_KEY


@_fault("cpu-key-swapped", "binding key", "the CPU binds another key than the devices", _REPORT_DATA)
def _(plan: MachinePlan) -> None:
    plan.gpu_nonce = device_nonce(challenge(plan.nonce), plan.key)
    plan.key = _OTHER_KEY


@_fault("gpu-nonce", "15.5 nonce", "the GPUs answer another challenge", "binding.gpu-nonce")
def _(plan: MachinePlan) -> None:
    plan.gpu_nonce = hashlib.sha256(b"another challenge").digest()


@_fault("gpu-doubled", "15.11 distinct devices", "one GPU is presented twice", "devices.duplicate")
def _(plan: MachinePlan) -> None:
    plan.devices = [0, 0]


@_fault("gpu-added", "15.12 CPU binding", "a GPU was added after the CPU signed", _REPORT_DATA)
def _(plan: MachinePlan) -> None:
    another = plan.device(7, device_nonce(challenge(plan.nonce), plan.key))

    def after(documents: list[dict[str, str]]) -> None:
        documents.append(member(another))

    plan.after = after


@_fault("gpu-removed", "15.12 CPU binding", "a GPU was taken away after the CPU signed", _REPORT_DATA, gpus=2)
def _(plan: MachinePlan) -> None:
    plan.devices = plan.devices if len(plan.devices) > 1 else [0, 1]

    def after(documents: list[dict[str, str]]) -> None:
        documents.pop()

    plan.after = after


@_fault("gpu-swapped", "15.12 CPU binding", "another GPU took the place of the bound one", _REPORT_DATA)
def _(plan: MachinePlan) -> None:
    another = plan.device(7, device_nonce(challenge(plan.nonce), plan.key))

    def after(documents: list[dict[str, str]]) -> None:
        documents[0] = member(another)

    plan.after = after


@_fault("gpus-unbound", "15.12 CPU binding", "the CPU covers no device at all", _REPORT_DATA)
def _(plan: MachinePlan) -> None:
    plan.bound_text = ""


@_fault("text-changed", "15.12 CPU binding", "the same devices, written with one space more", _REPORT_DATA)
def _(plan: MachinePlan) -> None:
    plan.bound_write = additional
    plan.write = lambda documents: additional(documents).replace(":", ": ", 1)


@_fault("empty-list", "15.1 container", "the list of devices is empty", "nvidia.no-devices")
def _(plan: MachinePlan) -> None:
    plan.write = lambda documents: '{"nvidia":{"device_evidence_list":[]}}'


@_fault("unknown-kind", "15.1 container", "the devices are of an unknown kind", "evidence.malformed")
def _(plan: MachinePlan) -> None:
    plan.write = lambda documents: json.dumps({"unheard-of": {"device_evidence_list": documents}})


@_fault("key-doubled", "15.1 container", "`nvidia` stands twice in the text", "evidence.malformed")
def _(plan: MachinePlan) -> None:
    def write(documents: list[dict[str, str]]) -> str:
        text = additional(documents)
        return text[:-1] + "," + text[1:]

    plan.write = write
