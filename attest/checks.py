"""The record of what was checked.

Every verification walks the same named checks; each ends as passed, failed or not-run, and a check that
could not run says why. `CHECKS` is the table of names: it generates docs/reference/checks.md, and a name
that is not in it cannot be recorded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from attest.check_table import CHECKS
from attest.errors import Malformed, Problem, Rejected
from attest.memory import Memory
from attest.problems import problem

Outcome = Literal["passed", "failed", "not-run"]


@dataclass(frozen=True, slots=True)
class CheckRecord:
    """name: as in CHECKS, with a device index where there are several, `gpu[3].signature`."""

    name: str
    outcome: Outcome
    source: str
    why: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        return {"name": self.name, "outcome": self.outcome, "source": self.source, "why": self.why}


class CheckLog:
    """Collects check outcomes, problems and warnings of one verification.

    A check that failed once stays failed. `part` distinguishes devices: `gpu[0]` writes `gpu[0].nonce`
    for the check `gpu.nonce`; for a CPU it stays empty.
    """

    __slots__ = ("_outcomes", "_part", "_seen", "_whys", "problems", "warnings")

    def __init__(self) -> None:
        self._outcomes: dict[str, Outcome] = {}
        self._whys: dict[str, str] = {}
        self._part: tuple[str, str] | None = None
        self._seen: list[Memory] = []
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def for_part(self, section: str, index: int) -> CheckLog:
        """A log that writes into this one with `section[index]` in place of `section`."""
        part = CheckLog()
        part._outcomes, part._whys = self._outcomes, self._whys
        part.problems, part.warnings, part._seen = self.problems, self.warnings, self._seen
        part._part = (f"{section}.", f"{section}[{index}]")
        return part

    def _named(self, check: str) -> str:
        if self._part is None:
            return check
        section, named = self._part
        return named + check[len(section) - 1 :] if check.startswith(section) else check

    def passed(self, check: str) -> None:
        self._outcomes.setdefault(self._named(check) if self._part else check, "passed")

    def all_passed(self, checks: Iterable[str]) -> None:
        """Checks that were answered together."""
        outcomes = self._outcomes
        for check in map(self._named, checks) if self._part else checks:
            outcomes.setdefault(check, "passed")

    def not_run(self, check: str, why: str) -> None:
        name = self._named(check)
        if name not in self._outcomes:
            self._outcomes[name] = "not-run"
            self._whys[name] = why

    def failed(
        self,
        check: str,
        code: str,
        *,
        expected: object = None,
        found: object = None,
        where: str | None = None,
        message: str | None = None,
    ) -> None:
        """Record a failed check with the problem it raises; verification ends in Rejected."""
        self._outcomes[self._named(check)] = "failed"
        if self._part and where:
            where = f"{self._part[1]}.{where}"
        elif self._part:
            where = self._part[1]
        self.problems.append(problem(code, expected=expected, found=found, where=where, message=message))

    def left_to_policy(
        self,
        check: str,
        code: str,
        *,
        expected: object = None,
        found: object = None,
        where: str | None = None,
    ) -> None:
        """Record a failed check that refuses nothing by itself: a claim says so for policies, a warning for
        people, and a warning withholds a release."""
        self._outcomes[self._named(check)] = "failed"
        self.warn(code, expected=expected, found=found, where=where)

    def require(
        self,
        check: str,
        holds: bool,
        code: str,
        *,
        expected: object = None,
        found: object = None,
        where: str | None = None,
        message: str | None = None,
    ) -> bool:
        """passed or failed by `holds`; returns `holds`."""
        if holds:
            self._outcomes.setdefault(self._named(check) if self._part else check, "passed")
        else:
            self.failed(check, code, expected=expected, found=found, where=where, message=message)
        return holds

    def warn(
        self,
        code: str,
        *,
        expected: object = None,
        found: object = None,
        where: str | None = None,
        message: str | None = None,
    ) -> None:
        if self._part:
            where = f"{self._part[1]}.{where}" if where else self._part[1]
        warning = problem(code, expected=expected, found=found, where=where, message=message)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def saw(self, seen: Memory) -> None:
        """Dates of authentic collateral that revokes; see `Rejected.seen`."""
        self._seen.append(seen)

    @property
    def good(self) -> bool:
        return not self.problems

    def records(self) -> tuple[CheckRecord, ...]:
        return tuple(
            CheckRecord(name, outcome, CHECKS[plain(name)], self._whys.get(name))
            for name, outcome in self._outcomes.items()
        )

    def reject_if_bad(self) -> None:
        if self.problems:
            raise Rejected(
                # Each once: two documents of one signer, or two manifests of one version, have it in common. Before
                # this place each counts, as whether one was added decides what a cache may keep.
                tuple(dict.fromkeys(self.problems)),
                checks=self.records(),
                warnings=tuple(self.warnings),
                seen=reduce(Memory.merged, self._seen) if self._seen else None,
            )

    def absorb(self, error: Malformed, check: str) -> None:
        """A part that does not parse is a failed check with the parser's own problems."""
        self._outcomes[self._named(check)] = "failed"
        self.problems.extend(error.problems)


def plain(name: str) -> str:
    """`gpu[3].nonce` → `gpu.nonce`, the name in CHECKS."""
    head, bracket, rest = name.partition("[")
    return head + rest.partition("]")[2] if bracket else name
