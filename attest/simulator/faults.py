"""All faults by name, and the way to ask for one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attest.simulator import (  # noqa: F401  (each adds its own to the vendors' tables)
    faults_azure_tpm,
    faults_eventlog,
    faults_gpu_chain,
    faults_ocsp,
    faults_rim,
    faults_snp_chain,
    faults_tcb,
    faults_tdx_chain,
)
from attest.simulator.fault import Fault
from attest.simulator.faults_azure import AZURE_FAULTS
from attest.simulator.faults_fabric import FABRIC_FAULTS
from attest.simulator.faults_gpu import GPU_FAULTS
from attest.simulator.faults_machine import MACHINE_FAULTS
from attest.simulator.faults_nras import NRAS_FAULTS
from attest.simulator.faults_site import SITE_FAULTS
from attest.simulator.faults_snp import SNP_FAULTS
from attest.simulator.faults_switch import SWITCH_FAULTS
from attest.simulator.faults_tdx import TDX_FAULTS
from attest.simulator.keys import Keyring


def _by_step(fault: Fault) -> int:
    """`snp 12.5 chip-id` → 5; what binds a machine has no number and comes last."""
    step = fault.check.split()[1].partition(".")[2]
    return int(step) if step else 99


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for table in (
        SNP_FAULTS,
        TDX_FAULTS,
        AZURE_FAULTS,
        GPU_FAULTS,
        SWITCH_FAULTS,
        FABRIC_FAULTS,
        MACHINE_FAULTS,
        SITE_FAULTS,
        NRAS_FAULTS,
    )
    for fault in sorted(table.faults.values(), key=_by_step)
}
"""Every fault by name, vendor by vendor in the order of the vendor's checks."""

_Plan = TypeVar("_Plan")


def find(name: str) -> Fault:
    """Raises ValueError, with the nearest name, when there is none of this name."""
    if name in FAULTS:
        return FAULTS[name]
    import difflib

    near = difflib.get_close_matches(name, FAULTS, 1)
    raise ValueError(f"no fault is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def planned(
    vendor: str,
    fault: str | None,
    plan: Callable[..., _Plan],
    keys: Keyring,
    made: datetime,
    at: datetime,
    keywords: Mapping[str, Any],
) -> _Plan:
    """The vendor's honest plan, with the fault in it where one is named. Raises ValueError."""
    if fault is None:
        return plan(keys, made, at, **keywords)
    chosen = find(fault)
    if chosen.vendor != vendor:
        raise ValueError(f"{fault} is a fault of {chosen.vendor}, not of {vendor}")
    made_plan = plan(keys, made, at, **{**chosen.keywords, **keywords})
    chosen.apply(made_plan)
    return made_plan
