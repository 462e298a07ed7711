from __future__ import annotations

from attest.simulator.fault import FaultTable

TDX_FAULTS = FaultTable("tdx")
