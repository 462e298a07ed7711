"""What a policy would say if a claim of verified evidence were another: for tests of policies.

The evidence is genuine and the changed claim is not, so what comes out is no Appraisal: a Judgement has
the words of one and admits nothing. Nothing here makes a Verified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from attest.claims import CLAIMS, DEVICE_SECTIONS, SECTIONS, Claim, freeze, thaw
from attest.errors import Problem
from attest.policy.appraisal import RuleRecord, Verdict
from attest.policy.appraise import appraise
from attest.policy.document import Policy
from attest.policy.kinds import COMPONENTS, byte, canonical_text, read
from attest.policy.machine import Machine, advisories_of
from attest.policy.model import Entry, Group, Rule
from attest.policy.suggest import did_you_mean
from attest.verified import Verified

_NAME = re.compile(r"([a-z]+)(?:\[([0-9]{1,3})\])?(?:\.([a-z0-9-]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """One claim made another. device: index, None for all devices of a part or for what is no device.
    value: canonical text, a map of TCB components laid over those found, or None where the claim is taken away;
    claim is None where a whole part is."""

    section: str
    device: int | None
    claim: Claim | None
    value: Any

    @property
    def name(self) -> str:
        index = "" if self.device is None else f"[{self.device}]"
        return f"{self.section}{index}" + (f".{self.claim.name}" if self.claim else "")


def change(name: str, raw: object) -> Change:
    """The change `set: {name: raw}` asks for. name: `snp.debug`, `gpu.driver`, `gpu[0].driver`. Raises ValueError."""
    section, device, claim = _names(name)
    if claim is None:
        raise ValueError(f'"{name}" is no claim; write SECTION.CLAIM')
    if claim.kind == "tcb":
        if not isinstance(raw, Mapping) or not raw:
            raise ValueError(f"{name} wants a map of {', '.join(COMPONENTS)}")
        for component in raw:
            if component not in COMPONENTS:
                raise ValueError(f'"{component}" is no TCB component{did_you_mean(component, COMPONENTS)}')
        return Change(
            section, device, claim, {component: str(byte(value)) for component, value in raw.items()}
        )
    try:
        return Change(section, device, claim, canonical_text(claim, read(claim, raw)))
    except ValueError as error:
        raise ValueError(f"{name} wants {error}") from None


def removal(name: str) -> Change:
    """The change `unset: [name]` asks for; `gpu` or `gpu[1]` takes devices away. Raises ValueError."""
    section, device, claim = _names(name)
    return Change(section, device, claim, None)


def _names(name: str) -> tuple[str, int | None, Claim | None]:
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in CLAIMS:
        word = name.partition(".")[0].partition("[")[0]
        raise ValueError(f'unknown section "{word}"{did_you_mean(word, SECTIONS)}')
    section, device = found[1], found[2]
    if device is not None and section not in DEVICE_SECTIONS:
        raise ValueError(f"{section} is one part, not a list of devices")
    if found[3] is None:
        return section, None if device is None else int(device), None
    claim = CLAIMS[section].get(found[3])
    if claim is None or (claim.name == "count" and section in DEVICE_SECTIONS):
        near = did_you_mean(found[3], CLAIMS[section])
        more = f"; the count is that of the devices: unset {section}" if claim else ""
        raise ValueError(f'unknown claim "{found[3]}" in {section}{near}{more}')
    return section, None if device is None else int(device), claim


class Supposed:
    """A Verified's claims with changes, in its shape and not of its type."""

    def __init__(self, verified: Verified, changes: Sequence[Change]) -> None:
        """Raises ValueError where a change speaks of a part or device that the evidence does not have."""
        self._verified = verified
        tree: dict[str, Any] = thaw(verified.claims)
        said = tree.get("raw", {}).get("azure", {}).get("paravisor_says")
        for one in changes:
            _apply(one, said if isinstance(said, dict) and one.section in said else tree, tree)
        self.claims: Mapping[str, Any] = freeze(tree)

    @property
    def paravisor_claims(self) -> Mapping[str, Mapping[str, Any]]:
        raw = self.claims.get("raw", {}).get("azure", {})
        said: Mapping[str, Mapping[str, Any]] = raw.get("paravisor_says", {})
        return said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._verified, name)


