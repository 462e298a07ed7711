"""The workload's key in a result: whoever encrypts to it reaches the machine that was judged."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})


def bound_key(claims: Mapping[str, Any], key: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The JWK, where the evidence was found to carry it. One with private members is never passed on."""
    if key is None or claims.get("binding", {}).get("key") != "true" or _PRIVATE & set(key):
        return None
    return MappingProxyType(dict(key))
