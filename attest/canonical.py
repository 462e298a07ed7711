"""RFC 8785 canonical JSON and a strict JSON reader; no second way to do either."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

import rfc8785

from attest.claims import thaw
from attest.problems import malformed
from attest.untrusted import Untrusted

MAX_DEPTH = 24
MAX_VALUES = 300_000
"""Each value costs some hundred bytes of memory, however few bytes of text it took."""

_SAFE = 2**53 - 1
_WRITER = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a tree of maps, lists, strings, booleans, integers and None, frozen or not."""
    tree = thaw(value)
    if _is_plain(tree):
        # Of text in ASCII without numbers that have two spellings, the interpreter's own writer writes the same, and
        # faster: keys in ASCII sort alike by code point and by UTF-16 unit (RFC 8785 §3.2.3).
        text = _WRITER.encode(tree)
        if text.isascii():
            return text.encode("ascii")
    return rfc8785.dumps(tree)


def _is_plain(tree: Any) -> bool:
    """Whether nothing is in it but maps by text, lists, text, small integers, booleans and None."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        kind = type(value)
        if kind is dict:
            if any(type(key) is not str for key in value):
                return False
            waiting.extend(value.values())
        elif kind is list:
            waiting.extend(value)
        elif kind is int:
            if not -_SAFE <= value <= _SAFE:
                return False
        elif kind is not str and kind is not Untrusted and kind is not bool and value is not None:
            return False
    return True


def refuse_floats(value: Any) -> None:
    """ValueError where a tree holds a float: writers of JSON spell them differently, and 1.0 is hashed as 1
    (T-CANON). For what somebody else wrote and hashes too."""
    if isinstance(value, float):
        raise ValueError("no float has one spelling that all writers of JSON agree on")
    if isinstance(value, Mapping):
        for member in value.values():
            refuse_floats(member)
    elif isinstance(value, (list, tuple)):
        for member in value:
            refuse_floats(member)


def read_json(text: bytes | str, *, where: str, limit: int = 16 << 20) -> Any:
    """Parse JSON strictly: UTF-8, no duplicate keys, no NaN, no lone surrogates, bounded size, depth and
    number of values.

    Raises Malformed, naming `where`.
    """
    if len(text) > limit:
        raise malformed("The JSON is too large", where=where, expected=f"≤ {limit} bytes", found=len(text))
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise malformed("The JSON is not UTF-8", where=f"{where}+{error.start}") from None
    if sum(map(text.count, ",[]{}")) > MAX_VALUES:
        raise malformed("The JSON holds too many values", where=where, expected=f"≤ {MAX_VALUES}")
    _check_depth(text, where)

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise malformed("A JSON object repeats a key", where=where)
        return members

    def no_constant(name: str) -> NoReturn:
        raise malformed("JSON has no such number", where=where, found=name)

    try:
        value = json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise malformed(f"Not JSON: {error.msg}", where=f"{where}:{error.lineno}:{error.colno}") from None
    except (ValueError, RecursionError):
        raise malformed("Not JSON that can be read", where=where) from None
    if _MAYBE_SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            # It has no UTF-8 form, so no canonical one, and nothing could be hashed over it (RFC 7493 §2.1).
            raise malformed("The JSON holds text that is not Unicode", where=where) from None
    return value


def _check_depth(text: str, where: str) -> None:
    depth = deepest = 0
    # Strings are taken out at C speed; what is left of a long text is short, or was refused above.
    for char in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        if char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    if deepest > MAX_DEPTH:
        raise malformed(
            "JSON is nested too deeply", where=where, expected=f"≤ {MAX_DEPTH} levels", found=deepest
        )
