"""How a denial reads: for each claim what is wrong, why it matters, and what to do.

The key is the claim with the operator that failed or with the value found (`snp.tcb at-least`,
`snp.debug true`), or the claim alone. `{found}` and `{wanted}` stand in a headline for the values.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """detail: whether "Wanted …, found …" follows the headline."""

    headline: str
    why: str | None = None
    fix: str | None = None
    detail: bool = False


_UPDATE_HOST = "The host must update and commit firmware"
_COLLECT = "Give the vendor's current list as a file, or --fetch"
_ASK_RESPONDER = "Give current OCSP answers or lists as files, or --fetch"
_GIVE_RIM = "Give the manifest of this version as a file, or --fetch"
_RECOMPUTE = "Recompute it for this firmware and vCPU count"

WORDS: dict[str, Words] = {
    "platforms": Words(
        "The machine is of a platform that is not listed", None, "Use a listed platform", True
    ),
    "expired": Words("The endorsements have ended", None, "Attest again", True),
    "clock": Words(
        "The evidence was verified later than now", None, "Correct the clock and attest again", True
    ),
    "snp.tcb at-least": Words("SNP firmware is too old", None, _UPDATE_HOST, True),
    "snp.tcb-committed at-least": Words("SNP firmware is too old", None, _UPDATE_HOST, True),
    "snp.tcb-launch at-least": Words(
        "SNP firmware was too old at launch", None, "Update the firmware, then launch again", True
    ),
    "snp.firmware at-least": Words("SNP firmware is too old", None, _UPDATE_HOST, True),
    "snp.fixed": Words("SNP firmware is too old", None, _UPDATE_HOST, True),
    "snp.debug true": Words(
        "The VM can be debugged", "The host can read its memory", "Launch with policy bit 19 = 0"
    ),
    "snp.migrate-ma true": Words(
        "A migration agent may move the VM",
        "The agent can read its memory",
        "Launch with policy bit 18 = 0",
    ),
    "snp.vmpl": Words(
        "Report came from VMPL {found}, wanted {wanted}",
        "A layer above can forge it",
        'Usual on AWS; if you trust it: "vmpl: {{one-of: [0, {found}], override: REASON}}"',
    ),
    "snp.smt true": Words("Simultaneous multithreading is on", None, "Disable SMT"),
    "snp.smt-allowed true": Words("The VM allows SMT", None, "Launch with policy bit 16 = 0"),
    "snp.tsme false": Words("Transparent memory encryption is off", None, "Enable TSME in the BIOS"),
    "snp.rapl-off false": Words("Power metering is on", "It can leak keys", "Disable RAPL"),
    "snp.ciphertext-hiding false": Words(
        "The host can see ciphertext", "Its changes leak what is computed", "Enable ciphertext hiding"
    ),
    "snp.alias-check false": Words(
        "The memory alias check did not complete",
        "A manipulated DIMM can alias protected memory",
        "Update the firmware and BIOS",
    ),
    "snp.policy-unknown-bits": Words(
        "The guest policy has bits that no known firmware defines",
        None,
        "Launch without them, or use a newer verifier",
        True,
    ),
    "snp.crl stale": Words("AMD's revocation list is out of date", None, _COLLECT),
    "snp.crl revoked": Words("A certificate of the chain is revoked", None, "Do not trust this machine"),
    "snp.crl absent": Words(
        "AMD's revocation list was not given", None, "Give AMD's CRL of this product as a file, or --fetch"
    ),
    "snp.product": Words("The processor is of another product", None, "Use a machine the policy lists", True),
    "snp.measurement": Words("Unknown launch measurement", None, _RECOMPUTE, True),
    "tdx.debug true": Words(
        "The TD can be debugged", "The host can read its memory", "Launch with TDATTRIBUTES byte 0 = 0"
    ),
    "tdx.attributes no-bits": Words(
        "The TD has reserved attributes", None, "Launch without them, or use a newer verifier", True
    ),
    "tdx.migratable true": Words(
        "The TD can be migrated", "A service TD can read it", "Launch with TDATTRIBUTES bit 29 = 0"
    ),
    "tdx.sept-ve-disable false": Words(
        "The host can inject #VE into the TD",
        "It can remove private pages unnoticed",
        "Launch with TDATTRIBUTES bit 28 = 1",
    ),
    "tdx.mrservicetd": Words(
        "A service TD is bound", "It can read and move the TD", "Launch without it, or pin its digest", True
    ),
    "tdx.crl stale": Words("Intel's revocation lists are out of date", None, _COLLECT),
    "tdx.tcb-status": Words("TDX platform is {found}", None, "Update the BIOS or accept each advisory"),
    "tdx.tcb-lag at-most": Words("TDX platform has been behind too long", None, "Update the BIOS", True),
    "tdx.tcb-date at-least": Words("TDX platform is too old", None, "Update the BIOS", True),
    "tdx.tcb-evaluation at-least": Words(
        "Intel collateral is old", None, 'Run "attest endorsements fetch"', True
    ),
    "tdx.tee-tcb-svn at-least": Words("TDX module is too old", None, "Update the TDX module", True),
    "tdx.mrtd": Words("Unknown launch measurement", None, _RECOMPUTE, True),
    "tdx.event-log mismatch": Words(
        "The event log does not replay to the signed registers",
        None,
        "Collect log and quote together, in one boot",
    ),
    "tdx.event-log absent": Words(
        "No event log was given",
        None,
        "Give the event log of this boot beside the quote; attest collect writes both",
    ),
    "azure.user-data-bound false": Words(
        "The user data is not bound to the runtime data", None, "Collect the evidence again"
    ),
    "gpu.driver at-least": Words("driver is too old", None, "Update the driver", True),
    "gpu.vbios at-least": Words("VBIOS is too old", None, "Update GPU {id}", True),
    "switch.bios at-least": Words("BIOS is too old", None, "Update switch {id}", True),
    "gpu.mode": Words("The GPU runs in another mode", None, "Set the mode the policy names", True),
    "gpu.measurements mismatch": Words(
        "Measurements differ from the golden values",
        "Firmware was altered, or runs in devtools mode",
        "Reinstall driver and VBIOS of the versions reported, with CC mode on",
    ),
    "gpu.measurements no-rim": Words(
        "Measurements could not be compared",
        "Devtools mode cannot be excluded",
        "Give driver and VBIOS RIM as files, or --fetch",
    ),
    "switch.measurements mismatch": Words(
        "Measurements differ from the golden values", "Firmware was altered", "Reinstall the switch's BIOS"
    ),
    "switch.measurements no-rim": Words(
        "Measurements could not be compared", None, "Give the switch's RIM as a file, or --fetch"
    ),
    "switch.locked false": Words("The switch is not locked", None, "Restart the fabric manager"),
    **{
        f"{section}.cert {state}": words
        for section in ("gpu", "switch")
        for state, words in {
            "absent": Words("Revocation of the device was not checked", None, _ASK_RESPONDER),
            "stale": Words("Revocation of the device is out of date", None, _ASK_RESPONDER),
            "unknown": Words(
                "The responder does not know a certificate of the device",
                None,
                "Ask NVIDIA; a genuine certificate is known to its issuer's responder",
            ),
            "hold": Words(
                "A certificate of the device or of its manifests is on hold",
                None,
                "Install firmware and driver that NVIDIA has released and not withdrawn",
            ),
        }.items()
    },
    "gpu.cert": Words("The device certificate is {found}", None, "Ask NVIDIA about this device"),
    "switch.cert": Words("The device certificate is {found}", None, "Ask NVIDIA about this device"),
    "gpu.driver-rim absent": Words("The driver's reference manifest was not given", None, _GIVE_RIM),
    "gpu.vbios-rim absent": Words("The VBIOS reference manifest was not given", None, _GIVE_RIM),
    "switch.bios-rim absent": Words("The BIOS reference manifest was not given", None, _GIVE_RIM),
    "gpu.driver-rim": Words(
        "The driver's reference manifest is {found}", None, "Give the RIM as NVIDIA serves it, or --fetch"
    ),
    "gpu.vbios-rim": Words(
        "The VBIOS reference manifest is {found}", None, "Give the RIM as NVIDIA serves it, or --fetch"
    ),
    "switch.bios-rim": Words(
        "The BIOS reference manifest is {found}", None, "Give the RIM as NVIDIA serves it, or --fetch"
    ),
    "gpu.evidence-age at-most": Words("GPU evidence is old", None, "Ask the site again", True),
    "gpu.count at-least": Words("Too few GPUs", None, "See the driver log", True),
    "gpu.count at-most": Words("Too many GPUs", None, "Pass the listed number to this VM", True),
    "switch.count at-least": Words("Too few switches", None, "See the driver log", True),
    "gpu.id duplicate": Words("One GPU was presented twice", None, "Each must present its own evidence"),
    "switch.id duplicate": Words(
        "One switch was presented twice", None, "Each must present its own evidence"
    ),
    "gpu.present": Words("There is no GPU evidence", None, "Collect it with the CPU's"),
    "switch.present": Words("There is no switch evidence", None, "Collect it with the CPU's"),
    "evidence.simulated true": Words(
        "The evidence is simulated", "It proves nothing about hardware", "Use hardware"
    ),
    "evidence.verified-by": Words(
        "Another verifier vouches for the evidence", None, "Verify it here, or name the issuer", True
    ),
    "binding.nonce false": Words("The evidence does not carry our nonce", "It may be old", "Attest again"),
    "binding.key unasked": Words(
        "No key was given to compare with", "The evidence may be for another's key", "Give the key with --key"
    ),
    "binding.key false": Words(
        "The evidence does not carry the key",
        "It may be another's",
        "The client must hash its key into report data",
    ),
    "binding.gpu-to-cpu false": Words(
        "GPU evidence is not tied to this VM",
        "It may be another machine's",
        "The client must hash it into report data",
    ),
    "binding.protocol at-least": Words(
        "The guest protocol is too old", "It does not tie devices to the VM", "Update the guest", True
    ),
    "time.evidence-age at-most": Words("The evidence is too old", None, "Attest again", True),
    "time.collateral-age at-most": Words(
        "The collateral is too old", None, "Give current collateral, or --fetch", True
    ),
}

NAMES = {
    "snp.measurement": "launch measurement",
    "snp.id-key": "ID key",
    "snp.author-key": "author key",
    "snp.host-data": "host data",
    "snp.chip-id": "chip",
    "tdx.mrtd": "launch measurement",
    "tdx.mrseam": "TDX module measurement",
    "tdx.fmspc": "platform family",
}
"""What a reference value's claim is called in a sentence; others go by their own name."""

STATUS_FIXES = {
    "ConfigurationNeeded": "Change the BIOS configuration as the advisories say",
    "ConfigurationAndSWHardeningNeeded": "Change the BIOS configuration as the advisories say",
    "SWHardeningNeeded": "Harden the software as the advisories say, then name the status with an override",
    "TDRelaunchAdvised": "Launch the TD again: the platform was updated under it",
    "TDRelaunchAdvisedConfigurationNeeded": "Change the BIOS configuration, then launch the TD again",
    "Revoked": "Do not trust this platform",
}
