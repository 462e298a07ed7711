"""One reader a kind of claim, used for a policy's literals and for the evidence's text alike.

Readers take text (for sets a list, for a TCB a map) and return a value that compares; anything else is
ValueError, with a phrase that completes "expected …". `canonical` writes the value's one spelling.
Comparing follows `attest.policy.compare`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from attest.claims import Claim, instant, read_instant

Value: TypeAlias = bool | int | str | bytes | tuple[int, ...] | frozenset[str] | datetime | Mapping[str, int]

PRODUCTS = ("milan", "genoa", "turin")
COMPONENTS = ("fmc", "bootloader", "tee", "snp", "microcode")

_U64 = 1 << 64
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}", re.ASCII)
_HEX_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,19}(?:\.[0-9]{1,19}){0,3}", re.ASCII)
_VBIOS = re.compile(r"[0-9a-fA-F]{2}(?:\.[0-9a-fA-F]{2}){0,4}", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,10})([smhd])", re.ASCII)
_DAY = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}", re.ASCII)
_INSTANT = re.compile(r"[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read(claim: Claim, raw: object) -> Value:
    """The value of `raw` as this claim's kind. Raises ValueError: "expected …"."""
    reader = _READERS[claim.kind]
    return reader(claim, raw)


def canonical_text(claim: Claim, value: Value) -> str | list[str]:
    """The one spelling of a value that `read` returned, for digests and explanations."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}s" if claim.kind == "duration" else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, frozenset):
        return sorted(value, key=utf16)
    if isinstance(value, tuple):
        if claim.kind == "vbios":
            return ".".join(f"{byte:02X}" for byte in value)
        return ".".join(str(number) for number in value)
    return str(value)


def utf16(text: str) -> bytes:
    """Sorting key of RFC 8785: by UTF-16 code units, as every implementation can."""
    return text.encode("utf-16-be", "surrogatepass")


def number(text: object) -> int:
    """Decimal without leading zeros, or 0x; below 2^64."""
    if isinstance(text, str):
        value = -1
        if _DECIMAL.fullmatch(text):
            value = int(text)
        elif _HEX_NUMBER.fullmatch(text):
            value = int(text, 16)
        if 0 <= value < _U64:
            return value
    raise ValueError("a number below 2^64, decimal or 0x")


def day_or_instant(text: object, *, end: bool = False) -> datetime:
    """`YYYY-MM-DD`, the start of that UTC day or with `end` its last second, or RFC 3339 with Z."""
    if isinstance(text, str):
        try:
            if _DAY.fullmatch(text):
                day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
                return day + timedelta(hours=23, minutes=59, seconds=59) if end else day
            if _INSTANT.fullmatch(text):
                return read_instant(text)
        except ValueError:
            pass
    raise ValueError("a date YYYY-MM-DD, or an instant YYYY-MM-DDThh:mm:ssZ")


def _bool(claim: Claim, raw: object) -> bool:
    if raw == "true":
        return True
    if raw == "false":
        return False
    raise ValueError("true or false")


def _int(claim: Claim, raw: object) -> int:
    return number(raw)


def _bytes(claim: Claim, raw: object) -> bytes:
    sizes = " or ".join(str(size) for size in claim.size)
    if not isinstance(raw, str) or not _HEX.fullmatch(raw):
        raise ValueError(f"{sizes} bytes in hex")
    if len(raw) // 2 not in claim.size:
        raise ValueError(f"{sizes} bytes in hex; {len(raw) // 2} found")
    return bytes.fromhex(raw)


def _text(claim: Claim, raw: object) -> str:
    if not isinstance(raw, str) or not raw:
        raise ValueError("text")
    if claim.values and raw not in claim.values:
        raise ValueError(f"one of {', '.join(claim.values)}")
    return str.__str__(raw)


def _set(claim: Claim, raw: object) -> frozenset[str]:
    members: Sequence[object] = (
        [raw] if isinstance(raw, str) else raw if isinstance(raw, (list, tuple)) else [0]
    )
    if not all(isinstance(member, str) and member for member in members):
        raise ValueError("a list of texts")
    value = frozenset(str(member) for member in members)
    if len(value) != len(members):
        raise ValueError("a list without equal members")
    return value


class Version(tuple[int, ...]):
    """A version that compares as its numbers and is shown as it was written: 550.90.07 stays recognisable beside
    NVIDIA's own papers. Digests take `canonical_text`, which has no leading zeros."""

    text: str


def _version(claim: Claim, raw: object) -> Version:
    if not isinstance(raw, str) or not _VERSION.fullmatch(raw):
        raise ValueError("a version of one to four decimal numbers with dots")
    version = Version(int(part) for part in raw.split("."))
    version.text = str.__str__(raw)
    return version


def _vbios(claim: Claim, raw: object) -> tuple[int, ...]:
    if not isinstance(raw, str) or not _VBIOS.fullmatch(raw):
        raise ValueError("a version of one to five two-digit hex bytes with dots")
    return tuple(int(part, 16) for part in raw.split("."))


def _date(claim: Claim, raw: object) -> datetime:
    return day_or_instant(raw)


def _duration(claim: Claim, raw: object) -> int:
    found = _DURATION.fullmatch(raw) if isinstance(raw, str) else None
    if found is None:
        raise ValueError("a duration such as 60s, 15m, 36h or 90d")
    return int(found[1]) * _SECONDS[found[2]]


def _tcb(claim: Claim, raw: object) -> Mapping[str, int]:
    """Components of evidence; a policy's minimums are read by `attest.policy.operators`."""
    if not isinstance(raw, Mapping):
        raise ValueError("a map of components")
    return {name: byte(raw[name]) for name in COMPONENTS if name in raw}


def byte(raw: object) -> int:
    try:
        value = number(raw)
    except ValueError:
        value = 256
    if value > 255:
        raise ValueError("a number from 0 to 255")
    return value


def _svn(claim: Claim, raw: object) -> bytes:
    if not isinstance(raw, str) or not _HEX.fullmatch(raw) or len(raw) != 32:
        raise ValueError("16 bytes in hex")
    return bytes.fromhex(raw)


_READERS: Mapping[str, Callable[[Claim, object], Value]] = {
    "bool": _bool,
    "int": _int,
    "bits": _int,
    "bytes": _bytes,
    "text": _text,
    "set": _set,
    "version": _version,
    "vbios": _vbios,
    "tcb": _tcb,
    "svn": _svn,
    "date": _date,
    "duration": _duration,
}
