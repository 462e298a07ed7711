"""How `init` pins each claim: in what direction another value would be weaker than the one shown.

Left out on purpose: what names one chip, guest or challenge (chip-id, report-id, gpu.id, vm-id, nonces), and what
changes without anybody's doing (pcr1, pcr5, pcr10, rtmr3 in use, fmspc, mrseam).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Style: TypeAlias = Literal["same", "least", "branch", "tcb", "svn", "bits", "good", "reference"]
"""same: exactly what was shown. least: not below it. branch: not below it within its branch. bits: every bit shown.
good: the safe value, only where it was shown. reference: a set of values, each `observed` until somebody
vouches for it."""


@dataclass(frozen=True, slots=True)
class Pin:
    """good: the safe value of style `good`. absence: whether a value where none was shown is weaker too.
    set: name of its reference set, in style `reference`."""

    section: str
    claim: str
    style: Style
    good: str = ""
    absence: bool = False
    set: str = ""


def _pins() -> tuple[Pin, ...]:
    table: list[Pin] = []

    def add(section: str, style: Style, names: str, *, good: str = "", absence: bool = False) -> None:
        for name in names.split():
            table.append(Pin(section, name, style, good, absence, name if style == "reference" else ""))

    add("evidence", "good", "simulated", good="false")

    add("snp", "same", "product")
    add("snp", "tcb", "tcb tcb-committed tcb-launch")
    add("snp", "least", "firmware abi report-version")
    add("snp", "reference", "measurement")
    add("snp", "same", "host-data", absence=True)
    add("snp", "same", "id-key author-key family-id image-id")
    add("snp", "least", "guest-svn")
    add("snp", "same", "signing-key csp")
    add("snp", "bits", "mitigations-launch mitigations-current")
    add("snp", "good", "alias-check ciphertext-hiding rapl-off ecc tsme single-socket", good="true")
    add("snp", "good", "smt smt-allowed", good="false")
    add("snp", "good", "crl", good="fresh")

    add("tdx", "least", "tcb-evaluation tcb-date")
    add("tdx", "svn", "tee-tcb-svn")
    add("tdx", "reference", "mrtd rtmr0 rtmr1 rtmr2")
    add("tdx", "good", "rtmr3", good="00" * 48)
    add("tdx", "same", "mrconfigid mrowner mrownerconfig", absence=True)
    add("tdx", "same", "attributes xfam")
    add("tdx", "good", "event-log", good="replayed")

    add("azure", "least", "evidence-version")
    add("azure", "reference", "pcr4 pcr9 pcr11")
    add("azure", "same", "pcr0 pcr2 pcr7 pcr12 pcr13 pcr14")
    add("azure", "good", "secure-boot", good="true")
    add("azure", "good", "ak-cert", good="azure")

    for section in ("gpu", "switch"):
        add(section, "same", "architecture model")
        if section == "gpu":
            add(section, "branch", "driver")
            add(section, "least", "vbios")
            add(section, "same", "mode")
            add(section, "good", "driver-rim vbios-rim", good="valid")
        else:
            add(section, "least", "bios")
            add(section, "good", "bios-rim", good="valid")
        add(section, "good", "cert", good="good")

    add("binding", "good", "nonce key gpu-to-cpu", good="true")
    add("binding", "same", "gpu-strength init-data")
    add("binding", "least", "protocol")

    add("boot", "reference", "kernel initrd cmdline")
    add("boot", "good", "secure-boot", good="true")
    return tuple(table)


PINS = _pins()
