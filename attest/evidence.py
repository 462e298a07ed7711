"""Evidence: parsed, believed by nobody.

`Evidence` is one machine: at most one CPU part and any number of devices. The vendors' parsed types say
how they are verified through `Verifiable`; adding a vendor adds a folder and a line in `attest.load`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.memory import Memory
from attest.parts import Part
from attest.site import SiteStatement

if TYPE_CHECKING:
    from attest.eventlog.log import EventLog

_NONE: Final[Mapping[Any, Any]] = MappingProxyType({})


class PartResult(NamedTuple):
    """crls: issuer key SHA-256 → thisUpdate, documents: (id, FMSPC, evaluation number) → issueDate
    or (`ocsp`, issuer key SHA-256 hex, serial number) → thisUpdate,
    crl_numbers: issuer key SHA-256 → CRL number where the issuer counts up; what was used and authentic,
    for the memory. beneath: the hardware's own part, where this one is a layer above it."""

    part: Part
    crls: Mapping[bytes, datetime] = _NONE
    documents: Mapping[tuple[str, str, int], datetime] = _NONE
    crl_numbers: Mapping[bytes, int] = _NONE
    beneath: Part | None = None


class Verifiable(Protocol):
    """Parsed evidence of one part."""

    @property
    def section(self) -> str:
        """snp, tdx, azure, gpu or switch"""
        ...

    @property
    def bound(self) -> bytes:
        """What it says that it was asked, as `Part.bound`, and signed by nobody yet."""
        ...

    def verify_with(
        self,
        *,
        endorsements: Endorsements,
        anchors: Anchors,
        at: datetime,
        log: CheckLog,
        cache: Cache | None,
        memory: Memory | None,
    ) -> PartResult | None:
        """Run every check of this part, recording outcomes in `log`; None when it was refused.

        Never raises on evidence or endorsements, whatever their bytes.
        """
        ...


@dataclass(frozen=True)
class Evidence:
    """cpu: SNP report or TDX quote. devices: GPUs, then switches, as sent. additional: the exact text of
    the composite evidence that the devices were read from, where it came with the CPU's. site: what a site
    says of itself, where the evidence is a site's. event_logs: of this boot, one a TD's and one a TPM's at
    most."""

    cpu: Verifiable | None = None
    devices: tuple[Verifiable, ...] = ()
    additional: str | None = None
    site: SiteStatement | None = None
    event_logs: tuple[EventLog, ...] = ()
