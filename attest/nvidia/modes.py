"""In which mode a GPU runs: single, multi or protected PCIe pass-through.

Manifests match in every mode, so the mode is read from fields of its own. No field tells whether developer
tools were on: only matching measurements exclude that.
Source: NVIDIA attestation report, feature flag (36), protected PCIe status (21), switch identifiers (22).
"""

from __future__ import annotations

from dataclasses import dataclass

from attest.checks import CheckLog
from attest.nvidia.opaque import DISABLED, ENABLED, GPU_PDIS, Opaque

SPT, MPT, PPCIE = 0, 1, 2
_NAMES = {SPT: "spt", MPT: "mpt", PPCIE: "ppcie"}


@dataclass(frozen=True, slots=True)
class Mode:
    """name: spt, mpt, ppcie, or None where the report does not say. derived: read without the flag."""

    name: str | None
    derived: bool = False


def read_mode(opaque: Opaque, check: str, log: CheckLog) -> Mode:
    """The mode the fields agree on; contradictions are recorded under `check`.

    Flag SPT goes with status 0x55 and no switch identifiers, PPCIE with 0xAA and all 18 of them, MPT with
    neither of PPCIE's. Without a flag, 0x55 and no identifiers mean SPT; anything else stays unknown, but
    0xAA still goes with identifiers and identifiers with 0xAA.
    """
    flag, status, pdis = opaque.feature_flag, opaque.protected_pcie_status, opaque.pdis
    named = _NAMES.get(flag) if flag is not None else None
    agrees = True
    if flag == PPCIE:
        agrees = status == ENABLED and pdis is not None
    elif flag not in (SPT, MPT) and status != DISABLED:
        agrees = (status == ENABLED) == (pdis is not None)
    else:
        agrees = status in (None, DISABLED) and pdis is None
    if not agrees:
        log.failed(
            check,
            "nvidia.mode.contradiction",
            where="opaque.feature_flag",
            expected="protected PCIe on with 18 switch identifiers, or off with none",
            found=f"flag {named or flag}, protected PCIe {_shown(status)}, {GPU_PDIS if pdis else 0} identifiers",
        )
        return Mode(None)
    log.passed(check)
    if flag is None and status == DISABLED:
        return Mode("spt", derived=True)
    return Mode(named)


def _shown(status: int | None) -> str:
    return {ENABLED: "on", DISABLED: "off"}.get(status or 0, "absent")
