"""The kinds of measurement values that rules are made of (draft-ietf-rats-corim-11 §5.1.4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from attest.policy.interchange.corim.comid import DIGESTS, MASK, RANGE, RAW, SVN, VERSION, Measurement
from attest.policy.interchange.corim.items import Item, broken

SHA384 = (7, "sha-384")
"""In IANA's registry of named information: its number, and its name."""
_SVN, _MIN_SVN, _BYTES, _MASKED, _INTERVAL = 552, 553, 560, 563, 564


class Svn(NamedTuple):
    """minimum: this or more; else exactly this."""

    number: int
    minimum: bool


class Masked(NamedTuple):
    """mask: the bits that are compared."""

    value: bytes
    mask: bytes

    @property
    def whole(self) -> bool:
        return all(byte == 0xFF for byte in self.mask)


def svn(found: Measurement) -> Svn | None:
    """None where the measurement has none. Raises Malformed (`corim.malformed`), as all of these do."""
    item = found.values.pop(SVN, None)
    if item is None:
        return None
    if item.tag is None:
        return Svn(item.number(), minimum=False)
    return Svn(item.inner(_SVN, _MIN_SVN).number(), minimum=item.tag == _MIN_SVN)


def digests(item: Item) -> Mapping[int | str, bytes]:
    """Of one object, by algorithm; each algorithm once."""
    found: dict[int | str, bytes] = {}
    for one in item.items():
        algorithm, value = one.items(least=2, most=2)
        name = algorithm.number() if algorithm.is_number() else algorithm.text()
        if name in found:
            broken(one.path, "each algorithm once", name)
        found[name] = value.octets()
    return found


def sha384(item: Item) -> bytes | None:
    """The one digest that a register of 48 bytes can be compared with."""
    found = [value for name, value in digests(item).items() if name in SHA384]
    if len(found) > 1:
        broken(item.path, "each algorithm once", "sha-384 by number and by name")
    return found[0] if found else None


def digest(found: Measurement) -> bytes | None:
    item = found.values.get(DIGESTS)
    value = sha384(item) if item is not None else None
    if value is not None:
        found.values.pop(DIGESTS)
    return value


def raw(found: Measurement) -> Masked | None:
    """The mask is in the value, or beside it as before draft 08; without one every bit counts."""
    item, mask = found.values.pop(RAW, None), found.values.pop(MASK, None)
    if item is None:
        if mask is not None:
            broken(mask.path, "a raw-value beside it", "none")
        return None
    return masked(item, mask)


def masked(item: Item, mask: Item | None = None) -> Masked:
    if item.tag == _MASKED:
        if mask is not None:
            broken(mask.path, "one mask", "two")
        value, mask = item.inner(_MASKED).items(least=2, most=2)
    else:
        value = item.inner(_BYTES) if item.tag is not None else item
    if mask is not None and mask.tag is not None:
        mask = mask.inner(_BYTES)
    bits = mask.octets() if mask is not None else b"\xff" * len(value.octets())
    if len(bits) != len(value.octets()):
        broken(item.path, "a mask as long as the value", f"{len(bits)} bytes for {len(value.octets())}")
    return Masked(value.octets(), bits)


def version(found: Measurement) -> str | None:
    item = found.values.pop(VERSION, None)
    if item is None:
        return None
    return item.members({0: "version", 1: "version-scheme"}, needs=(0,))[0].text()


def integer(found: Measurement) -> tuple[int | None, int | None] | None:
    """Least and most; None for an end that is open."""
    item = found.values.pop(RANGE, None)
    return None if item is None else interval(item)


def interval(item: Item) -> tuple[int | None, int | None]:
    if item.tag is None:
        number = item.number(least=-(1 << 63))
        return number, number
    ends = item.inner(_INTERVAL).items(least=2, most=2)
    least, most = (None if end.value is None else end.number(least=-(1 << 63)) for end in ends)
    if least is not None and most is not None and least > most:
        broken(item.path, "an interval", f"{least} to {most}")
    return least, most
