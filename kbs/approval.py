"""Four eyes: a destructive act, or a new pair of eyes, is asked for by one principal and agreed to by another before it is
done.

What is agreed to is exactly one request on what stands there now: its digest covers method, path, query, body and the state of
what it would destroy, so that whatever changed meanwhile voids it. No database, no web.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest.canonical import canonical, read_json
from attest.errors import Malformed
from kbs.access import DOORS, ROLES, Principal, may_give
from kbs.domain import InvalidName, ResourcePath
from kbs.refusals import Refusal

_VERSIONED: Final = "/secrets/{repository}/{kind}/{tag}"
DESTRUCTIVE: Final = frozenset(
    {
        ("DELETE", _VERSIONED),
        ("DELETE", f"{_VERSIONED}/versions/{{version}}"),
        ("DELETE", "/rules/{rule_id}"),
        ("PATCH", "/owners/{name}"),
        ("POST", "/principals"),
        ("DELETE", "/principals/{name}"),
        ("POST", "/principals/{name}/rotate"),
        ("POST", "/keys/retire"),
        ("DELETE", "/revocations/{number}"),
        ("DELETE", "/stops"),
    }
)
"""Method and template of what cannot be had back, or ends a protection. Who could make a principal, or take
another's key, alone could agree with himself through it. Enabling an owner needs nobody else's agreement."""
_SAYS_ITS_BODY: Final = frozenset(
    {"/owners/{name}", "/principals", "/principals/{name}/rotate", "/keys/retire"}
)
"""What is asked for stands in the body there; none of them takes a secret."""
_READABLE: Final = 8192
_PLAIN_NUMBER: Final = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class Act:
    """One request. owners: whose it is. state: of what it would destroy, as it stands. role: of the principal whom it would
    make or remove; None where it is about no principal, or none is found."""

    method: str
    template: str
    path: str
    query: str
    body: bytes
    owners: frozenset[str]
    state: str
    role: str | None = None

    @property
    def digest(self) -> str:
        return hashlib.sha256(
            canonical(
                {
                    "method": self.method,
                    "path": self.path,
                    "query": self.query,
                    "body": hashlib.sha256(self.body).hexdigest(),
                    "state": self.state,
                }
            )
        ).hexdigest()

    @property
    def needs_another(self) -> bool:
        if (self.method, self.template) not in DESTRUCTIVE:
            return False
        return self.template != "/owners/{name}" or not _enables(self.body)

    @property
    def said(self) -> str:
        """What whoever agrees reads, in ASCII without control characters. Raises Refusal for what he could not read."""
        text = f"{self.method} {self.path}" + (f"?{self.query}" if self.query else "")
        said = text.encode("unicode_escape").decode("ascii")
        if self.template in _SAYS_ITS_BODY:
            said += " " + json.dumps(_read(self.body), sort_keys=True)
        if len(said) > _READABLE:
            raise Refusal(400, "InvalidRequest", f"longer than anybody reads: at most {_READABLE} characters")
        return said


@dataclass(frozen=True, slots=True)
class Asked:
    """An act that waits. by: who asked. agreed: who agreed, None for nobody yet. said, role: as the act has them."""

    digest: str
    by: str
    method: str
    template: str
    path: str
    owners: frozenset[str]
    expires: datetime
    agreed: str | None
    said: str
    role: str | None


def may_agree(who: Principal, asked: Asked) -> bool:
    """Whether `who` is another than he who asked, and could have asked himself."""
    door = DOORS.get((asked.method, asked.template))
    if door is None or who.name == asked.by:
        return False
    if asked.role is not None and not any(may_give(who, role) for role in ROLES if role == asked.role):
        return False
    return who.role == "administrator" or who.role in door.roles or bool(who.owners & asked.owners)


def may_see(who: Principal, asked: Asked) -> bool:
    """Whether `who` reads of it: it names secrets, which are not for operators and other owners."""
    return who.role in ("administrator", "auditor") or who.name == asked.by or may_agree(who, asked)


def role_in(method: str, template: str, path: Mapping[str, str], body: bytes, registry: Any) -> str | None:
    """The role of the principal who would be made or removed. registry: `kbs.store.registry.Registry`. Raises Refusal."""
    if (method, template) == ("POST", "/principals"):
        role = _read(body).get("role")
        return role if isinstance(role, str) else None
    if template.startswith("/principals/{name}"):
        return next((one.role for one, _ in registry.principals() if one.name == path["name"]), None)
    return None


def state_of(template: str, path: Mapping[str, str], query: Mapping[str, str], tx: Any) -> str:
    """What stands there now, in a text that is another where it changed. tx: `kbs.store.repository.Repository`. Raises
    Refusal."""
    registry = tx.registry
    found: object = None
    if template.startswith(_VERSIONED):
        try:
            resource = ResourcePath.parse("/".join(path[name] for name in ("repository", "kind", "tag")))
        except InvalidName:
            return ""
        versions = [(one.number, one.enabled, one.destroyed) for one in registry.versions(resource)]
        found = [registry.owners_of(resource), versions]
    elif template == "/rules/{rule_id}":
        if not _PLAIN_NUMBER.fullmatch(path["rule_id"]):  # the framework reads 01 and 1.0 as 1 too
            raise Refusal(404, "InvalidRequestPath", "a rule's number is written in plain digits")
        found = [(one.digest, str(one.pattern)) for one in registry.rules() if str(one.id) == path["rule_id"]]
    elif template.startswith("/principals/{name}"):
        found = [
            (one.role, sorted(one.owners), None if key is None else key.hex(), str(one.subject))
            for one, key in registry.principals()
            if one.name == path["name"]
        ]
    elif template == "/stops":
        found = [(one.role, one.reason) for one in tx.stops.of(query.get("owner"))]
    return json.dumps(found)


def _read(body: bytes) -> Mapping[str, Any]:
    """Raises Refusal: what two readers read otherwise is agreed to by nobody."""
    try:
        found = read_json(body, where="body", limit=_READABLE)
    except Malformed as error:
        raise Refusal(400, "InvalidRequest", f"nobody could agree to this: {error}") from None
    if not isinstance(found, dict):
        raise Refusal(400, "InvalidRequest", "nobody could agree to this: the body is no object")
    return found


def _enables(body: bytes) -> bool:
    try:
        return _read(body).get("enabled") is True
    except Refusal:
        return False
