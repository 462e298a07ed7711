"""Where a database is, and the bounds on asking it. No connection is made here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file of this machine, which `create_file` made. wait_seconds: for another's write to end."""

    path: Path
    wait_seconds: int = 10

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Tls:
    """ca: whose certificates the server may have; its name is compared too. certificate, key: our own."""

    ca: Path
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database of a server. host: a name, an address, or the folder of its Unix socket.

    connections: at most so many of this process. wait_seconds: for a free one, for a new one, and for the
    lock that writers queue for. statement_seconds: for one statement, and for a transaction left idle.
    """

    host: str
    database: str
    user: str | None = None
    port: int = 5432
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    connections: int = 10
    wait_seconds: int = 10
    statement_seconds: int = 30

    def __str__(self) -> str:
        return f"database {self.database} at {self.host}"


Address = SqliteFile | PostgresServer
