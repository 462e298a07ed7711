"""Two policies beside each other: what they mean differently, and which lines differ. Pure functions of their texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from anyio import CapacityLimiter, to_thread

from attest import Malformed, Policy
from attest.policy.diff import Comparison, compare
from attest.result.diff_text import facts_text

_ONE = CapacityLimiter(1)
"""A comparison may judge twenty thousand machines: guests shall not wait for several."""


@dataclass(frozen=True, slots=True)
class Line:
    kind: str
    text: str


async def compared(a: str, b: str, at: datetime) -> tuple[dict[str, Any] | None, list[str]]:
    """What `b` says otherwise than `a`, or why one of them does not load."""
    loaded: list[Policy] = []
    for name, text in (("A", a), ("B", b)):
        try:
            loaded.append(Policy.from_text(text, where=name))
        except Malformed as error:
            return None, [problem.message for problem in error.problems]
    found = await to_thread.run_sync(lambda: compare(loaded[0], loaded[1], at=at), limiter=_ONE)
    return _shown(found), []


def line_diff(a: str, b: str) -> list[Line]:
    """Empty where the texts are the same."""
    return list(_lines(a, b))


def _lines(a: str, b: str) -> Iterator[Line]:
    found = difflib.unified_diff(a.splitlines(), b.splitlines(), "A", "B", lineterm="", n=3)
    for number, line in enumerate(found):
        if number < 2:
            continue  # the names
        yield Line({"+": "more", "-": "less", "@": "place"}.get(line[:1], "same"), line)


def _shown(found: Comparison) -> dict[str, Any]:
    document = found.as_dict()
    for difference in document["differences"]:
        for witness in difference["witnesses"]:
            witness["shown"] = facts_text(witness["facts"]) or "as the rules of both demand"
    return document
