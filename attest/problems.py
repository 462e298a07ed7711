"""Every stable problem code in one table: what it means, where the rule comes from, what to do.

Codes are dotted and never change their meaning. Tests compare codes, people read messages.
"""

from __future__ import annotations

from functools import cache

from attest.errors import Malformed, Problem
from attest.problem_table import PROBLEMS
from attest.untrusted import Untrusted, escape

__all__ = ["PROBLEMS", "malformed", "problem", "show"]


def show(value: object) -> str | None:
    """A short, safe text for expected and found."""
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Untrusted):
        return value.shown
    return escape(str(value), 600)


def problem(
    code: str,
    *,
    expected: object = None,
    found: object = None,
    where: str | None = None,
    message: str | None = None,
) -> Problem:
    """A Problem with the table's sentence, source and remedy. Raises KeyError for a code not in the table."""
    if expected is None and found is None and where is None and message is None:
        return _plain(code)
    meaning = PROBLEMS[code]
    return Problem(
        code=code,
        message=message or meaning.message,
        expected=show(expected),
        found=show(found),
        where=escape(where) if where else None,
        source=meaning.source,
        remedy=meaning.remedy,
    )


@cache
def _plain(code: str) -> Problem:
    meaning = PROBLEMS[code]
    return Problem(code, meaning.message, source=meaning.source, remedy=meaning.remedy)


def malformed(
    message: str,
    *,
    where: str,
    expected: object = None,
    found: object = None,
    code: str = "evidence.malformed",
) -> Malformed:
    """The error for bytes that do not parse; `where` names structure and offset."""
    return Malformed(problem(code, message=message, where=where, expected=expected, found=found))
