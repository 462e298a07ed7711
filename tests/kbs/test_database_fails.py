"""Full, lost, busy, or sent back: the guest is told so, and nothing is released without its row."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy import text as sql

from attest.claims import instant
from kbs.store.address import PostgresServer
from kbs.store.audit_rows import AuditRows
from kbs.store.database import Store, whole
from kbs.store.failures import Again, Unavailable
from kbs.store.kinds import Purpose
from kbs.store.repository import Repository
from tests.kbs.conftest import NOON, PATH, SECRET, Bench
from tests.kbs.databases import Postgres
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.test_release import NEWER_FIRMWARE
from tests.kbs.twin import TwinGuest, TwinRefused

on_postgresql = pytest.mark.parametrize("kind", ["postgresql"])
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"])


def attested(bench: Bench) -> TwinGuest:
    guest = bench.guest()
    guest.auth()
    guest.attest()
    return guest


def refused(guest: TwinGuest) -> TwinRefused:
    with pytest.raises(TwinRefused) as refusal:
        guest.resource(PATH)
    assert (refusal.value.status, refusal.value.kind) == (503, "InternalError")
    return refusal.value


# -- full ----------------------------------------------------------------------------------------------


@on_sqlite
def test_full_disk_releases_nothing_without_its_row(acme: Bench) -> None:
    guest = attested(acme)
    ((pages,),) = acme.sql("PRAGMA page_count")

    def full(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    engine = acme.store._database._engine  # type: ignore[attr-defined]
    event.listen(engine, "connect", full)
    answers = 0
    with pytest.raises(TwinRefused) as refusal:
        for _ in range(100):  # what is left of the last pages
            assert guest.resource(PATH) == SECRET
            answers += 1
    assert (refusal.value.status, refusal.value.kind) == (503, "InternalError")
    assert "database" in refusal.value.detail
    event.remove(engine, "connect", full)
    assert len(acme.rows("released") + acme.rows("repeat")) == answers
    assert acme.administration.record.proof(()).faults == ()
    assert guest.resource(PATH) == SECRET


FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"""


