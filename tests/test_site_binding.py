"""A site's evidence: bound to a browser's challenge, to its own origin, key and GPU epoch, and to nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import Evidence, Expected, Malformed, Policy, Rejected, appraise, load, verify
from attest.anchors import Anchors
from attest.binding import STRENGTHS
from attest.simulator import Simulated, Simulator
from attest.simulator.site import site_key
from attest.site import SiteStatement, is_origin
from tests.conftest import ROOT

NONCE = bytes(range(32))
ORIGIN = "https://site.example"
BROKER_KEY = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eA", "y": "eQ"}


@pytest.fixture(scope="module")
def site(simulator: Simulator) -> Simulated:
    return simulator.site(nonce=NONCE, origin=ORIGIN)


@pytest.fixture
def statement(site: Simulated) -> dict[str, Any]:
    assert site.evidence.site is not None
    return site.evidence.site.document()


def codes(made: Simulated, anchors: Anchors, expected: Expected) -> frozenset[str] | set[str]:
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected)
    return refusal.value.codes


@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_a_browser_learns_what_it_asked(simulator: Simulator, anchors: Anchors, cpu: str) -> None:
    made = simulator.site(nonce=NONCE, origin=ORIGIN, cpu=cpu, gpus=2)
    expected = Expected(nonce=NONCE, origin=ORIGIN)
    verified = verify(
        made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected
    )
    binding = verified.claims["binding"]
    assert (binding["nonce"], binding["key"], binding["gpu-to-cpu"]) == ("true", "true", "true")
    assert binding["gpu-strength"] == "covered"
    assert {device["evidence-age"] for device in verified.claims["gpu"]} == {"0s"}
    raw = verified.claims["raw"]["binding"]
    assert (raw["use"], raw["origins"]) == ("direct", ORIGIN)
    assert raw["gpu-to-cpu"] == STRENGTHS["covered"]


def test_t_cross_a_sites_evidence_never_answers_a_broker(site: Simulated, anchors: Anchors) -> None:
    """T-CROSS"""
    asked = Expected(nonce=NONCE, key=BROKER_KEY)
    assert "binding.domain" in codes(site, anchors, asked)
    stripped = replace(site.evidence, site=None)
    hidden = replace(site, make_evidence=lambda: stripped)
    found = codes(hidden, anchors, asked)
    assert {"binding.domain", "binding.report-data"} <= found


def test_t_cross_a_brokers_evidence_never_answers_a_browser(simulator: Simulator, anchors: Anchors) -> None:
    """T-CROSS"""
    made = simulator.machine(nonce=NONCE, key=BROKER_KEY)
    assert "binding.domain" in codes(made, anchors, Expected(nonce=NONCE, origin=ORIGIN))


def test_t_origin_a_site_cannot_show_anothers_machine(site: Simulated, anchors: Anchors) -> None:
    """T-ORIGIN"""
    assert codes(site, anchors, Expected(nonce=NONCE, origin="https://evil.example")) == {"binding.origin"}


def test_t_fleet_what_a_key_is_used_for_is_signed(simulator: Simulator, anchors: Anchors) -> None:
    """T-FLEET"""
    key = site_key("fleet", "sha384:" + "ab" * 48)
    made = simulator.site(nonce=NONCE, origin=ORIGIN, key=key)
    expected = Expected(nonce=NONCE, origin=ORIGIN)
    verified = verify(
        made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected
    )
    assert verified.claims["raw"]["binding"]["use"] == "fleet"


def test_old_gpu_evidence_is_refused_by_default(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.site(nonce=NONCE, origin=ORIGIN, fault="site-epoch-old")
    expected = Expected(nonce=NONCE, origin=ORIGIN)
    verified = verify(
        made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected
    )
    assert appraise(verified, Policy.defaults(), at=made.at).verdict == "refused"


def test_a_statement_that_nobody_covers_is_no_claim(site: Simulated, anchors: Anchors) -> None:
    """Without a challenge, or with bare report data, the statement is only text beside the evidence."""
    report_data = site.evidence.site.report_data("bm90IGhpcyBub25jZQ==")  # type: ignore[union-attr]
    assert report_data != site.raw[0x50:0x90]
    for expected in (Expected(), Expected(report_data=site.raw[0x50:0x90])):
        verified = verify(
            site.evidence, endorsements=site.endorsements, at=site.at, anchors=anchors, expected=expected
        )
        assert "evidence-age" not in verified.claims["gpu"][0]
        assert "origins" not in verified.claims["raw"].get("binding", {})


def test_the_files_of_a_site_are_read_back(site: Simulated, tmp_path: Any) -> None:
    for name, data in site.files.items():
        (tmp_path / name).write_bytes(data)
    evidence, _ = load(*sorted(tmp_path.iterdir()))
    assert evidence == site.evidence


def test_a_statement_without_cpu_evidence_is_nothing(statement: dict[str, Any], tmp_path: Any) -> None:
    (tmp_path / "site.json").write_text(json.dumps(statement))
    with pytest.raises(Malformed):
        load(tmp_path / "site.json")


def test_t_gpu_the_devices_strength_is_said_in_words(simulator: Simulator, anchors: Anchors) -> None:
    """A GPU asked with the CPU's own report data answers the same challenge; another one nothing."""
    cpu = simulator.snp(report_data=bytes(range(64)))
    for nonce, strength in ((bytes(range(32)), "same-challenge"), (bytes(range(32, 64)), "same-challenge"), (b"\7" * 32, "none")):  # fmt: skip
        gpu = simulator.gpu(nonce=nonce)
        verified = verify(
            Evidence(cpu.evidence.cpu, gpu.evidence.devices),
            endorsements=cpu.endorsements + gpu.endorsements,
            at=cpu.at,
            anchors=anchors,
        )
        assert verified.claims["binding"]["gpu-strength"] == strength
        assert verified.claims["raw"]["binding"]["gpu-to-cpu"] == STRENGTHS[strength]
        assert "gpu-to-cpu" not in verified.claims["binding"]


