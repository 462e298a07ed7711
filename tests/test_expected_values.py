"""What was asked must have something that answers it, and every answer says what it did not check."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from attest import Rejected, verify
from attest.anchors import Anchors
from attest.binding import Expected, device_nonce
from attest.simulator import Simulated, Simulator
from attest.verified import Verified

NONCE = bytes(range(32))


def judge(made: Simulated, anchors: Anchors, **expected: Any) -> Verified:
    return verify(
        made.evidence,
        endorsements=made.endorsements,
        at=made.at,
        anchors=anchors,
        expected=Expected(**expected),
    )


def outcome(verified: Verified, check: str) -> str | None:
    return next((record.outcome for record in verified.checks if record.name == check), None)


def test_report_data_without_a_cpu_has_no_answer(simulator: Simulator, anchors: Anchors) -> None:
    with pytest.raises(Rejected) as refusal:
        judge(simulator.gpu(), anchors, report_data=bytes(64))
    assert refusal.value.codes == {"binding.no-evidence"}


def test_a_gpu_nonce_without_a_gpu_has_no_answer(simulator: Simulator, anchors: Anchors) -> None:
    with pytest.raises(Rejected) as refusal:
        judge(simulator.snp(), anchors, gpu_nonce=bytes(range(32)))
    assert refusal.value.codes == {"binding.no-evidence"}


def test_only_the_challenge_ties_a_gpu_to_its_cpu(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.machine(nonce=NONCE)
    challenge = Expected(nonce=NONCE)
    bound = judge(made, anchors, nonce=NONCE)
    assert bound.claims["binding"]["gpu-to-cpu"] == "true"
    assert outcome(bound, "binding.gpu-to-cpu") == "passed"
    asked = judge(made, anchors, gpu_nonce=device_nonce(challenge.challenge, None))
    assert "gpu-to-cpu" not in asked.claims["binding"]
    assert outcome(asked, "binding.gpu-to-cpu") == "not-run"
    assert outcome(asked, "binding.report-data") == "not-run"


def test_a_gpu_alone_answers_the_challenge_itself(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.gpu(nonce=device_nonce(Expected(nonce=NONCE).challenge, None))
    verified = judge(made, anchors, nonce=NONCE)
    assert verified.claims["binding"] == {"nonce": "true"}
    assert outcome(verified, "binding.gpu-to-cpu") is None


def test_an_instant_without_a_zone_is_the_callers_mistake(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.gpu()
    with pytest.raises(ValueError, match="time zone"):
        verify(made.evidence, endorsements=made.endorsements, at=datetime(2026, 11, 1, 12), anchors=anchors)


def test_revocation_that_was_not_looked_at_is_recorded_so(simulator: Simulator, anchors: Anchors) -> None:
    for fault, said in ((None, "passed"), ("snp-crl-stale", "not-run")):
        assert outcome(judge(simulator.snp(fault=fault), anchors), "snp.crl") == said
    plan = simulator.plan_snp()
    plan.crl = None
    assert outcome(judge(plan.build(), anchors), "snp.crl") == "not-run"


def test_of_several_leaves_one_must_have_signed(simulator: Simulator, anchors: Anchors) -> None:
    """Two leaves and a report that neither signed: neither is preferred in silence."""
    other = simulator.plan_snp()
    other.leaf.serial = 77

    def flip(raw: bytearray) -> None:
        raw[0x50] ^= 1

    plan = simulator.plan_snp()
    plan.edit = flip
    plan.more_certificates.append(other.build().certificates[0])
    with pytest.raises(Rejected) as refusal:
        judge(plan.build(), anchors)
    assert refusal.value.codes == {"snp.leaf.several", "snp.signature.invalid"}


def test_a_leaf_with_a_key_of_another_kind_is_refused(simulator: Simulator, anchors: Anchors) -> None:
    plan = simulator.plan_snp()
    plan.report_key, plan.leaf.key = plan.leaf.key, plan.root.key
    with pytest.raises(Rejected) as refusal:
        judge(plan.build(), anchors)
    assert {"x509.key", "snp.signature.invalid"} <= refusal.value.codes
