"""A machine in a few facts, and the claim tree that it would have: the ground on which two policies are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from attest.claims import DEVICE_SECTIONS
from attest.errors import Problem
from attest.policy.edges import Raw
from attest.policy.hypothetical import Hypothesis

SECTIONS_OF = {
    "snp": ("snp",),
    "tdx": ("tdx",),
    "azure-snp": ("snp", "azure"),
    "azure-tdx": ("tdx", "azure"),
    "none": (),
}
"""Platform → the sections that its CPU part brings."""
MAX_DEVICES = 64


@dataclass(frozen=True)
class Sketch:
    """facts: `snp.tcb` → canonical text, for devices of all of them alike; `gpu.count` is how many there are. odd:
    facts of the first device alone. ids: section → identities to give to devices in turn. raw: section → the
    vendor's own fields, of all devices of a kind alike. warnings: what verification said."""

    platform: str
    facts: Mapping[str, Raw] = field(default_factory=dict)
    odd: Mapping[str, Raw] = field(default_factory=dict)
    ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()

    def changed(self, facts: Mapping[str, Raw], raw: Mapping[str, Any] | None = None) -> Sketch:
        """With other facts, of all devices alike; an identity is the first one's alone."""
        odd = {name: value for name, value in facts.items() if _identity(name)}
        rest = {name: value for name, value in facts.items() if name not in odd}
        return replace(
            self,
            facts={**self.facts, **rest},
            odd={**self.odd, **odd},
            raw={**self.raw, **(raw or {})},
        )

    def count(self, section: str) -> int:
        text = self.facts.get(f"{section}.count")
        return min(MAX_DEVICES, int(text)) if isinstance(text, str) and text.isdecimal() else 0

    def hypothesis(self, at: datetime) -> Hypothesis:
        return Hypothesis(self.tree(), at, self.warnings)

    def tree(self) -> dict[str, Any]:
        """The claim tree. What Azure's paravisor says stands apart in it, as verification leaves it."""
        tree: dict[str, Any] = {
            section: self._facts(section)
            for section in (*SECTIONS_OF[self.platform], "boot", "binding", "time")
        }
        tree["evidence"] = {"verified-by": "self", "simulated": "false", **self._facts("evidence")}
        raw: dict[str, Any] = {name: value for name, value in self.raw.items() if name in tree}
        for section in sorted(DEVICE_SECTIONS):
            count = self.count(section)
            if count:
                tree[section] = [self._device(section, index, count) for index in range(count)]
                raw[section] = [self.raw.get(section, {"opaque_data_version": "1"})] * count
        if not any(section in tree for section in DEVICE_SECTIONS):
            tree["binding"].pop("gpu-to-cpu", None)
            tree["binding"].pop("protocol", None)
        if "azure" in tree:
            said = {name: tree.pop(name) for name in ("azure", "boot")}
            raw["azure"] = {"paravisor_says": said}
        return {**{name: value for name, value in tree.items() if value}, "raw": raw}

    def _facts(self, section: str) -> dict[str, Raw]:
        head = section + "."
        return {
            name.removeprefix(head): value
            for name, value in self.facts.items()
            if name.startswith(head) and value is not None
        }

    def _device(self, section: str, index: int, count: int) -> dict[str, Any]:
        facts = self._facts(section)
        listed = self.ids.get(section, ())
        made = hashlib.sha256(f"{section} {index}".encode()).hexdigest()[:40]
        facts["id"] = listed[index] if index < len(listed) else made
        if index == 0:
            for name, value in self.odd.items():
                if name.startswith(section + "."):
                    facts[name.removeprefix(section + ".")] = value
        facts["count"] = str(count)
        return {name: value for name, value in facts.items() if value is not None}


def _identity(name: str) -> bool:
    section, _, claim = name.partition(".")
    return section in DEVICE_SECTIONS and claim == "id"


def sections_of(platform: str, devices: Iterable[str]) -> tuple[str, ...]:
    """Sections that a machine of `platform` with these kinds of device is judged in."""
    return (*SECTIONS_OF[platform], *sorted(devices), "evidence", "binding", "boot", "time")
