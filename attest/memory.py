"""Memory of the newest collateral seen, so that an old list cannot be replayed for a new one.

An argument of `verify` that comes back updated on `Verified.memory`; keeping it is the caller's work.
CRLs: per issuer key, thisUpdate must not go back, and for issuers that count their lists up (AMD; Intel's
number is 1 for ever) the number neither. TCB info and QE identity: per document, FMSPC and
evaluation number, issueDate must not go back. OCSP answers: per issuer key and serial number, thisUpdate
must not go back. What evidence staples never raises the lowest admissible
evaluation number; only `minimum_evaluation`, set by the caller, does (T-MEMORY).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from attest.claims import instant, read_instant


@dataclass(frozen=True)
class Memory:
    """crls: issuer SPKI SHA-256 hex → thisUpdate. documents: `id/fmspc/evaluation` → issueDate, and
    `ocsp/ISSUER SPKI SHA-256 hex/serial` → thisUpdate.
    crl_numbers: issuer SPKI SHA-256 hex → CRL number, of issuers that count up. bundles: key id of
    a bundle's signer → serial."""

    crls: Mapping[str, datetime] = field(default_factory=dict)
    documents: Mapping[str, datetime] = field(default_factory=dict)
    minimum_evaluation: int | None = None
    crl_numbers: Mapping[str, int] = field(default_factory=dict)
    bundles: Mapping[str, int] = field(default_factory=dict)

    def crl_seen(self, issuer_spki: bytes) -> datetime | None:
        return self.crls.get(issuer_spki.hex())

    def crl_number_seen(self, issuer_spki: bytes) -> int | None:
        return self.crl_numbers.get(issuer_spki.hex())

    def document_seen(self, identity: str, fmspc: str, evaluation: int) -> datetime | None:
        return self.documents.get(f"{identity}/{fmspc}/{evaluation}")

    def bundle_seen(self, signer: str) -> int | None:
        return self.bundles.get(signer)

    def with_bundle(self, signers: Iterable[str], serial: int) -> Memory:
        """This memory after a bundle of these signers was opened."""
        return self.merged(Memory(bundles=dict.fromkeys(signers, serial)))

    def updated(
        self,
        crls: Mapping[bytes, datetime],
        documents: Mapping[tuple[str, str, int], datetime],
        crl_numbers: Mapping[bytes, int] | None = None,
    ) -> Memory:
        """This memory with each given date and number where it is later than the one kept."""
        return self.merged(
            Memory(
                {spki.hex(): date for spki, date in crls.items()},
                {
                    f"{identity}/{fmspc}/{evaluation}": date
                    for (identity, fmspc, evaluation), date in documents.items()
                },
                None,
                {spki.hex(): number for spki, number in (crl_numbers or {}).items()},
            )
        )

    def merged(self, seen: Memory) -> Memory:
        """The later of both for each entry. `minimum_evaluation` stays this one's: what was seen never
        raises it."""
        return Memory(
            _latest(self.crls, seen.crls),
            _latest(self.documents, seen.documents),
            self.minimum_evaluation,
            _latest(self.crl_numbers, seen.crl_numbers),
            _latest(self.bundles, seen.bundles),
        )

    def raised(self, evaluation: int) -> Memory:
        """With at least this minimum evaluation number: for floors and for collateral that the caller
        fetched himself, never for what evidence brought (T-MEMORY)."""
        minimum = evaluation if self.minimum_evaluation is None else max(self.minimum_evaluation, evaluation)
        return replace(self, minimum_evaluation=minimum)

    def as_dict(self) -> dict[str, object]:
        return {
            "crls": {name: instant(date) for name, date in self.crls.items()},
            "documents": {name: instant(date) for name, date in self.documents.items()},
            "crl-numbers": {name: str(number) for name, number in self.crl_numbers.items()},
            "bundles": {name: str(serial) for name, serial in self.bundles.items()},
            "minimum-evaluation": None if self.minimum_evaluation is None else str(self.minimum_evaluation),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Memory:
        """Raises ValueError, TypeError or KeyError on anything but what `as_dict` wrote."""
        crls, documents, minimum = data["crls"], data["documents"], data["minimum-evaluation"]
        # Memories kept before numbers were remembered have none.
        numbers, bundles = data.get("crl-numbers", {}), data.get("bundles", {})
        if not (
            isinstance(crls, dict)
            and isinstance(documents, dict)
            and isinstance(numbers, dict)
            and isinstance(bundles, dict)
        ):
            raise TypeError("memory holds four maps")
        return cls(
            {str(name): read_instant(date) for name, date in crls.items()},
            {str(name): read_instant(date) for name, date in documents.items()},
            None if minimum is None else int(str(minimum)),
            {str(name): int(str(number)) for name, number in numbers.items()},
            {str(name): int(str(serial)) for name, serial in bundles.items()},
        )


_Value = TypeVar("_Value", datetime, int)


def _latest(kept: Mapping[str, _Value], seen: Mapping[str, _Value]) -> dict[str, _Value]:
    merged = dict(kept)
    for name, value in seen.items():
        merged[name] = max(value, merged.get(name, value))
    return merged
