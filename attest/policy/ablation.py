"""A policy without one of its rules, one operator of a rule or one branch of a group: what a suite has to notice.

Whether a rule was seen to fail says little where another fails beside it, or where nobody looked at the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from attest.errors import Malformed
from attest.policy.defaults import default_of
from attest.policy.document import Policy
from attest.policy.model import Entry, Group, Rule

Entries: TypeAlias = tuple[Entry, ...]


def ablations(policy: Policy) -> Mapping[tuple[str, str], list[Policy]]:
    """(rule or group, place) → the policy without it, and without each part of it, for what stands in the policy's own
    file. Left out: what would not load, a rule that says what the default says, which no test can tell from it, and
    single members of a branch, which other rules may well imply."""
    found: dict[tuple[str, str], list[Policy]] = {}
    for section, entries in policy.body.sections.items():
        for target, rest in _without_one(entries):
            if not target.place.startswith(f"{policy.where}:") or (target in entries and _restates(target)):
                continue
            listed = found.setdefault((target.name, target.place), [])
            try:
                listed.append(policy.with_rules({**policy.body.sections, section: rest}))
            except Malformed:
                continue
    return found


def _restates(entry: Entry) -> bool:
    default = default_of(entry.claim) if isinstance(entry, Rule) and not entry.warn else None
    return default is not None and isinstance(entry, Rule) and entry.operators == default.operators


def _without_one(entries: Entries) -> Iterator[tuple[Entry, Entries]]:
    for index, entry in enumerate(entries):
        before, after = entries[:index], entries[index + 1 :]
        yield entry, before + after
        if isinstance(entry, Group):
            for target, group in _smaller(entry):
                yield target, (*before, group, *after)
        elif len(entry.operators) > 1:
            for number in range(len(entry.operators)):
                operators = entry.operators[:number] + entry.operators[number + 1 :]
                yield entry, (*before, replace(entry, operators=operators), *after)


def _smaller(group: Group) -> Iterator[tuple[Group, Group]]:
    """(the group that loses a branch, what is left of the whole)."""
    for index, branch in enumerate(group.branches):
        before, after = group.branches[:index], group.branches[index + 1 :]
        if before or after:
            yield group, replace(group, branches=before + after)
        for number, inner in enumerate(branch):
            for target, smaller in _smaller(inner) if isinstance(inner, Group) else ():
                smaller_branch = (*branch[:number], smaller, *branch[number + 1 :])
                yield target, replace(group, branches=(*before, smaller_branch, *after))
