"""What fetching can end in besides bytes: a problem of the service, of the way to it, or of the cache."""

from __future__ import annotations

from datetime import datetime

from attest.errors import AttestError, Problem
from attest.problems import problem


class FetchFailed(AttestError):
    """Something could not be had. Never a verdict about evidence: what is missing is judged by verify.

    retry_at: when asking again makes sense, where that is known. temporary: whether the same question may
    soon have another answer.
    """

    def __init__(self, reason: Problem, *, retry_at: datetime | None = None, temporary: bool = True) -> None:
        super().__init__(reason)
        self.retry_at = retry_at
        self.temporary = temporary

    @property
    def reason(self) -> Problem:
        return self.problems[0]


class NotNow(FetchFailed):
    """Whoever hands out the asking said no: no service was asked, and the next one may be."""


def failed(
    code: str,
    *,
    where: str,
    expected: object = None,
    found: object = None,
    retry_at: datetime | None = None,
    temporary: bool = True,
) -> FetchFailed:
    """where: what was asked for, in words or as a URL that we built."""
    return FetchFailed(
        problem(code, where=where, expected=expected, found=found), retry_at=retry_at, temporary=temporary
    )