@on_postgresql
@pytest.mark.parametrize(
    "trigger",
    [
        "CREATE TRIGGER full_disk BEFORE INSERT ON audit EXECUTE FUNCTION full_disk()",
        "CREATE CONSTRAINT TRIGGER full_disk AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION full_disk()",
    ],
    ids=["at the row", "at the commit"],
)
def test_full_server_releases_nothing_without_its_row(
    acme: Bench, trigger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    guest = attested(acme)
    acme.sql(FULL)
    acme.sql(trigger)
    refused(guest)
    assert acme.rows("released") == []
    assert "could not extend file" in capsys.readouterr().out  # the operator reads why
    acme.sql("DROP TRIGGER full_disk ON audit")
    assert guest.resource(PATH) == SECRET


# -- lost ----------------------------------------------------------------------------------------------


@on_sqlite
def test_lost_file_releases_nothing_and_is_not_made_anew(acme: Bench, tmp_path: Path) -> None:
    guest = attested(acme)
    files = [tmp_path / f"broker.db{suffix}" for suffix in ("", "-wal", "-shm")]
    kept = [file.rename(file.with_name(f"kept-{file.name}")) for file in files if file.exists()]
    refused(guest)
    with pytest.raises(TwinRefused, match="database"):
        acme.guest().auth()
    assert acme.admin("GET", "owners").status_code == 503
    assert not files[0].exists()
    for file in kept:
        file.rename(file.with_name(file.name.removeprefix("kept-")))
    assert guest.resource(PATH) == SECRET


def shut(postgres: Postgres, name: str, open_again: bool = False) -> None:
    postgres.do(f"ALTER DATABASE {{}} WITH ALLOW_CONNECTIONS {'true' if open_again else 'false'}", name)
    postgres.do(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@on_postgresql
def test_lost_server_releases_nothing_and_strands_nobody(acme: Bench, postgres: Postgres) -> None:
    guest = attested(acme)
    assert isinstance(acme.address, PostgresServer)
    shut(postgres, acme.address.database)
    refused(guest)
    with pytest.raises(TwinRefused, match="database"):
        acme.guest().auth()
    assert acme.admin("GET", "owners").status_code == 503
    shut(postgres, acme.address.database, open_again=True)
    assert guest.resource(PATH) == SECRET
    assert len(acme.rows("released")) == 1


@on_postgresql
def test_server_that_was_restarted_costs_no_guest_its_request(acme: Bench, postgres: Postgres) -> None:
    guest = attested(acme)
    assert isinstance(acme.address, PostgresServer)
    shut(postgres, acme.address.database)
    shut(postgres, acme.address.database, open_again=True)
    assert guest.resource(PATH) == SECRET


@on_postgresql
def test_connection_that_breaks_before_the_commit_releases_nothing(
    acme: Bench, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = attested(acme)
    append = AuditRows.append

    def then_break(rows: AuditRows, content: Any) -> Any:
        row = append(rows, content)
        pid = rows._connection.execute(sql("SELECT pg_backend_pid()")).scalar_one()
        postgres.do(f"SELECT pg_terminate_backend({pid}, 5000)")
        return row

    monkeypatch.setattr(AuditRows, "append", then_break)
    refused(guest)
    monkeypatch.undo()
    assert acme.rows("released") == []
    assert guest.resource(PATH) == SECRET


# -- busy ----------------------------------------------------------------------------------------------


def hurried(bench: Bench, **bounds: int) -> Store:
    """A store on the same database that waits a second only."""
    store = Store.open(replace(bench.address, wait_seconds=1, **bounds))  # type: ignore[arg-type]
    bench.opened.append(store)
    return store


def while_held(store: Store, purpose: Purpose, act: Callable[[], None]) -> None:
    """Run `act` while another thread is in a transaction of `store`."""
    held, done = threading.Event(), threading.Event()

    def hold(_connection: Any) -> None:
        held.set()
        assert done.wait(20)

    thread = threading.Thread(target=whole, args=(store._database, purpose, hold))
    thread.start()
    assert held.wait(20)
    try:
        act()
    finally:
        done.set()
        thread.join()


def test_writer_that_waits_too_long_gives_up(bench: Bench) -> None:
    store = hurried(bench)

    def act() -> None:
        with pytest.raises(Unavailable, match=r"locked|lock timeout"):
            store.write(lambda tx: tx.registry.add_owner("late", NOON))
        assert store.read(lambda tx: tx.registry.owners()) == [], "who reads waits for nobody"

    while_held(bench.store, Purpose.WRITE, act)
    store.write(lambda tx: tx.registry.add_owner("late", NOON))


@on_postgresql
def test_connections_are_bounded_by_the_configuration(bench: Bench) -> None:
    store = hurried(bench, connections=1)

    def act() -> None:
        with pytest.raises(Unavailable, match="every connection"):
            store.read(lambda tx: tx.registry.owners())

    while_held(store, Purpose.READ, act)
    assert store.read(lambda tx: tx.registry.owners()) == []


@on_postgresql
def test_statement_that_takes_too_long_is_ended(bench: Bench) -> None:
    store = hurried(bench, statement_seconds=1)
    with pytest.raises(Unavailable, match="statement timeout"):
        whole(
            store._database, Purpose.READ, lambda connection: connection.execute(sql("SELECT pg_sleep(20)"))
        )


def test_writers_queue_and_none_is_sent_back(bench: Bench) -> None:
    """Each moves the trail's head: one that waited for the head itself would find it changed."""
    tries = []

    def act(tx: Repository) -> None:
        tries.append(tx.audit.head())
        time.sleep(0.01)
        tx.audit.append({"event": "x", "at": instant(NOON)})

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(bench.store.write, act) for _ in range(24)]:
            done.result()
    assert [head.number for head in tries] == list(range(24))
    assert bench.administration.record.proof(()).faults == ()


def test_what_is_committed_is_on_the_disk(bench: Bench, kind: str) -> None:
    """Whatever the server's own settings say."""
    if kind == "sqlite":
        pragmas = {"synchronous": 2, "journal_mode": "wal", "foreign_keys": 1, "secure_delete": 1}
        assert {name: bench.sql(f"PRAGMA {name}")[0][0] for name in pragmas} == pragmas
        return
    assert isinstance(bench.address, PostgresServer)
    bench.sql(f"ALTER DATABASE {bench.address.database} SET synchronous_commit = off")
    assert bench.sql("SHOW synchronous_commit") == [("on",)]


# -- sent back -----------------------------------------------------------------------------------------


@on_postgresql
def test_act_that_the_database_sends_back_runs_again_on_what_is_true_now(acme: Bench) -> None:
    """Somebody writes past the broker, and does not queue."""
    seen = []

    def act(tx: Repository) -> None:
        owner = tx.registry.owner("acme")
        assert owner is not None
        seen.append(owner.enabled)
        if len(seen) == 1:
            acme.sql("UPDATE owners SET enabled = false")
        tx.registry.enable_owner("acme", True)

    acme.store.write(act)
    assert seen == [True, False]
    assert acme.administration.owners()[0].enabled


@on_postgresql
def test_tries_are_bounded(acme: Bench) -> None:
    tries = []

    def act(tx: Repository) -> None:
        tries.append(tx.registry.owner("acme"))
        acme.sql("UPDATE owners SET created = created + 1")
        tx.registry.enable_owner("acme", False)

    with pytest.raises(Unavailable, match="begin again"):
        acme.store.write(act)
    assert len(tries) == 8
    assert acme.administration.owners()[0].enabled


@on_postgresql
@pytest.mark.parametrize("meanwhile", ["nothing", "policy tightened", "secret rotated"])
def test_release_that_is_sent_back_is_decided_on_what_is_true_now(
    acme: Bench, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    guest = attested(acme)
    append = AuditRows.append
    sent: list[Any] = []

    def sent_back_once(rows: AuditRows, content: Any) -> Any:
        row = append(rows, content)
        if content["event"] == "released" and not sent:
            sent.append(row)
            raise Again("somebody else was first")
        return row

    def tried_again(seconds: float) -> None:
        if meanwhile == "policy tightened":
            acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
        elif meanwhile == "secret rotated":
            acme.secret("acme", value=b"rotated")

    monkeypatch.setattr(AuditRows, "append", sent_back_once)
    monkeypatch.setattr("kbs.store.database.time.sleep", tried_again)
    if meanwhile == "policy tightened":
        with pytest.raises(TwinRefused) as refusal:
            guest.resource(PATH)
        assert (refusal.value.status, refusal.value.kind) == (403, "PolicyDeny")
    else:
        assert guest.resource(PATH) == (SECRET if meanwhile == "nothing" else b"rotated")
    assert sent
    versions = {"nothing": [1], "policy tightened": [], "secret rotated": [2]}[meanwhile]
    assert [row["version"] for row in acme.rows("released")] == versions
