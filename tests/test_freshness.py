"""Challenges that everybody knows, and what an answer says of its origin and of init-data."""

from __future__ import annotations

from typing import Any

import pytest

from attest import Endorsements, Evidence, Rejected, appraise, verify
from attest.anchors import Anchors
from attest.binding import Expected, device_nonce
from attest.check_table import CHECKS
from attest.simulator import Simulator
from tests.conftest import Sample

SAMPLE = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
"""From NVIDIA's sample code: a canned report carries it."""


@pytest.mark.parametrize("nonce", [SAMPLE, SAMPLE[:4] + bytes(28)])
def test_t_replay_a_published_nonce_is_no_challenge_for_a_machine_either(
    nonce: bytes, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(nonce=nonce)
    with pytest.raises(Rejected) as refusal:
        verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at,
            anchors=anchors,
            expected=Expected(nonce=nonce),
        )
    assert refusal.value.codes == {"nonce.public-constant"}


def test_a_report_with_a_published_nonce_is_warned_of(simulator: Simulator, anchors: Anchors) -> None:
    for nonce, warned in ((SAMPLE, True), (bytes(range(32)), False)):
        made = simulator.gpu(nonce=nonce)
        verified = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
        assert ("nonce.public-sample" in {warning.code for warning in verified.warnings}) is warned


def test_a_simulators_root_that_nobody_named_is_told_from_a_wrong_chain(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.tdx()
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=made.at)
    assert "evidence.simulated" in refusal.value.codes
    broken = simulator.tdx(fault="tdx-altered")
    with pytest.raises(Rejected) as refusal:
        verify(broken.evidence, endorsements=broken.endorsements, at=broken.at, anchors=anchors)
    assert "evidence.simulated" not in refusal.value.codes


@pytest.mark.parametrize(("cpu", "field", "size"), [("snp", "host_data", 32), ("tdx", "mrconfigid", 48)])
@pytest.mark.parametrize("length", [32, 48, 64])
def test_t_initdata_a_claim_only_where_the_hardware_carries_what_the_caller_gives(
    cpu: str, field: str, size: int, length: int, simulator: Simulator, anchors: Anchors
) -> None:
    nonce, digest = bytes(range(32)), b"\x07" * length
    carried = digest[:size].ljust(size, b"\0")
    other = digest[:31] + b"\x06" + digest[32:]
    unset = simulator.machine(cpu=cpu, nonce=nonce, gpus=0)
    carries: dict[str, Any] = {field: carried}
    bound = simulator.machine(cpu=cpu, nonce=nonce, gpus=0, **carries)
    for made, given, claim in (
        (bound, digest, digest.hex()),
        (bound, other, None),
        (bound, None, None),
        (unset, digest, None),
        (unset, bytes(length), None),
    ):
        verified = verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at,
            anchors=anchors,
            expected=Expected(nonce=nonce, init_data=given),
        )
        assert verified.claims["binding"].get("init-data") == claim


@pytest.mark.parametrize("kind", ["tdx", "gpu"])
def test_a_simulators_root_inside_the_evidence_is_recognised_too(kind: str, simulator: Simulator) -> None:
    """A chain of a simulator's is in the quote, and beside a GPU's report: the refusal says what to do."""
    made = getattr(simulator, kind)()
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=made.at)
    assert {"x509.anchor", "evidence.simulated"} <= refusal.value.codes


def test_devices_must_be_those_that_the_cpu_covers(simulator: Simulator, anchors: Anchors) -> None:
    """An Evidence put together by hand must not borrow the binding of another machine's text."""
    nonce, key = bytes(range(32)), {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ"}
    made = simulator.machine(nonce=nonce, key=key, gpus=2)
    expected = Expected(nonce=nonce, key=key)
    honest = verify(
        made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected
    )
    assert honest.claims["binding"]["gpu-to-cpu"] == "true"
    fewer = Evidence(made.evidence.cpu, made.evidence.devices[:1], made.evidence.additional)
    verified = verify(fewer, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected)
    assert verified.claims["binding"]["gpu-to-cpu"] == "false"


def test_without_a_nonce_nobody_knows_what_the_cpu_covers(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.machine(nonce=bytes(range(32)), gpus=1)
    verified = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
    assert "gpu-to-cpu" not in verified.claims["binding"]
    (problem,) = appraise(verified, None, at=made.at).problems
    assert problem.message.startswith("Cannot tell (binding.gpu-to-cpu, default). No nonce was given")


def test_what_was_not_reached_is_listed(genoa: Sample) -> None:
    with pytest.raises(Rejected) as refusal:
        verify(genoa.evidence, endorsements=Endorsements(), at=genoa.at)
    outcomes = {record.name: record.outcome for record in refusal.value.checks}
    assert {name for name in CHECKS if name.startswith("snp.")} <= set(outcomes)
    assert outcomes["snp.signature"] == outcomes["binding.report-data"] == "not-run"
    assert outcomes["snp.leaf"] == "failed"


def test_simulated_evidence_warns_and_real_evidence_does_not(
    simulator: Simulator, anchors: Anchors, genoa: Sample
) -> None:
    for made in (simulator.snp(), simulator.tdx(), simulator.gpu()):
        verified = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
        assert verified.claims["evidence"]["simulated"] == "true"
        assert "simulated" in {warning.code for warning in verified.warnings}
    real = verify(genoa.evidence, endorsements=genoa.endorsements, at=genoa.at, anchors=anchors)
    assert real.claims["evidence"]["simulated"] == "false"
    assert "simulated" not in {warning.code for warning in real.warnings}


def test_ages_are_claims_where_they_are_known(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.machine(nonce=bytes(range(32)), gpus=1)
    for expected, age in (
        (Expected(nonce=bytes(range(32)), age_seconds=7), "7s"),
        (Expected(nonce=bytes(range(32))), None),
        (Expected(age_seconds=7), None),
    ):
        verified = verify(
            made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected
        )
        assert verified.claims["time"].get("evidence-age") == age
        assert verified.claims["time"]["collateral-age"].endswith("s")
    gpu = simulator.gpu()
    undated = Endorsements(rims=gpu.endorsements.rims)
    bare = verify(gpu.evidence, endorsements=undated, at=gpu.at, anchors=anchors)
    assert "time" not in bare.claims


def test_devices_alone_say_that_no_cpu_was_compared(simulator: Simulator, anchors: Anchors) -> None:
    nonce = bytes(range(32))
    made = simulator.gpu(nonce=device_nonce(Expected(nonce=nonce).challenge, None))
    verified = verify(
        made.evidence,
        endorsements=made.endorsements,
        at=made.at,
        anchors=anchors,
        expected=Expected(nonce=nonce),
    )
    outcomes = {record.name: record.outcome for record in verified.checks}
    assert outcomes["binding.report-data"] == "not-run"
    assert verified.claims["binding"] == {"nonce": "true"}
