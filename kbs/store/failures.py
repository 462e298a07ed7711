"""How a transaction fails for a reason that is not its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection


class Unavailable(Exception):
    """The database does not serve: lost, full, busy for too long. What was begun left nothing behind.

    Where the connection broke while it committed, the act may have been done: never tell it as done.
    """


class Again(Exception):
    """The database rolled the transaction back whole and asks for another try."""


class Failure(Enum):
    AGAIN = auto()
    GONE = auto()


@contextmanager
def failures_told(judge: Callable[[DBAPIError], Failure | None]) -> Iterator[None]:
    """The driver's errors as Again and Unavailable; what `judge` has no name for is the statement's fault."""
    try:
        yield
    except NoFreeConnection:
        raise Unavailable("every connection to the database is in use") from None
    except DBAPIError as error:
        failure = judge(error)
        if failure is None:
            raise
        # The first line of the driver's: never the statement, nor what it carried.
        cause = next(iter(str(error.orig).splitlines()), type(error.orig).__name__)
        raise (Again if failure is Failure.AGAIN else Unavailable)(cause) from None
