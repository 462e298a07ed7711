"""What a trail, or an export of it, proves beside heads that were kept elsewhere: receipts and checkpoints.

The chain alone shows a row that was changed, removed or moved, and not a tail that was cut under a rewritten head (T-TAIL).
Every head that somebody outside kept proves the trail up to its row. Of what came after the newest, nothing outside knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kbs.audit import GENESIS, AuditRow, Fault, Head, faults


@dataclass(frozen=True, slots=True)
class Witness:
    """A head that was kept outside. said: by what, for people: "receipt 12", "checkpoint of 2026-12-01T…"."""

    head: Head
    said: str


@dataclass(frozen=True, slots=True)
class Proof:
    """rows: how many there are. faults: a sentence each, none where all agrees. proved: up to which row witnesses agree, and
    nothing before it is at fault; 0 where none does."""

    rows: int
    head: Head
    faults: tuple[str, ...]
    proved: int

    @property
    def sentence(self) -> str:
        """From which row on nothing is proved."""
        if self.faults:
            count = f"NOT WHOLE: {len(self.faults)} fault{'' if len(self.faults) == 1 else 's'}"
            if self.proved == 0:
                return f"{count}. From row 1 on nothing outside proves it"
            return (
                f"{count}. Up to row {self.proved} they are as they were seen from outside; from row {self.proved + 1} on "
                "nothing is proved"
            )
        if self.rows == 0:
            return "whole: no rows"
        if self.proved == 0:
            return (
                f"whole in itself: {self.rows} rows. Nothing outside was compared, so a tail that was cut, or all of it "
                "rewritten, would not show: give receipts or checkpoints"
            )
        if self.proved == self.rows:
            return (
                f"whole: {self.rows} rows, all of them as they were seen from outside; whether row {self.rows + 1} was cut, "
                "nothing outside says"
            )
        return (
            f"whole: {self.rows} rows. Up to row {self.proved} they are as they were seen from outside; from row "
            f"{self.proved + 1} on nothing outside proves them"
        )


def examine(rows: Iterable[AuditRow], head: Head | None, witnesses: Iterable[Witness]) -> Proof:
    """rows: all of them, ascending, read once. head: what the trail says it ends with; None to take the last row's."""
    wanted: dict[int, list[Witness]] = {}
    for one in witnesses:
        wanted.setdefault(one.head.number, []).append(one)
    last = Head(0, GENESIS)
    missed: list[Fault] = []
    agreeing = [0]

    def watched() -> Iterator[AuditRow]:
        nonlocal last
        for row in rows:
            last = Head(row.number, row.hash)
            for one in wanted.pop(row.number, ()):
                if one.head.hash == row.hash:
                    agreeing.append(row.number)
                else:
                    sentence = f"row {row.number} is not the one that {one.said} saw: it was changed, or all was rewritten"
                    missed.append(Fault(row.number, sentence))
            yield row

    found = faults(watched(), head)
    for number, ones in sorted(wanted.items()):
        for one in ones:
            sentence = f"{one.said} saw row {number}, and the trail ends at row {last.number}: it was cut"
            missed.append(Fault(last.number + 1, sentence))
    found += missed
    first = min((one.number for one in found), default=last.number + 1)
    proved = max(number for number in agreeing if number < first)
    return Proof(last.number, last, tuple(one.sentence for one in found), proved)
