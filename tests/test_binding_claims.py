"""What a challenge makes known: which claims stand under `binding`, and what is said where nothing was asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.binding import Expected, device_nonce, report_data, runtime_data
from attest.claims import instant
from attest.errors import Rejected
from attest.evidence import Evidence
from attest.simulator import Simulated, Simulator
from attest.simulator.machine import challenge
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import NOON

NONCE = bytes(range(32))
KEY = {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ"}
D = device_nonce(challenge(NONCE), KEY)
PUBLIC = bytes.fromhex("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb")
"""The nonce of NVIDIA's published samples."""


def judge(made: Simulated, anchors: Anchors, expected: Expected | None, **changes: Any) -> Verified:
    return verify(
        changes.pop("evidence", made.evidence),
        endorsements=made.endorsements,
        at=changes.pop("at", made.at),
        expected=expected,
        anchors=anchors,
    )


@pytest.fixture(params=["snp", "tdx"])
def cpu(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_a_challenge_without_a_key_says_nothing_of_a_key(
    simulator: Simulator, anchors: Anchors, cpu: str
) -> None:
    made = simulator.machine(cpu=cpu, gpus=0, nonce=NONCE)
    binding = judge(made, anchors, Expected(nonce=NONCE)).claims["binding"]
    assert binding == {"nonce": "true", "key": "false"}


def test_a_challenge_with_a_key_says_that_it_is_bound(
    simulator: Simulator, anchors: Anchors, cpu: str
) -> None:
    made = simulator.machine(cpu=cpu, gpus=0, nonce=NONCE, key=KEY)
    binding = judge(made, anchors, Expected(nonce=NONCE, key=KEY, protocol="0.4")).claims["binding"]
    assert binding == {"nonce": "true", "key": "true", "protocol": "0.4"}


def test_short_report_data_are_followed_by_zeros(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.snp(report_data=b"\1" * 10 + bytes(54))
    for length in (10, 11, 64):
        judge(made, anchors, Expected(report_data=(b"\1" * 10).ljust(length, b"\0")))
    for other in (b"\1" * 9, b"\1" * 11, bytes(54) + b"\1" * 10):
        with pytest.raises(Rejected) as refusal:
            judge(made, anchors, Expected(report_data=other))
        assert refusal.value.codes == {"binding.report-data"}


def test_a_nonce_of_devices_says_nothing_of_the_cpu(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.machine(gpus=2, nonce=NONCE, key=KEY)
    binding = judge(made, anchors, Expected(gpu_nonce=D)).claims["binding"]
    assert "nonce" not in binding
    assert binding["gpu-strength"] == "none"
    alone = simulator.gpus(2, nonce=D)
    assert judge(alone, anchors, Expected(gpu_nonce=D)).claims["binding"] == {"nonce": "true"}


def test_every_device_with_a_published_nonce_is_named(simulator: Simulator, anchors: Anchors) -> None:
    one, two = simulator.gpus(2, nonce=NONCE), simulator.gpus(3, nonce=PUBLIC)
    evidence = Evidence(devices=(one.evidence.devices[0], *two.evidence.devices[1:]))
    with pytest.raises(Rejected) as refusal:
        judge(two, anchors, None, evidence=evidence)
    named = {warning.where for warning in refusal.value.warnings if warning.code == "nonce.public-sample"}
    assert named == {"gpu[1].nonce", "gpu[2].nonce"}


def test_a_machine_whose_devices_share_its_challenge_says_how_firmly_in_words(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(gpus=1, nonce=NONCE, key=KEY)
    claims = judge(made, anchors, Expected(nonce=NONCE, key=KEY)).claims
    assert claims["binding"]["gpu-to-cpu"] == "true"
    assert set(claims["raw"]["binding"]) == {"gpu-to-cpu"}


def test_a_machine_without_devices_has_nothing_raw_of_its_binding(
    simulator: Simulator, anchors: Anchors, cpu: str
) -> None:
    made = simulator.machine(cpu=cpu, gpus=0, nonce=NONCE)
    assert "binding" not in judge(made, anchors, Expected(nonce=NONCE)).claims["raw"]


def test_what_was_refused_says_which_bindings_were_not_compared(
    simulator: Simulator, anchors: Anchors
) -> None:
    bindings = {"binding.report-data", "binding.gpu-nonce", "binding.gpu-to-cpu"}
    for gpus, unrun in ((0, {"binding.report-data"}), (1, bindings)):
        made = simulator.machine(gpus=gpus, nonce=NONCE, fault="snp-signature-zero")
        with pytest.raises(Rejected) as refusal:
            judge(made, anchors, Expected(nonce=NONCE))
        names = {one.name for one in refusal.value.checks if one.outcome == "not-run"}
        assert names & bindings == unrun


def test_no_evidence_is_refused_with_the_checks_that_ran(simulator: Simulator, anchors: Anchors) -> None:
    with pytest.raises(Rejected) as refusal:
        verify(Evidence(), endorsements=simulator.snp().endorsements, at=NOON, anchors=anchors)
    assert refusal.value.codes == {"evidence.missing"}
    assert isinstance(refusal.value.checks, tuple)


def test_a_simulator_that_nobody_named_is_told_first(simulator: Simulator) -> None:
    made = simulator.snp()
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=made.at)
    assert refusal.value.problems[0].code == "evidence.simulated"


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.delenv("TZ")
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
def test_the_machines_time_zone_is_nowhere_in_the_answer(simulator: Simulator, anchors: Anchors) -> None:
    assert judge(simulator.snp(), anchors, None).at.utcoffset() == timedelta(0)


# -- sites ------------------------------------------------------------------------------------------

ORIGIN = "https://a.example"


def test_a_sites_statement_is_shown_as_it_was_signed(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.site(nonce=NONCE, gpus=0, origin=ORIGIN)
    raw = judge(made, anchors, Expected(nonce=NONCE, origin=ORIGIN)).claims["raw"]["binding"]
    assert set(raw) == {"use", "origins", "epoch-time"}
    assert (raw["use"], raw["origins"], raw["epoch-time"]) == ("direct", ORIGIN, instant(made.at))


def test_a_sites_clock_may_be_two_minutes_ahead_and_no_more(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.site(nonce=NONCE, gpus=0)
    assert made.evidence.site is not None
    epoch = made.evidence.site.epoch_time
    expected = Expected(nonce=NONCE, origin=made.evidence.site.origins[0])
    judge(made, anchors, expected, at=epoch - timedelta(seconds=120))
    with pytest.raises(Rejected) as refusal:
        judge(made, anchors, expected, at=epoch - timedelta(seconds=121))
    assert "binding.epoch" in refusal.value.codes


def test_runtime_data_and_report_data_are_of_one_digest() -> None:
    assert report_data(challenge(NONCE), KEY) == runtime_data(challenge(NONCE), KEY, "") + bytes(16)
