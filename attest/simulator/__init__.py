"""Byte-exact SNP, TDX and GPU evidence under roots of its own: the demo's enclave, the tests' attacker.

    simulator = Simulator.create(at)
    machine = simulator.machine(cpu="snp", gpus=1, nonce=challenge, key=jwk)
    attest.verify(machine.evidence, endorsements=machine.endorsements, at=at, anchors=simulator.anchors(), …)

One keyword changes one field (`vmpl=1`) or breaks one link (`fault="snp-hwid-of-another-chip"`; `FAULTS`
lists them). Every root carries the simulator's critical extension, so only a verifier that was given
that root by name accepts it, and everything made from it says `simulated: true`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attest.simulator.fault import Fault
from attest.simulator.faults import FAULTS
from attest.simulator.simulated import Simulated
from attest.simulator.simulator import Simulator

__all__ = ["FAULTS", "Fault", "Simulated", "Simulator", "simulate"]


def simulate(
    kind: str, *, simulator: Simulator | None = None, at: datetime | None = None, **keywords: Any
) -> Simulated:
    """One piece of simulated evidence in one call.

    kind: snp, tdx, azure, gpu, switch, fabric or machine. simulator: None for a new one, whose roots are
    then only in `Simulated.roots_pem`. at: None for that of the simulator, or now. keywords: as the simulator's method of
    that name takes. Raises ValueError.
    """
    if kind not in ("snp", "tdx", "azure", "gpu", "switch", "fabric", "machine"):
        raise ValueError("kind is snp, tdx, azure, gpu, switch, fabric or machine")
    if simulator is None:
        simulator = Simulator.create(at or datetime.now(UTC))
    elif at is not None:
        simulator = simulator.moved_to(at)
    made: Simulated = getattr(simulator, kind)(**keywords)
    return made
