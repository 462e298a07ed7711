"""From every released schema to this program's, with what a broker left in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from kbs.broker import Broker
from kbs.clock import Clock
from kbs.domain import ResourcePath, hashed
from kbs.stops import Stop
from kbs.store.address import Address, SqliteFile
from kbs.store.database import Store, connected, migrate, whole
from kbs.store.kinds import Purpose
from kbs.store.repository import Repository
from kbs.store.schema import SchemaMismatch, bring, current, versions
from kbs.store.sqlite import create_file
from kbs.store.tables import metadata
from tests.conftest import ROOT
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.databases import Postgres, run_sql
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.revisions import FILL, left_by


@pytest.fixture
def untouched(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Address]:
    """A database in which nothing was ever made."""
    if kind == "sqlite":
        create_file(tmp_path / "untouched.db")
        yield SqliteFile(tmp_path / "untouched.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    made = server.make()
    yield made
    server.drop(made)


def test_migrations_make_exactly_the_tables(untouched: Address) -> None:
    migrate(untouched)
    migrate(untouched)
    with connected(untouched) as database, database.transaction(Purpose.READ) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_database_of_another_version_is_not_opened(untouched: Address) -> None:
    with pytest.raises(SchemaMismatch, match="schema none, this program wants"):
        Store.open(untouched)
    migrate(untouched)
    run_sql(untouched, "UPDATE alembic_version SET version_num = '9999'")
    for act in (Store.open, migrate):
        with pytest.raises(SchemaMismatch, match="9999, which came after this program"):
            act(untouched)


def test_every_schema_has_what_a_broker_left_in_it() -> None:
    assert list(FILL) == versions()


@pytest.mark.parametrize("version", versions())
def test_upgrade_strands_no_guest(acme: Bench, untouched: Address, version: str) -> None:
    attested, waiting = acme.guest(), acme.guest()
    attested.boot(PATH)
    waiting.auth()
    session = hashed(attested.http.cookies["kbs-session-id"])
    cookie = waiting.http.cookies["kbs-session-id"]
    left = left_by(acme, [session], [hashed(cookie)])
    assert left.sessions
    assert left.challenges
    assert left.releases
    with connected(untouched) as database:
        whole(database, Purpose.SCHEMA, lambda connection: bring(connection, version))
        whole(database, Purpose.SCHEMA, lambda connection: FILL[version](connection, left))

    migrate(untouched)
    store = Store.open(untouched)
    acme.opened.append(store)
    broker = Broker(store, acme.keys, acme.broker._verification, clock=Clock(acme.clock))
    path = ResourcePath.parse(PATH)
    assert attested.key.open(broker.release(session, path).body) == SECRET
    issued = broker.attest(cookie, waiting.attestation())
    assert waiting.key.open(broker.release(hashed(issued.cookie), path).body) == SECRET
    rows = store.read(lambda tx: list(tx.audit.rows()))
    assert rows[: len(left.audit)] == left.audit
    strays: list[int] = []
    assert store.read(lambda tx: list(tx.audit.proved(strays.append))) == rows
    assert strays == [], "rows of before are found as those of now"
    # What it was given before is known from the schema on that has a table for it.
    again = "released" if version == "0001" else "repeat"
    assert [row.content["event"] for row in rows[len(left.audit) :]] == [again, "attested", "released"]


MIGRATE = """
import sys
from pathlib import Path
from kbs.store.address import PostgresServer, SqliteFile
from kbs.store import postgres, sqlite
from kbs.store.database import migrate
import alembic.command, alembic.migration, alembic.script
host, name = sys.argv[1:]
address = PostgresServer(host, name, "kbs") if host else SqliteFile(Path(name))
print("ready", flush=True)
sys.stdin.readline()
migrate(address)
"""


def test_replicas_that_start_at_once_migrate_once(untouched: Address) -> None:
    where = (
        ("", untouched.path) if isinstance(untouched, SqliteFile) else (untouched.host, untouched.database)
    )
    command = [sys.executable, "-c", MIGRATE, *map(str, where)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    starting = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(3)]  # type: ignore[call-overload]
    for process in starting:
        assert process.stdout.readline() == "ready\n"
    for process in starting:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in starting:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert run_sql(untouched, "SELECT version_num FROM alembic_version") == [(versions()[-1],)]


def test_migration_that_fails_leaves_nothing(untouched: Address) -> None:
    """Half a schema would be neither of the old program nor of the new one."""
    with connected(untouched) as database:

        def half(connection: object) -> None:
            bring(connection)  # type: ignore[arg-type]
            raise RuntimeError

        with pytest.raises(RuntimeError):
            whole(database, Purpose.SCHEMA, half)
        assert whole(database, Purpose.READ, current) is None
    migrate(untouched)


def test_what_waited_for_agreement_without_saying_what_it_was_is_asked_for_anew(
    acme: Bench, untouched: Address
) -> None:
    left = left_by(acme, [], [])
    with connected(untouched) as database:
        whole(database, Purpose.SCHEMA, lambda connection: bring(connection, "0007"))
        whole(database, Purpose.SCHEMA, lambda connection: FILL["0007"](connection, left))
    migrate(untouched)
    assert Store.open(untouched).read(lambda tx: tx.approvals.all()) == []


def test_t_lastwriter_what_was_stopped_before_stays_stopped_and_no_owner_lifts_it(untouched: Address) -> None:
    with connected(untouched) as database:
        whole(database, Purpose.SCHEMA, lambda connection: bring(connection, "0008"))
    run_sql(
        untouched, "INSERT INTO owners (name, enabled, created, stopped) VALUES ('acme', true, 1, 'theft')"
    )
    run_sql(untouched, "INSERT INTO owners (name, enabled, created) VALUES ('other', true, 1)")
    run_sql(
        untouched, "INSERT INTO broker (id, name, epoch, tag, stopped) VALUES (1, 'b', 0, 't', 'incident')"
    )
    migrate(untouched)
    with connected(untouched) as database, database.transaction(Purpose.READ) as connection:
        found = Repository(connection).stops.all()
    assert found == [Stop(None, "operator", "incident"), Stop("acme", "operator", "theft")]
