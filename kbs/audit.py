"""The audit trail: rows chained by hash, so a changed, removed, added or moved row is found.

    hash(n) = SHA-256( hash(n−1) ‖ body(n) ),  hash(0) = 32 zero bytes

`body` is RFC 8785 JSON and holds the row's own number. A row is appended in the transaction of the act it
records. The chain alone does not show a cut tail under a rewritten head (T-TAIL): compare the head with
one that was kept elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from attest.canonical import canonical, read_json
from attest.errors import Malformed, Problem

GENESIS: Final = bytes(32)
_HEAD: Final = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


MOST: Final = 64
LONGEST: Final = 2000


@dataclass(frozen=True, slots=True)
class AuditRow:
    """number: 1, 2, … without gaps. body: RFC 8785 JSON."""

    number: int
    body: bytes
    hash: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The body as an object; raises Malformed where it was damaged."""
        parsed = read_json(self.body, where=f"audit row {self.number}")
        return parsed if isinstance(parsed, dict) else {}


@dataclass(frozen=True, slots=True)
class Head:
    """The last row's number and hash; number 0 and GENESIS before the first."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """The reverse. Raises ValueError."""
        found = _HEAD.fullmatch(text)
        if found is None:
            raise ValueError("a head is NUMBER:HASH, as kbs audit verify prints it")
        return cls(int(found[1]), bytes.fromhex(found[2]))


def noted_problems(name: str, problems: Sequence[Problem]) -> dict[str, Any]:
    """`problems` as a row has them, under `name`: the first MOST, no text longer than LONGEST characters, and under `omitted`
    how many more there were. What a guest sends may be wrong in more ways than a trail should hold."""
    kept = [
        {
            key: value if value is None or len(value) <= LONGEST else value[:LONGEST] + "…"
            for key, value in problem.as_dict().items()
        }
        for problem in problems[:MOST]
    ]
    more = len(problems) - len(kept)
    return {name: kept, "omitted": more} if more > 0 else {name: kept}


def link(previous: bytes, body: bytes) -> bytes:
    return hashlib.sha256(previous + body).digest()


def next_row(head: Head, content: Mapping[str, Any]) -> AuditRow:
    """The row that follows `head`. content: JSON of strings, booleans, integers, lists and maps."""
    body = canonical({**content, "number": head.number + 1})
    return AuditRow(head.number + 1, body, link(head.hash, body))


@dataclass(frozen=True, slots=True)
class Fault:
    """number: the row from which on nothing follows any more."""

    number: int
    sentence: str


def faults(rows: Iterable[AuditRow], head: Head | None) -> list[Fault]:
    """What is wrong with the whole trail, in order; empty where nothing is.

    rows: all of them, ascending. head: what the last of them must be; None where nobody says.
    """
    found: list[Fault] = []
    previous, number = GENESIS, 0
    for row in rows:
        wrong = partial(Fault, number + 1)
        if row.number != number + 1:
            found.append(wrong(f"after row {number} comes row {row.number}: rows were removed or added"))
        if row.hash != link(previous, row.body):
            found.append(
                wrong(f"row {row.number} does not follow from the row before it: changed, moved or cut")
            )
        try:
            if row.content.get("number") != row.number:
                found.append(wrong(f"row {row.number} carries the number of another row"))
        except Malformed:
            found.append(wrong(f"row {row.number} is not JSON any more"))
        previous, number = row.hash, row.number
    if head is not None and Head(number, previous) != head:
        found.append(
            Fault(
                min(number, head.number) + 1,
                f"the trail ends at row {number}, the head says {head.number}: cut, added or rewritten",
            )
        )
    return found
