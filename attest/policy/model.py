"""A policy as the appraiser sees it: rules of operators, reference sets, and who may be warned of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, TypeAlias

from attest.claims import Claim
from attest.policy.kinds import Value
from attest.policy.nodes import Place

_NOWHERE = Place()

OperatorName: TypeAlias = Literal[
    "is",
    "one-of",
    "none-of",
    "at-least",
    "at-most",
    "has-bits",
    "no-bits",
    "exists",
    "in",
    "subset-of",
]
CanonicalText: TypeAlias = "str | list[CanonicalText] | dict[str, CanonicalText]"

FIXED = Claim("snp", "fixed", "set", "advisories whose fix floor data must show")
"""Stands where a claim stands, and is none: `attest.policy.floors` says what it asks of the evidence."""

PLATFORMS = ("snp", "tdx", "azure-snp", "azure-tdx", "none")
PARTS = ("snp", "tdx", "azure", "gpu", "switch", "evidence", "binding", "boot", "time")
"""Sections in the order of results."""


@dataclass(frozen=True, slots=True)
class Branches:
    """Minimums of a version by its first number. newer: a first number above all listed passes."""

    minimums: Mapping[int, tuple[int, ...]]
    newer: bool


@dataclass(frozen=True, slots=True)
class Components:
    """Bounds of a TCB: the same for all products, or by product. An unlisted product fails."""

    free: Mapping[str, int] | None
    by_product: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bounds of single bytes of an SVN, by index."""

    bounds: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference value. covers: firmware or image, None where unsaid. state: active, observed, revoked."""

    value: bytes | str
    name: str | None = None
    covers: str | None = None
    state: str = "active"
    begins: datetime | None = None
    ends: datetime | None = None
    since: datetime | None = None
    because: str | None = None
    origin: str | None = None


@dataclass(frozen=True)
class ReferenceSet:
    """Values of one claim, indexed once: what a set costs does not grow with it."""

    name: str
    claim: Claim
    values: tuple[Reference, ...]

    @cached_property
    def index(self) -> Mapping[bytes | str, tuple[Reference, ...]]:
        """Value → its entries, in the file's order; joined sets may list a value twice."""
        found: dict[bytes | str, tuple[Reference, ...]] = {}
        for reference in self.values:
            found[reference.value] = (*found.get(reference.value, ()), reference)
        return found

    @cached_property
    def valid(self) -> int:
        """How many entries are not revoked."""
        return sum(reference.state != "revoked" for reference in self.values)

    @cached_property
    def suggested(self) -> tuple[str, ...]:
        """The first two names of active values: what to deploy instead of one of them."""
        names = dict.fromkeys(one.name for one in self.values if one.state == "active" and one.name)
        return tuple(names)[:2]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An advisory that an owner lives with until a date. advisory: in upper case."""

    advisory: str
    until: datetime
    because: str
    override: str | None = None
    place: str = ""
    spot: Place = _NOWHERE


Operand: TypeAlias = Value | tuple[Value, ...] | Branches | Components | Bytes | tuple[ReferenceSet, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """operand: what the operator compares with, read. text: its canonical form."""

    name: OperatorName
    operand: Operand
    text: CanonicalText


@dataclass(frozen=True, slots=True)
class Rule:
    """All operators must pass. place: `file:line:column`, or `default`."""

    claim: Claim
    operators: tuple[Operator, ...]
    place: str
    order: int
    warn: bool = False
    until: datetime | None = None
    why: str | None = None
    fix: str | None = None
    override: str | None = None
    covers: str | None = None
    absent_passes: bool = False
    spot: Place = _NOWHERE

    @property
    def section(self) -> str:
        return self.claim.section

    @property
    def name(self) -> str:
        return f"{self.claim.section}.{self.claim.name}"

    @property
    def is_default(self) -> bool:
        return self.place == "default"

    @property
    def is_fixed(self) -> bool:
        """Whether floor data makes the rule: it names advisories, and no claim of the evidence."""
        return self.claim is FIXED

    def operator(self, *names: OperatorName) -> Operator | None:
        return next((operator for operator in self.operators if operator.name in names), None)


@dataclass(frozen=True, slots=True)
class Group:
    """any, all or none of rule maps; a rule map holds where all its entries do."""

    section: str
    kind: Literal["any", "all", "none"]
    branches: tuple[tuple[Rule | Group, ...], ...]
    place: str
    order: int

    @property
    def name(self) -> str:
        return f"{self.section}.{self.kind}"


Entry: TypeAlias = Rule | Group


@dataclass(frozen=True, slots=True)
class Body:
    """What a policy says, resolved. sections: section → its entries, parents' first, in each file's order.

    loosened: what lets pass more than a default or a parent does → the owner's reason; a rule by its name,
    else `references.SET`, `params.NAME`, `accept.ADVISORY`. accepted: all entries of an advisory must hold.
    """

    name: str
    platforms: frozenset[str]
    sections: Mapping[str, tuple[Entry, ...]]
    references: Mapping[str, ReferenceSet] = field(default_factory=dict)
    allow_warnings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    loosened: Mapping[str, str] = field(default_factory=dict)
    accepted: tuple[Accepted, ...] = ()
