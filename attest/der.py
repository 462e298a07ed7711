"""A strict reader of DER: definite minimal lengths, no indefinite form, nothing after the value.

`cryptography` decodes certificates but hands private extensions out as bytes; this walks those bytes
(ITU-T X.690, distinguished encoding). It reads structure and the few primitive types vendors use, and
refuses everything a second encoder might have written otherwise.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from attest.problems import malformed

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED, UTF8_STRING = 1, 2, 3, 4, 5, 6, 10, 12
SEQUENCE, SET = 0x30, 0x31
MAX_DEPTH = 16
MAX_LENGTH = 1 << 20


class Tlv(NamedTuple):
    """One element: its tag byte (class and constructed bit included), content, and tag with length as
    encoded."""

    tag: int
    content: bytes
    head: bytes
    where: str
    depth: int = 0

    @property
    def encoded(self) -> bytes:
        """The complete encoding."""
        return self.head + self.content

    def children(self) -> list[Tlv]:
        """The elements inside, whatever the tag: also for a string that wraps DER. Raises Malformed."""
        return _walk(self.content, self.where, self.depth + 1)

    def sequence(self) -> list[Tlv]:
        """The elements of a SEQUENCE. Raises Malformed for any other tag."""
        if self.tag != SEQUENCE:
            self.expect(SEQUENCE)
        return _walk(self.content, self.where, self.depth + 1)

    def expect(self, tag: int) -> Tlv:
        """Itself when it has this tag. Raises Malformed otherwise."""
        if self.tag != tag:
            _refuse(self.where, f"tag {tag:#04x}", f"tag {self.tag:#04x}")
        return self

    def context(self, number: int, *, constructed: bool) -> Tlv:
        """Itself when it carries the context tag [number]. Raises Malformed otherwise."""
        return self.expect(0x80 | (0x20 if constructed else 0) | number)

    def octets(self, length: int | None = None) -> bytes:
        """The bytes of an OCTET STRING, of exactly `length` bytes when given. Raises Malformed."""
        content = self.expect(OCTET_STRING).content
        if length is not None and len(content) != length:
            _refuse(self.where, f"{length} bytes", f"{len(content)} bytes")
        return content

    def integer(self, tag: int = INTEGER) -> int:
        """The value of a minimal INTEGER (or ENUMERATED, by `tag`). Raises Malformed."""
        content = self.expect(tag).content
        if not content:
            _refuse(self.where, "an integer", "no bytes")
        if len(content) > 1 and content[0] in (0, 0xFF) and (content[0] ^ content[1]) < 0x80:
            _refuse(self.where, "the shortest integer", content.hex())
        return int.from_bytes(content, "big", signed=True)

    def unsigned(self, maximum: int) -> int:
        """An INTEGER from 0 to `maximum`. Raises Malformed."""
        value = self.integer()
        if not 0 <= value <= maximum:
            _refuse(self.where, f"0..{maximum}", str(value))
        return value

    def enumerated(self) -> int:
        return self.integer(ENUMERATED)

    def boolean(self) -> bool:
        """DER knows FF and 00 only. Raises Malformed."""
        content = self.expect(BOOLEAN).content
        if content not in (b"\0", b"\xff"):
            _refuse(self.where, "00 or ff", content.hex())
        return content == b"\xff"

    def oid(self) -> str:
        """The dotted text of an OBJECT IDENTIFIER. Raises Malformed."""
        content = self.expect(OID).content
        if not content or len(content) > 64 or content[-1] & 0x80:
            _refuse(self.where, "an object identifier", content[:64].hex())
        arcs: list[int] = []
        value, fresh = 0, True
        for byte in content:
            if fresh and byte == 0x80:
                _refuse(self.where, "the shortest object identifier", content.hex())
            value = value << 7 | byte & 0x7F
            fresh = not byte & 0x80
            if fresh:
                arcs.append(value)
                value = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def read_der(data: bytes, *, where: str) -> Tlv:
    """The one element that fills `data` exactly.

    Elements inside are read when asked for (`children`, `sequence`), to a depth of 16. where: the field
    named in a refusal. Raises Malformed.
    """
    elements = _walk(data, where, 0)
    if len(elements) != 1:
        _refuse(where, "one DER element", f"{len(elements)} elements")
    return elements[0]


def _walk(data: bytes, where: str, depth: int) -> list[Tlv]:
    if depth > MAX_DEPTH:
        _refuse(where, f"at most {MAX_DEPTH} levels", "more")
    if len(data) > MAX_LENGTH:
        _refuse(where, f"at most {MAX_LENGTH} bytes", f"{len(data)} bytes")
    found = []
    at, end = 0, len(data)
    while at < end:
        start = at
        tag = data[at]
        if tag & 0x1F == 0x1F:
            _refuse(where, "a one-byte tag", f"tag {tag:#04x} at {start}")
        if tag == 0:
            _refuse(where, "a tag", f"tag 0x00 at {start}")
        if at + 2 > end:
            _refuse(where, "tag and length", f"end of data at {end}")
        length = data[at + 1]
        at += 2
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or at + count > end:
                _refuse(where, "a definite length", f"{length:#04x} at {start + 1}")
            length = int.from_bytes(data[at : at + count], "big")
            if data[at] == 0 or length < 0x80:
                _refuse(where, "the shortest length", f"{data[at : at + count].hex()} at {at}")
            at += count
        if length > end - at:
            _refuse(where, f"{length} bytes of content", f"{end - at} bytes")
        found.append(Tlv(tag, data[at : at + length], data[start:at], where, depth))
        at += length
    return found


def _refuse(where: str, expected: str, found: str) -> NoReturn:
    raise malformed("DER is not as the standard writes it", where=where, expected=expected, found=found)
