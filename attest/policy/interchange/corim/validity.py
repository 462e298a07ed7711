"""From when to when a CoRIM, or the signature on it, counts (draft-ietf-rats-corim-11 §7.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attest.claims import instant
from attest.errors import Rejected
from attest.policy.interchange.corim.items import Item, broken
from attest.problems import problem


@dataclass(frozen=True, slots=True)
class Validity:
    """Both ends belong to it; None for an end that is open."""

    begins: datetime | None = None
    ends: datetime | None = None

    def holds(self, path: str, at: datetime) -> None:
        """Raises Rejected (`corim.dates`)."""
        early = self.begins is not None and at < self.begins
        if early or (self.ends is not None and at > self.ends):
            begins, ends = (instant(one) if one else "open" for one in (self.begins, self.ends))
            raise Rejected(
                [problem("corim.dates", where=path, expected=f"{begins} to {ends}", found=instant(at))]
            )

    def within(self, other: Validity) -> Validity:
        """The time that belongs to both."""
        begins = [one for one in (self.begins, other.begins) if one is not None]
        ends = [one for one in (self.ends, other.ends) if one is not None]
        return Validity(max(begins, default=None), min(ends, default=None))


def read_validity(item: Item | None) -> Validity:
    """Raises Malformed (`corim.malformed`)."""
    if item is None:
        return Validity()
    found = item.members({0: "not-before", 1: "not-after"}, needs=(1,))
    validity = Validity(found[0].time() if 0 in found else None, found[1].time())
    if validity.begins is not None and validity.ends is not None and validity.begins > validity.ends:
        broken(item.path, "not-before that is not after not-after", instant(validity.begins))
    return validity
