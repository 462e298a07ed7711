"""Composite evidence: what a guest may send, and what is malformed whatever else it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from attest.binding import Expected, report_data
from attest.composite import read_composite, write_primary
from attest.errors import Malformed
from attest.recognise import Found, recognise
from attest.simulator import Simulated, Simulator

NONCE = bytes(range(32))


@pytest.fixture(scope="module")
def machine(simulator: Simulator) -> Simulated:
    return simulator.machine(nonce=NONCE, gpus=1)


@pytest.fixture(scope="module")
def primary(machine: Simulated) -> dict[str, Any]:
    return write_primary("snp", machine.raw)


def test_a_cpu_alone_has_no_devices(primary: dict[str, Any]) -> None:
    evidence, _ = read_composite("snp", primary, "")
    assert evidence.devices == ()
    assert evidence.additional == ""


def test_the_text_of_the_devices_is_kept_as_it_came(machine: Simulated, primary: dict[str, Any]) -> None:
    assert machine.additional is not None
    evidence, _ = read_composite("snp", primary, machine.additional)
    assert evidence.additional == machine.additional
    assert len(evidence.devices) == 1


def test_both_kinds_of_cpu_survive_being_written(simulator: Simulator) -> None:
    for tee, made in (("snp", simulator.snp()), ("tdx", simulator.tdx())):
        evidence, _ = read_composite(tee, write_primary(tee, made.raw), "")  # type: ignore[arg-type]  # literals
        assert evidence.cpu == made.evidence.cpu


@pytest.mark.parametrize(
    "additional",
    [
        " ",
        "null",
        "[]",
        "{}",
        '"nvidia"',
        "1",
        '{"nvidia":null}',
        '{"nvidia":[]}',
        '{"nvidia":{}}',
        '{"nvidia":{"device_evidence_list":[]}}',
        '{"nvidia":{"device_evidence_list":null}}',
        '{"nvidia":{"evidences":[{"arch":"HOPPER","evidence":"","certificate":""}]}}',
        '{"snp":{"device_evidence_list":[]}}',
        '{"amd":{"device_evidence_list":[]}}',
    ],
)
def test_device_text_that_is_none(additional: str, primary: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read_composite("snp", primary, additional)


@pytest.mark.parametrize(
    ("tee", "document"),
    [
        ("snp", None),
        ("snp", []),
        ("snp", {}),
        ("snp", {"quote": "AA=="}),
        ("snp", {"attestation_report": []}),
        ("tdx", {}),
        ("tdx", {"quote": None}),
        ("tdx", {"quote": 1}),
        ("tdx", {"attestation_report": {}}),
        ("sample", {"quote": "AA=="}),
        ("nvidia", {"device_evidence_list": []}),
    ],
)
def test_a_primary_of_another_kind(tee: str, document: object) -> None:
    with pytest.raises(Malformed):
        read_composite(tee, document, "")


def test_a_tdx_quote_under_another_name_is_refused(simulator: Simulator) -> None:
    with pytest.raises(Malformed):
        read_composite("snp", write_primary("tdx", simulator.tdx().raw), "")


@pytest.mark.parametrize("additional", [None, 1, [], {}])
def test_a_file_whose_additional_evidence_is_no_text(additional: object, primary: dict[str, Any]) -> None:
    text = json.dumps({"primary_evidence": primary, "additional_evidence": additional})
    with pytest.raises(Malformed):
        recognise("file", text.encode(), Found())


@pytest.mark.parametrize(
    "wrong",
    [
        {"report_data": b""},
        {"report_data": bytes(65)},
        {"report_data": bytes(64), "nonce": NONCE},
        {"nonce": bytes(15)},
        {"nonce": bytes(65)},
        {"gpu_nonce": bytes(31)},
        {"gpu_nonce": bytes(33)},
        {"key": {"kty": "EC"}},
    ],
)
def test_expectations_that_nothing_could_meet_are_the_callers_mistake(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"byte|both"):
        Expected(**wrong)


def test_a_challenge_keeps_the_spelling_it_was_hashed_in() -> None:
    assert Expected(nonce=NONCE).challenge == "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    spelt = Expected(nonce=NONCE, nonce_text="spelt otherwise")
    assert report_data(spelt.challenge, None) != report_data(Expected(nonce=NONCE).challenge, None)
