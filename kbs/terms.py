"""What a secret's version is released under besides policies: how often, when, and for how long.

Set with the version, and sealed with it: whoever can write the database alone cannot widen them. No database, no web.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

from attest.claims import instant, read_instant
from attest.errors import Problem
from kbs.problems import problem

MOST: Final = (1 << 31) - 1
"""The largest count, and the longest time in seconds."""


class InvalidTerms(ValueError):
    """Terms that the broker refuses to have, in a sentence."""


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was released, repeats left out, and when first."""

    given: int = 0
    first: datetime | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """max_releases: 1 for a secret that is given once. not_before, not_after: the first and last instant of a release.
    seconds_from_first: how long after the first release others may follow. lease_seconds: how long a guest may use what
    it was given; a promise of the guest's, for nothing takes a secret back."""

    max_releases: int | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    seconds_from_first: int | None = None
    lease_seconds: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_releases", "seconds_from_first", "lease_seconds"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST:
                raise InvalidTerms(f"{_spelled(name)} is 1 to {MOST}")
        if self.not_before and self.not_after and self.not_before > self.not_after:
            raise InvalidTerms("not-before comes after not-after: nothing would ever be released")

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Terms:
        """From `as_dict`'s form. Raises InvalidTerms."""
        names = {_spelled(one.name): one.name for one in fields(cls)}
        unknown = sorted(set(document) - set(names))
        if unknown:
            raise InvalidTerms(f"{unknown[0][:40]} is no term; there are {', '.join(names)}")
        given: dict[str, Any] = {}
        for spelled, value in document.items():
            name = names[spelled]
            if name.startswith("not_"):
                if not isinstance(value, str):
                    raise InvalidTerms(f"{spelled} is an instant, as 2026-12-31T18:00:00Z")
                try:
                    given[name] = read_instant(value)
                except ValueError:
                    raise InvalidTerms(f"{spelled} is an instant, as 2026-12-31T18:00:00Z") from None
            elif isinstance(value, bool) or not isinstance(value, int):
                raise InvalidTerms(f"{spelled} is a whole number")
            else:
                given[name] = value
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """Only what is set; instants as text."""
        found = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None:
                found[_spelled(one.name)] = instant(value) if isinstance(value, datetime) else value
        return found

    def against(self, count: Count, at: datetime) -> list[Problem]:
        """What forbids one release more, at this instant."""
        found = []
        if self.not_before is not None and at < self.not_before:
            found.append(
                problem("kbs.terms.early", expected=f"from {instant(self.not_before)} on", found=instant(at))
            )
        if self.not_after is not None and at > self.not_after:
            found.append(
                problem("kbs.terms.late", expected=f"until {instant(self.not_after)}", found=instant(at))
            )
        if self.max_releases is not None and count.given >= self.max_releases:
            found.append(
                problem(
                    "kbs.terms.count", expected=f"at most {self.max_releases}", found=f"{count.given} given"
                )
            )
        if self.seconds_from_first is not None and count.first is not None:
            end = count.first + timedelta(seconds=self.seconds_from_first)
            if at > end:
                found.append(problem("kbs.terms.box", expected=f"until {instant(end)}", found=instant(at)))
        return found

    def lease_ends(self, at: datetime) -> datetime | None:
        """Of a release at `at`; None where it has no end."""
        return None if self.lease_seconds is None else at + timedelta(seconds=self.lease_seconds)


UNGIVEN: Final = Count()
FREE: Final = Terms()
"""A version that policies alone decide about."""


def _spelled(name: str) -> str:
    return name.replace("_", "-")
