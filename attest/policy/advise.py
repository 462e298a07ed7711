"""What an owner should know of a policy before it hurts: what ends, what is newer, what a stricter floor would refuse.

Nothing here changes a policy. What would be refused is found by the appraiser's own comparisons on verified machines.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from attest.claims import DEVICE_SECTIONS, Claim, instant
from attest.policy.compare import shown
from attest.policy.document import Policy
from attest.policy.fixed import judge_fixed
from attest.policy.floors import Floors
from attest.policy.kinds import COMPONENTS, Value, read
from attest.policy.model import Components, Reference, ReferenceSet, Rule
from attest.policy.operators import padded
from attest.policy.references import LAST, window
from attest.policy.units import rules_of
from attest.untrusted import escape
from attest.verified import Verified

SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Ending:
    """kind: grace, reference, reference-set, accepted, floors, endorsements. name: which one. at: place in a file, None where it
    has none. ends: its last instant. then: what happens after it."""

    kind: str
    name: str
    at: str | None
    ends: datetime
    then: str

    def days(self, now: datetime) -> int:
        """Whole days left; negative once it has ended."""
        return (self.ends - now) // timedelta(days=1)

    def as_dict(self, now: datetime) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "name": self.name,
            "at": self.at,
            "ends": instant(self.ends),
            "days": self.days(now),
            "then": self.then,
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """One machine that a stricter floor would refuse. misses: what would be wanted, and what was found."""

    floor: str
    source: str
    machine: str
    misses: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "floor": self.floor,
            "source": self.source,
            "machine": self.machine,
            "misses": [{"expected": wanted, "found": found} for wanted, found in self.misses],
        }


@dataclass(frozen=True, slots=True)
class Room:
    """How far above a minimum the machines are. lowest, highest: value, and a machine that has it. behind: machines that a
    minimum of `highest` would refuse, with what they have."""

    rule: str
    at: str
    minimum: str
    lowest: tuple[str, str]
    highest: tuple[str, str]
    behind: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "at": self.at,
            "minimum": self.minimum,
            "lowest": {"value": self.lowest[0], "machine": self.lowest[1]},
            "highest": {"value": self.highest[0], "machine": self.highest[1]},
            "behind": [{"machine": name, "value": value} for name, value in self.behind],
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """newer: name of an extended built-in → the newest version of it."""

    endings: tuple[Ending, ...]
    newer: Mapping[str, str]
    refusals: tuple[Refusal, ...]
    room: tuple[Room, ...]

    def as_dict(self, now: datetime) -> dict[str, Any]:
        return {
            "endings": [one.as_dict(now) for one in self.endings],
            "newer": dict(self.newer),
            "refusals": [one.as_dict() for one in self.refusals],
            "room": [one.as_dict() for one in self.room],
        }


def advise(
    policy: Policy,
    machines: Sequence[tuple[str, Verified]],
    *,
    at: datetime,
    built_ins: Iterable[str],
    soon: timedelta = SOON,
) -> Advice:
    """built_ins: names of all that this version knows, `baseline/snp@1`. soon: how far ahead ends are told."""
    endings = [*_endings(policy, at), *_ends_of(machines)]
    near = sorted(
        (one for one in endings if one.ends <= at + soon), key=lambda one: (one.ends, one.kind, one.name)
    )
    return Advice(
        tuple(near),
        newer_of(policy.extended, built_ins),
        tuple(_refusals(policy, machines, at)),
        tuple(_room(policy, machines)),
    )


# -- what ends --------------------------------------------------------------------------------------


def _endings(policy: Policy, at: datetime) -> Iterator[Ending]:
    body = policy.body
    for section in body.sections:
        for rule, _ in rules_of(policy, section):
            if rule.warn and rule.until is not None:
                then = "the rule refuses from then on; until then it only warns"
                yield Ending("grace", rule.name, rule.place, rule.until, then)
    for one in body.accepted:
        then = "machines that need it are refused from then on"
        yield Ending("accepted", one.advisory, one.place or None, one.until, then)
    parameters = {text.lower(): name for name, text in body.parameters.items()}
    for found in body.references.values():
        yield from _of_set(found, parameters, at)
    if policy.floors.expires is not None:
        then = "a release is withheld at once, and 180 days later what floors judge is unknown"
        yield Ending("floors", f"serial {policy.floors.serial}", None, policy.floors.expires, then)


def _of_set(found: ReferenceSet, parameters: Mapping[str, str], at: datetime) -> Iterator[Ending]:
    windows = []
    for value in found.values:
        if value.state == "revoked" and (value.since is None or value.since <= at):
            continue
        times = window(value)
        if times is None:
            continue
        windows.append(times)
        if times[1] != LAST:
            by_revocation = value.ends is None or value.ends != times[1]
            # A revocation holds from the instant that it names, anything else to the last second.
            ends = value.since if by_revocation and value.since is not None else times[1]
            name = f"{found.name}: {_name(value, parameters)}{', revoked' if by_revocation else ''}"
            yield Ending("reference", name, None, ends, "machines that show it are refused from then on")
    yield from _of_windows(found.name, windows, at)


def _of_windows(name: str, windows: list[tuple[datetime, datetime]], at: datetime) -> Iterator[Ending]:
    """When no value of a set is valid any more, be it until another's time comes."""
    second = timedelta(seconds=1)
    last = max((ends for _, ends in windows if ends < at), default=None)
    for begins, ends in sorted(windows):
        if begins <= (at if last is None or last < at else last + second):
            last = ends if last is None else max(last, ends)
    if last is None or last == LAST:
        return
    then = "no value of the set is valid any more: every machine is refused"
    coming = min((begins for begins, _ in windows if begins > max(last, at)), default=None)
    if coming is not None:
        then = f"no value of the set is valid until {instant(coming)}: every machine is refused"
    yield Ending("reference-set", name, None, last, then)


