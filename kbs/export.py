"""An audit trail as a file that is proved by itself: JSON lines, the row and its hash in each.

    {"hash":"…","row":{…}}

A row's bytes are its canonical JSON, so that a file which another program wrote anew still proves. No database, no web.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from attest.canonical import canonical, read_json
from attest.errors import Malformed
from kbs.audit import AuditRow
from kbs.problems import problem

LINE: Final = 4 << 20
"""Bytes of one row at most."""


def line(entry: dict[str, Any]) -> bytes:
    """entry: hash and row, as the broker answers them."""
    return canonical({"hash": entry["hash"], "row": entry["row"]}) + b"\n"


def rows_of(lines: Iterable[bytes]) -> Iterator[AuditRow]:
    """Raises Malformed (`kbs.export.malformed`) with the line."""
    for number, raw in enumerate(lines, 1):
        where = f"line {number}"
        try:
            entry = read_json(raw, where=where, limit=LINE)
        except Malformed as error:
            raise _broken(where, error.problems[0].message) from None
        if not isinstance(entry, dict) or set(entry) != {"hash", "row"} or not isinstance(entry["row"], dict):
            raise _broken(where, "hash and row")
        count = entry["row"].get("number")
        if isinstance(count, bool) or not isinstance(count, int):
            raise _broken(f"{where}: row.number", "a whole number")
        try:
            digest = bytes.fromhex(entry["hash"]) if isinstance(entry["hash"], str) else b""
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise _broken(f"{where}: hash", "64 hex digits")
        yield AuditRow(count, canonical(entry["row"]), digest)


def _broken(where: str, expected: str) -> Malformed:
    return Malformed(problem("kbs.export.malformed", where, expected=expected))
