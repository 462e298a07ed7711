"""Claims of Azure Attestation's tokens, and what says the same here: one condition becomes one rule, or is lost.

A guest's token (AzureGuest) has the hardware's claims within `x-ms-isolation-tee`; one made of the report
alone (SevSnpVm, TdxVm) has them outermost. Names: Azure Attestation's token examples and its EAT profile of TDX.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from attest.claims import CLAIMS, Claim
from attest.policy.author_rules import ABSENT, quoted
from attest.policy.interchange.draft import Entry
from attest.untrusted import escape

TEE = "x-ms-isolation-tee."
TYPE = "x-ms-attestation-type"
COMPLIANCE = "x-ms-compliance-status"
HARDWARE = {"sevsnpvm": "snp", "tdxvm": "tdx"}
"""Attestation type → section of its hardware."""

_SNP = {
    "is-debuggable": "debug",
    "migration-allowed": "migrate-ma",
    "smt-allowed": "smt-allowed",
    "guestsvn": "guest-svn",
    "vmpl": "vmpl",
    "launchmeasurement": "measurement",
    "hostdata": "host-data",
    "idkeydigest": "id-key",
    "authorkeydigest": "author-key",
    "familyId": "family-id",
    "imageId": "image-id",
    "reportid": "report-id",
}
_TCB = {
    "bootloader-svn": "bootloader",
    "tee-svn": "tee",
    "snpfw-svn": "snp",
    "microcode-svn": "microcode",
}
_TDX = {
    **{name: name for name in ("rtmr0", "rtmr1", "rtmr2", "rtmr3", "mrtd", "mrseam")},
    **{name: name for name in ("mrconfigid", "mrowner", "mrownerconfig", "xfam")},
    "td_attributes": "attributes",
    "td_attributes_debug": "debug",
    "td_attributes_septve_disable": "sept-ve-disable",
}
_TD_BITS = {"protection_keys": 30, "key_locker": 31, "perfmon": 63}
_CONFIGURATION = "x-ms-runtime.vm-configuration."
_PCR = re.compile(r"x-ms-azurevm-attested-pcr-values\.pcr([0-9]|1[0-9]|2[0-3])")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ABSENT_WHEN_ZERO = frozenset(
    {"host-data", "id-key", "author-key", "family-id", "image-id", "mrconfigid", "mrowner", "mrownerconfig"}
)
OPERATORS = ("equals", "notequals", "less", "lessorequals", "greater", "greaterorequals", "exists")


@dataclass(frozen=True, slots=True)
class Condition:
    """claim: its whole name. operator: as written. text: the value, of a truth value `true` or `false`."""

    line: int
    claim: str
    operator: str
    text: str

    @property
    def said(self) -> str:
        return escape(f"line {self.line}: {self.claim} {self.operator} {self.text}")

    @property
    def bare(self) -> str:
        return self.claim.removeprefix(TEE)


def hardware_of(condition: Condition) -> str | None:
    """The attestation type of the tokens that carry the claim; None where those of every machine may."""
    if condition.bare.startswith("x-ms-sevsnpvm-"):
        return "sevsnpvm"
    return "tdxvm" if condition.bare.startswith("tdx_") else None


def rule_of(condition: Condition) -> Entry | str:
    """The rule that says the same; else why there is none."""
    operator = condition.operator.lower()
    if condition.bare == TYPE:
        return f"only equals {' or '.join(HARDWARE)} can be said"
    if condition.bare == COMPLIANCE:
        return "Azure's own judgement; pin id-key and guest-svn, or the measurement, instead"
    if operator == "exists":
        return _exists(condition)
    if condition.bare.startswith("x-ms-sevsnpvm-") and (part := _TCB.get(condition.bare[14:])):
        return _component(condition, operator, part)
    if condition.bare.startswith("tdx_td_attributes_") and (bit := _TD_BITS.get(condition.bare[18:])):
        return _bit(condition, operator, bit)
    claim = _claim(condition)
    if claim is None:
        return "no claim of this language says the same"
    operand = _operand(claim, operator, condition.text)
    if operand is None:
        return f"{condition.operator} {condition.text[:80]} cannot be said of {claim.section}.{claim.name}"
    return _entry(condition, claim, operand)


def _entry(condition: Condition, claim: Claim, operand: str) -> Entry:
    return Entry(claim.section, claim.name, operand, condition.said, condition.line)


def _claim(condition: Condition) -> Claim | None:
    bare = condition.bare
    if bare.startswith("x-ms-sevsnpvm-"):
        name = _SNP.get(bare.removeprefix("x-ms-sevsnpvm-"))
        return CLAIMS["snp"][name] if name else None
    if bare.startswith("tdx_"):
        name = _TDX.get(bare.removeprefix("tdx_"))
        return CLAIMS["tdx"][name] if name else None
    if bare == "attester_tcb_status":
        return CLAIMS["tdx"]["tcb-status"]
    if bare == "secureboot":
        # Azure Attestation reads it out of the boot log that the TPM signed, not out of the configuration.
        return CLAIMS["boot"]["secure-boot"]
    if pcr := _PCR.fullmatch(bare):
        return CLAIMS["azure"][f"pcr{pcr[1]}"]
    named = {
        "x-ms-azurevm-vmid": "vm-id",
        f"{_CONFIGURATION}vmUniqueId": "vm-id",
        f"{_CONFIGURATION}secure-boot": "secure-boot",
    }
    return CLAIMS["azure"][named[bare]] if bare in named else None


def _exists(condition: Condition) -> Entry | str:
    """Azure's token has the hardware's claims always, zero where nobody set them."""
    claim = _claim(condition)
    if condition.text != "true" or claim is None:
        return f"exists {condition.text[:80]} cannot be said of it"
    return _entry(condition, claim, "{exists: true}")


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


def _bounds(operator: str, number: int) -> tuple[str, int] | None:
    """at-least or at-most, and the bound."""
    return {
        "greater": ("at-least", number + 1),
        "greaterorequals": ("at-least", number),
        "less": ("at-most", number - 1),
        "lessorequals": ("at-most", number),
    }.get(operator)


def _component(condition: Condition, operator: str, part: str) -> Entry | str:
    number = _whole(condition.text)
    bounds = None if number is None else _bounds(operator, number)
    if operator == "equals" and number is not None and number < 256:
        operand = f"{{at-least: {{{part}: {number}}}, at-most: {{{part}: {number}}}}}"
    elif bounds and 0 <= bounds[1] < 256:
        operand = f"{{{bounds[0]}: {{{part}: {bounds[1]}}}}}"
    else:
        return f"{condition.operator} {condition.text[:80]} cannot be said of snp.tcb"
    return _entry(condition, CLAIMS["snp"]["tcb"], operand)


def _bit(condition: Condition, operator: str, bit: int) -> Entry | str:
    if operator != "equals" or condition.text not in ("true", "false"):
        return f"{condition.operator} {condition.text[:80]} cannot be said of tdx.attributes"
    word = "has-bits" if condition.text == "true" else "no-bits"
    return _entry(condition, CLAIMS["tdx"]["attributes"], f"{{{word}: {1 << bit:#x}}}")


def _operand(claim: Claim, operator: str, text: str) -> str | None:
    """In this language; None where it has no such operator or value."""
    if claim.kind == "int":
        number = _whole(text)
        if number is None:
            return None
        if bounds := _bounds(operator, number):
            return f"{{{bounds[0]}: {bounds[1]}}}" if bounds[1] >= 0 else None
        text = str(number)
    value: str | None = text
    if claim.kind == "bool":
        value = text if text in ("true", "false") else None
    elif claim.kind == "bits":
        value = hex(int.from_bytes(bytes.fromhex(text), "little")) if _is_hex(text, 8) else None
    elif claim.kind == "bytes":
        value = _octets(claim, text)
    elif claim.name == "vm-id":
        # Azure writes a GUID in either case; the claim has one.
        value = text.lower() if _GUID.fullmatch(text) else None
    elif claim.values:
        value = text if text in claim.values else None
    if value is None or operator not in ("equals", "notequals"):
        return None
    if claim.name in _ABSENT_WHEN_ZERO and not value.strip("0"):
        return ABSENT if operator == "equals" else "{exists: true}"
    return quoted(value) if operator == "equals" else f"{{none-of: [{quoted(value)}]}}"


def _octets(claim: Claim, text: str) -> str | None:
    if any(_is_hex(text, size) for size in claim.size):
        return text
    if claim.section != "azure":
        return None
    # PCRs stand in tokens as base64.
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return value.hex() if len(value) in claim.size and base64.b64encode(value).decode() == text else None


def _is_hex(text: str, size: int) -> bool:
    return bool(re.fullmatch(f"[0-9A-Fa-f]{{{2 * size}}}", text))
