"""What the administrators' door answers, route by route: for the published description, and for the test that holds each
answer against it. Serving does not need it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from kbs.access import Role
from kbs.expiring import Kind

Instant = str
"""RFC 3339 in UTC, whole seconds, `Z`."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Owner(_Answer):
    """paths: where the owner's key puts first secrets besides the repository of that name. releases_an_hour: null where the
    configuration says it."""

    name: str
    enabled: bool
    paths: list[str]
    releases_an_hour: int | None


class Rule(_Answer):
    id: int
    owner: str
    path: str
    digest: str
    enabled: bool
    policy: str


class RuleEnabled(_Answer):
    id: int
    enabled: bool


class RuleNumber(_Answer):
    id: int


class Secret(_Answer):
    path: str
    owners: list[str]
    version: int


class SecretVersion(_Answer):
    path: str
    version: int


class SecretVersionEnabled(SecretVersion):
    enabled: bool


class SecretPath(_Answer):
    path: str


class Version(_Answer):
    """overlaps: until when sessions that have it get it again. given: how often it was released."""

    version: int
    created: Instant
    state: Literal["enabled", "disabled", "destroyed"]
    overlaps: Instant | None
    terms: dict[str, str | int]
    given: int


class SecretOwners(SecretVersion):
    owners: list[str]


class AuditRow(_Answer):
    """row: as its hash is made over; its members are those of its event."""

    hash: str
    row: dict[str, Any]


class AuditRows(_Answer):
    """after: where the next page begins (with the newest first, before which); null for the last."""

    rows: list[AuditRow]
    after: int | None


class AuditProof(_Answer):
    rows: int
    head: str
    faults: list[str]
    proved: int | None
    sentence: str


class Checkpoint(_Answer):
    """document: DSSE, base64."""

    head: str
    document: str


class CheckpointKey(_Answer):
    key: str


class Decisions(_Answer):
    decisions: list[dict[str, Any]]


class Otherwise(_Answer):
    row: int
    at: Instant
    session: str
    path: str
    was: str
    would: str
    sentence: str | None


class DryRun(_Answer):
    since: Instant
    decisions: int
    unknown: int
    more: bool
    otherwise: list[Otherwise]


class Evidence(_Answer):
    """row: of the attestation, as its hash is made over. attestation: the body that the guest sent, base64."""

    row: dict[str, Any]
    attestation: str


class Ending(_Answer):
    """owner: null where it is nobody's in particular."""

    kind: Kind
    what: str
    owner: str | None
    ends: Instant


class Expiring(_Answer):
    now: Instant
    ending: list[Ending]


class Kek(_Answer):
    id: str
    created: Instant | None
    versions: int
    wraps: bool
    open: bool


class Keys(_Answer):
    keys: list[Kek]
    token_keys: list[str]


class KeyId(_Answer):
    id: str


class Nothing(_Answer):
    pass


class Place(_Answer):
    path: str
    version: int


class NotRewrapped(Place):
    cause: str


class Rewrapped(_Answer):
    done: int
    after: Place | None
    failed: list[NotRewrapped]


class Revocation(_Answer):
    """value: null where it names a secret, for an operator, who sees no such name. role: of whoever revoked."""

    number: int
    kind: str
    value: str | None
    reason: str
    at: Instant
    role: str
    lifted: Instant | None


class Stop(_Answer):
    """owner: null for the whole broker. role: of whoever stopped."""

    owner: str | None
    role: str
    reason: str


class LiftedStop(_Answer):
    """left: what stays stopped, by somebody who is another."""

    owner: str | None
    left: list[Stop]


class Lease(_Answer):
    audit: int
    session: str
    path: str
    version: int
    key: str
    given: Instant
    ends: Instant


class Leases(_Answer):
    now: Instant
    leases: list[Lease]


class Signed(BaseModel):
    """What was signed; the other members are those of its act."""

    model_config = ConfigDict(extra="allow", strict=True)
    act: Literal["keys", "release", "owners"]
    broker: str
    owner: str
    sequence: str


class ReleaseConsent(_Answer):
    """given: releases under it. wanting: what keeps it from counting now."""

    act: Literal["release"]
    broker: str
    owner: str
    sequence: str
    path: str
    version: str
    policies: dict[str, list[str]]
    max_releases: str | None = Field(alias="max-releases")
    not_before: Instant | None = Field(alias="not-before")
    expires: Instant
    given: int
    wanting: list[str]


