"""Problem codes: the set of devices of one machine."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
    "devices.duplicate": Meaning(
        "One device was presented twice", "set checks", "each device must present its own evidence"
    ),
    "devices.nonce": Meaning(
        "The devices of one machine answer different challenges",
        "set checks",
        "ask all devices with one nonce, at one time",
    ),
    "devices.driver": Meaning(
        "The GPUs of one machine run different drivers",
        "NVIDIA attestation report, driver version",
        "one guest loads one driver: collect the evidence of all its GPUs again",
    ),
    "devices.mode": Meaning(
        "The GPUs of one machine run in different modes",
        "NVIDIA attestation report, feature flag and protected PCIe status",
        "put all GPUs of the machine into one mode, and collect again",
    ),
    "nvidia.topology": Meaning(
        "GPUs and switches in protected PCIe mode do not name each other as those of one node",
        "NVIDIA protected PCIe, topology of HGX Hopper",
        "collect the evidence of all eight GPUs and four switches of one node, at one time",
    ),
}
