"""Rules × parts, in one pass: every rule is judged, whatever the others said.

The claim tree comes from a Verified, so it is genuine, or from an Attested, so an issuer whom the owner must name
says so; here it is only compared. What is not in it is unknown, and the unknown does not pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any, TypeAlias

from attest.claims import CLAIMS, DEVICE_SECTIONS, SECTIONS, freeze, instant
from attest.policy.accept import cured, in_force
from attest.policy.appraisal import Appraisal, Verdict, mint
from attest.policy.compare import ABSENT, RANK, Finding, Result, judge, shown_raw, wanted, worst
from attest.policy.defaults import DEFAULTS, UNDER_LAG, replaces
from attest.policy.document import Policy
from attest.policy.explain import Judged, Outcome
from attest.policy.fixed import ENDED, FLOOR, evaluation_rule, judge_fixed
from attest.policy.identity import paravisor_pins, workload_pins
from attest.policy.kinds import read
from attest.policy.model import PARTS, Body, Entry, Group, Rule
from attest.policy.plan import AGES, Step
from attest.policy.plan import steps as steps_of
from attest.policy.reasons import not_run, reason_of, registers_of, stale_answers
from attest.policy.warn import warnings_of
from attest.untrusted import escape
from attest.verified import Vouched

_CPU_SECTIONS = ("snp", "tdx", "azure")
_PLANS = 256
"""As many kinds of machine as a policy is kept ready for."""

_FLIP: Mapping[Result, Result] = {"P": "F", "U": "U", "F": "P"}


def appraise(verified: Vouched, policy: Policy | None, *, at: datetime) -> Appraisal:
    """Judge `verified` by `policy` at the instant `at`.

    policy: None for the defaults of the parts present. at: aware; the one instant of every date in the
    policy, recorded in the result. Claims that are ages count up to `at`. Never raises on claims; ValueError
    where `at` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    at = at.astimezone(UTC)
    policy = policy or _of_the_version()
    machine = Machine(verified, policy, at)
    lines = _judge_all(machine)
    judged = [line for line in lines if isinstance(line, Judged)]
    denied = [one for one in judged if one.outcome == "deny"]
    warnings = warnings_of(verified, policy, machine.platform, machine.uncovered, machine.floor_state)
    verdict: Verdict = "conforms"
    if denied:
        verdict = "refused"
    elif warnings or any(one.outcome != "pass" for one in judged):
        verdict = "conforms-with-warnings"
    return mint(
        body=policy.body,
        own=policy.own,
        verdict=verdict,
        problems=tuple(one.problem(policy.name) for one in denied),
        warnings=warnings,
        records=lambda: tuple(line.record() for line in lines),
        policy=_about(policy),
        at=at,
        verified=verified,
        claims=machine.claims,
    )


@cache
def _of_the_version() -> Policy:
    return Policy.defaults()


def _about(policy: Policy) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": policy.name,
        "digest": policy.digest,
        "file": policy.file,
        "floors": policy.floors.about(),
    }
    if policy.file_digest is not None:
        about["file-digest"] = policy.file_digest
    if policy.extended:
        about["extends"] = dict(policy.extended)
    if policy.body.loosened:
        about["loosened"] = dict(policy.body.loosened)
    if policy.body.parameters:
        about["parameters"] = dict(policy.body.parameters)
    return about


def _order(one: Judged) -> tuple[int, int, bytes, int]:
    part = PARTS.index(one.section) if one.section in PARTS else -1
    return part, one.device[0] if one.device else -1, one.claim.encode(), one.order


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


@dataclass(frozen=True, slots=True)
class Passed:
    """An entry that passes, unmarked, on one part. Its words are put together when somebody reads them."""

    machine: Machine
    entry: Entry
    claims: Mapping[str, object]
    device: tuple[int, int] | None

    def record(self) -> dict[str, str | None]:
        return _judged(self.machine, self.entry, self.claims, self.device).record()


Line: TypeAlias = Judged | Passed


