"""Changes to several claims at once, for rules that stand in groups: all combinations where they are few.

Where they are many, values that no rule tells apart are one first. What is left over that is tried around each
branch of each group: its claims as it wants them, its siblings' as they do not, so that the branch alone decides;
and from there one claim after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, combinations, islice, product
from typing import Any, cast

from attest.policy.compare import judge
from attest.policy.document import Policy
from attest.policy.edges import Raw
from attest.policy.fixed import judge_fixed
from attest.policy.model import Entry, Group, Rule

MAX_CHANGES = 600
"""Combinations tried a unit."""


@dataclass(frozen=True)
class Change:
    """Facts that replace those of the common ground. raw: vendors' own fields that go with them. dates: after which
    what is said of these facts is otherwise."""

    facts: Mapping[str, Raw]
    raw: Mapping[str, Any] | None = None
    dates: frozenset[datetime] = frozenset()

    def __or__(self, other: Change) -> Change:
        """Both, the other's facts where both have one."""
        raw = {**(self.raw or {}), **(other.raw or {})}
        return Change({**self.facts, **other.facts}, raw or None, self.dates | other.dates)

    def fits(self, facts: Mapping[str, Raw]) -> bool:
        return all(facts.get(name, value) == value for name, value in self.facts.items())


@dataclass(frozen=True)
class Combined:
    """changes: what to try, the nearest to each branch first. near: how many of them stand for all when a machine is looked
    for that both accept. whole: whether these are all combinations that any rule tells apart."""

    changes: tuple[Change, ...]
    near: int
    whole: bool


@dataclass(frozen=True)
class Combiner:
    """options: claim, `fixed` among them → its changes. rules: of the claims, each with its policy. groups: of both
    policies. at: the instant by which a rule passes or not where branches are sought."""

    options: Mapping[str, Sequence[Change]]
    rules: Sequence[tuple[Policy, Rule]]
    groups: Sequence[tuple[Policy, Group]]
    at: datetime
    kept: frozenset[str]

    def combine(self) -> Combined:
        every = list(self.options.values())
        if _size(every) > MAX_CHANGES:
            every = [self._apart(name, options) for name, options in self.options.items()]
        if _size(every) <= MAX_CHANGES:
            changes = [_joined(choice) for choice in product(*every)]
            return Combined(tuple(changes), len(changes), whole=True)
        bases = _distinct([Change({}), *self._bases()])
        singles = (base | one for base in bases for options in every for one in options)
        near = _distinct(chain(bases[1:], singles))
        pairs = (
            base | left | right
            for base in bases
            for one, other in combinations(every, 2)
            for left, right in product(one, other)
        )
        found = _distinct(chain(near, islice(pairs, MAX_CHANGES)))
        return Combined(tuple(found), len(near), whole=False)

    # -- values that no rule tells apart

    def _apart(self, name: str, options: Sequence[Change]) -> list[Change]:
        """One of those that every rule says the same of."""
        if name in self.kept:
            return list(options)
        found: dict[Any, Change] = {}
        for one in options:
            # What turns on a date is one of its kind already, and no instant says all of it.
            found.setdefault(_frozen(one.facts) if one.dates else self._said(one), one)
        return list(found.values())

    def _said(self, change: Change) -> Any:
        """What each rule says of these facts alone."""
        said: list[Any] = [change.raw is None]
        claims = {name.partition(".")[2]: value for name, value in change.facts.items()}
        chip = claims.get("product")
        for policy, rule in self.rules:
            if rule.is_fixed:
                operand = cast("frozenset[str]", rule.operators[0].operand)
                for advisory in sorted(operand) if "tcb" in claims else ():
                    finding = judge_fixed(advisory, policy.floors, claims, cast("str | None", chip), self.at)
                    said.append((finding.result, finding.misses))
            elif rule.claim.name in claims:
                raw = claims[rule.claim.name]
                for operator in rule.operators:
                    finding = judge(operator, rule.claim, raw, product=cast("str | None", chip), now=self.at)
                    entry = finding.entry
                    said.append((finding.result, finding.note, entry and (entry.state, entry.covers)))
        return tuple(said)

    # -- each branch alone

    def _bases(self) -> Iterator[Change]:
        for policy, group in self.groups:
            yield from self._of_group(policy, group)

    def _of_group(self, policy: Policy, group: Group) -> Iterator[Change]:
        for index, branch in enumerate(group.branches):
            around = Change({})
            for other, sibling in enumerate(group.branches):
                if other != index:
                    around |= self._branch(policy, sibling, holds=group.kind == "all")
            alone = around | self._branch(policy, branch, holds=True)
            yield alone
            for entry in branch:
                if isinstance(entry, Group):
                    yield from (alone | inner for inner in self._of_group(policy, entry))

    def _branch(self, policy: Policy, branch: Sequence[Entry], *, holds: bool) -> Change:
        found = Change({})
        # A TCB says its product: whatever is asked of that comes first.
        for entry in sorted(branch, key=lambda one: isinstance(one, Group) or one.claim.name != "product"):
            found |= self._entry(policy, entry, found, holds=holds)
        return found

    def _entry(self, policy: Policy, entry: Entry, so_far: Change, *, holds: bool) -> Change:
        if isinstance(entry, Group):
            wanted = holds != (entry.kind == "none")
            # One branch is enough for any to hold; all of them have to fail for it to fail.
            few = wanted and entry.kind != "all"
            found = Change({})
            for branch in entry.branches[:1] if few else entry.branches:
                found |= self._branch(policy, branch, holds=wanted)
            return found
        options = self.options.get(entry.claim.name, ())
        good = [one for one in options if self._holds(policy, entry, one) is holds]
        return next((one for one in good if one.fits(so_far.facts)), good[0] if good else Change({}))

    def _holds(self, policy: Policy, rule: Rule, change: Change) -> bool:
        claims = {name.partition(".")[2]: value for name, value in change.facts.items()}
        chip = cast("str | None", claims.get("product"))
        if rule.is_fixed:
            operand = cast("frozenset[str]", rule.operators[0].operand)
            return all(
                judge_fixed(one, policy.floors, claims, chip, self.at).result == "P" for one in operand
            )
        raw = claims.get(rule.claim.name)
        return all(
            judge(one, rule.claim, raw, product=chip, now=self.at).result == "P" for one in rule.operators
        )


def _size(options: Iterable[Sequence[Change]]) -> int:
    size = 1
    for one in options:
        size *= len(one)
    return size


def _joined(changes: Iterable[Change]) -> Change:
    found = Change({})
    for one in changes:
        found |= one
    return found


def _distinct(changes: Iterable[Change]) -> list[Change]:
    """Each once, and no more than MAX_CHANGES."""
    found: dict[Any, Change] = {}
    for one in changes:
        found.setdefault((_frozen(one.facts), _frozen(one.raw or {})), one)
        if len(found) == MAX_CHANGES:
            break
    return list(found.values())


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return tuple(sorted((name, _frozen(one)) for name, one in value.items()))
    return tuple(value) if isinstance(value, list) else value
