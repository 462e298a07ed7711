"""What two policies say differently: shown by machines that one accepts and the other does not.

Nothing is claimed that was not run: each difference comes with a claim tree that both policies judged, by the
appraiser that judges real machines. Between the machines tried lies nothing where rules stand alone: an operator
turns at its edges only (`attest.policy.edges`). Where rules stand in groups of many claims, combinations are tried around
each branch (`attest.policy.combine`). Where that leaves some out, and the rules are written otherwise, nobody knows that
B is not looser there, and the comparison says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from attest.claims import instant
from attest.policy.combine import Change
from attest.policy.document import Policy
from attest.policy.edges import Raw
from attest.policy.floor_units import accepted_words
from attest.policy.hypothetical import Trial, attempt
from attest.policy.model import PLATFORMS
from attest.policy.sketch import SECTIONS_OF, Sketch, sections_of
from attest.policy.units import Unit, instants, rules_of, units_of
from attest.policy.wording import in_words
from attest.problems import problem

Direction: TypeAlias = Literal["tighter", "looser", "changed"]
_Standing: TypeAlias = tuple[int, int, int, int]
_Relation: TypeAlias = tuple[int, int, int, int]

SHOWN = 4
"""Witnesses kept a difference; the rest is counted."""
_PASSES = 2
"""Rounds of looking for a machine that both accept: a choice may depend on a later one."""
MAX_TRIALS = 20_000
"""Machines judged in all; what would have come after them is told as not tried."""
_ALL = 1 << 30
"""More reasons than anything has."""
_RANKS = {"deny": 0, "grace": 1, "accepted": 1, "observed": 1, "pass": 2}


@dataclass(frozen=True, slots=True)
class Outcome:
    """because: the denial's sentence, or what was not plainly met."""

    verdict: str
    released: bool
    because: str | None

    def as_dict(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "released": self.released, "because": self.because}


@dataclass(frozen=True)
class Witness:
    """One machine on which the policies differ. facts: what it shows of the claims compared. direction: how B stands
    to A on it."""

    platform: str
    at: datetime
    facts: Mapping[str, Raw]
    direction: Direction
    a: Outcome
    b: Outcome
    claims: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return {
            "platform": self.platform,
            "at": instant(self.at),
            "facts": dict(self.facts),
            "direction": self.direction,
            "a": self.a.as_dict(),
            "b": self.b.as_dict(),
            "claims": dict(self.claims),
        }


@dataclass(frozen=True)
class Difference:
    """name: `snp.tcb`, `platforms`, `allow-warnings`, or a group with its claims. a, b: what each demands there, in words.
    more: witnesses beyond those kept."""

    name: str
    direction: Direction
    a: str
    b: str
    witnesses: tuple[Witness, ...]
    more: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "direction": self.direction,
            "a": self.a,
            "b": self.b,
            "witnesses": [witness.as_dict() for witness in self.witnesses],
            "more": self.more,
        }


@dataclass(frozen=True)
class Comparison:
    """trials: machines judged, each by both. rewritten: rules that read otherwise and on no machine tried mean something
    else. untried: name → reference values of which none of their kind was tried. unproven: where the policies read
    otherwise, not all was tried, and B was not found looser: that it is not was not shown."""

    a: Policy
    b: Policy
    at: datetime
    differences: tuple[Difference, ...]
    rewritten: tuple[str, ...]
    trials: int
    untried: Mapping[str, int] = field(default_factory=dict)
    unproven: tuple[str, ...] = ()

    @property
    def looser(self) -> bool:
        """Whether B accepts, or releases to, any machine tried that A does not."""
        return any(difference.direction != "tighter" for difference in self.differences)

    def as_dict(self) -> dict[str, Any]:
        return {
            "a": {"name": self.a.name, "file": self.a.file, "digest": self.a.digest},
            "b": {"name": self.b.name, "file": self.b.file, "digest": self.b.digest},
            "at": instant(self.at),
            "looser": self.looser,
            "differences": [difference.as_dict() for difference in self.differences],
            "rewritten": list(self.rewritten),
            "trials": self.trials,
            "untried": dict(self.untried),
            "unproven": list(self.unproven),
        }


