"""Strict readers of single members of Intel's JSON documents: one type, one length, one range."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attest.claims import instant
from attest.errors import Malformed
from attest.problems import malformed

MAX_ITEMS = 256


class Members:
    """A JSON object whose members are asked for by name and type; anything else raises Malformed.

    Unknown members are passed over: Intel adds some without a new version.
    """

    __slots__ = ("_members", "_where")

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, Mapping):
            raise _wrong(where, "an object", value)
        self._members = value
        self._where = where

    def _get(self, name: str) -> Any:
        if name not in self._members:
            raise _wrong(f"{self._where}.{name}", "the member", None)
        return self._members[name]

    def has(self, name: str) -> bool:
        return name in self._members

    def fixed(self, name: str, wanted: str | int) -> None:
        """The one value this verifier knows."""
        value = self._get(name)
        if type(value) is not type(wanted) or value != wanted:
            raise _wrong(f"{self._where}.{name}", str(wanted), value)

    def text(self, name: str, limit: int = 64) -> str:
        value = self._get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= limit:
            raise _wrong(f"{self._where}.{name}", f"text of 1 to {limit} characters", value)
        return value

    def bytes_(self, name: str, size: int) -> bytes:
        """`size` bytes as hex of any case."""
        value = self._get(name)
        # fromhex alone would skip white space.
        if isinstance(value, str) and len(value) == 2 * size and value.isalnum():
            try:
                return bytes.fromhex(value)
            except ValueError:
                pass
        raise _wrong(f"{self._where}.{name}", f"{size} bytes of hex", value)

    def number(self, name: str, maximum: int) -> int:
        value = self._get(name)
        if type(value) is not int or not 0 <= value <= maximum:
            raise _wrong(f"{self._where}.{name}", f"0..{maximum}", value)
        return value

    def instant(self, name: str) -> datetime:
        """RFC 3339 in UTC, whole seconds, `Z`."""
        value = self._get(name)
        if isinstance(value, str) and len(value) == 20 and value[10] == "T" and value.endswith("Z"):
            try:
                moment = datetime.fromisoformat(value).astimezone(UTC)
            except (ValueError, OverflowError):
                pass
            else:
                if instant(moment) == value:
                    return moment
        raise _wrong(f"{self._where}.{name}", "YYYY-MM-DDTHH:MM:SSZ", value)

    def inner(self, name: str) -> Members:
        return Members(self._get(name), f"{self._where}.{name}")

    def each(self, name: str, *, count: int | None = None) -> list[Members]:
        """The objects of a list; of exactly `count` when given, else at least one."""
        value = self._get(name)
        where = f"{self._where}.{name}"
        if not isinstance(value, list) or len(value) > MAX_ITEMS or (count is None and not value):
            raise _wrong(where, f"a list of 1 to {MAX_ITEMS}", value)
        if count is not None and len(value) != count:
            raise _wrong(where, f"a list of {count}", value)
        return [Members(item, f"{where}[{index}]") for index, item in enumerate(value)]

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of short texts; absent means empty."""
        value = self._members.get(name, [])
        if (
            not isinstance(value, list)
            or len(value) > MAX_ITEMS
            or not all(isinstance(item, str) and 1 <= len(item) <= 64 for item in value)
        ):
            raise _wrong(f"{self._where}.{name}", "a list of short texts", value)
        return tuple(value)


def _wrong(where: str, expected: str, found: object) -> Malformed:
    if isinstance(found, (list, dict)):
        found = f"{type(found).__name__} of {len(found)}"
    return malformed(
        "Intel's document has not the form this verifier knows",
        where=where,
        expected=expected,
        found="none" if found is None else found,
        code="endorsement.malformed",
    )
