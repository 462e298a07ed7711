"""PostgreSQL: one database for any number of replicas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from kbs.store.address import PostgresServer
from kbs.store.failures import Failure, failures_told
from kbs.store.kinds import Purpose

_AGAIN: Final = ("40001", "40P01")  # serialization_failure, deadlock_detected
_MIGRATIONS: Final = 0x6B62732D6D696772  # the advisory lock's number: "kbs-migr"


class Postgres:
    """Writers queue for a lock on the audit trail's head, which each of them is about to move.

    They take it before their first statement. A serialisable transaction sees the database as it was at its
    first statement, so one that waited for the row instead would find it changed, and be made to begin again
    after each writer before it.
    """

    def __init__(self, address: PostgresServer) -> None:
        self._engine = create_engine(
            URL.create("postgresql+psycopg", database=address.database),
            connect_args=_connect_args(address),
            pool_size=address.connections,
            max_overflow=0,
            pool_timeout=address.wait_seconds,
            pool_pre_ping=True,  # a server that was restarted costs no guest its request
        )

    @contextmanager
    def transaction(self, purpose: Purpose) -> Iterator[Connection]:
        # A migration waits for its lock in a statement, and must see what was committed meanwhile.
        level = "READ COMMITTED" if purpose is Purpose.SCHEMA else "SERIALIZABLE"
        with failures_told(_judge), self._engine.connect() as connection:
            connection.execution_options(isolation_level=level, postgresql_readonly=purpose is Purpose.READ)
            with connection.begin():
                if purpose is Purpose.WRITE:
                    connection.exec_driver_sql("LOCK TABLE audit_head IN EXCLUSIVE MODE")
                elif purpose is Purpose.SCHEMA:
                    # Large tables take their time, and so does whoever migrates first.
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATIONS})
                    connection.exec_driver_sql("SET LOCAL lock_timeout TO DEFAULT")
                yield connection

    def describe(self) -> str:
        with self.transaction(Purpose.READ) as connection:
            return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"

    def close(self) -> None:
        self._engine.dispose()


def _judge(error: DBAPIError) -> Failure | None:
    if getattr(error.orig, "sqlstate", None) in _AGAIN:
        return Failure.AGAIN
    lost = error.connection_invalidated or isinstance(error, OperationalError | InternalError)
    return Failure.GONE if lost else None


def _connect_args(address: PostgresServer) -> dict[str, Any]:
    """What libpq is told, so that it looks up none of this in its environment."""
    statement, wait = address.statement_seconds * 1000, address.wait_seconds * 1000
    told: dict[str, Any] = {
        "host": address.host,
        "port": address.port,
        "connect_timeout": max(2, address.wait_seconds),
        "application_name": "kbs",
        "gssencmode": "disable",
        # A server that went away without a word is noticed, also while it is waited for.
        "keepalives_idle": 30,
        "tcp_user_timeout": statement,
        "options": (
            f"-c statement_timeout={statement} -c idle_in_transaction_session_timeout={statement}"
            f" -c lock_timeout={wait}"
            # A released key without its audit row must not exist.
            " -c synchronous_commit=on"
        ),
    }
    if address.user is not None:
        told["user"] = address.user
    if address.password is not None:
        told["password"] = address.password
    if address.tls is None:
        told["sslmode"] = "disable"  # this machine only: the configuration asks for TLS everywhere else
        return told
    told |= {"sslmode": "verify-full", "sslrootcert": str(address.tls.ca)}
    if address.tls.certificate is not None:
        told |= {"sslcert": str(address.tls.certificate), "sslkey": str(address.tls.key)}
    return told