class ConsentKeys(_Answer):
    threshold: str
    keys: list[str]
    paths: list[str]


class InForce(_Answer):
    broker: str
    owner: str
    sequence: int
    path: str | None
    version: int | None
    owners: list[str]
    policies: dict[str, list[str]]
    keys: ConsentKeys | None


class Withdrawn(_Answer):
    owner: str
    path: str


class Approval(_Answer):
    """request: method and path. agreed: who did; null while it waits."""

    digest: str
    by: str
    request: str
    owners: list[str]
    expires: Instant
    agreed: str | None


class Principal(_Answer):
    name: str
    role: Role
    owners: list[str]
    expires: Instant | None
    provider: str | None
    subject: str | None


class ListedPrincipal(Principal):
    """used: the day of the last request that counted, YYYY-MM-DD. former_key_ends: of the key before, where it counts still."""

    used: str | None
    former_key_ends: Instant | None


class NewPrincipal(Principal):
    """key: shown once; null for who signs in by a provider."""

    key: str | None


class PrincipalName(_Answer):
    name: str


_ONE: Final = "/secrets/{repository}/{kind}/{tag}"
_VERSION: Final = f"{_ONE}/versions/{{version}}"
ANSWERS: Final[Mapping[tuple[str, str], Any]] = {
    ("GET", "/owners"): list[Owner],
    ("POST", "/owners"): Owner,
    ("PATCH", "/owners/{name}"): Owner,
    ("PUT", "/owners/{name}/paths"): Owner,
    ("PUT", "/owners/{name}/quota"): Owner,
    ("GET", "/rules"): list[Rule],
    ("PUT", "/rules"): Rule,
    ("PATCH", "/rules/{rule_id}"): RuleEnabled,
    ("DELETE", "/rules/{rule_id}"): RuleNumber,
    ("POST", "/rules/dry-run"): DryRun,
    ("GET", "/secrets"): list[Secret],
    ("PUT", _ONE): SecretVersion,
    ("DELETE", _ONE): SecretPath,
    ("GET", f"{_ONE}/versions"): list[Version],
    ("PATCH", _VERSION): SecretVersionEnabled,
    ("DELETE", _VERSION): SecretVersion,
    ("GET", "/consents"): list[ReleaseConsent],
    ("GET", "/consents/in-force"): InForce,
    ("POST", "/consents"): Signed,
    ("POST", "/consents/withdraw"): Withdrawn,
    ("POST", "/consents/owners"): SecretOwners,
    ("GET", "/revocations"): list[Revocation],
    ("POST", "/revocations"): Revocation,
    ("DELETE", "/revocations/{number}"): Revocation,
    ("GET", "/stops"): list[Stop],
    ("POST", "/stops"): Stop,
    ("DELETE", "/stops"): LiftedStop,
    ("GET", "/leases"): Leases,
    ("GET", "/audit"): list[AuditRow],
    ("GET", "/audit/search"): AuditRows,
    ("GET", "/audit/verify"): AuditProof,
    ("GET", "/audit/checkpoint"): Checkpoint,
    ("GET", "/audit/checkpoint-key"): CheckpointKey,
    ("GET", "/why/{what}"): Decisions,
    ("GET", "/evidence/{session}"): Evidence,
    ("GET", "/expiring"): Expiring,
    ("GET", "/keys"): Keys,
    ("POST", "/keys/rotate"): KeyId,
    ("POST", "/keys/rewrap"): Rewrapped,
    ("POST", "/keys/retire"): KeyId,
    ("POST", "/keys/token/rotate"): KeyId,
    ("POST", "/keys/session/rotate"): Nothing,
    ("GET", "/approvals"): list[Approval],
    ("POST", "/approvals/{digest}"): Approval,
    ("DELETE", "/approvals/{digest}"): Approval,
    ("GET", "/principals"): list[ListedPrincipal],
    ("POST", "/principals"): NewPrincipal,
    ("DELETE", "/principals/{name}"): PrincipalName,
    ("POST", "/principals/{name}/rotate"): NewPrincipal,
}
"""Method and template below the prefix → what a request that is granted is answered."""
