"""What can go wrong, as types.

    AttestError
    ├── Malformed   bytes are not what they claim to be: offset, field
    ├── Rejected    evidence is not genuine, current or bound: problems[], checks
    └── Denied      genuine, but the policy says no: problems[]

A caller's own mistake is ValueError, TypeError or RuntimeError, never one of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attest.checks import CheckRecord
    from attest.memory import Memory


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason for a refusal, or one warning.

    code: stable and dotted, listed in `attest.problems`. message: one sentence that can be acted on.
    expected, found: short text, already safe to print. where: the field or file meant.
    source: the vendor or IETF document the check comes from. remedy: what to do next.
    """

    code: str
    message: str
    expected: str | None = None
    found: str | None = None
    where: str | None = None
    source: str | None = None
    remedy: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        return {
            "code": self.code,
            "message": self.message,
            "expected": self.expected,
            "found": self.found,
            "where": self.where,
            "source": self.source,
            "remedy": self.remedy,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, str | None]) -> Problem:
        return cls(
            code=fields["code"] or "",
            message=fields["message"] or "",
            expected=fields["expected"],
            found=fields["found"],
            where=fields["where"],
            source=fields["source"],
            remedy=fields["remedy"],
        )

    def __str__(self) -> str:
        if self.code.startswith("policy.") and self.code != "policy.release":
            # A policy's sentence already holds what was wanted, found, and where.
            return self.message
        detail = []
        if self.expected is not None:
            detail.append(f"expected {self.expected}")
        if self.found is not None:
            detail.append(f"found {self.found}")
        place = f" ({self.where})" if self.where else ""
        return f"{self.message}{place}" + (f": {', '.join(detail)}" if detail else "")


class AttestError(Exception):
    """Base of every verdict against evidence, endorsements or policies."""

    def __init__(self, *problems: Problem) -> None:
        if not problems:
            raise ValueError("a refusal names at least one problem")
        self.problems: tuple[Problem, ...] = problems
        super().__init__("; ".join(f"{p.code}: {p}" for p in problems))

    @property
    def codes(self) -> set[str]:
        return {problem.code for problem in self.problems}


class Malformed(AttestError):
    """Bytes are not what they claim to be."""


class Rejected(AttestError):
    """Evidence is not genuine, current or bound to what was asked.

    seen: dates of the authentic lists, documents and answers that revoke, None where none did. A caller that keeps a memory
    merges them, or an older list brings back what they refused. Nothing else of refused evidence is remembered.
    """

    def __init__(
        self,
        problems: Iterable[Problem],
        *,
        checks: tuple[CheckRecord, ...] = (),
        warnings: tuple[Problem, ...] = (),
        seen: Memory | None = None,
    ) -> None:
        super().__init__(*problems)
        self.checks = checks
        self.warnings = warnings
        self.seen = seen


class Denied(AttestError):
    """Evidence is genuine, and the owner's policy does not want it."""
