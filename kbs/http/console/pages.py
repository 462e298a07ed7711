"""The table of pages: each route of the console, and the routes of administration that it may ask.

Nothing else is reachable, and a page that asks what stands not here fails; a test compares this table with the routes, and with
`kbs.access.DOORS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kbs.access import DOORS, Principal
from kbs.http.console.inside import Door


@dataclass(frozen=True, slots=True)
class Page:
    """title: also of the link. asks: the first is what the page is about; whoever may not ask it has no link to the page.
    strangers: whether it is for those who are not signed in. link: whether it stands in the head of every page."""

    title: str
    asks: tuple[Door, ...] = ()
    strangers: bool = False
    link: bool = False


_SEARCH: Final = ("GET", "/audit/search")
_WHY: Final = ("GET", "/why/{what}")
_RULES: Final = ("GET", "/rules")
PAGES: Final[Mapping[tuple[str, str], Page]] = {
    ("GET", "/console/style.css"): Page("style", strangers=True),
    ("GET", "/console/sign-in"): Page("Sign in", strangers=True),
    ("POST", "/console/sign-in"): Page("Sign in", strangers=True),
    ("POST", "/console/sign-out"): Page("Sign out"),
    ("GET", "/console/releases"): Page("Releases", (_SEARCH, ("GET", "/owners")), link=True),
    ("GET", "/console/releases.csv"): Page("Releases", (_SEARCH,)),
}
"""Method and template → what it is."""


def may(who: Principal, door: Door) -> bool:
    """Whether `who` may ask this of something; whether of this very thing, the route itself says."""
    found = DOORS[door]
    return who.role in ("administrator", *found.roles) or (who.role == "owner" and found.own is not None)


def of_everything(who: Principal, door: Door) -> bool:
    """Whether `who` may ask without saying of which owner."""
    return who.role in ("administrator", *DOORS[door].roles)
