"""A rule that passes more than its default is listed, not written: an import overrides no default by itself."""

from __future__ import annotations

from attest.claims import CLAIMS
from attest.errors import Malformed
from attest.policy.defaults import default_of
from attest.policy.document import Policy
from attest.policy.interchange.draft import Draft, Entry, write


def defaults_hold(draft: Draft) -> Draft:
    """The draft, in which rules that no policy may hold without `override` are unmapped and their defaults hold."""
    kept = []
    for one in draft.entries:
        if default_of(CLAIMS[one.section][one.claim]) is not None and _wider(one):
            draft.lost(
                one.line,
                f"{one.section}.{one.claim}: {one.operand}",
                "passes more than the default, which holds; to pass it, write the rule with override: REASON",
            )
        else:
            kept.append(one)
    draft.entries = kept
    return draft


def _wider(one: Entry) -> bool:
    try:
        Policy.from_text(write(Draft("", platforms=["none"], entries=[one]), name="one"))
    except Malformed as error:
        return any(problem.code == "policy.override-missing" for problem in error.problems)
    return False
