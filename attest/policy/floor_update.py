"""Signed floor data, taken in the place of what the package brought or of an earlier update.

Its signer is trusted for this kind of document alone, and its serial never goes back: a floor that was raised once
stays raised, whoever hands in an old file.
"""

from __future__ import annotations

from attest.dsse import Envelope, TrustedKeys, open_envelope
from attest.errors import Rejected
from attest.policy.floors import Floors
from attest.problems import problem


def open_floors(envelope: Envelope, keys: TrustedKeys, *, seen: Floors) -> Floors:
    """Signed floor data, no older than what was seen.

    Raises Rejected: `dsse.kind`, `dsse.key`, `dsse.signature`, `floors.rollback`; Malformed.
    """
    floors = Floors.parse(open_envelope(envelope, "floors", keys).payload)
    if floors.serial < seen.serial or (floors.serial == seen.serial and floors.digest != seen.digest):
        raise Rejected(
            [
                problem(
                    "floors.rollback",
                    expected=f"a serial above {seen.serial}",
                    found=str(floors.serial),
                    where="floors.serial",
                )
            ]
        )
    return floors
