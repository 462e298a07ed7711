"""Faults of one NVSwitch: those it shares with a GPU, and those of its own fields and manifest."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from attest.simulator import nvidia, rim, switch
from attest.simulator.certificates import Extension, name
from attest.simulator.device import DevicePlan
from attest.simulator.fault import FaultTable
from attest.simulator.faults_gpu import GPU_FAULTS
from attest.simulator.rim import RimPlan

SWITCH_FAULTS = FaultTable("switch")
_fault = SWITCH_FAULTS
_DAY = timedelta(days=1)
_OPAQUE = "nvidia.opaque.malformed"
_LEAF, _BROM, _PROVISIONER = range(3)
_SHARED = (
    "spdm-version",
    "block-index-doubled",
    "opaque-unknown",
    "tail",
    "tail-zero",
    "signed-by-another",
    "altered",
    "nonce",
    "chain-missing",
    "chain-without-root",
    "self-made-chain",
    "leaf-signed-by-another",
    "brom-not-a-ca",
    "provisioner-expired",
    "fwid-missing",
    "fwid-both",
    "ocsp-revoked",
    "ocsp-ca-revoked",
    "ocsp-rim-revoked",
    "ocsp-hold",
    "ocsp-unknown",
    "ocsp-missing",
    "ocsp-stale",
    "ocsp-foreign-responder",
    "ocsp-no-purpose",
    "ocsp-signature",
)
"""The same change of the same thing: report, chain and answers are built alike."""


def _share(short: str) -> None:
    fault = GPU_FAULTS.faults[f"gpu-{short}"]
    _fault(
        short,
        fault.check.removeprefix("gpu "),
        fault.breaks,
        " ".join(fault.codes),
        claims=fault.claims,
        warnings=" ".join(fault.warnings),
    )(fault.apply)


for _short in _SHARED:
    _share(_short)


def _bios(plan: DevicePlan) -> RimPlan:
    return plan.rims["bios"]


# -- 2: its own fields ------------------------------------------------------------------------------------------


@_fault("device-pdi-size", "15.2 opaque", "its own identifier has 7 bytes", _OPAQUE)
def _(plan: DevicePlan) -> None:
    plan.set_opaque(switch.DEVICE_PDI, bytes(7))


@_fault("gpu-list-size", "15.2 opaque", "the list of GPUs is one port short", _OPAQUE)
def _(plan: DevicePlan) -> None:
    plan.set_opaque(switch.GPU_PDIS, switch.gpu_list(0)[:-1])


@_fault("port-of-no-gpu", "15.2 opaque", "a port leads to a ninth GPU", _OPAQUE)
def _(plan: DevicePlan) -> None:
    listed = bytearray(switch.gpu_list(0))
    listed[64] = 8
    plan.set_opaque(switch.GPU_PDIS, bytes(listed))


@_fault("bios-text", "15.2 opaque", "the BIOS version is no version", _OPAQUE)
def _(plan: DevicePlan) -> None:
    plan.set_opaque(switch.BIOS_VERSION, b"96.10.55.00")


@_fault("unlocked", "15.8 lock", "the switch is not locked", claims={"locked": "false"}, locked=0)
def _(plan: DevicePlan) -> None:
    pass


# -- 6: identity ------------------------------------------------------------------------------------------------


@_fault("fwid", "15.6 FWID", "a report with an FWID that is another firmware's", "nvidia.fwid.mismatch")
def _(plan: DevicePlan) -> None:
    plan.set_opaque(20, hashlib.sha384(b"other firmware").digest())


@_fault("fwid-key", "15.6 SPKI in FWID", "the extension holds another device's key", "nvidia.fwid.key")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].put(nvidia.fwid_extension(plan.keys.spki("p384/stranger"), bytes(48)))


@_fault("fwid-of-blackwell", "15.6 FWID", "the leaf has Blackwell's extension only", "nvidia.fwid.extension")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].drop(nvidia.FWID)
    plan.chain[_LEAF].put(Extension(nvidia.TCB_INFO, nvidia.tcb_info("LS_10 A01 FSP", bytes(48)).value))


@_fault("arch", "15.6 family", "the JSON says Hopper", "nvidia.device.architecture")
def _(plan: DevicePlan) -> None:
    plan.arch = "HOPPER"


@_fault("family", "15.6 family", "leaf and issuer name different chips", "nvidia.device.family")
def _(plan: DevicePlan) -> None:
    brom = plan.chain[_BROM]
    brom.subject = name("C=US,O=NVIDIA Corporation,CN=GH100 A01 GSP BROM")
    plan.chain[_LEAF].issuer = brom.subject


@_fault("pdi", "15.11 identity", "it calls itself by another's identifier", "nvidia.topology")
def _(plan: DevicePlan) -> None:
    plan.set_opaque(switch.DEVICE_PDI, nvidia.device_id(3, "switch"))


# -- 9, 10: manifest --------------------------------------------------------------------------------------------


@_fault("rim-missing", "15.9 manifest", "no manifest is given",
        claims={"measurements": "no-rim", "bios-rim": "absent"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.rims = {}


@_fault("rim-tampered", "15.9 digest", "a golden value changed after signing", "nvidia.rim.digest")
def _(plan: DevicePlan) -> None:
    old, new = rim.golden_switch(3).hex().encode(), rim.golden_switch(4).hex().encode()
    _bios(plan).edit = lambda text: text.replace(old, new, 1)


@_fault("rim-of-another-product", "15.9 product", "the manifest is GH100's", "nvidia.rim.product")
def _(plan: DevicePlan) -> None:
    _bios(plan).product = "GH100"


@_fault("rim-expired", "15.9 validity", "the manifest's signer ended yesterday", "x509.expired")
def _(plan: DevicePlan) -> None:
    _bios(plan).chain[0].not_after = plan.at - _DAY


@_fault("rim-dtd", "15.9 parser", "the manifest has a DTD", "nvidia.rim.dtd")
def _(plan: DevicePlan) -> None:
    _bios(plan).prologue = '<!DOCTYPE SoftwareIdentity [<!ENTITY a "b">]>\n'


@_fault("measurement", "15.10 measurements", "one measured value is not a golden one",
        claims={"measurements": "mismatch"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.blocks[9].value = hashlib.sha384(b"other firmware").digest()
