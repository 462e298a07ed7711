"""Rules × parts, in one pass: every rule is judged, whatever the others said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from attest.claims import DEVICE_SECTIONS, instant
from attest.policy.appraisal import Appraisal, Verdict, mint
from attest.policy.compare import Finding, Result, shown_raw
from attest.policy.document import Policy
from attest.policy.explain import Judged, Outcome
from attest.policy.judgement import Line, Passed, judged, judged_fixed
from attest.policy.machine import Machine
from attest.policy.model import PARTS, Entry, Rule
from attest.policy.plan import Step
from attest.policy.warn import warnings_of
from attest.verified import Vouched


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
    marked = [line for line in lines if isinstance(line, Judged)]
    denied = [one for one in marked if one.outcome == "deny"]
    warnings = warnings_of(verified, policy, machine.platform, machine.uncovered, machine.floor_state)
    verdict: Verdict = "conforms"
    if denied:
        verdict = "refused"
    elif warnings or any(one.outcome != "pass" for one in marked):
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
                lines += judged_fixed(machine, entry)
            else:
                lines.append(judged(machine, entry, claims, None))
    return lines


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
            yield judged(machine, entry, {"count": str(len(devices))}, None)
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
        one = judged(machine, entry, claims, device)
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
