"""Memory of the newest collateral seen, so that an old list cannot be replayed for a new one.

An argument of `verify` that comes back updated on `Verified.memory`; keeping it is the caller's work.
CRLs: per issuer key, thisUpdate must not go back. TCB info and QE identity: per document, FMSPC and
evaluation number, issueDate must not go back. What evidence staples never raises the lowest admissible
evaluation number; only `minimum_evaluation`, set by the caller, does (T-MEMORY).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from attest.claims import instant, read_instant


@dataclass(frozen=True)
class Memory:
    """crls: issuer SPKI SHA-256 hex → thisUpdate. documents: `id/fmspc/evaluation` → issueDate."""

    crls: Mapping[str, datetime] = field(default_factory=dict)
    documents: Mapping[str, datetime] = field(default_factory=dict)
    minimum_evaluation: int | None = None

    def crl_seen(self, issuer_spki: bytes) -> datetime | None:
        return self.crls.get(issuer_spki.hex())

    def document_seen(self, identity: str, fmspc: str, evaluation: int) -> datetime | None:
        return self.documents.get(f"{identity}/{fmspc}/{evaluation}")

    def updated(
        self, crls: Mapping[bytes, datetime], documents: Mapping[tuple[str, str, int], datetime]
    ) -> Memory:
        """This memory with each given date where it is later than the one kept."""
        new_crls = dict(self.crls)
        for spki, date in crls.items():
            new_crls[spki.hex()] = max(date, new_crls.get(spki.hex(), date))
        new_documents = dict(self.documents)
        for (identity, fmspc, evaluation), date in documents.items():
            name = f"{identity}/{fmspc}/{evaluation}"
            new_documents[name] = max(date, new_documents.get(name, date))
        return Memory(new_crls, new_documents, self.minimum_evaluation)

    def as_dict(self) -> dict[str, object]:
        return {
            "crls": {name: instant(date) for name, date in self.crls.items()},
            "documents": {name: instant(date) for name, date in self.documents.items()},
            "minimum-evaluation": None if self.minimum_evaluation is None else str(self.minimum_evaluation),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Memory:
        """Raises ValueError, TypeError or KeyError on anything but what `as_dict` wrote."""
        crls, documents, minimum = data["crls"], data["documents"], data["minimum-evaluation"]
        if not isinstance(crls, dict) or not isinstance(documents, dict):
            raise TypeError("memory holds two maps")
        return cls(
            {str(name): read_instant(date) for name, date in crls.items()},
            {str(name): read_instant(date) for name, date in documents.items()},
            None if minimum is None else int(str(minimum)),
        )
