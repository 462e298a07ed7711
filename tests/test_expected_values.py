"""What was asked must have something that answers it, and every answer says what it did not check."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import pytest

from attest import Rejected, verify
from attest.anchors import Anchors
from attest.binding import Expected, device_nonce, domain_of, report_data
from attest.evidence import Evidence
from attest.simulator import Simulated, Simulator
from attest.verified import Verified

NONCE = bytes(range(32))
KEY = {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AQ"}


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


@pytest.mark.parametrize(
    ("wanted", "sizes", "beyond"),
    [("report_data", (1, 64), (0, 65)), ("nonce", (16, 64), (15, 65)), ("tpm_nonce", (1, 64), (0, 65)), ("gpu_nonce", (32,), (31, 33))],
)  # fmt: skip
def test_sizes_of_what_may_be_expected(wanted: str, sizes: tuple[int, ...], beyond: tuple[int, ...]) -> None:
    for size in sizes:
        assert Expected(**{wanted: bytes(size)}).anything  # type: ignore[arg-type]
    for size in beyond:
        with pytest.raises(ValueError, match=str(sizes[-1])):
            Expected(**{wanted: bytes(size)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "both",
    [
        {"report_data": NONCE, "nonce": NONCE},
        {"report_data": NONCE, "key": KEY},
        {"tpm_nonce": NONCE, "nonce": NONCE},
        {"tpm_nonce": NONCE, "key": KEY},
        {"tpm_nonce": NONCE, "report_data": NONCE},
        {"key": KEY},
        {"origin": "https://site.example"},
    ],
    ids=" and ".join,
)
def test_what_cannot_be_expected_together_or_alone(both: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="give"):
        Expected(**both)


def test_the_layout_of_the_guest_protocol_is_that_of_the_letters() -> None:
    """Written out, so that no reader of `attest.binding` and no writer who uses it can drift together."""
    challenge, jwk = "AAECAw==", '{"crv":"P-256","kty":"EC","x":"AA","y":"AQ"}'
    device = hashlib.sha384(f'{{"nonce":"{challenge}","tee-pubkey":{jwk}}}'.encode()).digest()
    whole = f'{{"additional-evidence":"{{}}","nonce":"{challenge}","tee-pubkey":{jwk}}}'
    empty = f'{{"additional-evidence":"","nonce":"{challenge}","tee-pubkey":{jwk}}}'
    assert device_nonce(challenge, KEY) == device[:32]
    assert report_data(challenge, KEY, "{}") == hashlib.sha384(whole.encode()).digest() + bytes(16)
    assert report_data(challenge, KEY) == hashlib.sha384(empty.encode()).digest() + bytes(16)
    assert (
        device_nonce(challenge, None) == hashlib.sha384(f'{{"nonce":"{challenge}"}}'.encode()).digest()[:32]
    )


@pytest.mark.parametrize(
    ("tail", "domain"),
    [
        (b"", "broker"),
        (b"attest-site/1", "site"),
        (b"attest-local/1", "local evidence API"),
        (b"attest-site/2", "unknown"),
        (b"XXattest-site/1", "unknown"),
        (b"attest-site/1X", "unknown"),
    ],
)
def test_domains_are_told_apart_by_what_follows_the_digest(tail: bytes, domain: str) -> None:
    assert domain_of(bytes(range(1, 49)) + tail.ljust(16, b"\0")) == domain


def test_report_data_of_the_callers_own_tie_no_device(simulator: Simulator, anchors: Anchors) -> None:
    """Only a challenge that the CPU answered reaches the devices; bytes that were chosen otherwise do not."""
    cpu, gpu = simulator.snp(report_data=bytes(range(64))), simulator.gpu(nonce=b"\x07" * 32)
    verified = verify(
        Evidence(cpu.evidence.cpu, gpu.evidence.devices),
        endorsements=cpu.endorsements + gpu.endorsements,
        at=cpu.at,
        anchors=anchors,
        expected=Expected(report_data=bytes(range(64))),
    )
    assert verified.claims["binding"]["gpu-strength"] == "none"


def test_a_covered_text_that_is_no_device_evidence_ties_no_device(
    simulator: Simulator, anchors: Anchors
) -> None:
    """The CPU covers these bytes; that they are not the devices' must not go unseen because they do not parse."""
    text = "[]}"
    written = Expected(nonce=NONCE)
    cpu = simulator.snp(report_data=report_data(written.challenge, None, text))
    gpu = simulator.gpu(nonce=device_nonce(written.challenge, None))
    verified = verify(
        Evidence(cpu.evidence.cpu, gpu.evidence.devices, text),
        endorsements=cpu.endorsements + gpu.endorsements,
        at=cpu.at,
        anchors=anchors,
        expected=written,
    )
    assert verified.claims["binding"]["gpu-to-cpu"] == "false"
    assert verified.claims["binding"]["gpu-strength"] == "same-challenge"


def test_a_key_with_a_float_has_no_one_text_to_hash() -> None:
    with pytest.raises(ValueError):
        Expected(nonce=NONCE, key={**KEY, "n": 1.5})
