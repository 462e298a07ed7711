"""Protocol Buffers' text format, as far as policy files use it: scalars, repeated scalars, messages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from attest.policy.interchange.json_lines import wrong

MAX_BYTES = 256 << 10
MAX_FIELDS = 1_000
_MAX_DEPTH = 8

_TOKEN = re.compile(
    r"""[ \t\r\f\v]+|(?P<comment>\#[^\n]*)|(?P<line>\n)"""
    r"""|(?P<text>"(?:[^"\\\n]|\\.)*+"|'(?:[^'\\\n]|\\.)*+')"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>-?(?:0[xX][0-9a-fA-F]+|[0-9]+)(?![0-9A-Za-z_.]))"""
    r"""|(?P<mark>[:{}<>\[\],;])"""
)
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|([abfnrtv\\'\"?])|(.?))", re.DOTALL)
_SIMPLE = dict(zip(b"abfnrtv\\'\"?", b"\a\b\f\n\r\t\v\\'\"?", strict=True))


@dataclass(frozen=True, slots=True)
class Field:
    """value: a number, bytes of a quoted text, a word (true, an enumerator), or a message's fields."""

    name: str
    line: int
    value: int | bytes | str | tuple[Field, ...]


def read_textproto(data: bytes) -> tuple[Field, ...]:
    """Raises Malformed: larger than 256 KiB, not text format, an unknown escape, nested deeper than 8."""
    if len(data) > MAX_BYTES:
        raise wrong(1, f"larger than {MAX_BYTES >> 10} KiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise wrong(data.count(b"\n", 0, error.start) + 1, "not UTF-8") from None
    return _Reader(text).message(None)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        self._at = self._fields = 0
        line, at = 1, 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise wrong(line, "not protobuf text format")
            at = match.end()
            if match.lastgroup == "line":
                line += 1
            elif match.lastgroup not in (None, "comment"):
                self._tokens.append((str(match.lastgroup), match[0], line))
        self._tokens.append(("end", "", line))

    def _next(self) -> tuple[str, str, int]:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _take(self, mark: str) -> bool:
        if self._tokens[self._at][:2] != ("mark", mark):
            return False
        self._at += 1
        return True

    def message(self, end: str | None, depth: int = 0) -> tuple[Field, ...]:
        fields: list[Field] = []
        while True:
            kind, text, line = self._next()
            if (kind == "end" and end is None) or (kind == "mark" and text == end):
                return tuple(fields)
            if kind != "word":
                raise wrong(line, "wanted the name of a field")
            colon = self._take(":")
            if self._take("["):
                before = len(fields)
                while not self._take("]"):
                    if len(fields) > before and not self._take(","):
                        raise wrong(self._tokens[self._at][2], "wanted , or ]")
                    fields.append(self._value(text, line, depth))
            else:
                message = self._tokens[self._at][1] in ("{", "<")
                if not colon and not message:
                    raise wrong(line, f"wanted : behind {text}")
                fields.append(self._value(text, line, depth))
            self._fields += 1
            if self._fields > MAX_FIELDS or len(fields) > MAX_FIELDS:
                raise wrong(line, f"more than {MAX_FIELDS} fields")
            if not self._take(","):
                self._take(";")

    def _value(self, name: str, line: int, depth: int) -> Field:
        kind, text, place = self._next()
        if kind == "mark" and text in ("{", "<"):
            if depth >= _MAX_DEPTH:
                raise wrong(place, f"nested deeper than {_MAX_DEPTH} levels")
            return Field(name, line, self.message("}" if text == "{" else ">", depth + 1))
        if kind == "number":
            digits = text.removeprefix("-")
            if len(digits) > 20:
                raise wrong(place, "a number of more than 64 bits")
            octal = digits.startswith("0") and digits.isdigit() and len(digits) > 1
            try:
                number = int(text, 8 if octal else 0)
            except ValueError:
                raise wrong(place, f"no number: {text}") from None
            return Field(name, line, number)
        if kind == "text":
            joined = _unescape(text, place)
            while self._tokens[self._at][0] == "text":
                _, more, place = self._next()
                joined += _unescape(more, place)
            return Field(name, line, joined)
        if kind == "word":
            return Field(name, line, text)
        raise wrong(place, f"wanted a value of {name}")


def _unescape(text: str, line: int) -> bytes:
    def one(match: re.Match[bytes]) -> bytes:
        octal, hexadecimal, simple, _ = match.groups()
        number = int(octal, 8) if octal else int(hexadecimal, 16) if hexadecimal else None
        if number is None:
            if not simple:
                raise wrong(line, "an unknown escape in a text")
            number = _SIMPLE[simple[0]]
        if number > 255:
            raise wrong(line, "an escape above 255")
        return bytes([number])

    return _ESCAPE.sub(one, text[1:-1].encode())


def once(fields: tuple[Field, ...], repeated: frozenset[str] = frozenset()) -> None:
    """Raises Malformed where a field that is not repeated stands twice: parsers differ in which one counts."""
    seen: set[str] = set()
    for one in fields:
        if one.name in seen and one.name not in repeated:
            raise wrong(one.line, f"{one.name} stands twice")
        seen.add(one.name)


def number(one: Field, limit: int = 1 << 64) -> int:
    """Raises Malformed unless the field is a whole number from 0 to below `limit`."""
    if not isinstance(one.value, int) or not 0 <= one.value < limit:
        raise wrong(one.line, f"{one.name} is no whole number below {limit}")
    return one.value


def flag(one: Field) -> bool:
    """Raises Malformed unless the field is true or false."""
    if one.value in ("true", "True", "t") or one.value == 1:
        return True
    if one.value in ("false", "False", "f") or one.value == 0:
        return False
    raise wrong(one.line, f"{one.name} is neither true nor false")


def octets(one: Field, *sizes: int) -> bytes:
    """Raises Malformed unless the field is a text of one of the sizes; without sizes any."""
    if not isinstance(one.value, bytes) or (sizes and len(one.value) not in sizes):
        raise wrong(one.line, f"{one.name} is no text of {' or '.join(map(str, sizes)) or 'any'} bytes")
    return one.value


def message(one: Field) -> tuple[Field, ...]:
    """Raises Malformed unless the field is a message."""
    if not isinstance(one.value, tuple):
        raise wrong(one.line, f"{one.name} is no message")
    return one.value


__all__ = ["Field", "flag", "message", "number", "octets", "once", "read_textproto"]
