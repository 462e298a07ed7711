"""States that a target may be in, as rules of one section.

Each triple is a state, and a machine is in one of them: what all states ask for becomes rules, and the values of a
register that all of them name one reference set. Where more than that is different, `any` keeps what belongs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from attest.policy.interchange.corim.items import refused
from attest.policy.interchange.corim.validity import Validity
from attest.policy.interchange.draft import Choice, Draft, Entry, References, listed
from attest.policy.references import MAX_REFERENCES

MAX_BRANCHES = 64
OVERRIDE = "wider than the default; write the rule with an override and its reason"


@dataclass(slots=True)
class State:
    """rules: operand and path by claim. pins: claim → the values of it that will do, each with a name."""

    path: str
    rules: dict[str, tuple[str, str]] = field(default_factory=dict)
    pins: dict[str, dict[bytes, str]] = field(default_factory=dict)

    def rule(self, claim: str, operand: str, path: str) -> bool:
        """False where the claim has another rule or value already."""
        known = self.rules.setdefault(claim, (operand, path))
        return known[0] == operand and claim not in self.pins

    def pin(self, claim: str, values: dict[bytes, str]) -> bool:
        return self.pins.setdefault(claim, values) == values and claim not in self.rules


@dataclass(frozen=True, slots=True)
class _Merged:
    rules: frozenset[tuple[str, str]]
    pins: tuple[tuple[str, frozenset[bytes]], ...]


def write_states(
    draft: Draft, section: str, states: Sequence[State], *, validity: Validity, origin: str
) -> None:
    """Rules, reference sets and the choice that `states` come to. Raises Malformed where there are too many."""
    if not states:
        return
    shared = set.intersection(*(_rules(one) for one in states))
    for claim, (operand, path) in states[0].rules.items():
        if (claim, operand) in shared:
            draft.entries.append(Entry(section, claim, operand, path))
    everywhere = [claim for claim in states[0].pins if all(claim in one.pins for one in states)]
    for claim in everywhere:
        values: dict[bytes, str] = {}
        for one in states:
            for value, name in one.pins[claim].items():
                values.setdefault(value, name)
        if len(values) > MAX_REFERENCES:
            raise refused(
                "corim.malformed", "corim.tags", f"≤ {MAX_REFERENCES} values of {claim}", len(values)
            )
        named = tuple((value.hex(), name) for value, name in values.items())
        taken = sum(known.type == f"{section}.{claim}" for known in draft.references)
        name = f"{claim}-{taken + 1}" if taken else claim
        draft.references.append(
            References(name, f"{section}.{claim}", named, validity.begins, validity.ends, origin)
        )
        said = states[0].path if len(states) == 1 else f"{states[0].path} and {len(states) - 1} more"
        draft.entries.append(Entry(section, claim, f"{{in: {name}}}", said))
    _choice(draft, section, states, shared, everywhere)


def _rules(state: State) -> set[tuple[str, str]]:
    return {(claim, operand) for claim, (operand, _) in state.rules.items()}


def _choice(
    draft: Draft, section: str, states: Sequence[State], shared: set[tuple[str, str]], everywhere: list[str]
) -> None:
    merged = _merge(states, shared)
    whole = {
        claim: frozenset().union(*(value for one in merged for name, value in one.pins if name == claim))
        for claim in everywhere
    }
    branches = []
    for one in merged:
        entries = [Entry(section, claim, operand, "") for claim, operand in sorted(one.rules)]
        entries += [
            Entry(section, claim, listed(sorted(value.hex() for value in values)), "")
            for claim, values in one.pins
            if whole.get(claim) != values
        ]
        branches.append(tuple(entries))
    if not all(branches):
        return  # there is one state, or one that asks for nothing that is not a rule of all already
    path = states[0].path
    if len(branches) > MAX_BRANCHES:
        draft.lost(
            path,
            f"{len(branches)} states that differ in several claims",
            f"which values belong together is not asked beyond {MAX_BRANCHES}; import them apart",
        )
        return
    draft.choices.append(Choice(section, tuple(branches), f"{path}: one of these states"))


def _merge(states: Sequence[State], shared: set[tuple[str, str]]) -> list[_Merged]:
    """States that are the same but for the values of one claim are one state with the values of both."""
    merged = list(
        dict.fromkeys(
            _Merged(
                frozenset(_rules(one) - shared),
                tuple(sorted((claim, frozenset(values)) for claim, values in one.pins.items())),
            )
            for one in states
        )
    )
    claims = sorted({claim for one in merged for claim, _ in one.pins})
    # Those with the most values first: they are what a release list varies in.
    claims.sort(
        key=lambda claim: -len({values for one in merged for name, values in one.pins if name == claim})
    )
    before = 0
    while len(merged) != before:
        before = len(merged)
        for claim in claims:
            merged = _joined(merged, claim)
    return merged


def _joined(merged: list[_Merged], claim: str) -> list[_Merged]:
    groups: dict[tuple[object, ...], set[bytes]] = {}
    kept: dict[tuple[object, ...], _Merged] = {}
    for one in merged:
        pins = dict(one.pins)
        values = pins.pop(claim, None)
        key = (one.rules, tuple(pins.items()), values is None)
        kept[key] = one
        groups.setdefault(key, set()).update(values or ())
    return [
        _Merged(
            one.rules,
            tuple((name, frozenset(groups[key]) if name == claim else value) for name, value in one.pins),
        )
        for key, one in kept.items()
    ]
