"""Which device it is: the chip names NVIDIA writes into its certificates, and what follows from them.

The family decides which table of opaque fields applies, so it comes from the verified certificate and
never from the JSON beside the evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Section = Literal["gpu", "switch"]

_CHIP = re.compile(r"(GH[0-9]{3}|GB[0-9]{3}|LS_10) ")
_BY_ARCHITECTURE: dict[str, tuple[Section, str]] = {
    "HOPPER": ("gpu", "hopper"),
    "BLACKWELL": ("gpu", "blackwell"),
    "LS10": ("switch", "ls10"),
}


@dataclass(frozen=True, slots=True)
class Family:
    """chip: as manifests write it (`GH100`, `LS10`). architecture: hopper, blackwell or ls10."""

    section: Section
    architecture: str
    chip: str

    @classmethod
    def of_name(cls, common_name: str) -> Family | None:
        """The family of a leaf or device identity certificate, `GH100 A01 GSP FMC LF`; None for others."""
        match = _CHIP.match(common_name)
        if match is None:
            return None
        chip = match.group(1)
        if chip == "LS_10":
            return cls("switch", "ls10", "LS10")
        return cls("gpu", "hopper" if chip.startswith("GH") else "blackwell", chip)


def section_of_architecture(arch: str) -> Section | None:
    """The section for an `arch` written beside evidence (any case); None for an unknown word."""
    known = _BY_ARCHITECTURE.get(arch.upper())
    return known[0] if known else None


def architecture_named(arch: str) -> str | None:
    """hopper, blackwell or ls10 for an `arch` written beside evidence; None for an unknown word."""
    known = _BY_ARCHITECTURE.get(arch.upper())
    return known[1] if known else None
