from __future__ import annotations

from attest.simulator.fault import FaultTable

MACHINE_FAULTS = FaultTable("machine")
