"""What a person should know although no rule refused it. Each has a code that an owner can allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest.claims import DEVICE_SECTIONS
from attest.errors import Problem
from attest.policy.defaults import replaces
from attest.policy.document import Policy
from attest.policy.identity import workload_pins
from attest.policy.model import Rule
from attest.problems import problem
from attest.verified import Vouched


def warnings_of(
    verified: Vouched, policy: Policy, platform: str, uncovered: bool | None, floors: str | None
) -> tuple[Problem, ...]:
    """Verification's warnings, then the policy's; none twice for the same part.

    uncovered: whether the pinned workload stops at the firmware, None where nothing is pinned. floors: what is
    wrong with the floor data, where it judges something.
    """
    collected = _Warnings(verified.warnings)
    claims = verified.claims
    if verified.simulated or _text(claims, "evidence", "simulated") == "true":
        collected.add("simulated")
    if not _fresh(verified):
        collected.add("no-freshness")
    if _text(claims, "snp", "crl") == "absent":
        collected.add("revocation-unchecked", "snp")
    for section in sorted(DEVICE_SECTIONS):
        found = claims.get(section)
        raw = claims.get("raw")
        for index, device in enumerate(found if isinstance(found, (list, tuple)) else ()):
            if not isinstance(device, Mapping):
                continue
            if device.get("cert") == "absent":
                collected.add("revocation-unchecked", f"{section}[{index}]")
            if (
                section == "gpu"
                and "mode" not in device
                and _mode_unsaid(raw, index)
                and by_default(policy, "gpu", "mode")
            ):
                collected.add("gpu-mode-unknown", f"gpu[{index}]")
    if floors is not None:
        collected.add(floors, "tdx.tcb-evaluation" if "tdx" in claims else "snp.fixed")
    if not policy.own:
        if verified.paravisor_claims:
            collected.add("paravisor-unknown", "azure")
        return collected.all
    for section in sorted(DEVICE_SECTIONS):
        if claims.get(section) and section not in policy.body.sections:
            collected.add("unappraised", section)
    if not workload_pins(policy.body, platform):
        collected.add("no-workload-identity")
    elif uncovered:
        collected.add("os-unmeasured")
    return collected.all


class _Warnings:
    def __init__(self, given: tuple[Problem, ...]) -> None:
        self._given = list(given)

    def add(self, code: str, where: str | None = None) -> None:
        """Unless verification said the same of this part, or of the whole machine."""
        for warning in self._given:
            if warning.code == code and (
                where is None or warning.where is None or warning.where.split(".")[0] == where.split(".")[0]
            ):
                return
        self._given.append(problem(code, where=where))

    @property
    def all(self) -> tuple[Problem, ...]:
        return tuple(self._given)


def _fresh(verified: Vouched) -> bool:
    """Whether the part that speaks for the machine was compared with an expected value."""
    claims = verified.claims
    if _text(claims, "binding", "nonce") is not None:
        return True
    check = "binding.report-data" if "snp" in claims or "tdx" in claims else "binding.gpu-nonce"
    return any(record.name == check and record.outcome == "passed" for record in verified.checks)


def by_default(policy: Policy, section: str, claim: str) -> bool:
    """Whether no rule of the file replaces the default of this claim."""
    return not any(
        isinstance(entry, Rule) and entry.claim.name == claim and replaces(entry)
        for entry in policy.body.sections.get(section, ())
    )


def _mode_unsaid(raw: object, index: int) -> bool:
    """Whether the opaque data's version is one without FEATURE_FLAG."""
    parts = raw.get("gpu") if isinstance(raw, Mapping) else None
    part = parts[index] if isinstance(parts, (list, tuple)) and len(parts) > index else None
    return isinstance(part, Mapping) and part.get("opaque_data_version", "0") == "0"


def _text(claims: Mapping[str, Any], section: str, name: str) -> str | None:
    found = claims.get(section)
    value = found.get(name) if isinstance(found, Mapping) else None
    return value if isinstance(value, str) else None
