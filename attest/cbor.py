"""CBOR: others' read strictly, ours written in its one form.

cbor2 does the reading. What it lets pass is refused before it sees the bytes: lengths left open, numbers longer
than they need be, floating point, whatever follows the item, and keys of a map that are no number and no string (a
stranger could choose them so that all hash alike). Tags keep their number and mean nothing here: cbor2 would make
dates, patterns and shared objects of some.
Source: RFC 8949 §3, §4.1 (preferred serialization), §4.2.1 (deterministic encoding), §5.3.1 (validity).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any, NoReturn

MAX_DEPTH = 16
MAX_ITEMS = 250_000
"""Of one item, itself and all within it."""
_NUMBER, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG, _SIMPLE = range(8)
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
"""What an argument of 1, 2, 4 and 8 bytes must reach, or a shorter one would do."""
_CONSTANTS = (20, 21, 22)
"""false, true, null."""


class Unreadable(ValueError):
    """Not CBOR as it is read here. at: offset, None where it is not known; expected, found: short text."""

    def __init__(self, at: int | None, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.at, self.expected, self.found = at, expected, found


def encode(value: Any) -> bytes:
    """The deterministic encoding (RFC 8949 §4.2.1)."""
    import cbor2

    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, *, tags: Collection[int] = (), max_depth: int = MAX_DEPTH) -> Any:
    """The one item that `data` is: numbers, bytes, text, lists or tuples, maps in their order, CBORTag.

    tags: those that may stand in it. max_depth: lists, maps and tags within another. Maps may be in any order; no
    key stands twice. Raises Unreadable.
    """
    import cbor2

    known = frozenset(tags)
    _walk(data, known, max_depth)
    try:
        return cbor2.loads(
            data,
            semantic_decoders=_kept(known),
            allow_duplicate_keys=False,
            allow_indefinite=False,
            max_depth=max_depth + 1,
        )
    except cbor2.CBORDecodeError as error:
        raise Unreadable(None, "each key of a map once", str(error).rpartition(": ")[2]) from None


@cache
def _kept(tags: frozenset[int]) -> dict[int, Any]:
    from cbor2 import CBORTag

    def kept(number: int) -> Any:
        return lambda value, immutable: CBORTag(number, value)

    return {number: kept(number) for number in tags}


def _walk(data: bytes, tags: frozenset[int], max_depth: int) -> None:
    """Every head of the item, without a value being made of any."""
    at = items = 0
    # Items left in each list, map and tag that is open, and whether it is a map: there every other one is a key.
    open_: list[tuple[int, bool]] = []
    left, in_map = 1, False
    end = len(data)
    while True:
        if not left:
            if not open_:
                break
            left, in_map = open_.pop()
            continue
        if items == MAX_ITEMS:
            _refuse(at, f"≤ {MAX_ITEMS} items", "more")
        items += 1
        start = at
        kind, argument, at = _head(data, start)
        if in_map and left % 2 == 0 and kind not in (_NUMBER, _NEGATIVE, _BYTES, _TEXT):
            _refuse(start, "a number or a string as the key of a map", f"0x{data[start]:02x}")
        left -= 1
        if kind in (_BYTES, _TEXT):
            if argument > end - at:
                _refuse(start, f"a string of {argument} bytes", f"{end - at}")
            if kind == _TEXT:
                _utf8(data[at : at + argument], at)
            at += argument
        elif kind in (_LIST, _MAP, _TAG):
            if kind == _TAG and argument not in tags:
                _refuse(start, "a tag that is known here", str(argument))
            if len(open_) == max_depth:
                _refuse(start, f"≤ {max_depth} levels", "more")
            open_.append((left, in_map))
            left, in_map = (1, False) if kind == _TAG else (argument << (kind == _MAP), kind == _MAP)
    if at != end:
        _refuse(at, "one item and nothing behind it", f"{end - at} bytes more")


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Kind and argument of the head at `at`, and where it ends."""
    if at >= len(data):
        _refuse(at, "an item", "the end")
    kind, short = data[at] >> 5, data[at] & 31
    if kind == _SIMPLE:
        if short not in _CONSTANTS:
            _refuse(at, "a number, a string, a list, a map, a tag, true, false or null", f"0x{data[at]:02x}")
        return kind, short, at + 1
    if short < 24:
        return kind, short, at + 1
    if short > 27:
        _refuse(at, "a length", "one left open" if short == 31 else f"0x{data[at]:02x}")
    width = 1 << short - 24
    raw = data[at + 1 : at + 1 + width]
    argument = int.from_bytes(raw, "big")
    if len(raw) != width:
        _refuse(at, f"a number of {width} bytes", f"{len(raw)}")
    if argument < _LEAST[short]:
        _refuse(at, "the shortest spelling of a number or length", data[at : at + 1 + width].hex())
    return kind, argument, at + 1 + width


def _utf8(text: bytes, at: int) -> None:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(at + error.start, "UTF-8", f"0x{text[error.start]:02x}")


def _refuse(at: int, expected: str, found: str) -> NoReturn:
    raise Unreadable(at, expected, found)
