"""A CBOR item with the path that leads to it, and what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from cbor2 import CBORTag

from attest.cbor import Unreadable, decode
from attest.errors import Malformed
from attest.problems import PROBLEMS, malformed

_URI, _OID, _UUID, _TIME = 32, 111, 37, 1
TAGS = frozenset(
    {_TIME, _URI, _UUID, _OID, *range(500, 509), *range(550, 565), 570, 571, 600, 601, 602, 32780, 60010, 60020, 60021}
)  # fmt: skip
"""Those of CoRIM, and of the profiles that are read: PSA's (600 to 602) stand in CoRIMs of mixed machines."""
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)


def opened(data: bytes, path: str, *, tags: frozenset[int] = TAGS) -> Item:
    """The item that `data` encodes. Raises Malformed (`corim.malformed`)."""
    try:
        return Item(decode(data, tags=tags), path)
    except Unreadable as error:
        where = path if error.at is None else f"{path}, offset {error.at}"
        broken(where, error.expected, error.found)


def broken(path: str, expected: str, found: object) -> NoReturn:
    raise refused("corim.malformed", path, expected, found)


def refused(code: str, path: str, expected: object, found: object, message: str | None = None) -> Malformed:
    return malformed(message or PROBLEMS[code].message, where=path, expected=expected, found=found, code=code)


@dataclass(frozen=True, slots=True)
class Item:
    """value: as `attest.cbor.decode` gives it. path: names of the draft and indices, from `corim` on."""

    value: Any
    path: str

    def at(self, name: str, value: Any) -> Item:
        return Item(value, f"{self.path}.{name}")

    def members(
        self, names: Mapping[int, str], *, needs: tuple[int, ...] = (), closed: bool = True
    ) -> dict[int | str | bytes, Item]:
        """Members of a map, by their key. names: the draft's. closed: no other key may stand in it."""
        if not isinstance(self.value, Mapping):
            broken(self.path, "a map", shape(self.value))
        found = {}
        for key, value in self.value.items():
            known = names.get(key) if isinstance(key, int) else None
            if known is None and closed:
                broken(self.path, "only " + ", ".join(names.values()), f"key {key!r}"[:80])
            found[key] = self.at(known or (key.hex() if isinstance(key, bytes) else str(key)), value)
        for key in needs:
            if key not in found:
                broken(self.path, f"{names[key]} in it", "none")
        return found

    def items(self, *, least: int = 1, most: int | None = None) -> list[Item]:
        if not isinstance(self.value, (list, tuple)):
            broken(self.path, "a list", shape(self.value))
        count = len(self.value)
        if count < least or (most is not None and count > most):
            broken(self.path, f"a list of {least}{' and more' if most is None else f' to {most}'}", count)
        return [Item(value, f"{self.path}[{index}]") for index, value in enumerate(self.value)]

    @property
    def tag(self) -> int | None:
        return self.value.tag if isinstance(self.value, CBORTag) else None

    def inner(self, *tags: int) -> Item:
        """What one of these tags is put on."""
        if self.tag not in tags:
            broken(self.path, f"tag {' or '.join(map(str, tags))}", shape(self.value))
        return Item(self.value.value, self.path)

    def is_number(self) -> bool:
        return isinstance(self.value, int) and not isinstance(self.value, bool)

    def number(self, *, least: int = 0, most: int = (1 << 64) - 1) -> int:
        if not self.is_number() or not least <= self.value <= most:
            broken(self.path, f"a whole number from {least} to {most}", shape(self.value))
        return int(self.value)

    def text(self) -> str:
        if not isinstance(self.value, str):
            broken(self.path, "a text", shape(self.value))
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            broken(self.path, "true or false", shape(self.value))
        return self.value

    def octets(self, *sizes: int) -> bytes:
        if not isinstance(self.value, bytes) or (sizes and len(self.value) not in sizes):
            wanted = f"{' or '.join(map(str, sizes))} bytes" if sizes else "bytes"
            broken(self.path, wanted, shape(self.value))
        return self.value

    def uri(self) -> str:
        """With its tag 32, or bare as older producers write it."""
        return (self.inner(_URI) if self.tag is not None else self).text()

    def oid(self) -> str:
        """Dotted; bare, as RFC 9090 has it, or with the tag and length of DER, as AMD's profile writes it."""
        raw = self.inner(_OID).octets()
        if raw[:1] == b"\x06" and len(raw) > 2 and raw[1] == len(raw) - 2:
            raw = raw[2:]
        if not 0 < len(raw) <= 64 or raw[-1] & 0x80:
            broken(self.path, "an object identifier", raw.hex()[:80])
        arcs, value = [], 0
        for byte in raw:
            if value == 0 and byte == 0x80:
                broken(self.path, "an object identifier in its shortest spelling", raw.hex())
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                arcs.append(value)
                value = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))

    def name(self) -> str:
        """An identifier as a tag or a CoRIM has one: text, or the 16 bytes of a UUID."""
        if isinstance(self.value, str) and self.value:
            return self.value
        raw = (self.inner(_UUID) if self.tag is not None else self).octets(16).hex()
        return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))

    def time(self) -> datetime:
        """Tag 1 over seconds since 1970."""
        return self.inner(_TIME).seconds()

    def seconds(self) -> datetime:
        most = int((_LAST - _FIRST).total_seconds())
        return datetime.fromtimestamp(self.number(most=most), UTC)


def shape(value: Any) -> str:
    """What an item is, in a few words."""
    if isinstance(value, CBORTag):
        return f"tag {value.tag}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, str):
        return f'"{value[:60]}"'
    return "a map" if isinstance(value, Mapping) else f"a list of {len(value)}"
