"""A claim tree as rules see it, at one instant: which entries apply, and what one rule finds.

The tree comes from a Verified, so it is genuine, or from an Attested, so an issuer whom the owner must name says
so; here it is only compared. What is not in it is unknown, and the unknown does not pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from attest.claims import CLAIMS, DEVICE_SECTIONS, SECTIONS, freeze
from attest.policy.accept import in_force
from attest.policy.compare import ABSENT, Finding, judge, wanted, worst
from attest.policy.defaults import DEFAULTS, UNDER_LAG, replaces
from attest.policy.document import Policy
from attest.policy.fixed import ENDED, FLOOR, evaluation_rule, judge_fixed
from attest.policy.identity import paravisor_pins, workload_pins
from attest.policy.kinds import read
from attest.policy.model import PARTS, Body, Entry, Group, Rule
from attest.policy.plan import AGES, Step
from attest.policy.plan import steps as steps_of
from attest.policy.reasons import reason_of
from attest.verified import Vouched

_CPU_SECTIONS = ("snp", "tdx", "azure")
_PLANS = 256
"""As many kinds of machine as a policy is kept ready for."""


@dataclass(frozen=True)
class Machine:
    """The claim tree as rules see it, at one instant."""

    verified: Vouched
    policy: Policy
    at: datetime

    @property
    def body(self) -> Body:
        return self.policy.body

    @cached_property
    def elapsed(self) -> int:
        return max(0, int((self.at - self.verified.at).total_seconds()))

    @cached_property
    def platform(self) -> str:
        """The CPU platform of the evidence: snp, tdx, azure-snp, azure-tdx or none."""
        claims = self.verified.claims
        cpu = next((section for section in ("snp", "tdx") if section in claims), None)
        if self.verified.paravisor_claims:
            return f"azure-{cpu}" if cpu else "azure"
        return cpu or "none"

    @cached_property
    def situation(self) -> tuple[object, ...]:
        """All of the machine that says which entries apply to it."""
        binding, time = self.section("binding"), self.section("time")
        return (
            self.platform,
            any(self.devices(section) for section in DEVICE_SECTIONS),
            "protocol" in binding,
            "nonce" in binding,
            "evidence-age" in time,
            self.verified.silent,
            *(bool(self.verified.claims.get(section)) for section in PARTS),
        )

    def steps(self, section: str) -> tuple[Step, ...]:
        """The entries that apply to a section of this machine, in the order of results; `count` is not a
        device's."""
        plans: dict[tuple[object, ...], tuple[Step, ...]] = self.policy.plans
        key = (section, *self.situation)
        found = plans.get(key)
        if found is None:
            entries: Sequence[Entry] = self.body.sections.get(section, ())
            if section in _CPU_SECTIONS and not (self.has(section) and self.listed):
                entries = ()
            devices = section in DEVICE_SECTIONS
            if devices:
                entries = [one for one in entries if isinstance(one, Group) or one.claim.name != "count"]
            found = steps_of((*entries, *_defaults(self, section)), distinct=devices)
            if len(plans) < _PLANS:
                plans[key] = found
        if section == "tdx" and self.floor_rule is not None:
            # Which number it asks for, the instant says.
            more = steps_of([self.floor_rule])
            found = tuple(sorted((*found, *more), key=lambda step: step.key))
        return found

    @cached_property
    def accepted(self) -> Mapping[str, datetime]:
        """Advisory → until when the owner lives with it, of those accepted now."""
        return in_force(self.body.accepted, self.at)

    @cached_property
    def floor_rule(self) -> Rule | None:
        """The default on Intel's evaluation number, where nothing replaces it. Rules of the file that say no
        `override` stand beside it: how low the floor was, nobody knew when they were written."""
        entries = self.body.sections.get("tdx", ()) if self.listed else ()
        own = [
            entry
            for entry in entries
            if isinstance(entry, Rule) and entry.claim.name == "tcb-evaluation" and replaces(entry)
        ]
        if any(rule.override for rule in own) or "tdx" not in self.verified.claims:
            return None
        return evaluation_rule(self.policy.floors, self.at)

    @cached_property
    def floor_state(self) -> str | None:
        """`no-floors` or `floors-expired`, where something of this machine is judged by floor data."""
        if "tdx" in self.verified.claims:
            replaced = any(
                isinstance(entry, Rule) and entry.claim.name == "tcb-evaluation" and replaces(entry)
                for entry in self.body.sections.get("tdx", ())
            )
            if self.floor_rule is None and not replaced:
                return "no-floors"
        used = self.floor_rule is not None or (
            "snp" in self.verified.claims and self.listed and asks_fixed(self.body.sections.get("snp", ()))
        )
        return "floors-expired" if used and self.policy.floors.expired(self.at) else None

    @cached_property
    def listed(self) -> bool:
        return self.platform in self.body.platforms

    @cached_property
    def product(self) -> str | None:
        value = self.section("snp").get("product")
        return str(value) if value in CLAIMS["snp"]["product"].values else None

    @cached_property
    def paravisor_known(self) -> bool:
        """Whether the paravisor of an Azure machine is one that the policy pins.

        Until then nothing it says of its guest is known, and neither is what its TPM's log says of the boot:
        whoever launched the machine can write all of it (T-PARAVISOR).
        """
        rules = paravisor_pins(self.body, self.platform) if self.policy.own and self.listed else ()
        return bool(rules) and all(
            # The hardware's own claims: no paravisor vouches for itself.
            self.judge(rule, self.verified.claims.get(rule.section, {})).result == "P"
            for rule in rules
        )

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        """The claims that this policy makes known."""
        claims, said = self.verified.claims, self.verified.paravisor_claims
        if not said or not self.paravisor_known:
            return claims
        lifted = {section: {**claims.get(section, {}), **more} for section, more in said.items()}
        azure = {name: value for name, value in claims["raw"]["azure"].items() if name != "paravisor_says"}
        every = {**claims, **lifted, "raw": {**claims["raw"], "azure": azure}}
        known: Mapping[str, Any] = freeze({name: every[name] for name in (*SECTIONS, "raw") if name in every})
        return known

    def has(self, section: str) -> bool:
        """Whether the evidence has this part, its claims known or not."""
        return section in self.verified.claims or section in self.verified.paravisor_claims

    def section(self, name: str) -> Mapping[str, object]:
        known = self.claims if name in self.verified.paravisor_claims else self.verified.claims
        found = known.get(name)
        return found if isinstance(found, Mapping) else {}

    def devices(self, name: str) -> Sequence[Mapping[str, object]]:
        found = self.verified.claims.get(name)
        if not isinstance(found, (list, tuple)):
            return ()
        return [device if isinstance(device, Mapping) else {} for device in found]

    def text(self, rule: Rule, claims: Mapping[str, object]) -> object:
        """The claim's text; an age with the time since verification."""
        raw = claims.get(rule.claim.name)
        if self.elapsed and rule.name in AGES and isinstance(raw, str):
            try:
                seconds = read(rule.claim, raw)
            except ValueError:
                return raw
            # A lag of zero means that nothing was missed, not that something was missed just now.
            if isinstance(seconds, int) and (seconds or rule.claim.name != "tcb-lag"):
                return f"{seconds + self.elapsed}s"
        return raw

    def judge(self, rule: Rule, claims: Mapping[str, object], device: int | None = None) -> Finding:
        """device: the index of the device whose `claims` these are."""
        if rule.is_fixed:
            return worst(self.fixed(advisory, claims) for advisory in advisories_of(rule))
        if rule.place == FLOOR and self.policy.floors.unknown(self.at):
            return Finding("U", wanted(rule.operators[0], rule.claim), None, unknown=ENDED)
        if rule.name == "tdx.tcb-lag" and claims.get("tcb-status") == "Revoked":
            return Finding("F", wanted(rule.operators[0], rule.claim), "Revoked", operator="is")
        raw = self.text(rule, claims)
        if raw is None and rule.absent_passes:
            return Finding("P", wanted(rule.operators[0], rule.claim), None)
        finding = worst(
            judge(operator, rule.claim, raw, product=self.product, now=self.at) for operator in rule.operators
        )
        return self._explained(finding, rule, device) if finding.unknown == ABSENT else finding

    def _explained(self, finding: Finding, rule: Rule, device: int | None) -> Finding:
        """The same with the true reason, where there is a better one than that the claim is absent."""
        if self.unpinned(rule.section):
            return finding
        reason = reason_of(self.verified, rule.section, rule.claim.name, device)
        return finding if reason is None else replace(finding, unknown=reason.why, remedy=reason.fix)

    def unpinned(self, section: str) -> bool:
        """Whether a paravisor that the policy does not pin is what would know the claims of this section."""
        said = section in ("azure", "boot") and bool(self.verified.paravisor_claims)
        return said and not self.paravisor_known

    def fixed(self, advisory: str, claims: Mapping[str, object]) -> Finding:
        return judge_fixed(advisory, self.policy.floors, claims, self.product, self.at)

    @cached_property
    def uncovered(self) -> bool | None:
        """Whether the pinned workload stops at the firmware, or does not say; None where none is pinned."""
        pins = workload_pins(self.body, self.platform)
        if not pins or not self.listed:
            return None
        for rule in pins:
            covers = rule.covers
            if rule.operator("in"):
                entry = self.judge(rule, self.section(rule.section)).entry
                covers = entry.covers if entry is not None else None
            if covers == "image":
                return False
        return True


