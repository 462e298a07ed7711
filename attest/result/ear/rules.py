"""A rule's record as results read it: what it is about, and of which device."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from attest.claims import read_instant

_NOBODY_WROTE = ("default", "floor")
"""Places of rules that come with the version or with floor data, and of no owner's file."""
_DEVICE = re.compile(r"(gpu|switch)\[([0-9]+)\]\.(.+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Named:
    """name: `section.claim`, or the claim alone where it is of no section. device: `gpu0`, None for what is of
    no one device. result: P, F or U. note: why a reference value failed. until: instant of a grace, seconds."""

    name: str
    section: str
    claim: str
    device: str | None
    result: str
    note: str
    outcome: str
    by_default: bool
    until: int | None

    @classmethod
    def of(cls, record: Mapping[str, str | None]) -> Named:
        """record: as `attest.policy.Appraisal.rules` holds them."""
        rule = record["rule"] or ""
        result, _, note = (record["result"] or "").partition(" ")
        until = record["until"]
        found = _DEVICE.fullmatch(rule)
        if found:
            section, claim, device = found[1], found[3], f"{found[1]}{int(found[2])}"
        else:
            section, _, claim = rule.rpartition(".")
            device = None
        return cls(
            f"{section}.{claim}" if section else claim,
            section,
            claim,
            device,
            result,
            note,
            record["outcome"] or "",
            record["at"] in _NOBODY_WROTE,
            None if until is None else int(read_instant(until).timestamp()),
        )


def records_of(part: str, parts: Iterable[str], records: Iterable[Named]) -> list[Named]:
    """The records that speak of `part`, one of `parts`: `cpu0`, `gpu0` …, `switch0` ….

    What is said of no one device (platform, binding, times, how many) is the CPU's, and every device's where
    there is no CPU part; what ties the devices to the CPU is said of both.
    """
    names = tuple(parts)
    kind = part.rstrip("0123456789")
    for_machine = kind == "cpu" or "cpu0" not in names
    found = []
    for record in records:
        if record.device is not None:
            speaks = record.device == part
        elif record.section in ("gpu", "switch"):
            there = any(name.startswith(record.section) for name in names)
            speaks = kind == record.section if there else for_machine
        elif record.name in ("binding.gpu-to-cpu", "binding.protocol"):
            speaks = True
        else:
            speaks = for_machine
        if speaks:
            found.append(record)
    return found
