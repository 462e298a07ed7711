"""Which rules speak of which category, and the numbers that their outcomes stand for.

A rule counts in each category that names its claim, and in `configuration` where none does. Four places
decide what the table of the specification leaves open. `platforms` (the machine is of a kind that the owner
did not list) is read as hardware that is not recognised, like `product` and `model`. The digests of `boot`
are executables: they name what was started. Rules inside `any`, `all` and `none` are recorded as one, which
says nothing of its members, so a group counts in `configuration` and affirms nothing else. And executables of the CPU
part are affirmed only by a policy that identifies the workload: a rule on RTMR3 alone, or that a log replays, passes on
any program (`attest.result.ear.weigh`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from attest.result.ear.vector import Category


class Values(NamedTuple):
    """passed: by a rule of the owner's. by_default: where only defaults spoke. warned: in grace, accepted or
    observed. failed, unknown: denied. named: for failures with a number of their own, by claim or note."""

    passed: int
    by_default: int
    warned: int
    failed: int
    unknown: int
    named: Mapping[str, int] = MappingProxyType({})


RUNTIME_APPROVED = 2
"""Executables, where a replayed log and RTMR3 vouch for what ran after the boot as well."""

VALUES: Mapping[Category, Values] = MappingProxyType(
    {
        "hardware": Values(
            2,
            2,
            32,
            96,
            97,
            MappingProxyType({"product": 97, "model": 97, "architecture": 97, "platforms": 97}),
        ),
        "configuration": Values(2, 3, 32, 96, 36),
        "executables": Values(3, 3, 32, 96, 33, MappingProxyType({"not listed": 33})),
        "instance-identity": Values(2, 2, 32, 97, 97, MappingProxyType({"revoked": 96})),
        "runtime-opaque": Values(2, 2, 32, 96, 96),
    }
)

_DEVICE_HARDWARE = ("model", "architecture", "cert", "fixed")
_RULES: Mapping[Category, tuple[str, ...]] = {
    "hardware": (
        "platforms",
        *(f"snp.{name}" for name in ("product", "tcb", "tcb-committed", "tcb-launch", "firmware", "fixed")),
        *(f"tdx.tcb-{name}" for name in ("status", "lag", "evaluation", "date")),
        *(f"tdx.{name}" for name in ("advisories", "tee-tcb-svn", "fmspc", "mrseam", "fixed")),
        *(f"gpu.{name}" for name in ("vbios", *_DEVICE_HARDWARE)),
        *(f"switch.{name}" for name in ("bios", *_DEVICE_HARDWARE)),
    ),
    "executables": (
        "snp.measurement",
        *(f"tdx.{name}" for name in ("mrtd", "rtmr0", "rtmr1", "rtmr2", "rtmr3", "event-log")),
        *(f"azure.pcr{index}" for index in range(24)),
        *(f"boot.{name}" for name in ("kernel", "initrd", "cmdline")),
        *(f"gpu.{name}" for name in ("driver", "driver-rim", "vbios-rim", "measurements")),
        *(f"switch.{name}" for name in ("bios-rim", "measurements")),
    ),
    "instance-identity": ("snp.chip-id", "snp.report-id", "azure.vm-id", "gpu.id", "switch.id"),
    "runtime-opaque": ("snp.debug", "tdx.debug", "gpu.measurements", "switch.measurements"),
}


def _by_rule() -> Mapping[str, tuple[Category, ...]]:
    found: dict[str, tuple[Category, ...]] = {}
    for category, names in _RULES.items():
        for name in names:
            found[name] = (*found.get(name, ()), category)
    return MappingProxyType(found)


CATEGORIES_OF: Mapping[str, tuple[Category, ...]] = _by_rule()
"""`section.claim` without a device's index → its categories. What is not here counts in configuration."""


def categories_of(rule: str) -> tuple[Category, ...]:
    return CATEGORIES_OF.get(rule, ("configuration",))
