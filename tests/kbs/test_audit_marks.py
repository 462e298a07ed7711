"""What is asked about one session or secret costs what that one did, however long the trail; nothing leaves it unseen."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from kbs.record_administration import Search
from kbs.store.address import SqliteFile
from tests.kbs.conftest import PATH, SNP_POLICY, Bench


@contextmanager
def plans(bench: Bench) -> Iterator[list[str]]:
    """How the database came by every row of the trail that was read meanwhile."""
    asked: list[tuple[str, Any]] = []
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        newest = "number DESC" in statement  # the clock's question, of one row
        if "FROM audit" in statement.replace("FROM audit_head", "") and not newest:
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert isinstance(bench.address, SqliteFile)
    with sqlite3.connect(bench.address.path) as database:
        for statement, parameters in asked:
            found += [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    database.close()


def by_session(bench: Bench, session: str) -> int:
    return len(bench.administration.foresight.why(session, None, every=False))


def by_path(bench: Bench, _session: str) -> int:
    return len(bench.administration.record.search(Search(path=PATH), 0, 100)[0])


def dry_run(bench: Bench, _session: str) -> int:
    return bench.administration.foresight.dry_run("acme", "acme/*", SNP_POLICY, 7).decisions


def over_http(bench: Bench, session: str) -> int:
    return len(bench.admin("GET", f"why/{session}").json()["decisions"])


def search(bench: Bench, session: str) -> int:
    return len(bench.administration.record.search(Search(session=session), 0, 100)[0])


@pytest.mark.parametrize(
    ("act", "rows"), [(by_session, 2), (over_http, 2), (search, 2), (by_path, 2), (dry_run, 1)]
)
def test_t_dos_what_is_asked_about_one_of_many_reads_no_others(
    acme: Bench, act: Callable[[Bench, str], int], rows: int
) -> None:
    acme.guest().boot(PATH)
    (released,) = acme.rows("released")
    with plans(acme) as steps:
        assert act(acme, released["session"]) == rows
    looked = [step for step in steps if "ix_audit_session" in step or "ix_audit_path" in step]
    assert looked, steps
    assert not [step for step in steps if step.startswith("SCAN")], steps


def test_a_dry_run_reads_no_decision_from_before_its_days(acme: Bench) -> None:
    acme.guest().boot(PATH)
    acme.owner("other", path="other/*")
    acme.sql("UPDATE audit SET body = 'no JSON' WHERE path = :path", path=PATH)
    acme.clock.pass_seconds(8 * 24 * 3600)
    assert acme.administration.foresight.dry_run("acme", "acme/*", SNP_POLICY, 7).decisions == 0


@pytest.mark.parametrize("change", ["session = NULL", "path = 'acme/key/other'", "at = 1", "reason = 'ab'"])
def test_t_audit_a_row_that_was_taken_out_of_sight_by_its_marks_is_found(acme: Bench, change: str) -> None:
    acme.guest().boot(PATH)
    assert acme.admin("GET", "audit/verify").json()["faults"] == []
    (number,) = (row["number"] for row in acme.rows("released"))
    acme.sql(f"UPDATE audit SET {change} WHERE number = {number}")
    (fault,) = acme.admin("GET", "audit/verify").json()["faults"]
    assert fault == f"row {number} is kept under marks that are not its own: changed"


def test_a_search_goes_on_where_it_ended(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    for _ in range(3):
        guest.resource(PATH)
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        rows, after = acme.administration.record.search(Search(path=PATH), after, 2)
        found += [row.number for row in rows]
    assert found == [row["number"] for row in acme.rows() if row.get("resource") == PATH]
    back: list[int] = []
    before: int | None = None
    while not back or before is not None:
        rows, before = acme.administration.record.search_back(Search(path=PATH), before, 2)
        back += [row.number for row in rows]
    assert back == found[::-1]
