"""The parts of a token in Trustee's shape: status and vector of each, and what it is said to be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attest.result.ear import members
from attest.result.ear.attested import AttestedPart
from attest.result.ear.spelling import SPELLINGS
from attest.result.ear.vector import TIERS

Said: TypeAlias = Mapping[str, Any]
"""A part's annotated evidence."""
_SPELLING: Final = SPELLINGS["trustee"]
_PART: Final = re.compile(r"cpu0|ppcie0|(?:gpu|switch)(?:0|[1-9][0-9]{0,2})", re.ASCII)


def read_parts(claims: Mapping[str, Any]) -> Mapping[str, tuple[AttestedPart, Said]]:
    """Part → what is concluded and what is said of it; `cpu0` is among them. Raises Malformed.

    A machine's devices are numbered in no order that says which is which.
    """
    submods = claims.get("submods")
    if (
        not isinstance(submods, Mapping)
        or not 1 <= len(submods) <= members.MAX_PARTS
        or "cpu0" not in submods
    ):
        # Without parts nothing would be wrong with any of them (T-EMPTY).
        members.refuse("submods", f"cpu0 and at most {members.MAX_PARTS - 1} devices", submods)
    found = {}
    for name, said in submods.items():
        if not isinstance(name, str) or not _PART.fullmatch(name):
            members.refuse("submods", "cpu0, gpu0 …, switch0 …, ppcie0", name)
        if not isinstance(said, Mapping):
            members.refuse(f"submods.{name}", "an object", said)
        found[name] = _part(name, said)
    return MappingProxyType(found)


def _part(name: str, said: Mapping[str, Any]) -> tuple[AttestedPart, Said]:
    where = f"submods.{name}"
    status = members.tier(said, _SPELLING.status, f"{where}.{_SPELLING.status}")
    vector = members.vector_of(said.get(_SPELLING.vector), f"{where}.{_SPELLING.vector}")
    if TIERS[status] < TIERS[vector.worst]:
        members.refuse(f"{where}.{_SPELLING.status}", f"no better than {vector.worst}", status)
    annotated = said.get(_SPELLING.annotated)
    if not isinstance(annotated, Mapping):
        members.refuse(f"{where}.{_SPELLING.annotated}", "an object", annotated)
    policy = said.get(_SPELLING.policies)
    if not isinstance(policy, str) or not 0 < len(policy) <= 512:
        members.refuse(f"{where}.{_SPELLING.policies}", "the id of a policy", policy)
    return AttestedPart(status, vector, (policy,), None), annotated
