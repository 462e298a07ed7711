"""Results of claim trees, with the evidence of simulated parts: a result is of evidence, whatever its claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from attest.errors import Problem, Rejected
from attest.evidence import Evidence
from attest.policy import Appraisal, Policy, appraise
from attest.result import ear
from attest.simulator import Simulator
from tests.policy.conftest import NOW, verified_of

ISSUER = "https://verifier.example"
AUDIENCE = "https://broker.example"
NONCE = bytes(range(32))
P256 = ear.SigningKey(ec.derive_private_key(7, ec.SECP256R1()))
P384 = ear.SigningKey(ec.derive_private_key(11, ec.SECP384R1()))
TERMS = ear.Terms(ISSUER, AUDIENCE, NONCE)
FOR_NOBODY = ear.Terms(ISSUER, None, NONCE)

ResultOf = Callable[..., ear.AttestationResult]


@pytest.fixture(scope="session")
def evidence_of(simulator: Simulator) -> Callable[..., Evidence]:
    """evidence_of(claims): simulated parts, as many as the tree has."""
    snp, tdx = simulator.snp().evidence, simulator.tdx().evidence
    gpu, switch = simulator.gpu().evidence.devices[0], simulator.switch().evidence.devices[0]

    def run(claims: dict[str, Any]) -> Evidence:
        cpu = snp.cpu if "snp" in claims else tdx.cpu if "tdx" in claims else None
        devices = [gpu] * len(claims.get("gpu", ())) + [switch] * len(claims.get("switch", ()))
        return Evidence(cpu, tuple(devices))

    return run


@pytest.fixture(scope="session")
def result_of(evidence_of: Callable[..., Evidence]) -> ResultOf:
    """result_of(claims, policy): the result of judging them now."""

    def run(claims: dict[str, Any], policy: Policy | None = None, **more: Any) -> ear.AttestationResult:
        given = {name: more.pop(name) for name in ("verdict", "key") if name in more}
        appraisal: Appraisal = appraise(verified_of(claims, **more), policy, at=NOW)
        return ear.of_appraisal(appraisal, evidence_of(claims), **given)

    return run


def rejected() -> Rejected:
    return Rejected([Problem("snp.signature.invalid", "The signature does not hold")])
