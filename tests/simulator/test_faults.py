"""Every fault of the simulator is refused for its own reason, by the check that bears its number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.binding import Expected
from attest.errors import Malformed, Rejected
from attest.simulator import FAULTS, Fault, Simulated, Simulator
from attest.simulator.nras import SimulatedNras
from attest.simulator.site import site_key
from attest.verified import Verified
from attest.verifier import verify

NONCE = bytes(range(32))
KEY = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eA", "y": "eQ"}
ORIGIN = "https://site.example"
REPORT_DATA = b"what was asked".ljust(64, b"\x55")

BY_VENDOR: dict[str, tuple[Mapping[str, Any], Expected]] = {
    "snp": ({"report_data": REPORT_DATA}, Expected(report_data=REPORT_DATA)),
    "tdx": ({"report_data": REPORT_DATA}, Expected(report_data=REPORT_DATA)),
    "azure": ({"nonce": NONCE, "key": KEY}, Expected(nonce=NONCE, key=KEY)),
    "gpu": ({"nonce": NONCE}, Expected(gpu_nonce=NONCE)),
    "switch": ({"nonce": NONCE}, Expected(gpu_nonce=NONCE)),
    "fabric": ({"nonce": NONCE}, Expected(gpu_nonce=NONCE)),
    "machine": ({"nonce": NONCE, "key": KEY}, Expected(nonce=NONCE, key=KEY)),
    "site": (
        {"nonce": NONCE, "origin": ORIGIN},
        Expected(nonce=NONCE, origin=ORIGIN, key=site_key()),
    ),
}

NUMBERED_CHECKS = {
    "snp": [f"snp 12.{number}" for number in range(1, 9)],
    "tdx": [f"tdx 12.{number}" for number in range(1, 10)],
    "azure": [f"azure 8.{number}" for number in range(1, 11)],
    "gpu": [f"gpu 15.{number}" for number in range(1, 11)],
    "switch": [f"switch 15.{number}" for number in range(2, 11)],
    "fabric": ["fabric 15.11"],
    "machine": ["machine 15.11", "machine 15.12"],
}
"""Steps in scope. Reference values (SNP 12.9) and OCSP (GPU 15.7) are not judged by
`verify`; claims (12.10, 15.13) are not checks."""


def make(simulator: Simulator, vendor: str, fault: str | None) -> Any:
    keywords = {} if vendor == "nras" else BY_VENDOR[vendor][0]
    made: Simulated | SimulatedNras = getattr(simulator, vendor)(fault=fault, **keywords)
    return made


def judge(simulator: Simulator, anchors: Anchors, made: Any, vendor: str) -> Verified:
    if isinstance(made, SimulatedNras):
        opinion = made.judged()
        raise Rejected(opinion.problems, checks=opinion.checks)
    return verify(
        made.evidence,
        endorsements=made.endorsements,
        at=simulator.at,
        expected=BY_VENDOR[vendor][1],
        anchors=anchors,
    )


@pytest.mark.parametrize("vendor", BY_VENDOR)
def test_without_a_fault_everything_verifies(simulator: Simulator, anchors: Anchors, vendor: str) -> None:
    verified = judge(simulator, anchors, make(simulator, vendor, None), vendor)
    assert verified.simulated
    assert all(record.outcome != "failed" for record in verified.checks)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_refused_for_its_own_reason(simulator: Simulator, anchors: Anchors, fault: Fault) -> None:
    try:
        verified = judge(simulator, anchors, make(simulator, fault.vendor, fault.name), fault.vendor)
    except (Malformed, Rejected) as refusal:
        assert refusal.codes == set(fault.codes), refusal
        if isinstance(refusal, Rejected) and len(fault.codes) == 1:
            failed = [record.name for record in refusal.checks if record.outcome == "failed"]
            assert len(failed) == 1, "this check alone refuses"
        return
    assert not fault.codes, f"{fault.name} passed: {fault.breaks}"
    known = {**verified.claims, **verified.paravisor_claims}
    section = known["gpu" if fault.vendor in ("gpu", "machine", "site", "fabric") else fault.vendor]
    claims = {**(section[0] if isinstance(section, tuple) else section), "boot": known.get("boot", {})}
    assert {name: _claim(claims, name) for name in fault.claims} == dict(fault.claims)
    assert fault.warnings <= {warning.code for warning in verified.warnings}


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    value: Any = claims
    for part in name.split("."):
        value = value.get(part)
    return value


@pytest.mark.parametrize("vendor", NUMBERED_CHECKS)
def test_every_numbered_check_has_a_fault(vendor: str) -> None:
    steps = {" ".join(fault.check.split()[:2]) for fault in FAULTS.values()}
    assert set(NUMBERED_CHECKS[vendor]) <= steps


def test_faults_of_one_code_are_the_rule() -> None:
    """A fault with several codes cannot show that one check is there: few are like that."""
    several = {fault.name for fault in FAULTS.values() if len(fault.codes) > 1}
    assert several == {
        "snp-spl-doubled",
        "gpu-chain-without-leaf",
        "gpu-chain-swapped",
        "gpu-rim-in-both-roles",
        "fabric-nonces",
        "machine-replayed",
        "machine-key-swapped",
        "site-broker-layout",
        "site-local-layout",
        "site-key-swapped",
        "site-use-changed",
    }
