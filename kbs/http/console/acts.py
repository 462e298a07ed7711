"""Everything that changes something: a page that says what will happen and asks for the key again, for this one act.

The act is then asked for at the routes of administration with that key. So it is done by whoever has the key and not by
whoever has the browser; where another person must agree, the routes say so, and the page shows what waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from fastapi import Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from kbs.approval import DESTRUCTIVE
from kbs.http.client_address import client_address
from kbs.http.console.escaping import address, carried
from kbs.http.console.guard import FORM, PREFIX
from kbs.http.console.inside import Door
from kbs.http.console.site import Site
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal

Where = Literal["path", "query", "body"]
_ONE: Final = "/secrets/{repository}/{kind}/{tag}"
_VERSION: Final = f"{_ONE}/versions/{{version}}"
KEY: Final = "key"
"""The member that holds the key again."""


@dataclass(frozen=True, slots=True)
class Act:
    """title, about: with the members in braces. given: members that the page before names. asked: members to fill in here,
    with their labels. told: members of what waits, read anew for its digest and shown: what stands in an address may be
    anybody's words. where: in which part of the request the members go; `path` of a secret goes as its segments. always:
    further members of the body. back: the page to go to when it is done. dangerous: whether something is lost by it."""

    door: Door
    title: str
    about: str
    button: str
    back: str
    given: tuple[str, ...] = ()
    asked: Mapping[str, str] | None = None
    where: Where = "body"
    always: Mapping[str, Any] | None = None
    dangerous: bool = True
    told: tuple[str, ...] = ()


def _of_version(title: str, about: str, button: str, enabled: bool) -> Act:
    return Act(
        ("PATCH", _VERSION), title, about, button, "/secrets", ("path", "version"), None, "path", {"enabled": enabled},
        not enabled,
    )  # fmt: skip


_REASON: Final = {"reason": "Reason, for the trail"}
ACTS: Final[Mapping[str, Act]] = {
    "disable-version": _of_version(
        "Disable version {version} of {path}", "It is not released from the next request on, until it is enabled again. Machines that have it keep it.", "Disable", False,
    ),
    "enable-version": _of_version(
        "Enable version {version} of {path}", "It is released again to machines that conform.", "Enable", True
    ),
    "destroy-version": Act(
        ("DELETE", _VERSION), "Destroy version {version} of {path}", "Its key is deleted here, and nobody gets it any more. Backups, and machines that have it, are not touched. It cannot be had back.",
        "Destroy", "/secrets", ("path", "version"), None, "path",
    ),
    "delete-secret": Act(
        ("DELETE", _ONE), "Delete the secret {path}", "All its versions go. It cannot be had back.", "Delete", "/secrets", ("path",), None, "path"
    ),
    "disable-rule": Act(
        ("PATCH", "/rules/{rule_id}"), "Disable rule {rule_id}", "Where it was its owner's only rule for a secret, nothing of that secret is released.", "Disable", "/policies",
        ("rule_id",), None, "path", {"enabled": False},
    ),
    "enable-rule": Act(
        ("PATCH", "/rules/{rule_id}"), "Enable rule {rule_id}", "It is asked again at every release under its path.", "Enable", "/policies", ("rule_id",), None, "path",
        {"enabled": True}, False,
    ),
    "delete-rule": Act(
        ("DELETE", "/rules/{rule_id}"), "Delete rule {rule_id}", "Where it was its owner's only rule for a secret, nothing of that secret is released. Where there are others, those alone decide.",
        "Delete", "/policies", ("rule_id",), None, "path",
    ),
    "put-rule": Act(
        ("PUT", "/rules"), "Put this policy in force for {path}, by {owner}", "From the next request on every release under this path is decided by it. Consents that were signed for other policies count no more.",
        "Put in force", "/policies", ("owner", "path", "policy"), None,
    ),
    "withdraw-consent": Act(
        ("POST", "/consents/withdraw"), "Withdraw the consent of {owner} to {path}", "Nothing of this secret is released from the next request on, until new signatures are put.", "Withdraw", "/consents",
        ("owner", "path"),
    ),
    "stop-owner": Act(
        ("POST", "/stops"), "Stop everything of {owner}", "Nothing that {owner} shares is released from the next request on.", "Stop", "/stops", ("owner",), _REASON
    ),
    "stop-everything": Act(
        ("POST", "/stops"), "Stop everything", "Nothing is released to anybody from the next request on.", "Stop everything", "/stops", (), _REASON, "body", {"owner": None}
    ),
    "lift-stop-of-owner": Act(
        ("DELETE", "/stops"), "Lift the stop of {owner}", "What {owner} shares is released again to machines that conform.", "Lift", "/stops", ("owner",), None, "query"
    ),
    "lift-stop-of-everything": Act(
        ("DELETE", "/stops"), "Lift the stop of everything", "Secrets are released again to machines that conform.", "Lift", "/stops"
    ),
    "revoke": Act(
        ("POST", "/revocations"), "Revoke", "In force at the next request, at every replica. What machines already have, they keep.", "Revoke", "/stops", (),
        {"kind": "Kind: platform, session, token, policy, secret or version", "value": "Value", **_REASON},
    ),
    "lift-revocation": Act(
        ("DELETE", "/revocations/{number}"), "Lift revocation {number}", "What it named is trusted again.", "Lift", "/stops", ("number",), None, "path"
    ),
    "disable-owner": Act(
        ("PATCH", "/owners/{name}"), "Disable the owner {name}", "A disabled owner agrees to nothing: no secret that he shares is released.", "Disable", "/people", ("name",), None, "path", {"enabled": False}
    ),
    "enable-owner": Act(
        ("PATCH", "/owners/{name}"), "Enable the owner {name}", "His rules are asked again.", "Enable", "/people", ("name",), None, "path", {"enabled": True}, False
    ),
    "remove-principal": Act(
        ("DELETE", "/principals/{name}"), "Remove the principal {name}", "The key is nobody's from the next request on, and whoever is signed in with it is signed out.", "Remove", "/people", ("name",), None, "path"
    ),
    "agree": Act(
        ("POST", "/approvals/{digest}"), "Agree to what {by} asked for", "{request}", "Agree", "/approvals", ("digest",), None, "path", told=("by", "request")
    ),
    "refuse": Act(
        ("DELETE", "/approvals/{digest}"), "Refuse what {by} asked for", "{request}", "Refuse", "/approvals", ("digest",), None, "path", None, False, ("by", "request")
    ),
}  # fmt: skip
"""Name in the address → act."""


def add_pages(site: Site) -> None:
    async def ask(visit: Visit) -> Response:
        return await _asked(site, visit, dict(visit.query), None)

    async def do(visit: Visit) -> Response:
        members = {name: value for name, value in visit.members.items() if name != FORM}
        key = members.pop(KEY, None)
        if key is None:  # a form of another page, whose members are too long for an address
            return await _asked(site, visit, members, None)
        name, act = _act(visit)
        _require(act, members)
        try:
            with site.tries.counted(client_address(visit.request)):
                await run_in_threadpool(site.sessions.again, visit.who, key.strip())
            await visit.with_key(key.strip(), act.door, **_request(act, members))
        except Refusal as refusal:
            if refusal.status not in (400, 401, 403, 404, 409, 413, 422):
                raise
            return await _asked(site, visit, members, refusal)
        return RedirectResponse(address(f"{PREFIX}{act.back}", done=name), 303)

    site.page("GET", f"{PREFIX}/act/{{name}}", ask)
    site.page("POST", f"{PREFIX}/act/{{name}}", do)


def done(visit: Visit) -> str | None:
    """What to say of the act that led here."""
    act = ACTS.get(visit.query.get("done", ""))
    return None if act is None else f"Done: {act.button.lower()}."


async def _asked(site: Site, visit: Visit, members: Mapping[str, str], refusal: Refusal | None) -> Response:
    name, act = _act(visit)
    if any(member not in members for member in act.given):
        raise Refusal(400, "InvalidRequest", f"{name} needs {', '.join(act.given)}")
    waits = refusal is not None and refusal.status == 409 and "another person must agree" in refusal.detail
    held = {member: members[member] for member in act.given}
    if any(carried(value) is None for value in held.values()):
        raise Refusal(
            400,
            "InvalidRequest",
            "it holds characters that a page does not show: do it with the command, kbs",
        )
    told = held | await _told(visit, act, held)
    return site.show(
        visit,
        "act.html",
        200 if refusal is None or waits else refusal.status,
        title=act.title.format(**told),
        about=act.about.format(**told),
        act=act,
        held=held,
        asked=[(one, label, members.get(one, "")) for one, label in (act.asked or {}).items()],
        refused=None if refusal is None or waits else refusal.detail,
        waits=refusal.detail if waits and refusal is not None else None,
        another=site.administration.four_eyes and act.door in DESTRUCTIVE and not name.startswith("enable"),
        key_member=KEY,
        action=f"{PREFIX}/act/{name}",
        back=f"{PREFIX}{act.back}",
    )


async def _told(visit: Visit, act: Act, held: Mapping[str, str]) -> dict[str, str]:
    """Raises Refusal where nothing of this digest waits."""
    if not act.told:
        return {}
    for one in await visit.ask("GET", "/approvals"):
        if one["digest"] == held["digest"]:
            return {name: str(one[name]) for name in act.told}
    raise Refusal(
        404, "ResourceNotFound", "no act of this digest waits: it was used, refused, or its time is over"
    )


def _act(visit: Visit) -> tuple[str, Act]:
    """Raises Refusal."""
    name = visit.request.path_params["name"]
    found = ACTS.get(name)
    if found is None or not visit.may(*found.door):
        raise Refusal(404, "ResourceNotFound", "there is no such act for this key")
    return name, found


def _require(act: Act, members: Mapping[str, str]) -> None:
    """Raises Refusal."""
    known = {*act.given, *(act.asked or {})}
    if set(members) != known:
        raise Refusal(400, "InvalidRequest", f"this act has {', '.join(sorted(known)) or 'no members'}")


def _request(act: Act, members: Mapping[str, str]) -> dict[str, Any]:
    """path, query and body of the route."""
    path: dict[str, str] = {}
    query: dict[str, str] | None = None
    body: dict[str, Any] | None = None
    if act.where == "path":
        path = {name: members[name] for name in act.given if f"{{{name}}}" in act.door[1]}
        if "{repository}" in act.door[1]:
            segments = members["path"].split("/")
            if len(segments) != 3:
                raise Refusal(400, "InvalidRequest", "a resource is repository/type/tag")
            path |= dict(zip(("repository", "kind", "tag"), segments, strict=True))
        body = dict(act.always) if act.always is not None else None
    elif act.where == "query":
        query = dict(members)
    elif act.door[0] != "DELETE":
        body = {**members, **(act.always or {})}
    return {"path": path, "query": query, "body": body}
