"""What a policy demands, in words, before any evidence is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from attest.claims import DEVICE_SECTIONS, instant
from attest.policy.compare import wanted
from attest.policy.defaults import DEFAULTS, UNDER_LAG, replaces
from attest.policy.document import Policy
from attest.policy.model import PARTS, Entry, Operator, Reference, ReferenceSet, Rule
from attest.protects import from_what, protects
from attest.result.tree import short
from attest.result.tree_text import wrapped
from attest.untrusted import escape

_PLATFORMS = {
    "snp": "AMD SEV-SNP",
    "tdx": "Intel TDX",
    "azure-snp": "AMD SEV-SNP on Azure",
    "azure-tdx": "Intel TDX on Azure",
    "none": "no CPU part: devices alone, which get no secret",
}
_SECTIONS = {
    "snp": "The CPU, AMD SEV-SNP",
    "tdx": "The CPU, Intel TDX",
    "azure": "Azure's paravisor and TPM",
    "gpu": "Every GPU; at least one must be there",
    "switch": "Every switch; at least one must be there",
    "evidence": "The evidence",
    "binding": "What ties it to you, to its key and to its devices",
    "boot": "What was started",
    "time": "How old it may be",
}
_MAX_NAMED = 12


@dataclass(frozen=True, slots=True)
class Demand:
    """at: place in a file, or `default`. words: completes "CLAIM …". more: what stands behind the words."""

    section: str
    claim: str
    at: str
    words: str
    more: tuple[str, ...] = ()
    protects: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": f"{self.section}.{self.claim}",
            "at": self.at,
            "demands": self.words,
            "more": list(self.more),
            "protects": self.protects,
        }


def demands_of(policy: Policy, *, at: datetime) -> tuple[Demand, ...]:
    """The policy's own rules, part by part, then the defaults that it leaves in force. at: whether a grace or a
    reference value has ended is said as of then."""
    found: list[Demand] = []
    for section in PARTS:
        for entry in policy.body.sections.get(section, ()):
            found.append(_demand(entry, at))
    for rule in _defaults_beside(policy):
        found.append(_demand(rule, at))
    return tuple(found)


def _defaults_beside(policy: Policy) -> Iterator[Rule]:
    body = policy.body
    platforms = " ".join(body.platforms)
    for rule in DEFAULTS:
        if rule.section in ("snp", "tdx", "azure") and rule.section not in platforms:
            continue
        own = [entry for entry in body.sections.get(rule.section, ()) if isinstance(entry, Rule)]
        if any(entry.claim is rule.claim and replaces(entry) for entry in own):
            continue
        lag = any(entry.name == "tdx.tcb-lag" and entry.operator("at-most", "is") for entry in own)
        yield UNDER_LAG if lag and rule.name == "tdx.tcb-status" else rule


def _demand(entry: Entry, at: datetime) -> Demand:
    if not isinstance(entry, Rule):
        parts = [
            " and ".join(f"{one.claim} {one.words}" for one in (_demand(inner, at) for inner in branch))
            for branch in entry.branches
        ]
        head = {
            "any": "at least one must hold",
            "all": "all must hold",
            "none": "none may hold",
        }[entry.kind]
        return Demand(entry.section, entry.kind, _line(entry.place), f"{head}: ({') or ('.join(parts)})")
    words = " and ".join(_must(operator, entry) for operator in entry.operators)
    if entry.absent_passes:
        words += ", where it is known"
    more = [line for operator in entry.operators for line in _references(operator, at)]
    if entry.warn and entry.until is not None:
        words += (
            f"; tolerated until {_day(entry.until)}, refused after that"
            if at <= entry.until
            else f" (its grace period ended on {_day(entry.until)})"
        )
    if entry.override:
        more.append(f"wider than the default, because: {escape(entry.override)}")
    if entry.why:
        more.append(escape(entry.why))
    return Demand(
        entry.section,
        entry.claim.name,
        _line(entry.place),
        words,
        tuple(more),
        protects(entry.section, entry.claim.name),
    )


def _must(operator: Operator, rule: Rule) -> str:
    if rule.is_fixed:
        names = sorted(cast("frozenset[str]", operator.operand))
        return f"must show the fix of {', '.join(name.upper() for name in names)}, as floor data says"
    said = short(wanted(operator, rule.claim), 300)
    if operator.name == "exists":
        return "must be known" if operator.operand is True else "must be absent"
    if operator.name in ("has-bits", "no-bits"):
        return f"must have {said}"
    return f"must be {said}"


def _references(operator: Operator, at: datetime) -> Iterator[str]:
    """The values a set holds now, by name, and which ended or were revoked."""
    if operator.name != "in":
        return
    for found in cast("tuple[ReferenceSet, ...]", operator.operand):
        named = [_named(value, at) for value in found.values[:_MAX_NAMED]]
        rest = len(found.values) - len(named)
        yield f'"{found.name}" holds ' + "; ".join(named) + (f"; and {rest} more" if rest > 0 else "")


def _named(value: Reference, at: datetime) -> str:
    text = value.value.hex() if isinstance(value.value, bytes) else str(value.value)
    name = escape(value.name) if value.name else short(escape(text))
    if value.state == "revoked" and (value.since is None or at >= value.since):
        return f"{name} (revoked: refused)"
    if value.state == "revoked" and value.since is not None:
        return f"{name} (revoked from {_day(value.since)})"
    if value.ends is not None and at > value.ends:
        return f"{name} (ended {_day(value.ends)}: refused)"
    if value.begins is not None and at < value.begins:
        return f"{name} (from {_day(value.begins)})"
    said = [f"until {_day(value.ends)}"] if value.ends is not None else []
    said += ["observed only: passes with a mark"] if value.state == "observed" else []
    return f"{name} ({', '.join(said)})" if said else name


def _day(value: datetime) -> str:
    text = instant(value)
    return text[:10] if text.endswith(("T00:00:00Z", "T23:59:59Z")) else text


def _line(place: str) -> str:
    head, _, column = place.rpartition(":")
    return head if column.isdigit() else place


# -- output -----------------------------------------------------------------------------------------


def demands_json(policy: Policy, *, at: datetime) -> dict[str, Any]:
    body = policy.body
    return {
        "policy": {"name": policy.name, "digest": policy.digest, "file": policy.file},
        "at": instant(at),
        "platforms": sorted(policy.platforms),
        "demands": [demand.as_dict() for demand in demands_of(policy, at=at)],
        "accept": [
            {"advisory": one.advisory, "until": instant(one.until), "because": one.because}
            for one in body.accepted
        ],
        "allow-warnings": dict(body.allow_warnings),
        "overrides": dict(body.loosened),
    }


def render_demands(
    policy: Policy, *, at: datetime, width: int = 100, colour: bool = False, defaults: bool = False
) -> str:
    """defaults: also list the default rules that hold beside the policy's own."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    return "\n".join(_lines(policy, at, max(40, width), paint, defaults)) + "\n"


