"""The members of a result's claims, each read by its type. Raises Malformed (`ear.malformed`) with its place."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from attest.problems import malformed
from attest.result.ear.attested import AttestedPart
from attest.result.ear.keys import base64url
from attest.result.ear.spelling import Spelling
from attest.result.ear.vector import CATEGORIES, TIERS, Category, Tier, Vector

MAX_PARTS = 64
_PART = re.compile(r"cpu0|(?:gpu|switch)(?:0|[1-9][0-9]{0,2})", re.ASCII)
_POLICY = re.compile(r"[^\s@]{1,128}@sha384:[0-9a-f]{96}", re.ASCII)
_DIGEST = re.compile(r"sha384:[0-9a-f]{96}", re.ASCII)
_LATEST = 1 << 36


def text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        refuse(name, "text", value)
    return value


def seconds(claims: Mapping[str, Any], name: str) -> int:
    """A NumericDate without fractions: EAT allows no other (RFC 9711 §4.3.1)."""
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < _LATEST:
        refuse(name, "whole seconds", value)
    return value


def octets(claims: Mapping[str, Any], name: str, least: int, most: int) -> bytes:
    """Bytes in base64url without padding, the one spelling they have."""
    value = text(claims, name)
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        refuse(name, "base64url", value)
    if base64url(raw) != value or not least <= len(raw) <= most:
        refuse(name, f"base64url of {least} to {most} bytes", value)
    return raw


def tier(claims: Mapping[str, Any], name: str, where: str) -> Tier:
    value = claims.get(name)
    found = next((known for known in TIERS if known == value and isinstance(value, str)), None)
    if found is None:
        refuse(where, "none, affirming, warning or contraindicated", value)
    return found


def parts(
    claims: Mapping[str, Any], spelling: Spelling
) -> Mapping[str, tuple[AttestedPart, Mapping[str, Any]]]:
    """Part → what is said of it, and its annotated evidence."""
    submods = claims.get("submods")
    if not isinstance(submods, Mapping) or not 1 <= len(submods) <= MAX_PARTS:
        # An empty result would be one in which nothing is wrong (T-EMPTY).
        refuse("submods", f"1 to {MAX_PARTS} parts", submods)
    found = {}
    for name, said in submods.items():
        if not isinstance(name, str) or not _PART.fullmatch(name):
            refuse("submods", "cpu0, gpu0 …, switch0 …", name)
        if not isinstance(said, Mapping):
            refuse(f"submods.{name}", "an object", said)
        found[name] = _part(name, said, spelling)
    return MappingProxyType(found)


def _part(name: str, said: Mapping[str, Any], spelling: Spelling) -> tuple[AttestedPart, Mapping[str, Any]]:
    where = f"submods.{name}"
    status = tier(said, spelling.status, f"{where}.{spelling.status}")
    vector = vector_of(said.get(spelling.vector), f"{where}.{spelling.vector}")
    if TIERS[status] < TIERS[vector.worst]:
        refuse(f"{where}.{spelling.status}", f"no better than {vector.worst}", status)
    annotated = said.get(spelling.annotated)
    if not isinstance(annotated, Mapping) or not isinstance(annotated.get("simulated"), bool):
        refuse(f"{where}.{spelling.annotated}", "simulated, true or false", annotated)
    digest = annotated.get("evidence-digest")
    if digest is not None and not (isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        refuse(f"{where}.{spelling.annotated}", "evidence-digest: sha384: and hex", digest)
    policies = _policies(said.get(spelling.policies), spelling, f"{where}.{spelling.policies}")
    return AttestedPart(status, vector, policies, digest), annotated


def vector_of(value: object, where: str) -> Vector:
    if not isinstance(value, Mapping) or not set(value) <= set(CATEGORIES):
        refuse(where, "numbers by category", value)
    claimed: dict[Category, int] = {}
    for category in CATEGORIES:
        number = value.get(category, 0)
        if type(number) is not int or not -128 <= number <= 127:
            refuse(f"{where}.{category}", "−128 to 127", number)
        claimed[category] = number
    return Vector.of(claimed)


def _policies(value: object, spelling: Spelling, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = value if spelling.many_policies else [value]
    if not isinstance(listed, list) or not 1 <= len(listed) <= 8:
        refuse(where, "ids of policies", value)
    for entry in listed:
        if not isinstance(entry, str) or not _POLICY.fullmatch(entry):
            refuse(where, "NAME@sha384: and hex", entry)
    return tuple(listed)


def refuse(where: str, expected: str, found: object) -> NoReturn:
    raise malformed(
        "The result does not say what one of ours says",
        where=where,
        expected=expected,
        found="nothing" if found is None else str(found)[:120],
        code="ear.malformed",
    )
