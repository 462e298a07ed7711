"""Another person's agreement to what this request does, spent in the very transaction that does it.

It goes with the request, not with each call: an act takes it from here whoever wrote the act, so that none can forget to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

from kbs.store.repository import Repository


class Agreement:
    """spend: makes it of no further use, with its row. Raises Conflict where it is none any more."""

    def __init__(self, spend: Callable[[Repository, datetime], None]) -> None:
        self._spend = spend
        self._spent = False

    def spend(self, tx: Repository, now: datetime) -> None:
        """In each try of a transaction, until one of them is committed."""
        if not self._spent:
            self._spend(tx, now)

    def committed(self) -> None:
        self._spent = True


_GIVEN: ContextVar[Agreement | None] = ContextVar("agreement", default=None)


@contextmanager
def under(agreement: Agreement | None) -> Iterator[None]:
    """What is done in here is done under it."""
    token = _GIVEN.set(agreement)
    try:
        yield
    finally:
        _GIVEN.reset(token)


def given() -> Agreement | None:
    """To the act of this request; None where it needs none."""
    return _GIVEN.get()
