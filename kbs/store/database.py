"""The broker's database, whichever kind it is: acts in transactions, and tried again where it asks for that."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from sqlalchemy import Connection

from kbs.observing import NOBODY, Observer
from kbs.store.address import Address, SqliteFile
from kbs.store.broker_row import give_name
from kbs.store.failures import Again, Unavailable
from kbs.store.kinds import Database, Purpose
from kbs.store.repository import Repository
from kbs.store.schema import bring, require_current

_TRIES: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.005
T = TypeVar("T")


class Store:
    """Runs acts in transactions. One writes at a time; each is whole or leaves nothing. observer: is told where the database
    did not serve."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.observer: Observer = NOBODY

    @classmethod
    def open(cls, address: Address) -> Store:
        """The schema must be current: see `migrate`. Raises SchemaMismatch and Unavailable."""
        database = connect(address)
        whole(database, Purpose.READ, require_current)
        return cls(database)

    def write(self, act: Callable[[Repository], T]) -> T:
        """What `act` returns, once it is committed; nothing where it raises.

        act: runs several times where the database asks for it, so everything that it makes it makes in there,
        and what it has for the world it returns. Raises what `act` raises, and Unavailable.
        """
        return self._whole(Purpose.WRITE, act)

    def read(self, act: Callable[[Repository], T]) -> T:
        """What `act` returns; it sees one state and can change nothing. Raises as `write` does."""
        return self._whole(Purpose.READ, act)

    def close(self) -> None:
        self._database.close()

    def _whole(self, purpose: Purpose, act: Callable[[Repository], T]) -> T:
        try:
            return whole(self._database, purpose, lambda connection: act(Repository(connection)))
        except Unavailable:
            self.observer.failed("database")
            raise


def whole(database: Database, purpose: Purpose, act: Callable[[Connection], T]) -> T:
    """`act` in a transaction, and again where the database sends it back. Raises Unavailable."""
    for tried in range(_TRIES):
        try:
            with database.transaction(purpose) as connection:
                return act(connection)
        except Again:
            # Whoever was sent back at the same moment comes at another.
            time.sleep(_FIRST_PAUSE_SECONDS * 2**tried * random.uniform(0.5, 1.5))  # noqa: S311
    raise Unavailable(f"the database asked {_TRIES} times to begin again")


def migrate(address: Address) -> None:
    """Bring the schema to this program's version; does nothing where it is there already.

    Of several that start at once one migrates and the others wait. Raises SchemaMismatch and Unavailable.
    """
    with connected(address) as database:
        whole(database, Purpose.SCHEMA, _bring_and_name)


def _bring_and_name(connection: Connection) -> None:
    bring(connection)
    give_name(connection)


@contextmanager
def connected(address: Address) -> Iterator[Database]:
    """Raises Unavailable."""
    database = connect(address)
    try:
        yield database
    finally:
        database.close()


def connect(address: Address) -> Database:
    """Nothing is asked yet. Raises Unavailable where the driver is not installed."""
    if isinstance(address, SqliteFile):
        from kbs.store.sqlite import Sqlite

        return Sqlite(address)
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise Unavailable("PostgreSQL needs its driver: install attest[kbs,postgres]") from None
    from kbs.store.postgres import Postgres

    return Postgres(address)