def compare(a: Policy, b: Policy, *, at: datetime) -> Comparison:
    """How `b` differs from `a`, from the instant `at` on. ValueError where `at` has no time zone."""
    if at.tzinfo is None:
        raise ValueError("`at` needs a time zone")
    return _Comparer(a, b, at.astimezone(UTC).replace(microsecond=0)).run()


class _Comparer:
    def __init__(self, a: Policy, b: Policy, at: datetime) -> None:
        self.a, self.b, self.at = a, b, at
        self.trials = 0
        self.found: dict[str, list[Witness]] = {}
        self.more: dict[str, int] = {}
        self.tried: dict[str, Unit] = {}
        self.left: set[str] = set()
        """Units of which not all was tried."""
        self.apart = frozenset(a.body.allow_warnings) ^ frozenset(b.body.allow_warnings)
        """Warnings that only one allows, which are a difference of their own."""

    def run(self) -> Comparison:
        for platform in PLATFORMS:
            listing = [policy for policy in (self.a, self.b) if platform in policy.platforms]
            if listing:
                self._platform(platform, listing)
        differences = [self._difference(name) for name in self.found]
        touched, rewritten = self._touched(), self._rewritten()
        return Comparison(
            self.a,
            self.b,
            self.at,
            tuple(differences),
            tuple(name for name in rewritten if name not in touched),
            self.trials,
            {unit.name: unit.untried for unit in self.tried.values() if unit.untried},
            tuple(self._unproven(differences, set(rewritten))),
        )

    # -- one platform -------------------------------------------------------------------------------

    def _platform(self, platform: str, listing: Sequence[Policy]) -> None:
        devices = [
            section
            for section in ("gpu", "switch")
            if platform == "none" or any(section in policy.body.sections for policy in listing)
        ]
        if platform == "none" and not any("switch" in policy.body.sections for policy in listing):
            devices = ["gpu"]
        units = units_of((self.a, self.b), sections_of(platform, devices), self.at)
        ground = self._ground(platform, listing, units, devices)
        if len(listing) == 1:
            self._note("platforms", ground, Change({}), self.at, (0, 0, 0, 0), frozenset({"platforms"}))
            return
        base = self._standings(ground, self.at, frozenset())
        if base[0][0] == base[1][0] and _relation(*base)[1:3] != (0, 0):
            self._note("warnings", ground, Change({}), self.at, (0, 0, 0, 0), frozenset())
        for unit in units:
            self.tried.setdefault(unit.name, unit)
            if not unit.whole or unit.untried:
                self.left.add(unit.name)
            usual = (*_relation(*base)[:3], 0)
            for change in unit.changes:
                if self.trials > MAX_TRIALS:
                    self.left.add(unit.name)
                    break
                known = usual
                for moment in instants(unit.dates | change.dates, self.at):
                    # Later it is news only where it is otherwise than before.
                    known = self._note(unit.name, ground, change, moment, known, unit.rules)
        self._warnings(ground)

    def _warnings(self, ground: Sketch) -> None:
        """Warnings in spite of which one releases and the other does not."""
        for code in sorted(self.apart):
            warned = Sketch(**{**vars(ground), "warnings": (problem(code),)})
            trials = attempt(self.a, warned.hypothesis(self.at)), attempt(self.b, warned.hypothesis(self.at))
            self.trials += 1
            withheld = [any(one.found == code for one in trial.withheld) for trial in trials]
            if withheld[0] != withheld[1]:
                self._keep(
                    "allow-warnings",
                    Witness(
                        warned.platform,
                        self.at,
                        {"warning": code},
                        "looser" if withheld[0] else "tighter",
                        _outcome(trials[0], frozenset(), code),
                        _outcome(trials[1], frozenset(), code),
                        warned.tree(),
                    ),
                )

    def _note(
        self,
        name: str,
        ground: Sketch,
        change: Change,
        moment: datetime,
        usual: _Relation,
        rules: frozenset[str],
    ) -> _Relation:
        """Judge one machine by both, and keep it where they differ otherwise than is known. Returns how they differ."""
        sketch = ground.changed(change.facts, change.raw)
        one, other = self._trials(sketch, moment)
        relation = _relation(self._standing(one, rules), self._standing(other, rules))
        signs = {sign for sign, known in zip(relation, usual, strict=True) if sign and sign != known}
        if not signs:
            return relation
        direction: Direction = "changed" if len(signs) > 1 else "looser" if 1 in signs else "tighter"
        self._keep(
            name,
            Witness(
                sketch.platform,
                moment,
                change.facts,
                direction,
                _outcome(one, rules),
                _outcome(other, rules),
                sketch.tree(),
            ),
        )
        return relation

    def _keep(self, name: str, witness: Witness) -> None:
        """The plainest first: a verdict that turns, then one that only warns."""
        kept = self.found.setdefault(name, [])
        kept.append(witness)
        kept.sort(key=_plainness)
        seen: dict[str, int] = {}
        short = []
        for one in kept:
            seen[one.direction] = seen.get(one.direction, 0) + 1
            if seen[one.direction] <= SHOWN:
                short.append(one)
            else:
                self.more[name] = self.more.get(name, 0) + 1
        self.found[name] = short

    def _trials(self, sketch: Sketch, moment: datetime) -> tuple[Trial, Trial]:
        hypothesis = sketch.hypothesis(moment)
        self.trials += 1
        return attempt(self.a, hypothesis), attempt(self.b, hypothesis)

    def _standings(
        self, sketch: Sketch, moment: datetime, rules: frozenset[str]
    ) -> tuple[_Standing, _Standing]:
        one, other = self._trials(sketch, moment)
        return self._standing(one, rules), self._standing(other, rules)

    def _standing(self, trial: Trial, rules: frozenset[str]) -> _Standing:
        """accepted, plainly conforming, how little withholds a release, and how the rules meant stand by themselves."""
        ranks = [_RANKS[record["outcome"] or "deny"] for record in trial.rules if _named(record, rules)]
        # Not only whether: where something else withholds it as well, one reason less is looser all the same.
        withheld = sum(one.found not in self.apart for one in trial.withheld) if trial.accepted else _ALL
        return int(trial.accepted), int(trial.verdict == "conforms"), -withheld, min(ranks, default=2)

    # -- the common ground --------------------------------------------------------------------------

    def _ground(
        self, platform: str, listing: Sequence[Policy], units: Iterable[Unit], devices: Sequence[str]
    ) -> Sketch:
        """A machine that all who list the platform accept, or refuse for as little as was found."""
        facts: dict[str, Raw] = {"binding.nonce": "true", "binding.key": "true", "time.evidence-age": "1s"}
        if devices:
            facts |= {"binding.gpu-to-cpu": "true", **{f"{section}.count": "1" for section in devices}}
        sketch = Sketch(platform, facts, ids={section: self._ids(section) for section in devices})
        if "tdx" in SECTIONS_OF[platform]:
            sketch = sketch.changed({"tdx.tcb-lag": "0s", "tdx.advisories": []})
        for unit in units:
            # Everything known first: a part of which nothing is known is not even judged.
            sketch = sketch.changed(unit.changes[0].facts if unit.changes and not unit.counts else {})
        best = self._cost(sketch, listing)
        for _ in range(_PASSES):
            before = best
            for unit in units:
                for change in unit.changes[: unit.near]:
                    tried = sketch.changed(change.facts)
                    cost = self._cost(tried, listing)
                    if cost < best:
                        best, sketch = cost, tried
            if best in (before, (0, 0, 0)):
                break
        return sketch

    def _cost(self, sketch: Sketch, listing: Sequence[Policy]) -> tuple[int, int, int]:
        hypothesis = sketch.hypothesis(self.at)
        trials = [attempt(policy, hypothesis) for policy in listing]
        self.trials += 1
        return (
            # By rule and not by device: more devices are no worse.
            sum(len({one.code for one in trial.problems}) for trial in trials),
            sum(len({one["code"] for one in trial.rules if one["outcome"] != "pass"}) for trial in trials),
            sum(len(trial.withheld) for trial in trials),
        )

    def _ids(self, section: str) -> tuple[str, ...]:
        """Identities that rules list, so that several devices can have one each."""
        found: dict[str, None] = {}
        for policy in (self.a, self.b):
            for rule, _ in rules_of(policy, section):
                for operator in rule.operators if rule.claim.name == "id" else ():
                    operand = operator.operand
                    for value in operand if isinstance(operand, tuple) else (operand,):
                        if isinstance(value, str) and operator.name in ("is", "one-of"):
                            found[value] = None
        return tuple(found)

    # -- results ------------------------------------------------------------------------------------

    def _difference(self, name: str) -> Difference:
        witnesses = self.found[name]
        directions = {witness.direction for witness in witnesses}
        direction: Direction = directions.pop() if len(directions) == 1 else "changed"
        if name == "platforms":
            said = [", ".join(sorted(policy.platforms)) for policy in (self.a, self.b)]
        elif name == "allow-warnings":
            said = [", ".join(policy.body.allow_warnings) or "none" for policy in (self.a, self.b)]
        elif name == "warnings":
            said = [one.because or one.verdict for one in (witnesses[0].a, witnesses[0].b)]
        elif name == "accept":
            said = [accepted_words(policy) for policy in (self.a, self.b)]
        else:
            claims = self.tried[name].claims
            said = [in_words(policy, claims) for policy in (self.a, self.b)]
        return Difference(name, direction, said[0], said[1], tuple(witnesses), self.more.get(name, 0))

    def _unproven(self, differences: Sequence[Difference], rewritten: set[str]) -> Iterator[str]:
        looser = {one.name for one in differences if one.direction != "tighter"}
        for unit in self.tried.values():
            if unit.name in self.left and unit.name not in looser and rewritten & (unit.rules | unit.sets):
                yield unit.name

    def _touched(self) -> set[str]:
        """Names of what the differences found speak of."""
        touched = set(self.found)
        for name in self.found:
            if name in self.tried:
                touched |= {*self.tried[name].rules, *self.tried[name].claims}
        for policy in (self.a, self.b):
            for key, found in policy.body.references.items():
                claim = f"{found.claim.section}.{found.claim.name}"
                if claim in touched or "warnings" in touched:
                    touched.add(f"references.{key}")
        return touched

    def _rewritten(self) -> list[str]:
        """Rules whose canonical text differs."""
        trees = [json.loads(policy.canonical()) for policy in (self.a, self.b)]
        for tree in trees:
            for kept in ("name", "policy"):
                tree.pop(kept, None)
        required = [tree.pop("require", {}) for tree in trees]
        sets = [tree.pop("references", {}) for tree in trees]
        names = [key for key in sorted({*trees[0], *trees[1]}) if trees[0].get(key) != trees[1].get(key)]
        names += [
            f"references.{key}"
            for key in sorted({*sets[0], *sets[1]})
            if sets[0].get(key) != sets[1].get(key)
        ]
        for section in sorted({*required[0], *required[1]}):
            one, other = (tree.get(section, {}) for tree in required)
            names += [
                f"{section}.{claim}" for claim in sorted({*one, *other}) if one.get(claim) != other.get(claim)
            ]
        return names


