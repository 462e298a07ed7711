"""When the endorsements of a broker end, by the dates they bear: for those who must bring newer ones in time.

Nothing is verified here and nothing refused: whether a document counts, each verification asks anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attest import Endorsements, Malformed
from attest.nvidia.rim import Rim
from attest.sources.dated import dates_of


def ends(endorsements: Endorsements) -> list[datetime]:
    """Of each that names an end, the first first. A file that cannot be read names none."""
    return sorted(_ends(endorsements))


def _ends(endorsements: Endorsements) -> Iterator[datetime]:
    rims = (rim for rim in endorsements.rims if isinstance(rim, Rim))
    kept = (endorsements.certificates, endorsements.crls, endorsements.documents, rims, endorsements.ocsp)
    for item in (one for kind in kept for one in kind):
        try:
            end = dates_of(item).next_update
        except Malformed:
            continue
        if end is not None:
            yield end
