"""Protocol Buffers' text format, as check policies are written in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.policy.interchange.textproto import Field, read_textproto
from tests.counts import tenth


def plain(fields: tuple[Field, ...]) -> list[tuple[str, Any]]:
    return [(one.name, plain(one.value) if isinstance(one.value, tuple) else one.value) for one in fields]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a: 'x' \"\\x41\"", [("a", b"xA")]),
        (b"a: [1, 0x10]", [("a", 1), ("a", 16)]),
        (b"a: []", []),
        (b"a <b: true>", [("a", [("b", "true")])]),
        (b"a: {b: 010; c: -1,}", [("a", [("b", 8), ("c", -1)])]),
        (b"a: [{b: 1}, <b: 2>]", [("a", [("b", 1)]), ("a", [("b", 2)])]),
        (b"a: '\\101\\n\\'\\\\'", [("a", b"A\n'\\")]),
        (b"# nothing\n", []),
        (b"a: UNKNOWN # an enumerator", [("a", "UNKNOWN")]),
    ],
)
def test_what_is_read(data: bytes, found: list[tuple[str, Any]]) -> None:
    assert plain(read_textproto(data)) == found


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\na 1", 2),
        (b"\na: [1 2]", 2),
        (b"\na: [1,]", 2),
        (b"\na: [,1]", 2),
        (b"\na: '\n'", 2),
        (b"\na: '\\400'", 2),
        (b"\na: 09", 2),
        (b"\na: 1.5", 2),
        (b"\na: 1" + b"0" * 30, 2),
        (b"\na {", 2),
        (b"\n}", 2),
        (b"\n1: 2", 2),
        (b"\n" + b"a {" * 20, 2),
        (b"\n" + b"a: 1 " * 6_000, 2),
        (b"\n\xff", 2),
        (b"a: '" + b"x" * (300 << 10) + b"'", 1),
    ],
)
def test_what_is_refused(data: bytes, line: int) -> None:
    with pytest.raises(Malformed) as refusal:
        read_textproto(data)
    assert refusal.value.problems[0].where == f"line {line}"


@given(value=st.binary(max_size=60), quote=st.sampled_from("'\""), hexadecimal=st.booleans())
@settings(max_examples=tenth(1_000), deadline=None)
def test_octets_come_back(value: bytes, quote: str, hexadecimal: bool) -> None:
    written = "".join(f"\\x{byte:02x}" if hexadecimal else f"\\{byte:03o}" for byte in value)
    assert plain(read_textproto(f"a: {quote}{written}{quote}".encode())) == [("a", value)]


@given(
    data=st.binary(max_size=200) | st.text(alphabet="abc:{}<>[]'\"\\x01 \n#;,-", max_size=80).map(str.encode)
)
@settings(max_examples=tenth(3_000), deadline=None)
def test_any_bytes_are_read_or_refused_with_a_line(data: bytes) -> None:
    try:
        read_textproto(data)
    except Malformed as error:
        where = error.problems[0].where
        assert where is not None
        assert 1 <= int(where.removeprefix("line ")) <= data.count(b"\n") + 1
