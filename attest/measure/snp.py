"""The launch digest of an SEV-SNP guest, through IBM's `sev-snp-measure`.

Source: AMD 56860, SNP_LAUNCH_UPDATE, PAGE_INFO. The tool's version belongs to every value it computes: the
state that a VMM gives a new vCPU has changed between versions.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from attest.measure.linux_boot import LinuxBoot
from attest.measure.sev_metadata import SevMetadata
from attest.problems import malformed

Vmm = Literal["qemu", "ec2", "gce"]
VMMS: tuple[Vmm, ...] = ("qemu", "ec2", "gce")
MAX_VCPUS = 4096
_PACKAGE = "sev-snp-measure"
_MEMBERS = {"qemu": "QEMU", "ec2": "ec2", "gce": "gce"}


class ToolMissing(RuntimeError):
    """`sev-snp-measure` is not installed."""


@dataclass(frozen=True, slots=True)
class SnpLaunch:
    """One guest's launch.

    firmware: the OVMF image. vcpus: how many. vcpu_signature: CPUID(1).EAX of the model that the VMM shows;
    not measured by EC2 and GCE. guest_features: SEV_FEATURES of each vCPU. boot: QEMU's direct kernel boot
    with kernel-hashes=on; None where the firmware boots from a disk.
    """

    firmware: bytes
    vcpus: int
    vcpu_signature: int = 0
    vmm: Vmm = "qemu"
    guest_features: int = 0x1
    boot: LinuxBoot | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.vcpus <= MAX_VCPUS:
            raise ValueError(f"1 to {MAX_VCPUS} vCPUs")
        if self.vmm not in VMMS:
            raise ValueError(f"the VMM is one of {', '.join(VMMS)}")
        if not 0 <= self.vcpu_signature < 1 << 32:
            raise ValueError("a vCPU signature is 32 bits, CPUID(1).EAX")
        if self.vmm == "qemu" and not self.vcpu_signature:
            raise ValueError("QEMU's measurement depends on the vCPU model: give its signature")
        if not 1 <= self.guest_features < 1 << 64 or not self.guest_features & 1:
            raise ValueError("guest features are 64 bits, of which bit 0 (SNPActive) is set")
        if self.boot is not None and self.vmm != "qemu":
            raise ValueError("only QEMU starts a kernel itself; EC2 and GCE boot from a disk")


def launch_digest(launch: SnpLaunch) -> bytes:
    """MEASUREMENT, 48 bytes, as an attestation report of this launch carries it.

    Raises Malformed (`measure.firmware`, `measure.sev-metadata`, `measure.kernel-unmeasured`) and
    ToolMissing.
    """
    metadata = SevMetadata.parse(launch.firmware)
    if launch.boot is not None and metadata.kernel_hashes is None:
        raise malformed(
            "The firmware has no place for the hashes of a kernel, so the launch would not measure it",
            where="SEV metadata",
            code="measure.kernel-unmeasured",
        )
    guest, kinds = _tool("guest"), _tool("vmm_types")
    with tempfile.TemporaryDirectory(prefix="attest-measure-") as folder:
        # The tool takes names of files; it gets the bytes that were checked, not names that may change.
        files = _written(Path(folder), launch)
        digest: bytes = guest.snp_calc_launch_digest(
            launch.vcpus,
            launch.vcpu_signature,
            files["firmware"],
            files["kernel"],
            files["initrd"],
            launch.boot.append if launch.boot else "",
            launch.guest_features,
            "",
            vmm_type=kinds.VMMType[_MEMBERS[launch.vmm]],
        )
    return digest


def vcpu_signature(model: str) -> int:
    """CPUID(1).EAX of a vCPU model by QEMU's name, such as EPYC-Milan. Raises ValueError, ToolMissing."""
    known: dict[str, int] = _tool("vcpu_types").CPU_SIGS
    if model not in known:
        raise ValueError(f"unknown vCPU model {model!r}; known are {', '.join(known)}")
    return known[model]


def tool_version() -> str:
    """`sev-snp-measure` and its version. Raises ToolMissing."""
    try:
        return f"{_PACKAGE} {version(_PACKAGE)}"
    except PackageNotFoundError:
        raise _missing() from None


def _written(folder: Path, launch: SnpLaunch) -> dict[str, str]:
    boot = launch.boot
    parts = {
        "firmware": launch.firmware,
        "kernel": boot.kernel if boot else None,
        "initrd": boot.initrd if boot else None,
    }
    names = dict.fromkeys(parts, "")
    for name, data in parts.items():
        if data is not None:
            file = folder / name
            file.write_bytes(data)
            names[name] = str(file)
    return names


def _tool(module: str) -> Any:
    try:
        return import_module(f"sevsnpmeasure.{module}")
    except ModuleNotFoundError:
        raise _missing() from None


def _missing() -> ToolMissing:
    return ToolMissing("launch digests of SEV-SNP need sev-snp-measure: pip install 'attest[measure]'")
