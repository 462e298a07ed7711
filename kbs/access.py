"""Who may do what: every route of the administrators' door, by method and parsed template, never by a pattern (T-ACL).

    administrator   everything; for a broker that one person runs. `kbs init` makes the first
    operator        the service: keys, owners, people, stops and revocations; no policy, no secret's name, no decision
    owner           what is of his owners: their rules, secrets, consents, revocations, stops, decisions
    auditor         reads everything, changes nothing

No role, and no route, shows a secret. A route that is not in the table is nobody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

Role = Literal["administrator", "operator", "owner", "auditor"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
Concern = Literal[
    "owner in the body", "owner asked for", "the rule's owner", "the secret's owners",
    "the owners of the secret in the body", "the owners of what is revoked", "who signed", "the decision's owners",
]  # fmt: skip
"""Whose a request is: an owner's principal may make it where one of them is his."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody as an identity provider knows him: the provider's name here, and its `sub`."""

    provider: str
    subject: str


@dataclass(frozen=True, slots=True)
class Principal:
    """owners: whose he is, of the role owner. expires: from then on he is nobody; None for never. subject: by whose tokens
    he signs in; None for a key."""

    name: str
    role: Role
    owners: frozenset[str] = frozenset()
    expires: datetime | None = None
    subject: Subject | None = None


@dataclass(frozen=True, slots=True)
class Door:
    """roles: who may ask besides administrators. own: whose it must be for an owner; None where owners may not ask."""

    roles: frozenset[Role]
    own: Concern | None = None


def _door(*roles: Role, own: Concern | None = None) -> Door:
    return Door(frozenset(roles), own)


DOORS: Final[Mapping[tuple[str, str], Door]] = {
    ("GET", "/owners"): _door("operator", "auditor"),
    ("POST", "/owners"): _door("operator"),
    ("PATCH", "/owners/{name}"): _door("operator"),
    ("PUT", "/owners/{name}/paths"): _door(),
    ("PUT", "/owners/{name}/quota"): _door("operator"),
    ("GET", "/rules"): _door("auditor", own="owner asked for"),
    ("PUT", "/rules"): _door(own="owner in the body"),
    ("PATCH", "/rules/{rule_id}"): _door(own="the rule's owner"),
    ("DELETE", "/rules/{rule_id}"): _door(own="the rule's owner"),
    ("POST", "/rules/dry-run"): _door("auditor", own="owner in the body"),
    ("GET", "/secrets"): _door("auditor", own="owner asked for"),
    ("PUT", "/secrets/{repository}/{kind}/{tag}"): _door(own="the secret's owners"),
    ("DELETE", "/secrets/{repository}/{kind}/{tag}"): _door(own="the secret's owners"),
    ("GET", "/secrets/{repository}/{kind}/{tag}/versions"): _door("auditor", own="the secret's owners"),
    ("PATCH", "/secrets/{repository}/{kind}/{tag}/versions/{version}"): _door(own="the secret's owners"),
    ("DELETE", "/secrets/{repository}/{kind}/{tag}/versions/{version}"): _door(own="the secret's owners"),
    ("GET", "/consents"): _door("auditor", own="owner asked for"),
    ("GET", "/consents/in-force"): _door("auditor", own="owner asked for"),
    ("POST", "/consents"): _door(own="who signed"),
    ("POST", "/consents/withdraw"): _door("operator", own="owner in the body"),
    ("POST", "/consents/owners"): _door(own="the owners of the secret in the body"),
    ("GET", "/revocations"): _door("operator", "auditor"),
    ("POST", "/revocations"): _door("operator", own="the owners of what is revoked"),
    ("DELETE", "/revocations/{number}"): _door("operator"),
    ("GET", "/stops"): _door("operator", "auditor"),
    ("POST", "/stops"): _door("operator", own="owner in the body"),
    ("DELETE", "/stops"): _door("operator", own="owner asked for"),
    ("GET", "/leases"): _door("auditor"),
    ("GET", "/audit"): _door("auditor"),
    ("GET", "/audit/search"): _door("auditor", own="owner asked for"),
    ("GET", "/audit/verify"): _door("operator", "auditor", "owner"),
    ("GET", "/audit/checkpoint"): _door("operator", "auditor", "owner"),
    ("GET", "/audit/checkpoint-key"): _door("operator", "auditor", "owner"),
    ("GET", "/why/{what}"): _door("auditor", own="the decision's owners"),
    ("GET", "/evidence/{session}"): _door("auditor"),
    ("GET", "/expiring"): _door("operator", "auditor", own="owner asked for"),
    ("GET", "/keys"): _door("operator", "auditor"),
    ("POST", "/keys/rotate"): _door("operator"),
    ("POST", "/keys/rewrap"): _door("operator"),
    ("POST", "/keys/retire"): _door("operator"),
    ("POST", "/keys/token/rotate"): _door("operator"),
    ("POST", "/keys/session/rotate"): _door("operator"),
    ("GET", "/approvals"): _door("operator", "auditor", "owner"),
    ("POST", "/approvals/{digest}"): _door("operator", "owner"),
    ("DELETE", "/approvals/{digest}"): _door("operator", "owner"),
    ("GET", "/principals"): _door("operator", "auditor"),
    ("POST", "/principals"): _door("operator"),
    ("DELETE", "/principals/{name}"): _door("operator"),
    ("POST", "/principals/{name}/rotate"): _door("operator", "owner"),
}
"""Method and template below the prefix → who may ask."""


def may_give(giver: Principal, role: Role) -> bool:
    """Whether `giver` may make a principal of `role`: an operator makes no one who is more than he, and no owner's, whose
    policies he does not write (T-LASTWRITER)."""
    return giver.role == "administrator" or (giver.role == "operator" and role in ("operator", "auditor"))
