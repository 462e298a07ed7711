from __future__ import annotations

from attest.simulator.fault import FaultTable

GPU_FAULTS = FaultTable("gpu")
