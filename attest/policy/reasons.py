"""Why a claim is not known, where more can be said than that the evidence does not carry it.

A fact that was refused, is out of date, or was never asked for is not a fact that is missing: what to do differs.
The reasons are read from what verification recorded, its checks, warnings and `raw`, and change no result: the
unknown does not pass, whatever made it unknown. Total: whatever stands in the tree, an answer comes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from attest.untrusted import escape
from attest.verified import Vouched

_MISMATCH = "event-log.mismatch"
_TOGETHER = "Collect log and quote together, in one boot"
_LOG = "Give the event log of this boot beside the quote; attest collect writes it into the bundle"
_FETCH_LISTS = "Give current lists and OCSP answers as files, or --fetch"


class Reason(NamedTuple):
    """why: a phrase that stands before "; unknown counts as not met". fix: what to do."""

    why: str
    fix: str | None = None


_ALWAYS = {
    "snp.host-data": Reason("The host set none: the field is zero"),
    "snp.id-key": Reason("The machine was launched without an ID block"),
    "snp.family-id": Reason("The ID block sets none, or there was no ID block: the field is zero"),
    "snp.image-id": Reason("The ID block sets none, or there was no ID block: the field is zero"),
    "snp.author-key": Reason("No author key signed an ID block of this machine"),
    "snp.chip-id": Reason("The host masks the chip id", "The host must clear MASK_CHIP_ID"),
    "snp.csp": Reason("A VCEK names no cloud provider; a VLEK does"),
    "snp.alias-check": Reason(
        "Firmware this old does not report it", "The host must update and commit firmware"
    ),
    "tdx.mrconfigid": Reason("The host set none: the field is zero"),
    "tdx.mrowner": Reason("The host set none: the field is zero"),
    "tdx.mrownerconfig": Reason("The host set none: the field is zero"),
    "tdx.mrservicetd": Reason("A TD 1.0 report has no such field"),
    "gpu.evidence-age": Reason("Only a site's evidence says it", "Check it with --origin and --nonce"),
    "switch.evidence-age": Reason("Only a site's evidence says it", "Check it with --origin and --nonce"),
    "binding.protocol": Reason(
        "Evidence from files came by no guest protocol",
        "Drop the rule here; a broker's guests have a protocol",
    ),
    "binding.init-data": Reason(
        "No init-data was given to compare with, or the report carries another digest",
        "Drop the rule here; a broker compares the init-data that its guest sends",
    ),
    "time.evidence-age": Reason(
        "Nobody recorded when the nonce was made", "Drop the rule here; a broker knows the age of its nonces"
    ),
}
"""Claims with one reason only."""
_UNUSED = Reason(
    "The event log that was given is of no register signed here, so nothing is read from it",
    "Give the CCEL log with a TDX quote, the TPM's with the TPM quote",
)


def reason_of(verified: Vouched, section: str, claim: str, device: int | None = None) -> Reason | None:
    """Why `section.claim` is absent from the tree; None where nothing is known but that. device: its index."""
    name = f"{section}.{claim}"
    if section == "boot":
        return _boot(verified, claim)
    if section == "azure":
        return _azure(verified, claim)
    if section == "gpu":
        return _gpu(part_of(verified, section, device), claim) or _ALWAYS.get(name)
    if name in ("binding.key", "binding.gpu-to-cpu"):
        return _binding(verified, claim)
    if name == "time.collateral-age":
        return _undated(verified)
    return _ALWAYS.get(name)


def registers_of(verified: Vouched) -> list[str]:
    """Signed registers that the event log does not give, `rtmr1`; empty where it gives all or there is none."""
    return [warning.where for warning in verified.warnings if warning.code == _MISMATCH and warning.where]


def stale_answers(verified: Vouched, section: str, device: int | None) -> str | None:
    """Whose OCSP answer is out of date, and its dates, where that alone makes `cert` unknown; None elsewhere."""
    statuses = part_of(verified, section, device).get("revocation")
    if not isinstance(statuses, (list, tuple)):
        return None
    told = [one for one in statuses if isinstance(one, Mapping)]
    stale = {str(one.get("certificate")): one for one in told if one.get("status") == "stale"}
    if not stale or any(one.get("status") == "unknown" for one in told):
        return None  # whom the responder does not know is not excused by another's old answer
    # The one that ended first: whoever fetches, fetches all.
    name, first = min(stale.items(), key=lambda one: str(one[1].get("next_update", "")))
    dates = f"is from {first.get('this_update')} to {first.get('next_update', 'no stated end')}"
    more = f", and {len(stale) - 1} more" if len(stale) > 1 else ""
    return f"{escape(name, 100)} {escape(dates)}{more}"


def not_run(verified: Vouched, check: str) -> str | None:
    """Why a check did not run, as a sentence begins; None where it ran or nobody spoke of it."""
    why = next((one.why for one in verified.checks if one.name == check and one.outcome == "not-run"), None)
    return why and _sentence(why)


def part_of(verified: Vouched, section: str, device: int | None = None) -> Mapping[str, Any]:
    """The vendor's own fields of a part."""
    raw = verified.claims.get("raw")
    part = raw.get(section) if isinstance(raw, Mapping) else None
    if device is not None:
        part = part[device] if isinstance(part, (list, tuple)) and device < len(part) else None
    if section == "azure" and isinstance(part, Mapping) and "paravisor_says" in part:
        return {name: value for name, value in part.items() if name != "paravisor_says"}
    return part if isinstance(part, Mapping) else {}


