"""How the body of an attestation is read, in every version: bounded, strict, and into the same few members.

Members we do not know are let through, except inside what is hashed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attest.canonical import read_json
from attest.problems import malformed

LIMIT: Final = 16 << 20
_MAX_COMMAS: Final = 256 << 10
"""Evidence is a few long texts and, for SNP, some thousand integers. Sixteen megabytes of `[],[],` would be
half a gigabyte of lists."""
_OF_DEVICES: Final = ("primary_evidence", "additional_evidence", "device_evidence_list")


def read_body(body: bytes) -> dict[str, Any]:
    """The attestation's members. Raises Malformed."""
    if body.count(b",") > _MAX_COMMAS:
        raise malformed("The attestation has too many members", where="attestation", expected=_MAX_COMMAS)
    return read_object(read_json(body, where="attestation", limit=LIMIT), "attestation")


def read_composite(message: Mapping[str, Any]) -> tuple[Any, str]:
    """`tee-evidence` of versions with devices: JSON of the CPU, and the exact text of the devices. Raises
    Malformed."""
    evidence = read_object(message.get("tee-evidence"), "tee-evidence")
    if "primary_evidence" not in evidence:
        raise malformed("There is no primary evidence", where="tee-evidence.primary_evidence")
    additional = evidence.get("additional_evidence", "")
    if not isinstance(additional, str):
        raise malformed("Additional evidence is a text", where="tee-evidence.additional_evidence")
    hashable(additional, "tee-evidence.additional_evidence")
    return evidence["primary_evidence"], additional


def read_bare(value: Any, version: str) -> dict[str, Any]:
    """`tee-evidence` of versions without devices: the CPU's alone. Their report data would not cover a device, and
    whoever carries the message could put in any (T-UNBOUND). Raises Malformed."""
    evidence = read_object(value, "tee-evidence")
    if found := [name for name in _OF_DEVICES if name in evidence]:
        raise malformed(
            f"Protocol {version} ties no device to the CPU, so it carries none",
            where=f"tee-evidence.{found[0]}",
            expected="the CPU's evidence alone; devices come by 0.4.0",
        )
    return evidence


def hashable(text: str, where: str) -> None:
    """Refuse text that UTF-8 cannot write: it has no canonical form, so no digest (T-CANON)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise malformed("The text holds half a surrogate pair", where=where) from None


def read_object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise malformed("A JSON object is wanted", where=where)
    return value
