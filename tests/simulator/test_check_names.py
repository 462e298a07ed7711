"""Each check that `verify` names can fail, and a fault of the simulator makes it fail."""

from __future__ import annotations

from attest.anchors import Anchors
from attest.check_table import CHECKS
from attest.checks import plain
from attest.errors import Malformed, Rejected
from attest.simulator import FAULTS, Simulator
from tests.simulator.test_faults import judge, make

REFUSED_WHEN_READ = {
    "tdx.quote.format": "a quote of another layout is refused when it is parsed",
    "azure.hcl.format": "an HCL report of another layout is refused when it is parsed",
    "azure.runtime-data": "runtime data are read with the HCL report",
    "azure.tpm.format": "a TPM quote of another layout is refused when it is parsed",
    "gpu.report": "a report of another layout is refused when it is parsed",
}
NO_FAULT = {
    "tdx.collateral.rollback": "needs a memory of earlier collateral: test_evidence",
    "gpu.crl": "NVIDIA's CRLs are optional: tests of the NVIDIA room",
    "switch.crl": "as gpu.crl",
    "switch.measurements.compared": "a switch has one manifest, which conflicts with no other",
    **dict.fromkeys(
        ("bundle.signature", "bundle.content", "bundle.dates", "bundle.rollback"),
        "judges our own file, not evidence: tests/sources/test_offline",
    ),
    "second-opinion.nvidia": "another program's findings, not evidence: tests/nvidia/test_second_opinion",
    "binding.gpu-to-cpu": "never fails by itself: binding.report-data does",
}
"""Checks that no fault of the simulator can fail, each with the reason."""


def test_every_check_is_failed_by_a_fault(simulator: Simulator, anchors: Anchors) -> None:
    failed: set[str] = set()
    for fault in FAULTS.values():
        try:
            records = judge(
                simulator, anchors, make(simulator, fault.vendor, fault.name), fault.vendor
            ).checks
        except Malformed:
            continue
        except Rejected as refusal:
            records = refusal.checks
        failed |= {plain(record.name) for record in records if record.outcome == "failed"}
    assert set(CHECKS) - failed == {name for name in {**REFUSED_WHEN_READ, **NO_FAULT} if name in CHECKS}
