"""Whose tokens count for people, and how they must be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

Algorithm: TypeAlias = Literal["ES256", "ES384", "RS256", "PS256", "EdDSA"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = get_args(Algorithm)
TokenType: TypeAlias = Literal["at+jwt", "JWT"]
LONGEST: Final = timedelta(hours=24)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}", re.ASCII)
Keys: TypeAlias = Mapping[str, Any]
"""`kid` → PyJWT's key, for one algorithm alone."""


@dataclass(frozen=True, slots=True)
class Provider:
    """One identity provider. name: what principals call it. iss, audience: what its tokens must say. algorithms: that
    its keys may be for. typ: the header's `typ`: `at+jwt` of RFC 9068, or `JWT`, where an ID token for the same
    audience counts too. longest: from `iat` to `exp`. Raises ValueError."""

    name: str
    iss: str
    audience: str
    algorithms: frozenset[Algorithm] = frozenset({"ES256"})
    typ: TokenType = "at+jwt"
    longest: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("a provider's name is a-z, 0-9 and -, at most 31 characters")
        for name, text in (("iss", self.iss), ("audience", self.audience)):
            if not (0 < len(text) <= 256 and text.isprintable()):
                raise ValueError(f"{name} is 1 to 256 printable characters")
        if not self.algorithms or not self.algorithms <= set(ALGORITHMS):
            raise ValueError(f"algorithms are some of {', '.join(ALGORITHMS)}")
        if not timedelta() < self.longest <= LONGEST:
            raise ValueError(f"tokens last at most {LONGEST.total_seconds() / 3600:.0f} hours")


class KeySource(Protocol):
    def current(self, now: datetime) -> Keys:
        """Raises KeysUnavailable."""
        ...

    def renewed(self, now: datetime) -> Keys | None:
        """Newer ones, for a token under a key that is not among those of now; None where there are none."""
        ...
