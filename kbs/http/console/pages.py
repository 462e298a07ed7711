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
    """title: also of the link. asks: whoever may ask none of them has no link to the page. strangers: whether it is for those who are not signed in. link: whether it stands in the head of every page."""

    title: str
    asks: tuple[Door, ...] = ()
    strangers: bool = False
    link: bool = False


_SEARCH: Final = ("GET", "/audit/search")
_WHY: Final = ("GET", "/why/{what}")
_RULES: Final = ("GET", "/rules")
_DRY_RUN: Final = ("POST", "/rules/dry-run")
_OWNERS: Final = ("GET", "/owners")
_CONSENTS: Final = ("GET", "/consents")
_IN_FORCE: Final = ("GET", "/consents/in-force")
_EXPIRING: Final = ("GET", "/expiring")
_EVIDENCE: Final = ("GET", "/evidence/{session}")
_STOPS: Final = ("GET", "/stops")
_APPROVALS: Final = ("GET", "/approvals")
PAGES: Final[Mapping[tuple[str, str], Page]] = {
    ("GET", "/console/style.css"): Page("style", strangers=True),
    ("GET", "/console/sign-in"): Page("Sign in", strangers=True),
    ("POST", "/console/sign-in"): Page("Sign in", strangers=True),
    ("POST", "/console/sign-out"): Page("Sign out"),
    ("GET", "/console/"): Page("Attention", (_EXPIRING, _STOPS, _APPROVALS, _CONSENTS, _SEARCH), link=True),
    ("GET", "/console/releases"): Page("Releases", (_SEARCH,), link=True),
    ("GET", "/console/releases.csv"): Page("Releases", (_SEARCH,)),
    ("GET", "/console/why/{what}"): Page("Why", (_WHY, _SEARCH, _EVIDENCE)),
    ("GET", "/console/evidence/{session}"): Page("Evidence", (_EVIDENCE,)),
    ("GET", "/console/policies"): Page("Policies", (_RULES,), link=True),
    ("GET", "/console/policies/{rule_id}"): Page("Policy", (_RULES,)),
    ("GET", "/console/trial"): Page("Try a policy", (_DRY_RUN, _RULES)),
    ("POST", "/console/trial"): Page("Try a policy", (_DRY_RUN, _RULES)),
    ("GET", "/console/consents"): Page("Consents", (_CONSENTS, _IN_FORCE, ("GET", "/secrets")), link=True),
    ("GET", "/console/consents/sign"): Page("What to sign", (_IN_FORCE,)),
    ("POST", "/console/consents/sign"): Page("What was signed", (("POST", "/consents"),)),
    ("GET", "/console/secrets"): Page("Secrets", (("GET", "/secrets"),), link=True),
    ("GET", "/console/secrets/{repository}/{kind}/{tag}"): Page(
        "Secret", (("GET", "/secrets/{repository}/{kind}/{tag}/versions"),)
    ),
    ("GET", "/console/expiring"): Page("Ends soon", (_EXPIRING,), link=True),
    ("GET", "/console/stops"): Page(
        "Stops", (_STOPS, ("GET", "/revocations"), _OWNERS, ("POST", "/stops")), link=True
    ),
    ("GET", "/console/people"): Page("People", (("GET", "/principals"), _OWNERS), link=True),
    ("GET", "/console/approvals"): Page("Approvals", (_APPROVALS,), link=True),
    ("GET", "/console/act/{name}"): Page("Act", (_APPROVALS,)),
    ("POST", "/console/act/{name}"): Page("Act", (_APPROVALS,)),
}
"""Method and template → what it is."""


def may(who: Principal, door: Door) -> bool:
    """Whether `who` may ask this of something; whether of this very thing, the route itself says."""
    found = DOORS[door]
    return who.role in ("administrator", *found.roles) or (who.role == "owner" and found.own is not None)


def of_everything(who: Principal, door: Door) -> bool:
    """Whether `who` may ask without saying of which owner."""
    return who.role in ("administrator", *DOORS[door].roles)
