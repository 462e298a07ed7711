"""The claims of a result as CBOR has them: numbers for names, bytes for base64url, numbers for tiers; and back.

Source: RFC 8392 §4 (registered claims), RFC 9711 §4 (EAT), draft-ietf-rats-ear-03 §3 and its extensions.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attest.result.ear.keys import base64url
from attest.result.ear.spelling import Spelling
from attest.result.ear.vector import CATEGORIES, TIERS

_COMMON: Mapping[str, int] = MappingProxyType(
    {
        "iss": 1,
        "aud": 3,
        "exp": 4,
        "nbf": 5,
        "iat": 6,
        "jti": 7,
        "eat_nonce": 10,
        "eat_profile": 265,
        "submods": 266,
    }
)
_BYTES = ("jti", "eat_nonce")
_STATUS, _VECTOR, _POLICIES, _VERIFIER, _ANNOTATED = 1000, 1001, 1003, 1004, -70000
_CATEGORY_LABELS = {name: index for index, name in enumerate(CATEGORIES)}
_VERIFIER_LABELS = {"developer": 0, "build": 1}


def to_labels(claims: Mapping[str, Any], spelling: Spelling) -> dict[int, Any]:
    """claims: as `claims_of` writes them."""
    found: dict[int, Any] = {}
    for name, value in claims.items():
        if name == spelling.verifier:
            found[_VERIFIER] = {_VERIFIER_LABELS[key]: text for key, text in value.items()}
        elif name == spelling.status:
            found[_STATUS] = TIERS[value]
        elif name == "submods":
            found[_COMMON[name]] = {part: _part(said, spelling) for part, said in value.items()}
        elif name in _BYTES:
            found[_COMMON[name]] = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        else:
            found[_COMMON[name]] = value
    return found


def from_labels(claims: object, spelling: Spelling) -> dict[str, Any]:
    """Names for numbers. Raises ValueError for what is not built as `to_labels` builds it; claims of labels
    that are not known are left out."""
    names = {label: name for name, label in _COMMON.items()} | {
        _VERIFIER: spelling.verifier,
        _STATUS: spelling.status,
    }
    found: dict[str, Any] = {}
    for label, value in _map(claims).items():
        name = names.get(label) if type(label) is int else None
        if name is None:
            continue
        if name == spelling.verifier:
            value = _named(value, _VERIFIER_LABELS)
        elif name == spelling.status:
            value = _tier(value)
        elif name == "submods":
            value = {part: _part_back(said, spelling) for part, said in _map(value).items()}
        elif name in _BYTES:
            if not isinstance(value, bytes):
                raise ValueError(f"{name} is a byte string")
            value = base64url(value)
        found[name] = value
    return found


def _part(said: Mapping[str, Any], spelling: Spelling) -> dict[int, Any]:
    part = {
        _STATUS: TIERS[said[spelling.status]],
        _VECTOR: {_CATEGORY_LABELS[name]: value for name, value in said[spelling.vector].items()},
        _ANNOTATED: said[spelling.annotated],
    }
    if spelling.policies in said:
        part[_POLICIES] = said[spelling.policies]
    return part


def _part_back(said: object, spelling: Spelling) -> dict[str, Any]:
    members = _map(said)
    part: dict[str, Any] = {}
    if _STATUS in members:
        part[spelling.status] = _tier(members[_STATUS])
    if _VECTOR in members:
        part[spelling.vector] = _named(members[_VECTOR], _CATEGORY_LABELS)
    if _ANNOTATED in members:
        part[spelling.annotated] = members[_ANNOTATED]
    if _POLICIES in members:
        part[spelling.policies] = members[_POLICIES]
    return part


def _map(value: object) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a map is wanted")
    return value


def _named(value: object, labels: Mapping[Any, int]) -> dict[str, Any]:
    names = {label: name for name, label in labels.items()}
    try:
        return {names[label]: member for label, member in _map(value).items()}
    except (KeyError, TypeError):
        raise ValueError("a label is not known") from None


def _tier(value: object) -> str:
    for name, number in TIERS.items():
        if type(value) is int and value == number:
            return name
    raise ValueError("a status is 0, 2, 32 or 96")
