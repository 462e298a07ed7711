"""What a rule on each claim protects from, in a sentence for somebody who decides and does not read registers.

A sentence speaks of an attack or a mistake that the claim is the sign of; what the claim is stands in
`attest.claims`. The threat model behind them is docs/threat-model.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attest.claims import CLAIMS

_SENTENCES: dict[str, str] = {
    "evidence.verified-by": "A verdict that somebody else reached, on evidence that nobody here has seen.",
    "evidence.simulated": "Evidence made by a program: no hardware stands behind it.",
    "snp.product": "Processors for which nobody has set the minimum versions, or whose published holes stay open.",
    "snp.tcb": "Old firmware with published holes, through which the host reads or changes the memory of the VM.",
    "snp.tcb-committed": "A host that goes back to old firmware with published holes after it was checked.",
    "snp.tcb-launch": "A VM that was started by old firmware: what a hole leaked then is not cured by an update.",
    "snp.firmware": "Old firmware with published holes, and a host that can still go back to it.",
    "snp.abi": "A launch that older firmware would have accepted as well.",
    "snp.debug": "A host that reads and writes the memory of the VM through the debug interface.",
    "snp.migrate-ma": "A migration agent that receives the memory of the VM, and with it every secret.",
    "snp.smt-allowed": "Neighbours on the same core, who can watch caches and timing.",
    "snp.single-socket": "Memory traffic between processors, where a second socket widens what can be tapped.",
    "snp.smt": "Neighbours on the same core, who can watch caches and timing.",
    "snp.tsme": "Memory outside the VM that lies in DIMMs in plain text.",
    "snp.ecc": "Flipped bits in memory, by accident or by hammering neighbouring rows.",
    "snp.rapl-off": "A host that reads keys off the power the processor draws.",
    "snp.ciphertext-hiding": "A host that watches encrypted memory change, and concludes what is computed.",
    "snp.alias-check": "A manipulated memory module that maps one address twice and replays old memory (BadRAM).",
    "snp.vmpl": "A layer above the reporting one, which could have asked for the report in its name.",
    "snp.guest-svn": "An old version of your image, signed by the same key and replaced for a reason.",
    "snp.report-version": "A report too old to carry the facts that other rules judge.",
    "snp.measurement": "Another program than yours in the VM: what is not measured as yours could be anybody's.",
    "snp.id-key": "An image that its owner did not sign for launch.",
    "snp.author-key": "A launch key that its author did not sign.",
    "snp.host-data": "Your image started with somebody else's configuration.",
    "snp.report-id": "Another instance of the same VM answering in place of this one.",
    "snp.chip-id": "A genuine machine that stands where you have none, with physical access for its holder.",
    "snp.family-id": "An image of another family under the same signing key.",
    "snp.image-id": "Another image under the same signing key.",
    "snp.signing-key": "A report signed by a kind of key that you did not plan for: the chip's, or a cloud provider's.",
    "snp.csp": "A machine of another cloud provider than the one you have a contract with.",
    "snp.mitigations-launch": "A VM that was started without a mitigation that the firmware knew of.",
    "snp.mitigations-current": "A platform that runs without a mitigation that its firmware knows of.",
    "snp.policy-unknown-bits": "A launch option that this verifier does not know, and so cannot judge.",
    "snp.crl": "A chip key or certificate that AMD has revoked, where an old list would not say so.",
    "tdx.tcb-status": "A platform behind on security updates, with published holes in processor, TDX module or quoting enclave.",
    "tdx.tcb-lag": "A platform that has been without a published security update for too long.",
    "tdx.tcb-evaluation": "Old collateral, which calls a platform current because it was written before the finding.",
    "tdx.tcb-date": "A platform of a state before the date that you require.",
    "tdx.advisories": "A platform with a published hole that you do not accept.",
    "tdx.tee-tcb-svn": "An old TDX module or processor state with published holes.",
    "tdx.debug": "A host that reads and writes the memory of the TD through the debug interface.",
    "tdx.migratable": "A service TD that receives the memory of the TD, and with it every secret.",
    "tdx.sept-ve-disable": "A host that takes pages away and brings them back unnoticed by the TD.",
    "tdx.attributes": "A TD launched with an attribute that weakens it, or that this verifier does not know.",
    "tdx.xfam": "Processor features in the TD that you did not plan for.",
    "tdx.mrseam": "Another TDX module than the one you know, in the place that guards all TDs.",
    "tdx.mrtd": "Another firmware than yours in the TD: all that is measured later is its word.",
    "tdx.rtmr0": "Another virtual hardware or firmware configuration than the one you expect.",
    "tdx.rtmr1": "Another kernel or boot loader than yours.",
    "tdx.rtmr2": "Another initrd, command line or operating system than yours.",
    "tdx.rtmr3": "Another application state than you expect, as far as the guest itself measured it.",
    "tdx.mrconfigid": "Your image started with somebody else's configuration.",
    "tdx.mrowner": "A TD that was launched for another owner.",
    "tdx.mrownerconfig": "A TD that was launched with another owner's configuration.",
    "tdx.mrservicetd": "A service TD that is bound to this one and may read or move it.",
    "tdx.fmspc": "A platform of another family than the one you have rules for.",
    "tdx.crl": "A platform key that Intel has revoked, where an old list would not say so.",
    "tdx.event-log": "A story about the boot that the signed registers do not confirm.",
    **{
        f"azure.pcr{index}": f"Another {what} than the one you expect."
        for index, what in enumerate(
            (
                "virtual firmware",
                "virtual firmware configuration",
                "option code of the firmware",
                "configuration of option code",
                "boot loader or kernel image",
                "partition table or boot configuration",
                "state transition of the platform",
                "set of Secure Boot keys, or Secure Boot switched off,",
                "boot loader command, or init-data where it is measured there,",
                "kernel or initrd",
                "file measured by the kernel's integrity log",
                "unified kernel image",
                "kernel command line",
                "system extension",
                "set of machine owner's keys",
                "system identity, as systemd measures it,",
                "state of the debug register",
                "launch measured at run time",
                "component measured at run time",
                "component measured at run time",
                "component measured at run time",
                "component measured at run time",
                "component measured at run time",
                "state of the application register",
            )
        )
    },
    "azure.secure-boot": "A boot chain that nobody's signature protects.",
    "azure.user-data-bound": "A key or nonce that somebody put beside the evidence of another.",
    "azure.vm-id": "Another VM of the same kind answering in place of this one.",
    "azure.evidence-version": "An old form of evidence, chosen because it binds less.",
    "azure.ak-cert": "A TPM key that no certificate of Azure vouches for.",
    "gpu.architecture": "A GPU of a generation for which you have set no minimum versions.",
    "gpu.model": "Another GPU than the one that you planned for.",
    "gpu.id": "A GPU that is not one of yours; or the same one shown twice.",
    "gpu.driver": "An old driver with published holes, through which data on the way to the GPU leaks.",
    "gpu.vbios": "Old firmware on the GPU with published holes.",
    "gpu.mode": "A GPU with its confidential mode off or half on: its memory and the bus are readable.",
    "gpu.measurements": "Altered firmware on the GPU, or its development mode, which protects nothing.",
    "gpu.driver-rim": "Golden values of a driver that NVIDIA has withdrawn, or that nobody vouches for any more.",
    "gpu.vbios-rim": "Golden values of a VBIOS that NVIDIA has withdrawn, or that nobody vouches for any more.",
    "gpu.cert": "A GPU whose key is revoked or on hold, perhaps because it was extracted.",
    "gpu.evidence-age": "A GPU that was genuine some time ago and has since been reset or replaced.",
    "gpu.count": "Fewer GPUs than the work is meant for, or more than were checked.",
    "switch.architecture": "A switch of a generation for which you have set no minimum versions.",
    "switch.model": "Another switch than the one that you planned for.",
    "switch.id": "A switch that is not one of yours; or the same one shown twice.",
    "switch.bios": "Old firmware on the switch with published holes.",
    "switch.locked": "A fabric whose routes the host can still change, so that data goes where it should not.",
    "switch.measurements": "Altered firmware on the switch, which all data between the GPUs passes.",
    "switch.bios-rim": "Golden values of a BIOS that NVIDIA has withdrawn, or that nobody vouches for any more.",
    "switch.cert": "A switch whose key is revoked or on hold, perhaps because it was extracted.",
    "switch.evidence-age": "A switch that was genuine some time ago and has since been reset or replaced.",
    "switch.count": "A fabric that is not whole: a path between GPUs that nobody checked.",
    "binding.nonce": "Old evidence of a machine that has since changed hands.",
    "binding.key": "A secret wrapped for the key of somebody who only forwarded this machine's evidence.",
    "binding.gpu-to-cpu": "GPUs of another machine, shown in place of those that the work will run on.",
    "binding.gpu-strength": "A looser tie between GPUs and VM than the one you count on.",
    "binding.init-data": "Your image started with somebody else's init-data: other keys, other policies.",
    "binding.protocol": "An old form of the guest protocol, chosen because it does not cover the GPUs.",
    "boot.kernel": "Another kernel than yours.",
    "boot.initrd": "Another initrd than yours, which runs before anything else does.",
    "boot.cmdline": "A kernel told on its command line to run something else, or to trust somebody else.",
    "boot.secure-boot": "A boot chain that nobody's signature protects.",
    "time.evidence-age": "Evidence collected long before it is used; the machine may have changed since.",
    "time.collateral-age": "Old revocation lists and status data, which do not know the newest findings.",
}  # fmt: skip

_OF_PARTS = {
    "platforms": "A kind of machine that this policy has no rules for.",
    "expired": "A verdict that outlives the certificates and lists it rests on.",
    "clock": "A clock turned back, so that what has ended looks current again.",
    "gpu.present": "A machine that leaves its GPUs out, so that nothing about them can fail.",
    "switch.present": "A machine that leaves its switches out, so that nothing about them can fail.",
    "snp.fixed": "A published hole in the firmware that the vendor has mended and this host has not.",
}
"""Rules that stand on no claim of the table."""

PROTECTS: Mapping[str, str] = MappingProxyType({**_SENTENCES, **_OF_PARTS})
"""`section.claim`, or the name of a rule on no claim → a sentence."""


def protects(section: str, claim: str) -> str | None:
    """What a rule on `section.claim` protects from; None for groups, which do what their members do."""
    return PROTECTS.get(f"{section}.{claim}" if section else claim)


def without_sentence() -> set[str]:
    """Claims that nobody has said this of."""
    every = {f"{section}.{name}" for section, claims in CLAIMS.items() for name in claims}
    return every - _SENTENCES.keys()


def from_what(sentence: str) -> str:
    """The sentence as it stands after "protects from": lower-cased, except where an abbreviation begins it."""
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]
