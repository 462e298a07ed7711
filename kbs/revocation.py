"""What is not to be trusted any more, in force at the next request: by whom, of which machine, under which rule.

Checked when a machine attests, so that its owner learns at once, and at each release. No database, no web.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from attest.claims import DEVICE_SECTIONS, instant, read_instant
from attest.errors import Problem
from kbs.access import Role
from kbs.domain import InvalidName, ResourcePath
from kbs.problems import problem

Kind = Literal[
    "secret", "version", "platform", "measurement", "policy", "token", "session", "attested-before"
]
"""secret: a path. version: PATH@NUMBER. platform: the id of a chip, a TDX platform or a device. measurement: of a launch.
policy: a digest. token: its `jti`. session: as audit rows name it. attested-before: an instant."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_HEX = re.compile(r"[0-9a-f]{8,256}")
_FORMS: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "platform": (_HEX, "8 to 256 lower-case hex digits"),
    "measurement": (_HEX, "8 to 256 lower-case hex digits"),
    "policy": (re.compile(r"sha384:[0-9a-f]{96}"), "sha384: and 96 hex digits"),
    "token": (re.compile(r"[A-Za-z0-9_.:-]{1,128}"), "the token's jti"),
    "session": (re.compile(r"[0-9a-f]{64}"), "64 hex digits, as audit rows have it"),
}
_MEASUREMENTS: Final = (("snp", "measurement"), ("tdx", "mrtd"))


class InvalidRevocation(InvalidName):
    """A kind or value that names nothing."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """number: 1, 2, … value: in its kind's one spelling. role: of whoever revoked. lifted: None while it is in force."""

    number: int
    kind: Kind
    value: str
    reason: str
    at: datetime
    role: Role
    lifted: datetime | None = None

    @property
    def names_a_secret(self) -> bool:
        return self.kind in ("secret", "version")


def revocable(kind: str, value: str) -> tuple[Kind, str]:
    """Both, where they name something. Raises InvalidRevocation."""
    if kind not in KINDS:
        raise InvalidRevocation(f"{kind[:40]} cannot be revoked; what can: {', '.join(KINDS)}")
    known: Kind = kind
    if kind == "secret":
        return known, str(ResourcePath.parse(value))
    if kind == "version":
        path, _, number = value.rpartition("@")
        if not re.fullmatch(r"[1-9][0-9]{0,9}", number):
            raise InvalidRevocation("a version is PATH@NUMBER, as acme/key/model@3")
        return known, f"{ResourcePath.parse(path)}@{number}"
    if kind == "attested-before":
        try:
            return known, instant(read_instant(value))
        except ValueError:
            raise InvalidRevocation("attested-before is an instant, as 2026-12-31T18:00:00Z") from None
    form, said = _FORMS[kind]
    if not form.fullmatch(value):
        raise InvalidRevocation(f"a {kind} is {said}")
    return known, value


@dataclass(frozen=True, slots=True)
class Revocations:
    """All that is in force. tag: another for each content, by which two are compared. epoch: how many acts made it."""

    tag: str = ""
    epoch: int = 0
    names: Mapping[tuple[str, str], str] = field(default_factory=dict, compare=False)
    """(kind, value) → reason"""
    before: tuple[datetime, str] | None = field(default=None, compare=False)

    @classmethod
    def of(cls, tag: str, epoch: int, rows: Iterable[Revocation]) -> Revocations:
        names: dict[tuple[str, str], str] = {}
        before: tuple[datetime, str] | None = None
        for row in rows:
            if row.kind == "attested-before":
                end = read_instant(row.value)
                before = (end, row.reason) if before is None or end > before[0] else before
            else:
                names[row.kind, row.value] = row.reason
        return cls(tag, epoch, names, before)

    def against(self, names: Iterable[tuple[str, str]], attested: datetime | None = None) -> list[Problem]:
        """Of these names, those that are revoked; and whether what was attested then counts any more."""
        found = [
            problem("kbs.revoked", where=f"{kind} {value}", found=self.names[kind, value])
            for kind, value in dict.fromkeys(names)
            if (kind, value) in self.names
        ]
        if self.before is not None and attested is not None and attested < self.before[0]:
            found.append(
                problem(
                    "kbs.revoked",
                    where=f"attested-before {instant(self.before[0])}",
                    expected="an attestation since",
                    found=f"one of {instant(attested)}: {self.before[1]}",
                )
            )
        return found


def names_of_machine(claims: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a machine can be revoked by: its chips and devices, and what it was launched as."""
    for section, name in _MEASUREMENTS:
        value = _text(claims.get(section), name)
        if value:
            yield "measurement", value
    chip = _text(claims.get("snp"), "chip-id")
    if chip:
        yield "platform", chip
    raw = claims.get("raw")
    pck = raw.get("tdx", {}).get("pck") if isinstance(raw, Mapping) else None
    for name in ("platform_instance_id", "ppid"):
        value = _text(pck, name)
        if value:
            yield "platform", value
    for section in sorted(DEVICE_SECTIONS):
        devices = claims.get(section)
        for device in devices if isinstance(devices, (list, tuple)) else ():
            value = _text(device, "id")
            if value:
                yield "platform", value.lower()


def platforms_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The ids of its chips and devices, each once."""
    return tuple(dict.fromkeys(value for kind, value in names_of_machine(claims) if kind == "platform"))


def _text(section: object, name: str) -> str | None:
    value = section.get(name) if isinstance(section, Mapping) else None
    return value if isinstance(value, str) else None
