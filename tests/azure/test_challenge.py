"""The challenge of an Azure machine stands in its TPM quote, in exactly its length."""

from __future__ import annotations

import pytest

from attest.anchors import Anchors
from attest.azure.verify import carries
from attest.binding import LOCAL_TAG, SITE_TAG, Expected, report_data, runtime_data
from attest.errors import Rejected
from attest.simulator import Simulated, Simulator
from attest.simulator.machine import challenge
from attest.verified import Verified
from attest.verifier import verify

NONCE = bytes(range(32))
KEY = {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ"}
P = runtime_data(challenge(NONCE), KEY, "")


@pytest.fixture(scope="module", params=["snp", "tdx"])
def machine(request: pytest.FixtureRequest, simulator: Simulator) -> Simulated:
    return simulator.azure(kind=request.param, nonce=NONCE, key=KEY)


def judge(machine: Simulated, anchors: Anchors, expected: Expected | None) -> Verified:
    return verify(
        machine.evidence,
        endorsements=machine.endorsements,
        at=machine.at,
        expected=expected,
        anchors=anchors,
    )


def refusal(machine: Simulated, anchors: Anchors, expected: Expected) -> set[str]:
    with pytest.raises(Rejected) as refused:
        judge(machine, anchors, expected)
    return refused.value.codes


def test_nonce_and_key_of_the_guest_protocol(machine: Simulated, anchors: Anchors) -> None:
    verified = judge(machine, anchors, Expected(nonce=NONCE, key=KEY))
    assert verified.claims["binding"]["nonce"] == verified.claims["binding"]["key"] == "true"
    assert verified.paravisor_claims["azure"]["user-data-bound"] == "true"
    assert "no-freshness" not in {warning.code for warning in verified.warnings}
    ran = {record.name: record.outcome for record in verified.checks}
    assert ran["azure.tpm.extra-data"] == "passed"
    assert ran["binding.report-data"] == "not-run"


def test_another_nonce_or_key_is_refused(machine: Simulated, anchors: Anchors) -> None:
    for expected in (
        Expected(nonce=bytes(31) + b"\1", key=KEY),
        Expected(nonce=NONCE, key={**KEY, "x": "eQ"}),
        Expected(nonce=NONCE),
    ):
        assert refusal(machine, anchors, expected) == {"azure.tpm.extra-data"}


def test_a_nonce_alone_says_nothing_of_a_key(simulator: Simulator, anchors: Anchors) -> None:
    machine = simulator.azure(nonce=NONCE)
    binding = judge(machine, anchors, Expected(nonce=NONCE)).claims["binding"]
    assert (binding["nonce"], binding["key"]) == ("true", "false")


def test_user_data_carry_challenges_of_1_to_64_bytes() -> None:
    assert carries(b"\1".ljust(64, b"\0"), b"\1")
    assert carries(bytes(range(1, 65)), bytes(range(1, 65)))
    assert not carries(bytes(range(1, 66)), bytes(range(1, 66)))


def test_a_tpm_nonce_is_compared_in_full(machine: Simulated, anchors: Anchors) -> None:
    verified = judge(machine, anchors, Expected(tpm_nonce=P))
    assert verified.claims["binding"]["nonce"] == "true"
    assert "key" not in verified.claims["binding"]
    for nonce in (P[:-1], P + b"\0", P[:32], P.ljust(64, b"\0")):
        assert refusal(machine, anchors, Expected(tpm_nonce=nonce)) == {"azure.tpm.extra-data"}


def test_the_hardwares_report_data_never_answer_a_challenge(machine: Simulated, anchors: Anchors) -> None:
    section = "snp" if "snp" in judge(machine, anchors, None).claims else "tdx"
    raw = judge(machine, anchors, None).claims["raw"][section]
    signed = bytes.fromhex(raw["report_data"] if section == "snp" else raw["body"]["report_data"])
    assert refusal(machine, anchors, Expected(report_data=signed)) == {"azure.report-data"}
    assert refusal(machine, anchors, Expected(tpm_nonce=signed)) == {"azure.tpm.extra-data"}
    assert refusal(machine, anchors, Expected(report_data=report_data(challenge(NONCE), KEY))) == {
        "azure.report-data"
    }


def test_without_a_challenge_there_is_no_freshness(machine: Simulated, anchors: Anchors) -> None:
    assert "no-freshness" in {warning.code for warning in judge(machine, anchors, None).warnings}


def test_a_tpm_nonce_wants_a_tpm_quote(simulator: Simulator, anchors: Anchors) -> None:
    plain = simulator.snp(report_data=P)
    assert refusal(plain, anchors, Expected(tpm_nonce=P)) == {"binding.no-evidence"}


@pytest.mark.parametrize("fault", ["azure-user-data", "azure-user-data-unset"])
def test_t_version_downgrade_version_2_binds_the_hardwares_report(
    simulator: Simulator, anchors: Anchors, fault: str
) -> None:
    """T-VERSION-DOWNGRADE: whoever says version 2 must have had the report made for this challenge."""
    machine = simulator.azure(fault=fault, nonce=NONCE, key=KEY)
    assert refusal(machine, anchors, Expected(nonce=NONCE, key=KEY)) == {"azure.user-data"}


@pytest.mark.parametrize("version", [1, 2])
def test_user_data_that_fit_are_said_to_whatever_the_version(
    simulator: Simulator, anchors: Anchors, version: int
) -> None:
    plan = simulator.plan_azure(nonce=NONCE, key=KEY, version=version)
    plan.claims["user-data"] = P.ljust(64, b"\0").hex().upper()
    ran = {
        one.name: one.outcome for one in judge(plan.build(), anchors, Expected(nonce=NONCE, key=KEY)).checks
    }
    assert ran["azure.user-data"] == "passed"


@pytest.mark.parametrize("kind", ["snp", "tdx"])
@pytest.mark.parametrize("tag", [SITE_TAG, LOCAL_TAG, b"attest-other/1"])
def test_t_cross_user_data_of_another_purpose_are_refused(
    simulator: Simulator, anchors: Anchors, kind: str, tag: bytes
) -> None:
    """The quote answers the broker's challenge, and the hardware's report was made for somebody else."""
    plan = simulator.plan_azure(kind=kind, nonce=NONCE, key=KEY)
    plan.claims["user-data"] = (P + tag).ljust(64, b"\0").hex().upper()
    wanted = {"binding.domain"} if tag in (SITE_TAG, LOCAL_TAG) else {"azure.user-data"}
    assert refusal(plan.build(), anchors, Expected(nonce=NONCE, key=KEY)) == wanted


def test_user_data_carry_a_challenge_with_zeros_or_a_tag() -> None:
    assert carries(P.ljust(64, b"\0"), P)
    assert carries((P + SITE_TAG).ljust(64, b"\0"), P)
    assert carries((P + LOCAL_TAG).ljust(64, b"\0"), P)
    assert not carries((P + b"attest-other/1").ljust(64, b"\0"), P)
    assert not carries((P[:32] + SITE_TAG).ljust(64, b"\0"), P[:32]), "a tag stands behind 48 bytes"
    assert not carries(P.ljust(64, b"\0"), b"")
    assert not carries(P.ljust(64, b"\0"), P + b"\1")


@pytest.mark.parametrize("nonce", [b"", bytes(65)])
def test_a_tpm_nonce_has_a_length(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        Expected(tpm_nonce=nonce)


def test_one_challenge_at_a_time() -> None:
    with pytest.raises(ValueError, match="TPM nonce, or nonce"):
        Expected(tpm_nonce=P, nonce=NONCE)