# -- sections ---------------------------------------------------------------------------------------


def _boot(verified: Vouched, claim: str) -> Reason | None:
    azure = bool(verified.paravisor_claims)
    registers = "pcr4, pcr8 and pcr9" if azure else "rtmr1 and rtmr2"
    wrong = [warning for warning in verified.warnings if warning.code == _MISMATCH]
    if wrong:
        differing = registers_of(verified)
        if differing:
            return Reason(
                f"The event log does not match the signed {_and(differing)}, so nothing is read from it",
                f"{_TOGETHER}; or pin {registers}, which are signed",
            )
        found = wrong[0].found or "it cannot be replayed"
        return Reason(f"The event log matches no signed register: {found}", _TOGETHER)
    unused = any(warning.code == "event-log.unused" for warning in verified.warnings)
    if not azure and "tdx" not in verified.claims:
        if unused:
            return _UNUSED
        if "snp" not in verified.claims:
            return Reason("There is no CPU evidence")
        return Reason(
            "An SEV-SNP report signs no register of the boot", "Drop the rule, and pin snp.measurement"
        )
    why = not_run(verified, "azure.event-log" if azure else "tdx.event-log")
    if why is not None:
        if not why.startswith("No event log was given"):
            return Reason(why, _TOGETHER)
        return _UNUSED if unused else Reason("No event log was given", _LOG)
    log = part_of(verified, "azure" if azure else "tdx").get("event_log")
    unknown = log.get("boot_unknown") if isinstance(log, Mapping) else None
    if isinstance(unknown, Mapping) and isinstance(unknown.get(claim), str):
        return Reason(
            f"The event log replays, and does not prove it: {escape(unknown[claim], 200)}",
            f"Drop the rule, and pin {registers}",
        )
    return None


def _azure(verified: Vouched, claim: str) -> Reason | None:
    if claim == "user-data-bound":
        why = not_run(verified, "azure.user-data")
        return None if why is None else Reason(why)
    if not claim.startswith("pcr"):
        return None
    why = not_run(verified, "azure.tpm.pcrs")
    if why is not None:
        return Reason(why, "Collect the TPM quote with its registers again, together")
    return Reason(f"The TPM quote does not cover {claim}", "Quote the registers 0 to 23 of the SHA-256 bank")


def _gpu(raw: Mapping[str, Any], claim: str) -> Reason | None:
    if claim == "driver" and isinstance(raw.get("driver_version"), str):
        said = escape(raw["driver_version"], 60)
        return Reason(
            f'The device says "{said}", which is no version of numbers', "Install a released driver"
        )
    if claim == "mode" and raw.get("opaque_data_version", "0") == "0":
        return Reason("A report this old does not say it", "Update the driver")
    return None


def _binding(verified: Vouched, claim: str) -> Reason | None:
    """None where no nonce was given: `Judged` says so."""
    claims = verified.claims
    if claim == "gpu-to-cpu":
        if not claims.get("gpu") and not claims.get("switch"):
            return Reason("There is no evidence of a GPU or a switch", "Collect it with the CPU's")
        if "snp" not in claims and "tdx" not in claims:
            return Reason("There is no CPU evidence to tie the devices to", "Collect it with the devices'")
    elif "nonce" in claims.get("binding", {}):
        return Reason("A nonce was compared, and no key is covered by it", "Give --nonce and --key")
    return None


def _undated(verified: Vouched) -> Reason:
    claims = verified.claims
    stale = any(
        stale_answers(verified, section, index)
        for section in ("gpu", "switch")
        for index in range(len(claims.get(section) or ()))
    )
    if stale:
        return Reason("The OCSP answers and lists given are out of date and count for nothing", _FETCH_LISTS)
    return Reason("No list and no OCSP answer with a date was given", _FETCH_LISTS)


def _and(names: list[str]) -> str:
    """`rtmr0`, `rtmr0 and rtmr1`, `rtmr0, rtmr1 and rtmr2`."""
    return " and ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:])


def _sentence(text: str) -> str:
    text = escape(text, 300)
    return text[:1].upper() + text[1:]