def _judge_all(machine: Machine) -> list[Line]:
    """Every entry on every part, in the order of results."""
    lines: list[Line] = [*sorted((*_platform(machine), *_still_valid(machine)), key=_order)]
    for section in PARTS:
        if section in DEVICE_SECTIONS:
            lines += _devices(machine, section)
            continue
        claims = machine.section(section)
        for step in machine.steps(section):
            entry = step.entry
            assert entry is not None
            if step.quick(machine, claims) == "P":
                lines.append(Passed(machine, entry, claims, None))
            elif isinstance(entry, Rule) and entry.is_fixed:
                lines += _fixed(machine, entry)
            else:
                lines.append(_judged(machine, entry, claims, None))
    return lines


# -- what applies -----------------------------------------------------------------------------------


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


def _platform(machine: Machine) -> Iterator[Judged]:
    if not machine.policy.own:
        return
    listed = ", ".join(sorted(machine.body.platforms))
    finding = Finding("P" if machine.listed else "F", f"one of {listed}", machine.platform)
    yield _general(machine, "platforms", finding, place=machine.policy.where)


def _still_valid(machine: Machine) -> Iterator[Judged]:
    """After the earliest end of its endorsements a Verified says nothing, and nothing before it was made: a clock
    that steps back would revive what has ended (T-CLOCK)."""
    if machine.at < machine.verified.at:
        finding = Finding("F", f"from {instant(machine.verified.at)} on", instant(machine.at))
        yield _general(machine, "clock", finding, place="default")
    if machine.at > machine.verified.expires:
        found = f"verified until {instant(machine.verified.expires)}"
        yield _general(
            machine, "expired", Finding("F", f"valid at {instant(machine.at)}", found), place="default"
        )


def _general(machine: Machine, claim: str, finding: Finding, *, place: str) -> Judged:
    outcome: Outcome = "pass" if finding.result == "P" else "deny"
    return Judged("", claim, None, place, place, 0, finding, outcome, topic=claim)


# -- devices ----------------------------------------------------------------------------------------


def _devices(machine: Machine, section: str) -> Iterator[Line]:
    """Every device must pass every rule; the part must be there, and no device twice."""
    devices = machine.devices(section)
    entries: tuple[Entry, ...] = machine.body.sections.get(section, ())
    for entry in entries:
        if isinstance(entry, Rule) and entry.claim.name == "count":
            yield _judged(machine, entry, {"count": str(len(devices))}, None)
    if section in machine.body.sections:
        present = Finding("P" if devices else "F", "at least one", str(len(devices)))
        yield _of_part(machine, section, "present", present)
    if not devices:
        return
    distinct = list(_distinct(machine, section, devices))
    steps = machine.steps(section)
    rows = [_row(machine, step, devices) for step in steps if step.entry is not None]
    for index in range(len(devices)):
        following = iter(rows)
        for step in steps:
            if step.entry is not None:
                yield next(following)[index]
            elif distinct:
                yield distinct[index]


def _row(machine: Machine, step: Step, devices: Sequence[Mapping[str, object]]) -> Sequence[Line]:
    """One entry on every device."""
    entry, count = step.entry, len(devices)
    assert entry is not None
    row: list[Line] = []
    passing = 0
    for index, claims in enumerate(devices):
        device = (index, count)
        if step.quick(machine, claims) == "P":
            row.append(Passed(machine, entry, claims, device))
            passing += 1
            continue
        one = _judged(machine, entry, claims, device)
        row.append(one)
        passing += one.finding.result == "P"
    if passing == count:
        return row
    return [
        replace(line, others=passing) if isinstance(line, Judged) and line.finding.result != "P" else line
        for line in row
    ]


def _distinct(machine: Machine, section: str, devices: Sequence[Mapping[str, object]]) -> Iterator[Judged]:
    seen: dict[object, int] = {}
    for index, claims in enumerate(devices):
        identity = claims.get("id")
        known = isinstance(identity, str) and bool(identity)
        if not known and len(devices) == 1:
            return
        first = seen.setdefault(identity, index) if known else None
        result: Result = "U" if first is None else "P" if first == index else "F"
        found = shown_raw(identity) if result != "F" else f"same as {section}[{first}]"
        finding = Finding(result, "a device of its own", found)
        yield Judged(
            section,
            "id",
            (index, len(devices)),
            "default",
            "default",
            0,
            finding,
            "pass" if result == "P" else "deny",
            topic=f"{section}.id duplicate",
        )


