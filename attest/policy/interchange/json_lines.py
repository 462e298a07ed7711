"""Strict JSON with the line of every value: `read_json` says what stands there, the tokens say where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from attest.canonical import MAX_DEPTH, canonical, read_json
from attest.errors import Malformed
from attest.problems import malformed

MAX_BYTES = 256 << 10

_TOKEN = re.compile(
    r"""(?P<line>\n)|(?P<text>"(?:[^"\\]|\\.)*+")|(?P<mark>[{}\[\]:,])|(?P<word>[^\s{}\[\]:,"]+)""", re.DOTALL
)
_NO_NUMBER = frozenset({"NaN", "Infinity", "-Infinity"})
_MAX_DIGITS = 4_000
"""Python reads no number much longer."""


@dataclass(frozen=True, slots=True)
class Located:
    """value: a text, number, truth value or None; of maps and lists their Located members. line: of a member
    that of its key."""

    line: int
    value: Any

    def members(self, what: str) -> dict[str, Located]:
        """Raises Malformed unless this is an object."""
        if not isinstance(self.value, dict):
            raise wrong(self.line, f"{what} is not an object")
        return self.value

    def items(self, what: str) -> list[Located]:
        """Raises Malformed unless this is a list, and one that holds something."""
        if not isinstance(self.value, list):
            raise wrong(self.line, f"{what} is not a list")
        if not self.value:
            raise wrong(self.line, f"{what} is an empty list")
        return self.value

    def text(self, what: str) -> str:
        """Raises Malformed unless this is a text."""
        if not isinstance(self.value, str):
            raise wrong(self.line, f"{what} is not a text")
        return self.value


def wrong(line: int | None, message: str) -> Malformed:
    """line: None where what is absent is wrong."""
    where = "" if line is None else f"line {line}"
    return malformed(f"{where}: {message}" if where else message, where=where, code="policy.import")


def read_located(data: bytes) -> Located:
    """Raises Malformed with the line: larger than 256 KiB, not strict JSON, a key twice, nested too deep."""
    try:
        value = read_json(data, where="", limit=MAX_BYTES)
    except Malformed as error:
        _refuse(data, error)
    tokens = _tokens(data.decode("utf-8-sig"))
    return _located(value, tokens, *next(tokens))


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line = 1
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "line":
            line += 1
        else:
            yield match[0], line


def _located(value: Any, tokens: Iterator[tuple[str, int]], mark: str, line: int) -> Located:
    """The value that `mark` begins. The text is known to be JSON: punctuation stands where it must."""
    if mark == "{":
        members = {}
        for key, member in value.items():
            _, at = next(tokens)
            next(tokens)
            found = _located(member, tokens, next(tokens)[0], at)
            members[key] = found
            next(tokens)
        if not members:
            next(tokens)
        return Located(line, members)
    if mark == "[":
        items = []
        for item in value:
            items.append(_located(item, tokens, *next(tokens)))
            next(tokens)
        if not items:
            next(tokens)
        return Located(line, items)
    return Located(line, value)


def _refuse(data: bytes, error: Malformed) -> NoReturn:
    """The same refusal with its line."""
    (problem,) = error.problems
    where = problem.where or ""
    if len(data) > MAX_BYTES:
        line = data.count(b"\n", 0, MAX_BYTES) + 1
    elif where.startswith(":"):
        line = int(where.split(":")[1])
    elif where.startswith("+"):
        line = data.count(b"\n", 0, int(where[1:])) + 1
    else:
        line = _faulty(data.decode("utf-8-sig"))
    wanted = "" if problem.expected is None else f", wanted {problem.expected}"
    found = "" if problem.found is None else f", found {problem.found}"
    raise wrong(line, f"{problem.message}{wanted}{found}") from None


def _faulty(text: str) -> int:
    """The line of the first key that stands twice, bracket too deep, number or text that is none; else the last."""
    keys: list[set[str]] = []
    before, line = "", 1
    for word, line in _tokens(text):
        if word in ("{", "["):
            keys.append(set())
            if len(keys) > MAX_DEPTH:
                return line
        elif word in ("}", "]") and keys:
            keys.pop()
        elif word == ":" and keys:
            if before in keys[-1]:
                return line
            keys[-1].add(before)
        elif word in _NO_NUMBER or (len(word) > _MAX_DIGITS and word[0] != '"'):
            return line
        elif "\\u" in word:
            try:
                word = canonical(read_json(word, where="")).decode()
            except Malformed:
                return line
        before = word
    return line
