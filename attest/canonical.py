"""RFC 8785 canonical JSON and a strict JSON reader; no second way to do either."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import rfc8785

from attest.problems import malformed

MAX_DEPTH = 24


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a tree of maps, lists, strings, booleans, integers and None."""
    return rfc8785.dumps(value)


def read_json(text: bytes | str, *, where: str, limit: int = 16 << 20) -> Any:
    """Parse JSON strictly: UTF-8, no duplicate keys, no NaN, bounded size and depth.

    Raises Malformed, naming `where`.
    """
    if len(text) > limit:
        raise malformed("The JSON is too large", where=where, expected=f"≤ {limit} bytes", found=len(text))
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise malformed("The JSON is not UTF-8", where=f"{where}+{error.start}") from None
    _check_depth(text, where)

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise malformed("A JSON object repeats a key", where=where)
        return members

    def no_constant(name: str) -> NoReturn:
        raise malformed("JSON has no such number", where=where, found=name)

    try:
        return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constant)
    except json.JSONDecodeError as error:
        raise malformed(f"Not JSON: {error.msg}", where=f"{where}:{error.lineno}:{error.colno}") from None
    except (ValueError, RecursionError):
        raise malformed("Not JSON that can be read", where=where) from None


def _check_depth(text: str, where: str) -> None:
    depth = deepest = 0
    in_string = escaped = False
    for char in text if len(text) < 4096 else _structure(text):
        if in_string:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                in_string = False
        elif char == '"':
            in_string = True
        elif char in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise malformed(
            "JSON is nested too deeply", where=where, expected=f"≤ {MAX_DEPTH} levels", found=deepest
        )


def _structure(text: str) -> str:
    """Only the characters that matter for nesting, found at C speed."""
    import re

    return "".join(re.findall(r'\\.|["\[\]{}]', text, re.DOTALL))
