"""How much of an owner's may be released in an hour, counted in the database where the release is decided (T-DOS).

A quota bounds what a stolen machine or a wrong policy lets out before somebody looks. An hour begins with its first release,
so two hours' worth may follow one another closely. Repeats are given nothing new, and count for nothing. No database, no web.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from attest.claims import instant
from kbs.domain import Owner
from kbs.problems import problem
from kbs.refusals import Refusal
from kbs.terms import Count

HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class UsedUp:
    """limit: of the owner. first: when the hour began that it was reached in."""

    limit: int
    first: datetime

    @property
    def until(self) -> datetime:
        return self.first + HOUR


def of_owner(name: str) -> str:
    """The name that releases of an owner's are counted under."""
    return f"hour {name}"


def limit_of(owner: Owner | None, default: int | None) -> int | None:
    """None for no quota. default: the configuration's."""
    if owner is None or owner.releases_an_hour is None:
        return default
    return owner.releases_an_hour


def used_up(limit: int, count: Count, at: datetime) -> UsedUp | None:
    """count: since the hour began that was counted last."""
    if count.first is None or at >= count.first + HOUR or count.given < limit:
        return None
    return UsedUp(limit, count.first)


def refusal(full: Mapping[str, UsedUp], at: datetime) -> Refusal:
    """full: by owner; at least one."""
    problems = [
        problem(
            "kbs.owner.quota",
            where=name,
            expected=f"at most {one.limit} releases in an hour",
            found=f"as many since {instant(one.first)}",
        )
        for name, one in full.items()
    ]
    until = max(one.until for one in full.values())
    return Refusal(
        429,
        "TooManyRequests",
        "an owner's releases of this hour are used up; ask again later",
        problems=problems,
        audited=True,
        retry_after=(until - at).total_seconds(),
    )