def _of_part(machine: Machine, section: str, claim: str, finding: Finding) -> Judged:
    outcome: Outcome = "pass" if finding.result == "P" else "deny"
    return Judged(section, claim, None, machine.policy.where, machine.policy.where, 0, finding, outcome)


# -- one entry --------------------------------------------------------------------------------------


def _judged(
    machine: Machine, entry: Entry, claims: Mapping[str, object], device: tuple[int, int] | None
) -> Judged:
    facts = _facts(machine, entry.section, claims, device)
    if isinstance(entry, Group):
        finding = _group(machine, entry, claims, device)
        return Judged(
            section=entry.section,
            claim=entry.kind,
            device=device,
            place=entry.place,
            line=_line(entry.place),
            order=entry.order,
            finding=finding,
            outcome=_outcome(machine, None, finding),
            facts=facts,
        )
    finding = machine.judge(entry, claims, None if device is None else device[0])
    return _of_rule(machine, entry, finding, claims, device, facts)


def advisories_of(rule: Rule) -> list[str]:
    """The advisories of a `fixed` rule, in order."""
    operand = rule.operators[0].operand
    return sorted(operand) if isinstance(operand, frozenset) else []


def asks_fixed(entries: Sequence[Entry]) -> bool:
    return any(
        entry.is_fixed if isinstance(entry, Rule) else any(map(asks_fixed, entry.branches))
        for entry in entries
    )


def _fixed(machine: Machine, rule: Rule) -> Iterator[Judged]:
    """One record an advisory: each is accepted, or not, on its own."""
    claims = machine.section("snp")
    for advisory in advisories_of(rule):
        finding = machine.fixed(advisory, claims)
        until = machine.accepted.get(advisory.upper()) if finding.result == "F" else None
        yield _of_rule(machine, rule, finding, claims, None, {}, accepted=until)


def _of_rule(
    machine: Machine,
    entry: Rule,
    finding: Finding,
    claims: Mapping[str, object],
    device: tuple[int, int] | None,
    facts: Mapping[str, Any],
    accepted: datetime | None = None,
) -> Judged:
    if entry.is_default and entry.name == "gpu.mode" and finding.result == "U" and facts.get("mode-unsaid"):
        finding = replace(finding, result="P", unknown=None)
    accepted = accepted or cured(
        entry, finding, machine.accepted, claims, facts.get("tcb"), machine.body.sections.get("tdx", ())
    )
    because = _because(machine, entry, finding, device) if finding.result == "F" else {}
    return Judged(
        section=entry.section,
        claim=entry.claim.name,
        device=device,
        place=entry.place,
        line=_line(entry.place),
        order=entry.order,
        finding=finding,
        outcome="accepted" if accepted else _outcome(machine, entry, finding),
        until=accepted or entry.until,
        why=escape(entry.why) if entry.why else None,
        fix=escape(entry.fix) if entry.fix else None,
        topic=because.get("topic"),
        facts={**facts, **because},
    )


def _outcome(machine: Machine, rule: Rule | None, finding: Finding) -> Outcome:
    if finding.result == "P":
        return "observed" if finding.observed else "pass"
    if (
        rule is not None
        and rule.warn
        and rule.until is not None
        and machine.at.replace(microsecond=0) <= rule.until
    ):
        return "grace"
    return "deny"


