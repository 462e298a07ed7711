"""The simulator itself: keys, roots and a clock; honest evidence, or evidence with one fault."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attest.anchors import Anchors
from attest.simulator import amd, snp
from attest.simulator.certificates import CertificatePlan, pem
from attest.simulator.faults import inject
from attest.simulator.keys import Keyring
from attest.simulator.simulated import Simulated


class Simulator:
    """Makes SNP, TDX and GPU evidence under roots of its own.

    at: the instant everything is made for: certificates, lists and collateral are valid then. The same
    verifier checks it as checks real evidence, with `Anchors.production().with_simulator(roots_pem)`.
    """

    def __init__(self, keys: Keyring, made: datetime, at: datetime) -> None:
        self._keys = keys
        self._made = made
        self.at = at

    @classmethod
    def create(cls, at: datetime) -> Simulator:
        """New keys. at: aware; seconds count. Takes a second or two: AMD's roots are RSA-4096."""
        if at.tzinfo is None:
            raise ValueError("`at` needs a time zone")
        at = at.astimezone(UTC).replace(microsecond=0)
        return cls(Keyring(), at, at)

    def moved_to(self, at: datetime) -> Simulator:
        """The same keys and roots at another instant: lists and collateral are made anew for it."""
        if at.tzinfo is None:
            raise ValueError("`at` needs a time zone")
        return Simulator(self._keys, self._made, at.astimezone(UTC).replace(microsecond=0))

    def save(self, path: str | Path) -> None:
        """Keep keys and roots in one file (private keys: for its owner alone)."""
        self.roots_pem  # noqa: B018  (makes the roots, so that every load has the same)
        self._keys.save(Path(path), made=self._made.isoformat(), at=self.at.isoformat())

    @classmethod
    def load(cls, path: str | Path, at: datetime | None = None) -> Simulator:
        """What `save` kept, at its own instant or at another. Raises ValueError, OSError."""
        keys, state = Keyring.load(Path(path))
        try:
            made, kept = datetime.fromisoformat(state["made"]), datetime.fromisoformat(state["at"])
        except (KeyError, ValueError):
            raise ValueError(f"{path} is not a simulator state file") from None
        simulator = cls(keys, made, kept)
        return simulator if at is None else simulator.moved_to(at)

    # -- roots -----------------------------------------------------------------------------------------

    def _roots(self) -> list[CertificatePlan]:
        return [amd.ark(self._keys, product, self._made) for product in amd.PRODUCTS.values()]

    @property
    def roots_pem(self) -> bytes:
        """All roots, each with the simulator's critical extension."""
        return b"".join(pem(root.build(self._keys)) for root in self._roots())

    def anchors(self) -> Anchors:
        """The vendors' roots and this simulator's."""
        return Anchors.production().with_simulator(self.roots_pem)

    # -- evidence --------------------------------------------------------------------------------------

    def snp(self, *, fault: str | None = None, **keywords: Any) -> Simulated:
        """One SEV-SNP report. keywords: as in `attest.simulator.snp.plan`. Raises ValueError."""
        return inject("snp", fault, snp.plan, self._keys, self._made, self.at, keywords).build()
