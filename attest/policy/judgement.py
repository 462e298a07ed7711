"""What one entry says of one part of a machine: the finding, with its outcome and the words that explain it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from attest.policy.accept import cured
from attest.policy.compare import RANK, Finding, Result, worst
from attest.policy.explain import Judged, Outcome
from attest.policy.machine import Machine, advisories_of
from attest.policy.model import Entry, Group, Rule
from attest.policy.reasons import not_run, registers_of, stale_answers
from attest.untrusted import escape

_FLIP: Mapping[Result, Result] = {"P": "F", "U": "U", "F": "P"}


@dataclass(frozen=True, slots=True)
class Passed:
    """An entry that passes, unmarked, on one part. Its words are put together when somebody reads them."""

    machine: Machine
    entry: Entry
    claims: Mapping[str, object]
    device: tuple[int, int] | None

    def record(self) -> dict[str, str | None]:
        return judged(self.machine, self.entry, self.claims, self.device).record()


Line: TypeAlias = Judged | Passed


def judged(
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


def judged_fixed(machine: Machine, rule: Rule) -> Iterator[Judged]:
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
