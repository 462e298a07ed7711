"""The policies of rules, loaded: the text is the key, so that a rule whose text changed is another policy."""

from __future__ import annotations

from functools import lru_cache

from attest import Policy
from kbs.domain import Rule


def policy_of(rule: Rule) -> Policy:
    """What the rule's text says now, whatever digest it was put under. Raises Malformed."""
    return _loaded(rule.policy, f"{rule.owner}:{rule.pattern}")


@lru_cache(maxsize=256)
def _loaded(text: str, where: str) -> Policy:
    """A policy is immutable and YAML slow. What raises Malformed is not kept."""
    return Policy.from_text(text, where=where)