def _apply(one: Change, home: dict[str, Any], tree: dict[str, Any]) -> None:
    part = home.get(one.section)
    if part is None:
        if one.claim is not None and one.value is not None and one.section not in DEVICE_SECTIONS:
            if one.section in ("binding", "boot", "time", "evidence"):
                home[one.section] = {one.claim.name: one.value}
                return
        raise ValueError(f"{one.name}: the evidence has no part {one.section}")
    parts = part if isinstance(part, list) else [part]
    if one.device is not None and one.device >= len(parts):
        raise ValueError(f"{one.name}: the evidence has {len(parts)} of part {one.section}")
    if one.claim is None:
        _remove(one, home, tree)
        return
    for claims in parts if one.device is None else [parts[one.device]]:
        if one.value is None:
            claims.pop(one.claim.name, None)
        elif isinstance(one.value, dict):
            claims[one.claim.name] = {**claims.get(one.claim.name, {}), **one.value}
        else:
            claims[one.claim.name] = one.value


def _remove(one: Change, home: dict[str, Any], tree: dict[str, Any]) -> None:
    raw = tree.get("raw", {})
    if one.device is None:
        del home[one.section]
        raw.pop(one.section, None)
        return
    for devices in (home[one.section], raw.get(one.section)):
        if isinstance(devices, list) and len(devices) > one.device:
            del devices[one.device]
    for claims in home[one.section]:
        claims["count"] = str(len(home[one.section]))
    if not home[one.section]:
        del home[one.section]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a policy says of supposed claims. withheld: what stands in the way of a release besides problems.
    seen: (rule, place) → results P, F and U that it had, members of any, all and none among them."""

    verdict: Verdict
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    rules: tuple[RuleRecord, ...]
    withheld: tuple[Problem, ...]
    seen: Mapping[tuple[str, str], frozenset[str]]

    @property
    def releases(self) -> bool:
        """Whether a secret would go out."""
        return not self.problems and not self.withheld

    @property
    def reasons(self) -> tuple[str, ...]:
        """Refused: the rules that denied. Else warnings and the rules that passed with a mark. Each once, in order."""
        if self.problems:
            return tuple(dict.fromkeys(str(problem.where) for problem in self.problems))
        marked = [str(record["rule"]) for record in self.rules if record["outcome"] != "pass"]
        return tuple(dict.fromkeys([*(warning.code for warning in self.warnings), *marked]))


def judge(verified: Verified, policy: Policy, *, at: datetime, changes: Sequence[Change] = ()) -> Judgement:
    """What `policy` says of `verified` with `changes` at the instant `at`. Raises ValueError as `Supposed` does."""
    supposed = cast(Verified, Supposed(verified, changes) if changes else verified)
    appraisal = appraise(supposed, policy, at=at)
    return Judgement(
        verdict=appraisal.verdict,
        problems=appraisal.problems,
        warnings=appraisal.warnings,
        rules=appraisal.rules,
        withheld=appraisal.release_problems(),
        seen=_seen(appraisal.rules, Machine(supposed, policy, at)),
    )


def _seen(records: Sequence[RuleRecord], machine: Machine) -> Mapping[tuple[str, str], frozenset[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for record in records:
        name = re.sub(r"\[[0-9]+\]", "", str(record["rule"]))
        found.setdefault((name, str(record["at"])), set()).add(str(record["result"])[:1])
    for section, entries in machine.body.sections.items():
        listed = machine.listed or section not in ("snp", "tdx", "azure")
        if not listed or not machine.has(section):
            continue
        parts = machine.devices(section) if section in DEVICE_SECTIONS else [machine.section(section)]
        for rule in members(entries):
            for claims in parts:
                findings = (
                    [machine.fixed(advisory, claims) for advisory in advisories_of(rule)]
                    if rule.is_fixed
                    else [machine.judge(rule, claims)]
                )
                found.setdefault((rule.name, rule.place), set()).update(one.result for one in findings)
    return {key: frozenset(results) for key, results in found.items()}


def members(entries: Sequence[Entry]) -> list[Rule]:
    """The rules inside any, all and none, at any depth."""
    rules: list[Rule] = []
    for entry in entries:
        if isinstance(entry, Group):
            for branch in entry.branches:
                rules += [one for one in branch if isinstance(one, Rule)]
                rules += members(branch)
    return rules
