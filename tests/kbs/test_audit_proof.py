"""What a trail proves beside what was kept outside: every change of a small one, with and without witnesses (T-TAIL)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from attest import Malformed, Rejected
from attest.canonical import canonical
from attest.dsse import KINDS, Kind, TrustedKey, TrustedKeys, key_id, seal_envelope
from kbs.audit import GENESIS, AuditRow, Head, link, next_row
from kbs.audit_proof import Proof, Witness, examine
from kbs.checkpoint import Checkpoint, read_checkpoint
from kbs.export import line, rows_of
from tests.kbs.conftest import NOON

COUNT = 6


def trail(*contents: str) -> list[AuditRow]:
    rows: list[AuditRow] = []
    head = Head(0, GENESIS)
    for content in contents:
        row = next_row(head, {"event": content})
        rows.append(row)
        head = Head(row.number, row.hash)
    return rows


TRAIL = trail(*"abcdef")
HEADS = [Head(row.number, row.hash) for row in TRAIL]


def seen(number: int) -> Witness:
    return Witness(HEADS[number - 1], f"receipt {number}")


def chained(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """Rewritten so that the chain holds again: what somebody does who has the database."""
    again: list[AuditRow] = []
    head = Head(0, GENESIS)
    for row in rows:
        content = {name: value for name, value in row.content.items() if name != "number"}
        again.append(next_row(head, content))
        head = Head(again[-1].number, again[-1].hash)
    return again


def proof(rows: Sequence[AuditRow], *witnesses: Witness) -> Proof:
    head = Head(rows[-1].number, rows[-1].hash) if rows else Head(0, GENESIS)
    return examine(rows, head, witnesses)


def test_a_whole_trail_says_from_which_row_on_nothing_is_proved() -> None:
    assert "Nothing outside was compared" in proof(TRAIL).sentence
    assert (
        "Up to row 4 they are as they were seen from outside; from row 5 on"
        in proof(TRAIL, seen(2), seen(4)).sentence
    )
    assert "all of them as they were seen" in proof(TRAIL, seen(6), seen(1)).sentence
    assert proof([]).sentence == "whole: no rows"
    assert [proof(TRAIL, seen(number)).proved for number in range(1, 7)] == [1, 2, 3, 4, 5, 6]


CHANGES: dict[str, Callable[[int], list[AuditRow]]] = {
    "changed": lambda at: [
        AuditRow(row.number, canonical({"event": "x", "number": row.number}), row.hash)
        if row.number == at
        else row
        for row in TRAIL
    ],
    "removed": lambda at: [row for row in TRAIL if row.number != at],
    "moved": lambda at: [*TRAIL[: at - 1], *TRAIL[at:], TRAIL[at - 1]],
    "doubled": lambda at: [*TRAIL[:at], TRAIL[at - 1], *TRAIL[at:]],
}


@pytest.mark.parametrize("at", range(1, COUNT))
@pytest.mark.parametrize("change", CHANGES)
def test_t_audit_a_row_that_was_touched_is_found_by_the_chain_alone(change: str, at: int) -> None:
    assert proof(CHANGES[change](at)).faults


@pytest.mark.parametrize("at", range(1, COUNT))
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("number", range(COUNT + 1))
def test_from_which_row_on_nothing_is_proved_is_said_of_a_trail_that_is_not_whole(
    change: str, at: int, number: int
) -> None:
    found = proof(CHANGES[change](at), *([seen(number)] if number else []))
    first = at + 1 if change == "doubled" else at
    proved = number if number < first else 0
    assert found.proved == proved
    assert found.sentence.startswith("NOT WHOLE: ")
    said = (
        f"from row {proved + 1} on nothing is proved" if proved else "From row 1 on nothing outside proves it"
    )
    assert said in found.sentence


@pytest.mark.parametrize("at", range(1, COUNT + 1))
@pytest.mark.parametrize("change", ["changed", "removed"])
def test_t_tail_a_trail_that_was_rewritten_under_a_new_head_is_found_by_witnesses(
    change: str, at: int
) -> None:
    if change == "changed":
        contents = [*"abcdef"]
        contents[at - 1] = "x"
        rows = trail(*contents)
    else:
        rows = chained([row for row in TRAIL if row.number != at])
    assert proof(rows).faults == (), "the chain holds again"
    for number in range(1, COUNT + 1):
        found = proof(rows, seen(number))
        # A witness of a row before the change sees nothing; every other does, and says which row.
        assert bool(found.faults) is (number >= at)
        if number < at:
            assert f"row {number + 1} " in found.sentence
            assert "nothing outside" in found.sentence
        for before in range(1, number):
            both = proof(rows, seen(before), seen(number))
            assert both.proved == (number if number < at else before if before < at else 0)


@pytest.mark.parametrize("kept", range(COUNT))
def test_t_tail_a_tail_that_was_cut_is_found_by_witnesses_of_it(kept: int) -> None:
    rows = TRAIL[:kept]
    assert proof(rows).faults == ()
    for number in range(1, COUNT + 1):
        found = proof(rows, seen(number))
        assert bool(found.faults) is (number > kept)
        if found.faults:
            assert f"the trail ends at row {kept}: it was cut" in found.faults[0]
        if number > kept > 0:
            assert (
                f"from row {kept + 1} on nothing is proved" in proof(rows, seen(kept), seen(number)).sentence
            )


def test_a_head_that_says_more_than_the_rows_ends_what_is_proved_there() -> None:
    found = examine(TRAIL[:4], HEADS[5], [seen(4)])
    assert len(found.faults) == 1
    assert found.proved == 4
    assert examine(TRAIL[:4], Head(4, bytes(32)), [seen(4)]).proved == 4


def test_two_witnesses_of_one_row_are_both_asked() -> None:
    forged = Witness(Head(3, bytes(32)), "checkpoint of yesterday")
    found = proof(TRAIL, seen(3), forged)
    assert len(found.faults) == 1
    assert "checkpoint of yesterday" in found.faults[0]


def test_an_export_is_read_as_it_was_written() -> None:
    lines = [line({"hash": row.hash.hex(), "row": row.content}) for row in TRAIL]
    assert list(rows_of(lines)) == TRAIL
    assert examine(rows_of(lines), None, [seen(6)]).faults == ()
    assert examine(rows_of(lines[:-1]), None, ()).faults == ()
    assert examine(rows_of(lines[:-1]), None, [seen(6)]).faults


@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_lines_are_an_export_or_a_typed_error(lines: list[bytes]) -> None:
    if not lines:
        assert list(rows_of(lines)) == []
        return
    with pytest.raises(Malformed) as refusal:
        list(rows_of(lines))
    assert refusal.value.codes == {"kbs.export.malformed"}


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"hash": "00" * 32},
        {"hash": "00" * 31, "row": {"number": 1}},
        {"hash": "zz" * 32, "row": {"number": 1}},
        {"hash": 5, "row": {"number": 1}},
        {"hash": "00" * 32, "row": {"number": True}},
        {"hash": "00" * 32, "row": {"number": "1"}},
        {"hash": "00" * 32, "row": []},
        {"hash": "00" * 32, "row": {"number": 1}, "more": 1},
    ],
)
def test_a_line_of_another_form_is_refused(entry: Any) -> None:
    with pytest.raises(Malformed, match="line 1"):
        list(rows_of([canonical(entry)]))


@given(st.integers(1, 10**19 - 1), st.binary(min_size=32, max_size=32))
def test_a_receipt_is_read_as_it_was_written(number: int, digest: bytes) -> None:
    assert Head.parse(str(Head(number, digest))) == Head(number, digest)


HEX = "ab" * 32


@given(
    st.text(max_size=90)
    | st.from_regex(r"[0-9 +_-]{1,24}:[0-9a-fA-F ]{62,66}", fullmatch=True)
    | st.sampled_from(
        [f"0:{HEX}", f"01:{HEX}", f"1:{HEX.upper()}", f"1:{HEX}\n", f"1:{'ab ' * 21}a", "9" * 5000]
    )
)
def test_any_text_is_a_receipt_of_the_one_form_or_refused(text: str) -> None:
    try:
        head = Head.parse(text)
    except ValueError as error:
        assert "NUMBER:HASH" in str(error)
    else:
        assert str(head) == text


# -- checkpoints ------------------------------------------------------------------------------------

KEY = ed25519.Ed25519PrivateKey.generate()
CHECKPOINT = Checkpoint("ab" * 16, HEADS[3], NOON, 2)


def trusted(key: ed25519.Ed25519PrivateKey = KEY, kind: Kind = "checkpoint") -> TrustedKeys:
    public = key.public_key()
    return TrustedKeys([TrustedKey(kind, public, key_id(public))])


def test_a_checkpoint_is_read_as_it_was_signed() -> None:
    assert read_checkpoint(CHECKPOINT.sign(KEY), trusted()) == CHECKPOINT


def test_t_sigtype_a_checkpoint_is_believed_by_its_key_and_kind_alone() -> None:
    with pytest.raises(Rejected):
        read_checkpoint(CHECKPOINT.sign(KEY), trusted(ed25519.Ed25519PrivateKey.generate()))
    document = CHECKPOINT.sign(KEY)
    payload = canonical(
        {"at": "2040-01-01T00:00:00Z", "broker": "ab" * 16, "epoch": "0", "hash": "00" * 32, "number": "1"}
    )
    assert read_checkpoint(seal_envelope("checkpoint", payload, KEY), trusted())
    for kind in KINDS:
        if kind != "checkpoint":
            with pytest.raises(Rejected):
                read_checkpoint(seal_envelope(kind, payload, KEY), trusted())
            with pytest.raises(Rejected):
                read_checkpoint(document, trusted(kind=kind))


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


MEMBERS = {"at": "2040-01-01T00:00:00Z", "broker": "ab" * 16, "epoch": "0", "hash": "00" * 32, "number": "1"}


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("value", ["", "x", "-1", "00", 5, None, [], "AB" * 32])
def test_every_member_of_a_checkpoint_has_one_form(name: str, value: Any) -> None:
    for changed in ({**MEMBERS, name: value}, {key: one for key, one in MEMBERS.items() if key != name}):
        with pytest.raises(Malformed):
            read_checkpoint(seal_envelope("checkpoint", canonical(changed), KEY), trusted())
    with pytest.raises(Malformed):
        read_checkpoint(seal_envelope("checkpoint", canonical({**MEMBERS, "more": "x"}), KEY), trusted())


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_a_checkpoint_or_a_typed_error(document: bytes) -> None:
    with pytest.raises((Malformed, Rejected)):
        read_checkpoint(document, trusted())


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(max_size=9), st.lists).map(_json)
)
def test_anything_that_was_signed_as_a_checkpoint_is_one_or_a_typed_error(payload: bytes) -> None:
    with pytest.raises(Malformed):
        read_checkpoint(seal_envelope("checkpoint", payload, KEY), trusted())


@given(st.integers(1, 10**19 - 1), st.binary(min_size=32, max_size=32), st.integers(0, 10**19 - 1))
def test_every_checkpoint_is_read_as_it_was_signed(number: int, digest: bytes, epoch: int) -> None:
    made = Checkpoint("0f" * 16, Head(number, digest), NOON, epoch)
    assert read_checkpoint(made.sign(KEY), trusted()) == made


@given(st.integers(0, 600), st.integers(1, 255))
def test_a_checkpoint_with_any_byte_changed_is_no_other_checkpoint(place: int, flip: int) -> None:
    document = bytearray(CHECKPOINT.sign(KEY))
    document[place % len(document)] ^= flip
    with suppress(Malformed, Rejected):
        assert read_checkpoint(bytes(document), trusted()) == CHECKPOINT


def test_links_of_the_small_trail_are_those_of_the_chain() -> None:
    assert all(after.hash == link(before.hash, after.body) for before, after in pairwise(TRAIL))