def _relation(a: _Standing, b: _Standing) -> _Relation:
    """For each: 1 where B is looser, -1 where it is tighter."""
    return tuple((y > x) - (y < x) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]  # four of four


def _named(record: Mapping[str, str | None], rules: frozenset[str]) -> bool:
    part, _, claim = (record["rule"] or "").rpartition(".")
    section = part.partition("[")[0]
    return (f"{section}.{claim}" if section else claim) in rules


def _outcome(trial: Trial, rules: frozenset[str], code: str | None = None) -> Outcome:
    because: str | None = None
    if trial.problems:
        mine = [one for one in trial.problems if one.code.removeprefix("policy.") in rules]
        because = (mine or list(trial.problems))[0].message
    elif code is not None:
        because = (
            f"a secret is {'withheld' if any(one.found == code for one in trial.withheld) else 'released'}"
        )
    else:
        notes = [
            f"{record['rule']} {record['outcome']}" + (f" until {record['until']}" if record["until"] else "")
            for record in trial.rules
            if record["outcome"] not in ("pass", "deny")
        ]
        notes += [warning.code for warning in trial.warnings]
        because = ", ".join(notes) or None
    return Outcome(trial.verdict, trial.released, because)


def _plainness(witness: Witness) -> tuple[int, datetime]:
    turned = (witness.a.verdict == "refused") != (witness.b.verdict == "refused")
    absent = any(value is None for value in witness.facts.values())
    return (0 if turned else 2) + absent, witness.at
