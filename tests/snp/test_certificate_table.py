"""The host's certificate table: read strictly, nothing in it believed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.snp.certificate_table import NAMES, read_certificate_table
from tests.collect.kernel import certificate_table

GUIDS = {name: guid for guid, name in NAMES.items()}
GOOGLE = "ecae0c0f-9502-43b1-afa2-0ae2e0d565b6"


def test_known_entries_by_name_and_a_clouds_own_left_out() -> None:
    table = certificate_table({GUIDS["vcek"]: b"leaf", GOOGLE: b"12345678", GUIDS["ask"]: b"between"})
    assert read_certificate_table(table.ljust(0x2000, b"\0")) == {"vcek": b"leaf", "ask": b"between"}


def test_guids_are_in_the_order_of_their_text() -> None:
    table = certificate_table({GUIDS["vlek"]: b"leaf"})
    assert table[:4] == bytes.fromhex("a8074bc2")
    assert read_certificate_table(table) == {"vlek": b"leaf"}


@pytest.mark.parametrize("empty", [b"", bytes(24), bytes(0x4000)])
def test_no_table(empty: bytes) -> None:
    assert read_certificate_table(empty) == {}


def row(offset: int, length: int) -> bytes:
    guid = bytes.fromhex(GUIDS["vcek"].replace("-", ""))
    return guid + offset.to_bytes(4, "little") + length.to_bytes(4, "little")


@pytest.mark.parametrize(
    "table",
    [
        row(48, 4),
        row(48, 4) + bytes(23),
        row(0, 4) + bytes(24) + b"leaf",
        row(47, 4) + bytes(24) + b"leaf",
        row(48, 5) + bytes(24) + b"leaf",
        row(0xFFFFFFFF, 4) + bytes(24) + b"leaf",
        row(48, 0xFFFFFFFF) + bytes(24) + b"leaf",
        row(48, (16 << 10) + 1) + bytes(24) + bytes(20 << 10),
        row(72, 4) + row(72, 4) + bytes(24) + b"leaf",
        row(48, 4) + bytes(24) + bytes(33 << 10),
        b"\x01" * 24 * 40,
    ],
)
def test_a_table_that_points_elsewhere_is_malformed(table: bytes) -> None:
    with pytest.raises(Malformed):
        read_certificate_table(table)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_malformed(table: bytes) -> None:
    with contextlib.suppress(Malformed):
        read_certificate_table(table)
