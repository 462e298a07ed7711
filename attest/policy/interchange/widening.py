"""A rule that passes more than its default is listed, not written: an import overrides no default by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attest.claims import CLAIMS
from attest.policy.defaults import default_of, replaces, wider
from attest.policy.document import Policy
from attest.policy.interchange.draft import Choice, Draft, Entry, text_of
from attest.policy.model import Entry as Written
from attest.policy.model import Rule


def defaults_hold(draft: Draft) -> Draft:
    """The draft, in which rules that no policy may hold without `override` are unmapped and their defaults hold."""
    judged = [one for one in draft.entries if default_of(CLAIMS[one.section][one.claim]) is not None]
    widening = {
        id(one) for one, rule in zip(judged, _rules(judged), strict=True) if replaces(rule) and wider(rule)
    }
    for one in judged:
        if id(one) in widening:
            draft.lost(
                one.line,
                f"{one.section}.{one.claim}: {one.operand}",
                "passes more than the default, which holds; to pass it, write the rule with override: REASON",
            )
    draft.entries = [one for one in draft.entries if id(one) not in widening]
    return draft


def _rules(entries: Sequence[Entry]) -> list[Rule]:
    """Each entry as it is read, all of them in one policy: in a choice any rule may stand."""
    rules: dict[str, Iterator[Rule]] = {}
    for section in dict.fromkeys(one.section for one in entries):
        choice = Choice(section, tuple((one,) for one in entries if one.section == section), "")
        policy = Policy.from_text(text_of(Draft("", platforms=["none"], choices=[choice]), name="one"))
        rules[section] = _within(policy.body.sections[section])
    return [next(rules[one.section]) for one in entries]


def _within(entries: Sequence[Written]) -> Iterator[Rule]:
    for one in entries:
        if isinstance(one, Rule):
            yield one
        else:
            for branch in one.branches:
                yield from _within(branch)