def _group(
    machine: Machine, group: Group, claims: Mapping[str, object], device: tuple[int, int] | None
) -> Finding:
    """all = min, any = max, none = max with P and F swapped; a rule map is all of its entries."""
    maps = [
        worst(
            _group(machine, entry, claims, device)
            if isinstance(entry, Group)
            else _named(machine, entry, claims, device)
            for entry in branch
        )
        for branch in group.branches
    ]
    chosen = (min if group.kind == "all" else max)(maps, key=lambda finding: RANK[finding.result])
    # Where all are needed, one that passes by an observed value marks the whole, wherever it stands.
    marked = (
        next((finding for finding in maps if finding.observed), chosen) if group.kind == "all" else chosen
    )
    result = _FLIP[chosen.result] if group.kind == "none" else chosen.result
    expected = f"{group.kind} of ({') or ('.join(finding.expected for finding in maps)})"
    misses = tuple(miss for finding in maps for miss in finding.misses)
    if group.kind == "none":
        misses = ((f"none of ({chosen.expected})", chosen.found or "nothing"),) if result == "F" else ()
    return Finding(
        result,
        expected,
        None,
        misses if result == "F" else (),
        chosen.unknown,
        None,
        marked.entry if result == "P" and group.kind != "none" else None,
        remedy=chosen.remedy,
    )


def _named(
    machine: Machine, rule: Rule, claims: Mapping[str, object], device: tuple[int, int] | None
) -> Finding:
    """A finding that says which claim it speaks of, for the group's sentence."""
    finding = machine.judge(rule, claims, None if device is None else device[0])
    name = rule.claim.name
    return replace(
        finding,
        expected=f"{name} {finding.expected}",
        misses=tuple((f"{name} {want}", found) for want, found in finding.misses),
        unknown=f"{name}: {finding.unknown[:1].lower()}{finding.unknown[1:]}" if finding.unknown else None,
        note=None,
        sets=(),
    )


def _line(place: str) -> str:
    """`p.yaml:9` of `p.yaml:9:7`."""
    head, _, column = place.rpartition(":")
    return head if column.isdigit() else place


def _facts(
    machine: Machine, section: str, claims: Mapping[str, object], device: tuple[int, int] | None
) -> Mapping[str, Any]:
    """What sentences say besides the values compared."""
    raw = machine.verified.claims.get("raw")
    part = raw.get(section) if isinstance(raw, Mapping) else None
    if device is not None:
        part = part[device[0]] if isinstance(part, (list, tuple)) and len(part) > device[0] else None
        unsaid = isinstance(part, Mapping) and part.get("opaque_data_version", "0") == "0"
        return {"id": claims.get("id"), "mode-unsaid": unsaid and "mode" not in claims}
    if section == "snp" and isinstance(claims.get("report-version"), str):
        return {"report-version": escape(str(claims["report-version"]))}
    if section == "tdx" and isinstance(part, Mapping):
        return {"tcb": part.get("tcb")}
    if machine.unpinned(section):
        return {"paravisor-unknown": True}
    return {}


def _because(
    machine: Machine, rule: Rule, finding: Finding, device: tuple[int, int] | None
) -> Mapping[str, str]:
    """What stands behind a state that was found: what was missing, or out of date. topic: words of its own."""
    verified, claim, found = machine.verified, rule.claim.name, finding.found
    index = None if device is None else device[0]
    part = rule.section if index is None else f"{rule.section}[{index}]"
    whys: list[str | None] = []
    topic: dict[str, str] = {}
    if rule.name == "tdx.event-log" and found == "mismatch":
        differing = registers_of(verified)
        whys = [f"Not replayed: {', '.join(differing)}"] if differing else []
    elif rule.name == "binding.key" and machine.section("binding").get("nonce") == "true":
        # The challenge fits, so the key would too if one had been asked for.
        topic = {"topic": "binding.key unasked"}
    elif claim == "cert" and found == "unknown":
        stale = stale_answers(verified, rule.section, index)
        if stale is not None:
            topic = {"topic": f"{rule.section}.cert stale"}
            whys = [f"The answer about {stale}"]
    elif claim == "cert" and found == "absent":
        whys = [not_run(verified, f"{part}.revocation")]
    elif claim == "measurements" and found == "no-rim":
        checks = [f"{part}.{kind}-rim" for kind in ("driver", "vbios", "bios")]
        whys = [not_run(verified, check) for check in checks]
    elif claim.endswith("-rim") and found == "absent":
        whys = [not_run(verified, f"{part}.{claim}")]
    because = ". ".join(why for why in whys if why)
    return {**topic, "because": because} if because else topic
