"""The bytes of a wrapped key: one form for one value, and rows of before there were ids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbs.keys import KeyStoreError, Wrapped
from kbs.keys.wrapped import FIRST_FILE, read, write

IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=255)


@given(IDS, st.binary(min_size=60, max_size=300))
def test_what_is_written_is_read(key_id: str, box: bytes) -> None:
    assert read(write(Wrapped(key_id, box))) == Wrapped(key_id, box)


@given(st.binary(max_size=400) | st.binary(max_size=400).map(lambda tail: b"KEK1" + tail))
def test_any_bytes_are_a_wrapped_key_or_a_typed_error(raw: bytes) -> None:
    try:
        wrapped = read(raw)
    except KeyStoreError:
        return
    if wrapped.key_id != FIRST_FILE or len(raw) != 60:
        assert write(wrapped) == raw


@given(IDS, st.binary(min_size=60, max_size=100), st.data())
def test_one_changed_byte_is_another_wrapped_key_or_a_typed_error(
    key_id: str, box: bytes, data: st.DataObject
) -> None:
    raw = bytearray(write(Wrapped(key_id, box)))
    place = data.draw(st.integers(0, 5 + len(key_id)))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        wrapped = read(bytes(raw))
    except KeyStoreError:
        return
    assert write(wrapped) == bytes(raw)


@given(st.binary(min_size=60, max_size=60))
def test_sixty_bytes_are_a_row_without_an_id(raw: bytes) -> None:
    assert read(raw) == Wrapped(FIRST_FILE, raw)
    assert len(write(Wrapped("x", raw))) > 60


@pytest.mark.parametrize(("key_id", "size"), [("", 60), ("x" * 256, 60), ("ü", 60), ("x", 59)])
def test_what_could_not_be_read_again_is_not_written(key_id: str, size: int) -> None:
    with pytest.raises(ValueError):
        write(Wrapped(key_id, bytes(size)))