def _lines(
    policy: Policy, at: datetime, width: int, paint: Callable[[str, str], str], defaults: bool
) -> Iterator[str]:
    body = policy.body
    yield f"{paint('1', policy.name)}  {short(policy.digest, 40)}"
    platforms = "; ".join(_PLATFORMS[name] for name in sorted(policy.platforms))
    yield from wrapped(f"Machines it accepts: {platforms}.", width, "", "  ")
    yield from wrapped(
        "The evidence must be genuine, current and bound to the challenge whatever stands here. Then every rule must"
        " be met; what cannot be known counts as not met.",
        width,
        "",
        "  ",
    )
    all_of = demands_of(policy, at=at)
    own = [demand for demand in all_of if demand.at != "default"]
    beside = [demand for demand in all_of if demand.at == "default"]
    yield from _sections(own, width, paint)
    accepted = {
        f"{one.advisory} until {_day(one.until)}" + (" (ended)" if at > one.until else ""): one.because
        for one in body.accepted
    }
    for title, pairs in (
        ("Advisories that are lived with, where nothing else is wrong", accepted),
        ("In spite of these warnings a secret goes out all the same", body.allow_warnings),
        ("Wider than the defaults or than what it extends", body.loosened),
    ):
        if pairs:
            yield ""
            yield paint("1", title)
            for name, reason in pairs.items():
                yield from wrapped(f"{name}: {escape(reason)}", width, "  ", "    ")
    yield ""
    if not defaults and beside and own:
        yield from wrapped(
            f"{len(beside)} default rules hold beside these; --defaults lists them.", width, "", "  "
        )
        return
    yield paint("1", "Default rules that hold as well, of the parts that are there")
    yield from _sections(beside, width, paint)


def _sections(demands: list[Demand], width: int, paint: Callable[[str, str], str]) -> Iterator[str]:
    room = max((len(demand.claim) for demand in demands), default=0)
    section = None
    for demand in demands:
        if demand.section != section:
            section = demand.section
            yield ""
            title = _SECTIONS[section]
            if demand.at == "default" and section in DEVICE_SECTIONS:
                title = title.partition(";")[0]
            yield paint("1", title)
        first, rest = f"  {demand.claim:<{room}}  ", " " * (room + 4)
        place = "" if demand.at == "default" else f"  [{demand.at}]"
        yield from wrapped(demand.words + place, width, first, rest)
        for line in demand.more:
            yield from wrapped(line, width, rest, rest + "  ")
        if demand.protects:
            text = f"protects from: {from_what(demand.protects)}"
            for line in wrapped(text, width, rest, rest + "  "):
                yield paint("2", line)