def test_t_gpu_devices_beside_the_cpu_are_tied_by_the_challenge_alone(
    simulator: Simulator, anchors: Anchors
) -> None:
    machine = simulator.machine(nonce=NONCE, key=BROKER_KEY, gpus=0)
    from attest.binding import device_nonce
    from attest.simulator.machine import challenge

    gpu = simulator.gpu(nonce=device_nonce(challenge(NONCE), BROKER_KEY))
    verified = verify(
        Evidence(machine.evidence.cpu, gpu.evidence.devices, ""),
        endorsements=machine.endorsements + gpu.endorsements,
        at=machine.at,
        anchors=anchors,
        expected=Expected(nonce=NONCE, key=BROKER_KEY),
    )
    assert verified.claims["binding"]["gpu-strength"] == "same-challenge"
    assert verified.claims["binding"]["gpu-to-cpu"] == "false"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("epoch", "AAAA"),
        ("epoch", "A" * 43),
        ("epoch", None),
        ("epoch-time", "2026-11-23T12:00:00+00:00"),
        ("epoch-time", "2026-11-23"),
        ("epoch-time", 5),
        ("origins", []),
        ("origins", "https://site.example"),
        ("origins", ["https://b.example", "https://a.example"]),
        ("origins", ["https://a.example", "https://a.example"]),
        ("origins", ["https://A.example"]),
        ("origins", ["https://a.example/"]),
        ("origins", [f"https://a{index:03}.example" for index in range(33)]),
        ("tee-pubkey", {}),
        ("tee-pubkey", {**site_key(), "crv": "P-256"}),
        ("tee-pubkey", {**site_key(), "use": "both"}),
        ("tee-pubkey", {**site_key(), "kid": "AAAAAAAAAAAAAAAAAAAAAA"}),
        ("tee-pubkey", {**site_key(), "x": "AAAA"}),
        ("tee-pubkey", {**site_key(), "x": site_key()["x"] + "="}),
        ("tee-pubkey", {**site_key(), "d": "secret"}),
        ("tee-pubkey", site_key("fleet")),
        ("tee-pubkey", site_key("fleet", "sha384:ab")),
        ("tee-pubkey", site_key("direct", "sha384:" + "ab" * 48)),
        ("more", "members"),
    ],
)
def test_a_statement_of_another_form_is_malformed(
    statement: dict[str, Any], member: str, value: object
) -> None:
    with pytest.raises(Malformed):
        SiteStatement.parse(json.dumps({**statement, member: value}))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_statement_or_a_typed_error(data: bytes) -> None:
    with pytest.raises(Malformed):
        SiteStatement.parse(data)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("https://site.example", True),
        ("https://site.example:8443", True),
        ("http://localhost:8080", True),
        ("https://site.example:443", False),
        ("http://site.example:80", False),
        ("https://site.example/", False),
        ("https://site.example\n", False),
        ("https://sité.example", False),
        ("null", False),
        ("https://", False),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(text: str, holds: bool) -> None:
    assert is_origin(text) is holds


def test_a_sites_key_is_no_brokers(site: Simulated) -> None:
    with pytest.raises(ValueError, match="OKP"):
        Expected(nonce=NONCE, key=site_key())
    with pytest.raises(ValueError, match="nonce"):
        Expected(origin=ORIGIN)


def test_the_page_on_report_data_tells_the_layout() -> None:
    page = (ROOT / "docs" / "report-data.md").read_text()
    assert "attest-site/1" in page
    assert "attest-gpu/1" in page
