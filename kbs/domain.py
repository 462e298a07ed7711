"""What the broker keeps: plain types and their invariants. No database, no web.

Instants are aware datetimes in UTC with whole seconds; identifiers that authenticate are kept as SHA-256
only, never as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kbs.terms import FREE, Terms

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_OWNER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class InvalidName(ValueError):
    """A path, pattern or name that the broker refuses to have."""


@dataclass(frozen=True, slots=True, order=True)
class ResourcePath:
    """`repository/type/tag`: three segments, no leading dot, ASCII only.

    Policy and look-up use this same object; nothing is normalised (T-PATH).
    """

    repository: str
    type: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> ResourcePath:
        """Raises InvalidName."""
        segments = text.split("/")
        if len(segments) != 3 or not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise InvalidName(
                "a resource is repository/type/tag, each of letters, digits, _ - and inner dots"
            )
        return cls(*segments)

    def __str__(self) -> str:
        return f"{self.repository}/{self.type}/{self.tag}"


@dataclass(frozen=True, slots=True)
class PathPattern:
    """Which resources a rule speaks of: one path, or everything below `repository/*` or
    `repository/type/*`. There is no pattern for everything: a rule names at least a repository."""

    segments: tuple[str, ...]
    everything_below: bool

    @classmethod
    def parse(cls, text: str) -> PathPattern:
        """Raises InvalidName."""
        segments = text.split("/")
        below = segments[-1] == "*"
        fixed = segments[:-1] if below else segments
        right_count = len(fixed) in (1, 2) if below else len(fixed) == 3
        if not right_count or not all(_SEGMENT.fullmatch(segment) for segment in fixed):
            raise InvalidName("a rule's path is repository/type/tag, repository/type/* or repository/*")
        return cls(tuple(fixed), below)

    def matches(self, path: ResourcePath) -> bool:
        whole = (path.repository, path.type, path.tag)
        return whole[: len(self.segments)] == self.segments

    def __str__(self) -> str:
        return "/".join((*self.segments, "*") if self.everything_below else self.segments)


def owner_name(text: str) -> str:
    """`text`, if it can be an owner's name; raises InvalidName."""
    if not _OWNER.fullmatch(text):
        raise InvalidName("an owner's name is a-z, 0-9 and inner -, at most 63 characters")
    return text


@dataclass(frozen=True, slots=True)
class Owner:
    """Who sets policies and holds secrets. A disabled owner agrees to nothing. paths: where his own key puts first
    secrets, besides the repository of his name. releases_an_hour: None for what the configuration says."""

    name: str
    enabled: bool
    paths: tuple[PathPattern, ...] = ()
    releases_an_hour: int | None = None

    def starts(self, path: ResourcePath) -> bool:
        """Whether a first secret there is his to put: whoever puts it says who agrees to its release (T-LASTWRITER)."""
        return path.repository == self.name or any(pattern.matches(path) for pattern in self.paths)


@dataclass(frozen=True, slots=True)
class Rule:
    """An owner's condition for the resources under a pattern: the policy's text as the owner wrote it.

    digest: of the effective policy, `sha384:` and hex.
    """

    id: int
    owner: str
    pattern: PathPattern
    policy: str
    digest: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Envelope:
    """A secret at rest: AES-256-GCM under a key of its own, which the key store wraps."""

    wrapped_key: bytes
    iv: bytes
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """version: 1, 2, … ; never used again, also after deletion. owners: the secret's fixed set, sorted. enabled: whether
    it is released at all. overlaps: until when sessions that have it get it again, after another became current."""

    path: ResourcePath
    version: int
    owners: tuple[str, ...]
    envelope: Envelope
    terms: Terms = FREE
    enabled: bool = True
    overlaps: datetime | None = None

    def __post_init__(self) -> None:
        if not self.owners:
            raise ValueError("a secret has at least one owner")


@dataclass(frozen=True, slots=True)
class WrappedRow:
    """The wrapped data key of a version, without the secret."""

    path: ResourcePath
    version: int
    wrapped_key: bytes
    terms: Terms = FREE


@dataclass(frozen=True, slots=True)
class Version:
    """A version as administration sees it: no content. destroyed: its key is gone, and only its number stays."""

    number: int
    created: datetime
    enabled: bool
    destroyed: bool
    overlaps: datetime | None
    terms: Terms
    given: int


@dataclass(frozen=True, slots=True)
class Given:
    """A release to a session. key: the thumbprint that the version was wrapped for. audit: the number of its row.
    lease: when its lease ends, None where it has none."""

    version: int
    key: str
    audit: int
    lease: datetime | None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as administration sees it: no content."""

    path: ResourcePath
    owners: tuple[str, ...]
    version: int | None
    created: datetime


@dataclass(frozen=True, slots=True)
class Challenge:
    """A nonce given to one guest.

    id: SHA-256 of the cookie. nonce: as sent, 44 characters. body: SHA-256 of the attestation that
    consumed it. answer: the token it was answered with, if it was accepted.
    """

    id: bytes
    tee: str
    protocol: str
    nonce: str
    created: datetime
    expires: datetime
    consumed: datetime | None = None
    body: bytes | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """An attested guest: its verified claims, sealed, and the key they bind.

    id: SHA-256 of the cookie. collateral: names the anchors and endorsements it was verified
    with (`Verification.basis`). token_id: the `jti` of its token. expires: that of its challenge.
    """

    id: bytes
    tee: str
    protocol: str
    key: Mapping[str, Any]
    attested: datetime
    expires: datetime
    collateral: str
    token_id: str
    sealed: bytes


def hashed(identifier: str) -> bytes:
    """What is stored of a cookie or an administration key: 256 random bits need no slow hash."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()