def advisories_of(rule: Rule) -> list[str]:
    """The advisories of a `fixed` rule, in order."""
    operand = rule.operators[0].operand
    return sorted(operand) if isinstance(operand, frozenset) else []


def asks_fixed(entries: Sequence[Entry]) -> bool:
    return any(
        entry.is_fixed if isinstance(entry, Rule) else any(map(asks_fixed, entry.branches))
        for entry in entries
    )


def _defaults(machine: Machine, section: str) -> Iterator[Rule]:
    """Defaults of a section that is present and whose rules the file does not replace."""
    if section in _CPU_SECTIONS and not machine.has(section):
        return
    own = [
        entry
        for entry in machine.body.sections.get(section, ())
        if isinstance(entry, Rule) and replaces(entry)
    ]
    if section in _CPU_SECTIONS and not machine.listed:
        own = []
    replaced = {rule.claim.name for rule in own}
    lag = any(rule.claim.name == "tcb-lag" and rule.operator("at-most", "is") for rule in own)
    for rule in DEFAULTS:
        if rule.section != section or rule.claim.name in replaced or not _judgeable(machine, rule):
            continue
        if rule.name in machine.verified.silent:
            continue
        yield UNDER_LAG if rule.name == "tdx.tcb-status" and lag else rule


def _judgeable(machine: Machine, rule: Rule) -> bool:
    """Conditions that the table of defaults states in words."""
    claims = machine.verified.claims
    devices = any(machine.devices(section) for section in DEVICE_SECTIONS)
    if rule.section == "azure":
        return machine.policy.own and machine.listed
    if rule.name == "binding.gpu-to-cpu":
        return devices and machine.platform != "none"
    if rule.name == "binding.protocol":
        return devices and "protocol" in machine.section("binding")
    if rule.name == "binding.nonce":
        return "nonce" in machine.section("binding")
    if rule.name == "time.evidence-age":
        return "nonce" in machine.section("binding") and "evidence-age" in machine.section("time")
    return rule.section == "evidence" or bool(claims.get(rule.section))
