"""What SQLite and PostgreSQL do each its own way, behind one name."""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import Enum, auto
from typing import Protocol

from sqlalchemy import Connection


class Purpose(Enum):
    """READ sees one state throughout and can change nothing. WRITE queues with every other writer before it
    reads: nothing that it read changes until it commits. SCHEMA queues with other migrations."""

    READ = auto()
    WRITE = auto()
    SCHEMA = auto()


class Database(Protocol):
    def transaction(self, purpose: Purpose) -> AbstractContextManager[Connection]:
        """Commits when the block ends, rolls back when it raises. Raises Again and Unavailable."""
        ...

    def describe(self) -> str:
        """Kind and version, for people. Raises Unavailable."""
        ...

    def close(self) -> None: ...
