"""The trustworthiness vector: eight categories, one number each, and the tier that a number is of.

Source: draft-ietf-rats-ar4si, trustworthiness claims and tiers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args

Tier: TypeAlias = Literal["none", "affirming", "warning", "contraindicated"]
Category: TypeAlias = Literal[
    "instance-identity",
    "configuration",
    "executables",
    "file-system",
    "hardware",
    "runtime-opaque",
    "storage-opaque",
    "sourced-data",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
"""In the order of their CBOR labels, 0 to 7."""
TIERS: Mapping[Tier, int] = MappingProxyType(
    {"none": 0, "affirming": 2, "warning": 32, "contraindicated": 96}
)
"""A tier's number, as CBOR writes it; a larger one is worse."""

NO_CLAIM = 0
UNEXPECTED_EVIDENCE = 1
VERIFIER_FAULT = -1
NOT_AUTHENTIC = 99


def tier_of(value: int) -> Tier:
    """The tier of a trustworthiness claim. Raises ValueError outside −128 to 127."""
    if not -128 <= value <= 127:
        raise ValueError("a trustworthiness claim is −128 to 127")
    if -1 <= value <= 1:
        return "none"
    # The negative numbers are a verifier's own meanings, of the tiers that their mirror images have.
    distance = value if value > 0 else -value - 1
    return "affirming" if distance < 32 else "warning" if distance < 96 else "contraindicated"


def worse(one: Tier, other: Tier) -> Tier:
    return max(one, other, key=TIERS.__getitem__)


@dataclass(frozen=True, slots=True)
class Vector:
    """values: every category → −128 to 127, 0 where nothing is claimed."""

    values: Mapping[Category, int]

    def __post_init__(self) -> None:
        if set(self.values) != set(CATEGORIES):
            raise ValueError("a vector has each of the eight categories")
        for value in self.values.values():
            tier_of(value)

    @classmethod
    def of(cls, claimed: Mapping[Category, int]) -> Vector:
        """What is claimed; nothing of the other categories."""
        return cls(MappingProxyType({category: claimed.get(category, NO_CLAIM) for category in CATEGORIES}))

    @classmethod
    def throughout(cls, value: int) -> Vector:
        return cls.of(dict.fromkeys(CATEGORIES, value))

    @property
    def worst(self) -> Tier:
        """The worst tier of the eight; none where nothing is claimed."""
        tier: Tier = "none"
        for value in self.values.values():
            tier = worse(tier, tier_of(value))
        return tier
