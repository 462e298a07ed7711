"""From a backup to a database that can be served: all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection

from attest.claims import instant
from kbs.audit import Head
from kbs.backup import Backup, BackupError
from kbs.clock import Clock
from kbs.store.address import Address, SqliteFile
from kbs.store.database import connected, whole
from kbs.store.kinds import Purpose
from kbs.store.lasting import put_rows
from kbs.store.repository import Repository
from kbs.store.rollback import require_heads
from kbs.store.schema import bring, current, versions
from kbs.store.sqlite import create_file, remove_file


def restore(backup: Backup, address: Address, heads: Sequence[Head], clock: Clock) -> Head:
    """Put `backup` into the database at `address`, which has nothing in it yet; returns the head afterwards.

    The rows go in at the schema that they were made with, and migrate from there. heads: kept elsewhere, each
    must be in the backup's trail (T-RESTORE). The trail says that it was restored, so that a database which
    was restored is told from one that was rolled back. Raises BackupError, RolledBack, Refusal where this
    machine's clock is behind the backup, Unavailable and OSError.
    """
    about = backup.about
    if about.schema not in versions():
        raise BackupError(f"it has schema {about.schema}, which came after this program: use a newer one")

    def put(connection: Connection) -> Head:
        if current(connection) is not None:
            raise BackupError(f"there is a broker in {address}: restore into a new database")
        bring(connection, about.schema)
        try:
            put_rows(connection, backup.rows())
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(f"a row in it fits no table of schema {about.schema}: {error}") from None
        bring(connection)
        tx = Repository(connection)
        require_heads(tx, heads)
        facts = {"event": "restored", "head": str(about.head), "made": instant(about.made)}
        tx.audit.append({**facts, "at": instant(clock.now(tx))})
        return tx.audit.head()

    with _new(address), connected(address) as database:
        return whole(database, Purpose.SCHEMA, put)


@contextmanager
def _new(address: Address) -> Iterator[None]:
    """A SQLite file is made here, and gone again where it stays empty."""
    if not isinstance(address, SqliteFile):
        yield
        return
    try:
        create_file(address.path)
    except FileExistsError:
        raise BackupError(f"{address} is there already: restore into a new database") from None
    try:
        yield
    except BaseException:
        remove_file(address.path)
        raise
