"""Four eyes: a destructive act is asked for by one principal and agreed to by another before it is done.

What is agreed to is exactly one request on what stands there now: its digest covers method, path, query, body and the state of
what it would destroy, so that whatever changed meanwhile voids it. No database, no web.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest.canonical import canonical
from kbs.access import DOORS, Principal
from kbs.domain import InvalidName, ResourcePath

_VERSIONED: Final = "/secrets/{repository}/{kind}/{tag}"
DESTRUCTIVE: Final = frozenset(
    {
        ("DELETE", _VERSIONED),
        ("DELETE", f"{_VERSIONED}/versions/{{version}}"),
        ("DELETE", "/rules/{rule_id}"),
        ("PATCH", "/owners/{name}"),
        ("DELETE", "/principals/{name}"),
        ("POST", "/keys/retire"),
        ("DELETE", "/revocations/{number}"),
        ("DELETE", "/stops"),
    }
)
"""Method and template of what cannot be had back, or ends a protection. Enabling an owner needs nobody else's agreement."""


@dataclass(frozen=True, slots=True)
class Act:
    """One request. owners: whose it is. state: of what it would destroy, as it stands."""

    method: str
    template: str
    path: str
    query: str
    body: bytes
    owners: frozenset[str]
    state: str

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


@dataclass(frozen=True, slots=True)
class Asked:
    """An act that waits. by: who asked. agreed: who agreed, None for nobody yet."""

    digest: str
    by: str
    method: str
    template: str
    path: str
    owners: frozenset[str]
    expires: datetime
    agreed: str | None


def may_agree(who: Principal, asked: Asked) -> bool:
    """Whether `who` is another than he who asked, and could have asked himself."""
    door = DOORS.get((asked.method, asked.template))
    if door is None or who.name == asked.by:
        return False
    return who.role == "administrator" or who.role in door.roles or bool(who.owners & asked.owners)


def state_of(template: str, path: Mapping[str, str], registry: Any) -> str:
    """What stands there now, in a text that is another where it changed. registry: `kbs.store.registry.Registry`."""
    found: object = None
    if template.startswith(_VERSIONED):
        try:
            resource = ResourcePath.parse("/".join(path[name] for name in ("repository", "kind", "tag")))
        except InvalidName:
            return ""
        versions = [(one.number, one.enabled, one.destroyed) for one in registry.versions(resource)]
        found = [registry.owners_of(resource), versions]
    elif template == "/rules/{rule_id}":
        found = [(one.digest, str(one.pattern)) for one in registry.rules() if str(one.id) == path["rule_id"]]
    elif template == "/principals/{name}":
        found = [
            (one.role, sorted(one.owners)) for one, _ in registry.principals() if one.name == path["name"]
        ]
    return json.dumps(found)


def _enables(body: bytes) -> bool:
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and said.get("enabled") is True
