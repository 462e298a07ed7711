"""Faults between the devices of a node in protected PCIe mode."""

from __future__ import annotations

import hashlib

from attest.simulator import gpu, nvidia, switch
from attest.simulator.fabric import FabricPlan
from attest.simulator.fault import FaultTable

FABRIC_FAULTS = FaultTable("fabric")
_fault = FABRIC_FAULTS
_TOPOLOGY = "nvidia.topology"
_INCOMPLETE = "nvidia.topology.incomplete"


# -- every device once ------------------------------------------------------------------------------------------


@_fault("gpu-missing", "15.11 topology", "seven GPUs", warnings=_INCOMPLETE)
def _(plan: FabricPlan) -> None:
    del plan.gpus[5]


@_fault("switch-missing", "15.11 topology", "three switches", warnings=_INCOMPLETE)
def _(plan: FabricPlan) -> None:
    del plan.switches[2]


@_fault("no-switches", "15.11 topology", "no switch at all", warnings=_INCOMPLETE)
def _(plan: FabricPlan) -> None:
    plan.switches = []


@_fault("gpu-doubled", "15.11 distinct", "one GPU twice, another missing", "devices.duplicate")
def _(plan: FabricPlan) -> None:
    plan.gpus[7] = plan.gpu(0)


@_fault("switch-doubled", "15.11 distinct", "one switch twice, another missing", "devices.duplicate")
def _(plan: FabricPlan) -> None:
    plan.switches[3] = plan.switch(0)


@_fault("report-key-shared", "15.11 distinct", "two GPUs sign with one key", "devices.duplicate")
def _(plan: FabricPlan) -> None:
    one, other = plan.gpus[0], plan.gpus[1]
    leaf = other.chain[0]
    leaf.key = one.chain[0].key
    leaf.extensions = [e for e in leaf.extensions if e.oid != "2.5.29.14"]


@_fault("nonces", "15.11 nonce", "one switch answers another challenge", "binding.gpu-nonce devices.nonce")
def _(plan: FabricPlan) -> None:
    plan.switches[0].nonce = hashlib.sha256(b"another challenge").digest()


@_fault("gpu-of-another-node", "15.11 topology", "the eighth GPU stands in another node", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    plan.gpus[7] = plan.gpu(8)


@_fault("switch-of-another-node", "15.11 topology", "the fourth switch stands in another node", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    plan.switches[3] = plan.switch(7)


@_fault("switches-of-another-node", "15.11 topology", "all four switches stand in another node", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    plan.switches = [plan.switch(index) for index in range(4, 8)]


@_fault("ninth-gpu", "15.11 topology", "a GPU more than a node has", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    ninth = plan.gpu(8)
    ninth.set_opaque(gpu.SWITCH_PDI, gpu.links(0))
    plan.gpus.append(ninth)


@_fault("fifth-switch", "15.11 topology", "a switch more than a node has", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    fifth = plan.switch(4)
    fifth.set_opaque(switch.GPU_PDIS, switch.gpu_list(0))
    fifth.set_opaque(switch.POSITION_ID, (4).to_bytes(2, "little"))
    plan.switches.append(fifth)


# -- what they name ---------------------------------------------------------------------------------------------


@_fault(
    "gpu-borrows-a-list",
    "15.11 identity",
    "a GPU of another node, with this node's list of switches",
    _TOPOLOGY,
)
def _(plan: FabricPlan) -> None:
    plan.gpus[7] = plan.gpu(8)
    plan.gpus[7].set_opaque(gpu.SWITCH_PDI, gpu.links(0))


@_fault(
    "switch-borrows-a-name", "15.11 identity", "a switch of another node, with this node's names", _TOPOLOGY
)
def _(plan: FabricPlan) -> None:
    plan.switches[3] = plan.switch(7)
    plan.switches[3].set_opaque(switch.GPU_PDIS, switch.gpu_list(0))
    plan.switches[3].set_opaque(switch.DEVICE_PDI, nvidia.device_id(3, "switch"))


@_fault("links-not-turned", "15.11 reversal", "a GPU writes the identifiers as the switches do", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    for one in plan.gpus:
        one.set_opaque(gpu.SWITCH_PDI, b"".join(nvidia.device_id(i % 4, "switch") for i in range(18)))


@_fault("three-switches-named", "15.11 topology", "the GPUs' links lead to three switches", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    for one in plan.gpus:
        links = [nvidia.device_id(i % 3, "switch")[::-1] for i in range(18)]
        one.set_opaque(gpu.SWITCH_PDI, b"".join(links))


@_fault("seven-gpus-named", "15.11 topology", "the switches name a GPU twice, as one that is gone", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    for one in plan.switches:
        listed = bytearray(switch.gpu_list(0))
        listed[56:64] = listed[48:56]
        one.set_opaque(switch.GPU_PDIS, bytes(listed))


@_fault("gpu-serial", "15.11 identity", "a GPU's identity serial does not begin with 41", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    brom = plan.gpus[0].chain[1]
    brom.serial = int.from_bytes(b"\x42" + nvidia.device_id(0), "big")


@_fault("no-identifier", "15.11 identity", "a switch does not say who it is", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    plan.switches[1].set_opaque(switch.DEVICE_PDI, None)


# -- state ------------------------------------------------------------------------------------------------------


@_fault("unlocked", "15.11 lock", "one switch is not locked", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    plan.switches[0].set_opaque(switch.LOCKED, b"\0\0")


@_fault("lock-unsaid", "15.11 lock", "one switch does not say whether it is locked", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    plan.switches[0].set_opaque(switch.LOCKED, None)


@_fault("position-doubled", "15.11 position", "two switches stand at one place", _TOPOLOGY)
def _(plan: FabricPlan) -> None:
    plan.switches[1].set_opaque(switch.POSITION_ID, b"\0\0")


@_fault("drivers", "15.11 driver", "one GPU runs another driver", "devices.driver")
def _(plan: FabricPlan) -> None:
    plan.gpus[3].set_opaque(gpu.DRIVER_VERSION, b"590.48.02\0")


@_fault("modes", "15.11 mode", "one GPU is in single pass-through", "devices.mode")
def _(plan: FabricPlan) -> None:
    one = plan.gpus[3]
    one.set_opaque(gpu.PROTECTED_PCIE, b"\x55")
    one.set_opaque(gpu.SWITCH_PDI, None)
    one.set_opaque(gpu.FEATURE_FLAG, b"\0\0")
