"""The golden measurements inside a manifest's Payload.

Every entry is complete, unambiguous and of the one form NVIDIA writes, or the manifest is refused: a reader
that guesses at an unclear entry may compare with the wrong value.
Source: TCG RIM information model, Resource of type Measurement; hashes of SHA-384 size.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attest.nvidia.rim import SWID, local, refuse

INDEXES = 64
SIZE = 48
MAX_ALTERNATIVES = 64

_RESOURCE = f"{SWID}Resource"
_HASHES = tuple(f"{{http://www.w3.org/2001/04/xmlenc#sha384}}Hash{n}" for n in range(MAX_ALTERNATIVES))
_NUMBERS = {str(number): number for number in range(INDEXES)}
_PLAIN = frozenset({"type", "index", "active", "alternatives", "size", "name"})
_ATTRIBUTES = {str(n): _PLAIN.union(_HASHES[:n]) for n in range(1, MAX_ALTERNATIVES + 1)}


def read_measurements(payload: Any) -> Mapping[int, tuple[bytes, ...]]:
    """Index → alternatives of 48 bytes, for the active entries of a Payload element.

    Indexes are 0 to 63, each once, which bounds their number; `alternatives` is the number of hashes, at least one; at least one
    entry is active. Raises Malformed for anything else.
    """
    resources = [child for child in payload if isinstance(child.tag, str)]
    seen: set[int] = set()
    active: dict[int, tuple[bytes, ...]] = {}
    for resource in resources:
        attributes: dict[str, str] = dict(resource.items())
        if resource.tag != _RESOURCE or attributes.get("type") != "Measurement" or len(resource):
            refuse("Payload", "Resource of type Measurement", local(resource.tag))
        index = _NUMBERS.get(attributes.get("index", ""))
        if index is None:
            refuse("Resource.index", f"0 to {INDEXES - 1}", attributes.get("index", "nothing")[:16])
        if index in seen:
            refuse(f"Resource[{index}].index", "each index once", "a second one")
        seen.add(index)
        alternatives = _alternatives(attributes, index)
        state = attributes["active"]
        if state == "True":
            active[index] = alternatives
        elif state != "False":
            refuse(f"Resource[{index}].active", "True or False", state[:16])
    if not active:
        refuse("Payload", "at least one active measurement", "none")
    return MappingProxyType(active)


def _alternatives(attributes: dict[str, str], index: int) -> tuple[bytes, ...]:
    """Hash0 to Hash{n-1}, n being `alternatives`, no other hash, and every other attribute present."""
    wanted = _ATTRIBUTES.get(attributes.get("alternatives", ""))
    if wanted is None or attributes.keys() != wanted:
        refuse(
            f"Resource[{index}].alternatives",
            "as many hashes as alternatives, at least one",
            " ".join(sorted(map(local, attributes)))[:120],
        )
    if attributes["size"] != str(SIZE):
        refuse(f"Resource[{index}].size", SIZE, attributes["size"][:16])
    values = []
    for name in _HASHES[: len(wanted) - len(_PLAIN)]:
        value = _digest(attributes[name])
        if value is None:
            refuse(f"Resource[{index}]", f"{2 * SIZE} hex digits", attributes[name][:16])
        values.append(value)
    return tuple(values)


def _digest(text: str) -> bytes | None:
    """48 bytes from exactly 96 hex digits; `fromhex` would skip white space, which the lengths exclude."""
    if len(text) != 2 * SIZE:
        return None
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return None
    return value if len(value) == SIZE else None
