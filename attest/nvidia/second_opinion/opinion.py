"""The result of asking somebody else, whoever it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.checks import CheckRecord
from attest.errors import Problem


@dataclass(frozen=True, slots=True)
class DeviceOpinion:
    """name: as the other names the device, `GPU-0` or `gpu[0]`. agrees: nothing it says speaks against the
    device. said: what it says, name → text; untrusted, escaped by whoever shows it."""

    name: str
    agrees: bool
    said: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "agrees": self.agrees, "said": dict(self.said)}


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """who: a service or a program with its version. agrees: authentic, about this evidence, and good.
    devices: one entry a device. problems: why it does not agree; empty exactly when it does. checks: what
    was looked at. simulated: a simulator made it, so it says nothing of hardware.

    `agrees` withholds, it never grants: nothing takes a SecondOpinion in place of a Verified.
    """

    who: str
    agrees: bool
    devices: tuple[DeviceOpinion, ...]
    problems: tuple[Problem, ...]
    checks: tuple[CheckRecord, ...]
    simulated: bool = False

    def __post_init__(self) -> None:
        if self.agrees == bool(self.problems):
            raise ValueError("an opinion agrees exactly when there is no problem with it")

    def as_dict(self) -> dict[str, Any]:
        return {
            "who": self.who,
            "agrees": self.agrees,
            "simulated": self.simulated,
            "devices": [device.as_dict() for device in self.devices],
        }
