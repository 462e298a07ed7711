"""Problem codes: computing expected launch measurements."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_OVMF = "edk2 OvmfPkg, ResetVector: the GUIDed table at the end of the firmware"
_TDVF = "Intel TDX Virtual Firmware Design Guide, TDVF metadata"

PROBLEMS: dict[str, Meaning] = {
    "measure.firmware": Meaning(
        "The firmware file does not say how it is launched",
        _OVMF,
        "give the whole firmware image, code and variables, as the VMM is given it: --ovmf (snp) or --firmware (tdx)",
    ),
    "measure.sev-metadata": Meaning(
        "The SEV metadata of the firmware cannot be followed",
        "edk2 OvmfPkg, OvmfSevMetadata",
        "give a firmware built for SEV-SNP",
    ),
    "measure.tdvf-metadata": Meaning(
        "The TDX metadata of the firmware cannot be followed", _TDVF, "give a firmware built for TDX"
    ),
    "measure.kernel-unmeasured": Meaning(
        "The firmware has no place for the hashes of a kernel, so the launch would not measure it",
        "edk2 OvmfPkg/AmdSev; QEMU, kernel-hashes",
        "use a firmware with kernel hashes (OvmfPkg/AmdSev), or measure without --kernel",
    ),
    "measure.kernel": Meaning(
        "The kernel is not an image that this boot can measure",
        "Linux x86 boot protocol; Microsoft PE/COFF, Authenticode",
        "give with --kernel the bzImage with EFI stub that the VMM is given",
    ),
    "measure.log": Meaning(
        "The event log is not of such a launch",
        "TCG PC Client Platform Firmware Profile, event types",
        "give with --event-log the log of a machine that was started with the same firmware in the same way",
    ),
    "measure.id-key": Meaning(
        "The key is no P-384 key",
        "AMD 56860, ID block",
        "give with --id-key or --author-key a PEM file of a P-384 key, not encrypted",
    ),
}
