"""For a service that anybody may ask: what costs least is asked first, and what refuses ends the work (T-DOS)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from attest import Endorsements, Evidence, Expected, Rejected, verify
from attest.anchors import Anchors
from attest.binding import runtime_data
from attest.nvidia.containers import DeviceEvidence
from attest.simulator import Simulated, Simulator
from attest.simulator.machine import challenge

NONCE = bytes(range(32))
ASKED = Expected(nonce=NONCE)


def codes(made: Simulated, evidence: Evidence, anchors: Anchors, **keywords: Any) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        verify(evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, **keywords)
    return refusal.value.codes


@pytest.mark.parametrize(
    ("kind", "code"),
    [("snp", "binding.report-data"), ("tdx", "binding.report-data"), ("azure", "azure.tpm.extra-data")],
)
def test_t_dos_another_challenge_ends_the_work_before_a_signature(
    kind: str, code: str, simulator: Simulator, anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (
        simulator.azure(nonce=bytes(32))
        if kind == "azure"
        else simulator.machine(cpu=kind, nonce=bytes(32), gpus=0)
    )
    assert code in codes(made, made.evidence, anchors, expected=ASKED)

    def verified(*_: object, **__: object) -> None:
        raise AssertionError("a signature was to be checked")

    monkeypatch.setattr(type(made.evidence.cpu), "verify_with", verified)
    assert codes(made, made.evidence, anchors, expected=ASKED, cheapest_first=True) == {code}


def test_t_dos_devices_of_another_challenge_end_the_work_as_well(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(nonce=NONCE, gpus=1)
    other = simulator.gpus(1, nonce=bytes(32)).evidence.devices
    evidence = replace(made.evidence, devices=other)
    found = codes(made, evidence, anchors, expected=ASKED, cheapest_first=True)
    assert found == {"binding.gpu-nonce"}


def test_evidence_for_another_purpose_is_named(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.site(nonce=NONCE, gpus=0)
    evidence = replace(made.evidence, site=None)
    assert codes(made, evidence, anchors, expected=ASKED, cheapest_first=True) == {
        "binding.report-data",
        "binding.domain",
    }


@pytest.mark.parametrize("cheapest_first", [False, True])
def test_t_dos_devices_are_verified_only_after_the_cpu_passed(
    cheapest_first: bool, simulator: Simulator, anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = simulator.machine(nonce=NONCE, gpus=1, fault="snp-altered")
    asked: list[DeviceEvidence] = []
    verify_with = DeviceEvidence.verify_with

    def counted(device: DeviceEvidence, **keywords: Any) -> Any:
        asked.append(device)
        return verify_with(device, **keywords)

    monkeypatch.setattr(DeviceEvidence, "verify_with", counted)
    found = codes(made, made.evidence, anchors, expected=ASKED, cheapest_first=cheapest_first)
    assert found == {"snp.signature.invalid"}
    assert len(asked) == (0 if cheapest_first else 1)


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_honest_evidence_is_verified_to_the_same_claims(
    kind: str, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(cpu=kind, nonce=NONCE, gpus=2)
    both = [
        verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at,
            anchors=anchors,
            expected=ASKED,
            cheapest_first=cheapest_first,
        )
        for cheapest_first in (False, True)
    ]
    assert both[0].claims == both[1].claims
    assert [record.as_dict() for record in both[0].checks] == [record.as_dict() for record in both[1].checks]


def test_what_nobody_expected_is_compared_with_nothing(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.snp()
    for expected in (None, Expected(report_data=made.evidence.cpu.bound if made.evidence.cpu else b"")):
        verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at,
            anchors=anchors,
            expected=expected,
            cheapest_first=True,
        )


# -- report data of old guest protocols -------------------------------------------------------------------


def test_t_unbound_no_device_is_covered_where_the_protocol_covers_none(
    simulator: Simulator, anchors: Anchors
) -> None:
    """The layout before 0.3: a device that answers the same challenge is still anybody's."""
    import base64

    from attest.binding import runtime_data

    challenge = base64.b64encode(NONCE).decode()
    cpu = simulator.snp(report_data=runtime_data(challenge, None) + bytes(16))
    gpus = simulator.machine(nonce=NONCE, gpus=1)
    evidence = Evidence(cpu.evidence.cpu, gpus.evidence.devices, gpus.additional)
    endorsements: Endorsements = cpu.endorsements + gpus.endorsements
    old = Expected(nonce=NONCE, covers_devices=False)
    verified = verify(evidence, endorsements=endorsements, at=cpu.at, anchors=anchors, expected=old)
    assert verified.claims["binding"]["gpu-to-cpu"] == "false"
    assert verified.claims["binding"]["gpu-strength"] == "same-challenge"
    assert codes(cpu, cpu.evidence, anchors, expected=ASKED) == {"binding.report-data"}
    assert codes(gpus, gpus.evidence, anchors, expected=old) == {"binding.report-data"}


KEY = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eA", "y": "eQ"}


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("gpus", [0, 2])
@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_what_an_honest_machine_says_is_not_refused_before_it_is_verified(
    cpu: str, gpus: int, key: dict[str, Any] | None, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(cpu=cpu, gpus=gpus, nonce=NONCE, key=key)
    verified = verify(
        made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors,
        expected=Expected(nonce=NONCE, key=key), cheapest_first=True,
    )  # fmt: skip
    assert verified.claims["binding"]["key"] == str(key is not None).lower()


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_nor_is_what_an_honest_machine_of_azures_says(
    kind: str, key: dict[str, Any] | None, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.azure(kind=kind, nonce=NONCE, key=key)
    expected = Expected(nonce=NONCE, key=key)
    assert verify(
        made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors,
        expected=expected, cheapest_first=True,
    ).claims["binding"]["nonce"] == "true"  # fmt: skip


@pytest.mark.parametrize("key", [None, KEY])
def test_nor_is_what_a_guest_of_before_devices_says(
    key: dict[str, Any] | None, simulator: Simulator, anchors: Anchors
) -> None:
    bound = runtime_data(challenge(NONCE), key) + bytes(16)
    made = simulator.snp(report_data=bound)
    expected = Expected(nonce=NONCE, key=key, covers_devices=False)
    for cheapest_first in (False, True):
        assert verify(
            made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors,
            expected=expected, cheapest_first=cheapest_first,
        ).claims["binding"]["key"] == str(key is not None).lower()  # fmt: skip
