"""A lease: until when a guest promised to use what it was given. Its end erases nothing: no broker can."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kbs.domain import ResourcePath


@dataclass(frozen=True, slots=True)
class Lease:
    """audit: the number of the release's row. session: as audit rows name it. key: the thumbprint it was wrapped for.
    A renewal is another release, after another attestation, and another lease."""

    audit: int
    session: bytes
    path: ResourcePath
    version: int
    key: str
    given: datetime
    ends: datetime
