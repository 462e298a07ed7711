"""What the simulator hands out: evidence with its endorsements, as bytes, files and typed values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from attest.endorsements import Endorsements
from attest.evidence import Evidence
from attest.x509 import Certificate, Crl


@dataclass(frozen=True)
class Simulated:
    """One piece of simulated evidence.

    raw: the report, quote or SPDM report; of a machine the CPU's. files: name → bytes, as an operator would
    have them; every name starts with `simulated-`. at: the instant it was made for. additional: of a
    machine the exact text of its device evidence.
    roots_pem: the simulator's roots, for `Anchors.with_simulator`.
    """

    raw: bytes
    files: Mapping[str, bytes]
    at: datetime
    certificates: tuple[bytes, ...]
    make_evidence: Callable[[], Evidence]
    make_endorsements: Callable[[], Endorsements]
    additional: str | None = None
    parts: tuple[Simulated, ...] = ()
    roots_pem: bytes = b""

    @cached_property
    def evidence(self) -> Evidence:
        """Parsed as any other evidence. Raises Malformed where a fault made it so."""
        return self.make_evidence()

    @cached_property
    def endorsements(self) -> Endorsements:
        return self.make_endorsements()


def endorsements_of(
    certificates: tuple[bytes, ...], crls: tuple[bytes, ...] = (), **more: Any
) -> Callable[[], Endorsements]:
    def make() -> Endorsements:
        return Endorsements(
            certificates=tuple(Certificate(der) for der in dict.fromkeys(certificates)),
            crls=tuple(Crl(der) for der in dict.fromkeys(crls)),
            **more,
        )

    return make
