"""A lease: until when a guest promised to use what it was given. Its end erases nothing: no broker can."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from attest.canonical import canonical
from kbs.domain import ResourcePath

KEPT: Final = timedelta(days=30)
"""How long a lease that ended is listed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """audit: the number of the release's row. session: as audit rows name it. key: the thumbprint it was wrapped for.
    platforms: the ids of the machine's chips and devices, as they are revoked by; none where nobody vouched for one.
    A renewal is another release, after another attestation, and another lease. renewed: its row, None where the same
    machine was given nothing of this path since."""

    audit: int
    session: bytes
    path: ResourcePath
    version: int
    key: str
    given: datetime
    ends: datetime
    platforms: tuple[str, ...]
    renewed: int | None = None

    @property
    def machine(self) -> str:
        """Names the chips and devices together, empty where none is known. Guests that share a chip and have no device
        of their own are one machine."""
        return hashlib.sha256(canonical(list(self.platforms))).hexdigest() if self.platforms else ""
