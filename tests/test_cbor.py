"""CBOR of others is read strictly: each laxness of the library is refused by a check of its own."""

from __future__ import annotations

import time
from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import cbor

TAGS = frozenset({1, 37, 501})


def refusal(data: bytes, **options: Any) -> cbor.Unreadable:
    with pytest.raises(cbor.Unreadable) as refused:
        cbor.decode(data, tags=TAGS, **options)
    return refused.value


def test_items_are_what_they_are() -> None:
    value = {1: [True, None, -1, "é", b"\xff"], "a": {}, -(1 << 63): 1 << 63}
    assert cbor.decode(cbor2.dumps(value)) == value


def test_a_tag_keeps_its_number_and_means_nothing() -> None:
    assert cbor.decode(cbor2.dumps(CBORTag(1, 5)), tags=TAGS) == CBORTag(1, 5)
    assert cbor.decode(cbor2.dumps(CBORTag(37, bytes(16))), tags=TAGS) == CBORTag(37, bytes(16))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("", "an item"),
        ("00 00", "one item and nothing behind it"),
        ("18", "a number of 1 bytes"),
        ("19 01", "a number of 2 bytes"),
        ("18 17", "the shortest spelling"),
        ("19 00ff", "the shortest spelling"),
        ("1a 0000ffff", "the shortest spelling"),
        ("1b 00000000ffffffff", "the shortest spelling"),
        ("58 01 00", "the shortest spelling"),
        ("1c", "a length"),
        ("9f 01 ff", "a length"),
        ("bf ff", "a length"),
        ("5f 41 00 ff", "a length"),
        ("42 00", "a string of 2 bytes"),
        ("5b ffffffffffffffff", "a string of"),
        ("82 00", "an item"),
        ("9b ffffffffffffffff", "an item"),
        ("61 ff", "UTF-8"),
        ("f9 0000", "a number, a string"),
        ("fb 7ff8000000000000", "a number, a string"),
        ("f7", "a number, a string"),
        ("e0", "a number, a string"),
        ("f8 ff", "a number, a string"),
        ("a1 80 00", "as the key of a map"),
        ("a1 c1 00 00", "as the key of a map"),
        ("a1 f5 00", "as the key of a map"),
        ("a2 01 00 01 00", "each key of a map once"),
        ("a2 6161 00 6161 01", "each key of a map once"),
        ("a1 01 a2 01 00 01 00", "each key of a map once"),
        ("c2 41 01", "a tag that is known here"),
        ("d8 1c 80", "a tag that is known here"),
    ],
)
def test_one_laxness_each(data: str, expected: str) -> None:
    assert expected in refusal(bytes.fromhex(data)).expected


def test_the_place_is_told() -> None:
    assert refusal(bytes.fromhex("82 00 f7")).at == 2


def test_keys_of_different_kinds_are_different() -> None:
    assert cbor.decode(bytes.fromhex("a2 01 00 6131 01")) == {1: 0, "1": 1}


@pytest.mark.parametrize("head", [b"\x81", b"\xc1"])
def test_depth_is_bounded(head: bytes) -> None:
    assert cbor.decode(head * 16 + b"\x00", tags=TAGS)
    assert "levels" in refusal(head * 17 + b"\x00").expected
    assert "levels" in refusal(head * 1_000_000).expected


def test_the_number_of_items_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cbor, "MAX_ITEMS", 5)
    assert cbor.decode(bytes.fromhex("84 00 00 00 00"))
    assert "items" in refusal(bytes.fromhex("85 00 00 00 00 00")).expected


def test_hostile_keys_cost_nothing() -> None:
    """Keys that are lists could all be given one hash; they are refused before anybody hashes one."""
    data = b"\xba" + (100_000).to_bytes(4, "big") + b"\x82\x00\x00\x00" * 100_000
    begun = time.perf_counter()
    refusal(data)
    assert time.perf_counter() - begun < 0.2


VALUES = st.recursive(
    st.integers(-(1 << 64), (1 << 64) - 1) | st.booleans() | st.none() | st.binary(max_size=9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.integers(-9, 9) | st.text(max_size=3), inner, max_size=4)
    | inner.map(lambda value: CBORTag(501, value)),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_the_library_writes_is_read(value: Any) -> None:
    data = cbor2.dumps(value)
    again = cbor.decode(data, tags=TAGS, max_depth=40)
    assert cbor2.dumps(again) == data
    assert cbor.encode(again) == cbor.encode(value)


@settings(max_examples=500, deadline=None)
@given(VALUES, st.data())
def test_damaged_bytes_are_refused_or_read_as_they_are(value: Any, data: st.DataObject) -> None:
    raw = bytearray(cbor2.dumps(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.integers(0, 255))
    try:
        read = cbor.decode(bytes(raw), tags=TAGS, max_depth=40)
    except cbor.Unreadable:
        return
    assert cbor2.dumps(read) == bytes(raw), "one value has one spelling"


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_an_item_or_refused(raw: bytes) -> None:
    try:
        assert cbor2.dumps(cbor.decode(raw, tags=TAGS)) == raw
    except cbor.Unreadable as error:
        assert error.expected