def _name(value: Reference, parameters: Mapping[str, str]) -> str:
    text = value.value.hex() if isinstance(value.value, bytes) else str(value.value)
    shown = escape(value.name) if value.name else f"{text[:8]}…" if len(text) > 16 else escape(text)
    parameter = parameters.get(text.lower())
    return f"{shown} (parameter {parameter})" if parameter else shown


def _ends_of(machines: Sequence[tuple[str, Verified]]) -> Iterator[Ending]:
    for name, verified in machines:
        then = "its certificates, lists or collateral have to be fetched again, or it is refused"
        yield Ending("endorsements", escape(name), None, verified.expires, then)


# -- what is newer ----------------------------------------------------------------------------------


def newer_of(extended: Iterable[str], built_ins: Iterable[str]) -> dict[str, str]:
    """Extended built-ins that have a later version: `baseline/snp@1` → `baseline/snp@3`."""
    newest: dict[str, int] = {}
    for name in built_ins:
        base, _, version = name.partition("@")
        if version.isdecimal():
            newest[base] = max(newest.get(base, 0), int(version))
    found = {}
    for name in extended:
        base, _, version = name.partition("@")
        if version.isdecimal() and newest.get(base, 0) > int(version):
            found[name] = f"{base}@{newest[base]}"
    return found


# -- what a stricter floor would refuse -------------------------------------------------------------


def _refusals(policy: Policy, machines: Sequence[tuple[str, Verified]], at: datetime) -> Iterator[Refusal]:
    """Advisories of the floor data that the policy does not ask for yet, and minimums and evaluation numbers that are to
    come."""
    asked = {
        advisory
        for rule, _ in rules_of(policy, "snp")
        if rule.is_fixed
        for advisory in cast("frozenset[str]", rule.operators[0].operand)
    }
    floors = policy.floors
    for advisory in sorted(set(floors.advisories) - asked):
        if not floors.known(advisory):
            continue
        for name, verified in machines:
            claims = verified.claims.get("snp")
            product = claims.get("product") if isinstance(claims, Mapping) else None
            if not isinstance(claims, Mapping) or not isinstance(product, str):
                continue
            finding = judge_fixed(advisory, floors, claims, product, at)
            if finding.result != "P":
                minimum = floors.minimum(advisory, product, at) if finding.result == "F" else None
                misses = finding.misses or ((finding.expected, finding.unknown or "nothing"),)
                yield Refusal(
                    f"fixed: [{advisory}]",
                    minimum.source if minimum else advisory.upper(),
                    escape(name),
                    misses,
                )
    yield from _coming_minimums(floors, asked, machines, at)
    now = floors.evaluation(at)
    for coming in floors.evaluations:
        if coming.begins <= at or (now is not None and coming.least <= now.least):
            continue
        for name, verified in machines:
            claims = verified.claims.get("tdx")
            found = claims.get("tcb-evaluation") if isinstance(claims, Mapping) else None
            if isinstance(found, str) and found.isdecimal() and int(found) < coming.least:
                floor = f"tcb-evaluation ≥ {coming.least} from {instant(coming.begins)[:10]} on"
                yield Refusal(floor, coming.source, escape(name), ((f"≥ {coming.least}", found),))


