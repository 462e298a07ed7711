"""How a setting of the simulator is written as text: a number, bytes, one of some words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}|[0-9]{1,40}", re.ASCII)
_HEX = re.compile(r"hex:((?:[0-9a-fA-F]{2})*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """What text a field takes. says: in words. read: the value that text stands for, None where it stands for
    none. parts: name of a part → its form, of a field that is set part by part (`tcb.snp`); then `read` may be
    missing, and the field has no value as a whole."""

    says: str
    read: Callable[[str], Any] | None
    parts: Mapping[str | int, Form] | None = None


def number(least: int, most: int) -> Form:
    """Decimal or 0x."""

    def read(text: str) -> int | None:
        value = int(text, 16 if text.startswith("0x") else 10) if _NUMBER.fullmatch(text) else None
        return value if value is not None and least <= value <= most else None

    return Form(f"a number from {least} to {most}", read)


def octets(least: int, most: int | None = None) -> Form:
    """`hex:` and bytes. most: None where there are exactly `least`."""
    longest = least if most is None else most

    def read(text: str) -> bytes | None:
        given = _HEX.fullmatch(text)
        value = bytes.fromhex(given[1]) if given else None
        return value if value is not None and least <= len(value) <= longest else None

    return Form(f"hex: and {least if most is None else f'{least} to {most}'} bytes", read)


def integer(size: int) -> Form:
    """A field of `size` bytes that is a number; or its bytes as they stand in the structure."""
    value, raw = number(0, (1 << 8 * size) - 1), octets(size)
    return either(value, raw)


def either(first: Form, second: Form) -> Form:
    def read(text: str) -> Any:
        assert first.read is not None
        assert second.read is not None
        value = first.read(text)
        return second.read(text) if value is None else value

    return Form(f"{first.says}, or {second.says}", read)


def word(*words: str) -> Form:
    known = {each: each for each in words}
    return Form(f"one of {', '.join(words)}", known.get)


def choice(*numbers: int) -> Form:
    known = {str(each): each for each in numbers}
    return Form(f"one of {', '.join(known)}", known.get)


def flag() -> Form:
    return Form("true or false", {"true": True, "false": False}.get)


def text(says: str, accepts: Callable[[str], object]) -> Form:
    """Text as it is, where `accepts` finds something in it."""
    return Form(says, lambda given: given if accepts(given) else None)


def names(says: str, one: re.Pattern[str]) -> Form:
    """Several, with commas between them."""

    def read(given: str) -> tuple[str, ...] | None:
        listed = given.split(",")
        return tuple(listed) if all(map(one.fullmatch, listed)) else None

    return Form(says, read)


def parts(keys: Sequence[str | int], form: Form, whole: Form | None = None) -> Form:
    """A field of which each part is set alone, as `tcb.snp`. whole: the form of the field at once, if any."""
    shown = f"{keys[0]} to {keys[-1]}" if isinstance(keys[0], int) else ", ".join(map(str, keys))
    says = f"{form.says} for one of its parts ({shown})"
    if whole is not None:
        says = f"{whole.says}; or {says}"
    return Form(says, None if whole is None else whole.read, dict.fromkeys(keys, form))
