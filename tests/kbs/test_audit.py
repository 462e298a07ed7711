"""The trail: every way to falsify it that the chain shows, and the one it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbs.audit import GENESIS, AuditRow, Head, faults, link, next_row
from kbs.record_administration import Search
from tests.kbs.conftest import PATH, SNP_POLICY, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture


def trail(count: int) -> tuple[list[AuditRow], Head]:
    rows, head = [], Head(0, GENESIS)
    for number in range(count):
        row = next_row(head, {"event": "x", "about": str(number)})
        rows.append(row)
        head = Head(row.number, row.hash)
    return rows, head


@given(st.integers(0, 9))
def test_whole_trail_has_no_fault(count: int) -> None:
    rows, head = trail(count)
    assert faults(rows, head) == []


@given(st.integers(0, 5), st.integers(0, 200), st.integers(1, 255))
def test_any_changed_byte_is_found(which: int, place: int, flip: int) -> None:
    rows, head = trail(6)
    body = bytearray(rows[which].body)
    body[place % len(body)] ^= flip
    rows[which] = replace(rows[which], body=bytes(body))
    assert faults(rows, head)


@pytest.mark.parametrize("which", range(6))
def test_removed_row_is_found(which: int) -> None:
    rows, head = trail(6)
    del rows[which]
    assert faults(rows, head)


def test_moved_rows_are_found() -> None:
    rows, head = trail(6)
    rows[2], rows[3] = rows[3], rows[2]
    assert faults(rows, head)
    renumbered = [replace(row, number=index + 1) for index, row in enumerate(rows)]
    assert faults(renumbered, head)


def test_added_row_is_found() -> None:
    rows, head = trail(3)
    rows.append(next_row(head, {"event": "forged"}))
    assert faults(rows, head)


def test_changed_row_with_its_hash_made_anew_is_found() -> None:
    rows, head = trail(4)
    body = rows[1].body.replace(b'"x"', b'"y"')
    rows[1] = AuditRow(2, body, link(rows[0].hash, body))
    assert faults(rows, head)


def test_trail_rewritten_from_a_row_on_is_found_by_a_head_kept_elsewhere() -> None:
    """The stored head would be rewritten too: without the kept one this goes unseen (T-TAIL)."""
    rows, kept = trail(4)
    forged, head = trail(1)
    for about in ("other", "other", "other"):
        row = next_row(head, {"event": about})
        forged.append(row)
        head = Head(row.number, row.hash)
    assert faults(forged, head) == []
    assert faults(forged, kept)
    assert faults(rows[:2], kept)


def test_database_row_that_was_changed_is_found(acme: Bench) -> None:
    acme.guest().boot(PATH)
    assert acme.administration.record.proof(()).faults == ()
    ((body,),) = acme.sql("SELECT body FROM audit WHERE number = 3")
    forged = body.replace(b"acme/key/model", b"acme/key/other")
    assert forged != body
    acme.sql("UPDATE audit SET body = :forged WHERE number = 3", forged=forged)
    assert acme.administration.record.proof(()).faults
    answer = acme.admin("GET", "audit/verify").json()
    assert answer["faults"]


def test_every_act_leaves_its_row(acme: Bench) -> None:
    acme.guest().boot(PATH)
    events = [row["event"] for row in acme.rows()]
    assert events == ["owner-added", "rule-put", "secret-put", "attested", "released"]
    assert all(row["number"] == index + 1 for index, row in enumerate(acme.rows()))


def test_rows_hold_no_secret(acme: Bench) -> None:
    acme.secret("acme", path="acme/key/pin", value=b"1234")
    import hashlib

    text = str(acme.rows())
    assert "1234'" not in text
    assert hashlib.sha256(b"1234").hexdigest() not in text


def test_rows_are_found_by_what_they_are_about_and_by_nothing_that_none_can_have(acme: Bench) -> None:
    acme.guest().boot(PATH)
    (released,) = acme.rows("released")
    assert len(acme.administration.foresight.why(released["session"], None, every=False)) == 2
    assert acme.administration.foresight.dry_run("acme", "acme/*", SNP_POLICY, 7).decisions == 1
    search = acme.administration.record.search
    assert [row.content for row in search(Search(path=PATH), 0, 10)[0]][-1] == released
    for wanted in (Search(path="a\0b"), Search(session="\0"), Search(session="ab"), Search(path="ä" * 401)):
        assert search(wanted, 0, 10) == ([], None)
