"""When the endorsements of a broker end, by the dates they bear: for those who must bring newer ones in time.

Nothing is verified here and nothing refused: whether a document counts, each verification asks anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime

from attest import Endorsements, Malformed
from attest.endorsements import SignedDocument
from attest.nvidia.rim import Rim
from attest.sources.dated import dates_of
from attest.x509 import Certificate, Crl


def ends(endorsements: Endorsements) -> list[datetime]:
    """Of each that names an end, the first first. A file that cannot be read names none."""
    return [end for end, _ in named_ends(endorsements)]


def named_ends(endorsements: Endorsements) -> list[tuple[datetime, str]]:
    """The same, each with what it is; the text is its issuer's."""
    return sorted(_ends(endorsements))


def _ends(endorsements: Endorsements) -> Iterator[tuple[datetime, str]]:
    kept = (endorsements.certificates, endorsements.crls, endorsements.documents, endorsements.ocsp)
    for item in (one for kind in kept for one in kind):
        with suppress(Malformed):
            yield from _end(item)
    for rim in endorsements.rims:
        with suppress(Malformed):
            yield from _end(Rim.parse(rim) if isinstance(rim, bytes) else rim)


def _end(item: Certificate | Crl | SignedDocument | Rim | bytes) -> Iterator[tuple[datetime, str]]:
    """Raises Malformed."""
    dates = dates_of(item)
    if dates.next_update is not None:
        yield dates.next_update, dates.about