def _coming_minimums(
    floors: Floors, asked: Iterable[str], machines: Sequence[tuple[str, Verified]], at: datetime
) -> Iterator[Refusal]:
    """Advisories that the policy asks for, whose minimum rises at a date that floor data names already."""
    for advisory in sorted(asked):
        for name, verified in machines:
            claims = verified.claims.get("snp")
            product = claims.get("product") if isinstance(claims, Mapping) else None
            if not isinstance(claims, Mapping) or not isinstance(product, str):
                continue
            if judge_fixed(advisory, floors, claims, product, at).result != "P":
                continue  # refused today
            for coming in sorted(floors.advisories[advisory].get(product, ()), key=lambda one: one.begins):
                finding = judge_fixed(advisory, floors, claims, product, coming.begins)
                if coming.begins > at and finding.misses:
                    floor = f"fixed: [{advisory}] from {instant(coming.begins)[:10]} on"
                    yield Refusal(floor, coming.source, escape(name), finding.misses)
                    break


def _room(policy: Policy, machines: Sequence[tuple[str, Verified]]) -> Iterator[Room]:
    """Each minimum of the policy beside what the machines have, component by component for a TCB."""
    for section in policy.body.sections:
        for rule, group in rules_of(policy, section):
            operator = rule.operator("at-least")
            if (
                operator is None
                or group is not None
                or rule.claim.kind == "svn"
                or rule.claim.name == "count"
            ):
                continue
            if isinstance(operator.operand, Components):
                yield from _room_of_tcb(rule, operator.operand, machines)
                continue
            values = [
                (name, value)
                for name, claims in _parts(machines, section)
                if (value := _read(rule.claim, claims)) is not None
            ]
            if isinstance(operator.text, dict):
                # Branches: only versions of one branch compare.
                for branch in sorted({cast("tuple[int, ...]", value)[0] for _, value in values}):
                    minimum = operator.text.get(str(branch))
                    if isinstance(minimum, str):
                        of_branch = [
                            (name, value)
                            for name, value in values
                            if cast("tuple[int, ...]", value)[0] == branch
                        ]
                        yield from _one(rule.claim, f"{rule.name} {branch}", rule.place, minimum, of_branch)
            else:
                yield from _one(rule.claim, rule.name, rule.place, str(operator.text), values)


def _room_of_tcb(rule: Rule, operand: Components, machines: Sequence[tuple[str, Verified]]) -> Iterator[Room]:
    bounds = operand.by_product if operand.free is None else {None: operand.free}
    for product, minimums in bounds.items():
        for component in COMPONENTS:
            if component not in minimums:
                continue
            values: list[tuple[str, Value]] = []
            for name, claims in _parts(machines, rule.section):
                tcb = _read(rule.claim, claims)
                if (product is None or claims.get("product") == product) and isinstance(tcb, Mapping):
                    if component in tcb:
                        values.append((name, tcb[component]))
            on = f" on {product.capitalize()}" if product else ""
            yield from _one(
                None, f"{rule.name} {component}{on}", rule.place, str(minimums[component]), values
            )


def _one(
    claim: Claim | None, name: str, place: str, minimum: str, values: Sequence[tuple[str, Value]]
) -> Iterator[Room]:
    if not values:
        return
    in_order = sorted(values, key=lambda one: cast(Any, padded(one[1])))
    top = padded(in_order[-1][1])

    def text(value: Value) -> str:
        return str(value) if claim is None else shown(claim, value)

    (low_name, low), (high_name, high) = in_order[0], in_order[-1]
    behind = tuple((machine, text(value)) for machine, value in in_order if padded(value) != top)
    yield Room(name, place, minimum, (text(low), low_name), (text(high), high_name), behind)


def _parts(
    machines: Sequence[tuple[str, Verified]], section: str
) -> Iterator[tuple[str, Mapping[str, object]]]:
    for name, verified in machines:
        found = verified.claims.get(section)
        if section in DEVICE_SECTIONS and isinstance(found, (list, tuple)):
            for index, device in enumerate(found):
                if isinstance(device, Mapping):
                    yield f"{escape(name)} {section}[{index}]", device
        elif isinstance(found, Mapping):
            yield escape(name), found


def _read(claim: Claim, claims: Mapping[str, object]) -> Value | None:
    try:
        return read(claim, claims.get(claim.name))
    except ValueError:
        return None
