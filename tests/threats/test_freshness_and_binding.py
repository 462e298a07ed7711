"""Whose machine, whose key, which challenge, at what time: what a genuine machine of somebody else cannot claim."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from attest import Expected, Malformed, Rejected, appraise, verify
from attest.anchors import Anchors
from attest.cli.options import read_key
from attest.simulator import Simulated, Simulator
from tests.conftest import ROOT
from tests.policy.conftest import GPU, NOW, SNP, TDX, Judge, policy_of, tree, verified_of

NONCE = bytes(range(32))
KEY = {"kty": "EC", "crv": "P-256", "alg": "ECDH-ES+A256KW", "x": "eA", "y": "eQ"}
EVIL = {**KEY, "x": "eg"}


def refused(made: Simulated, anchors: Anchors, expected: Expected) -> set[str]:
    with pytest.raises(Rejected) as caught:
        verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, expected=expected)
    return caught.value.codes


# -- challenge and key ------------------------------------------------------------------------------


@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_t_replay_an_answer_to_an_earlier_challenge_is_refused(
    cpu: str, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(cpu=cpu, nonce=bytes(32), key=KEY, gpus=1)
    codes = refused(made, anchors, Expected(nonce=NONCE, key=KEY))
    assert codes == {"binding.report-data", "binding.gpu-nonce"}


@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_t_nonce_echo_what_a_device_repeats_is_compared_with_our_own_copy(
    cpu: str, simulator: Simulator, anchors: Anchors
) -> None:
    """Devices that agree among themselves on a nonce prove nothing of ours."""
    echoed = simulator.gpus(2, nonce=NONCE)
    assert refused(echoed, anchors, Expected(gpu_nonce=bytes(32))) == {"binding.gpu-nonce"}
    made = simulator.machine(cpu=cpu, nonce=NONCE, gpus=0)
    assert refused(made, anchors, Expected(nonce=NONCE, nonce_text="other")) == {"binding.report-data"}


def test_t_nonce_echo_report_data_are_compared_in_constant_time(
    simulator: Simulator, anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    compare = hmac.compare_digest

    def counting(left: bytes, right: bytes) -> bool:
        compared.append(len(left))
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    made = simulator.machine(nonce=NONCE, gpus=1)
    verify(
        made.evidence,
        endorsements=made.endorsements,
        at=made.at,
        anchors=anchors,
        expected=Expected(nonce=NONCE),
    )
    assert {32, 64} <= set(compared)


@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_t_keyswap_evidence_of_one_key_speaks_for_no_other(
    cpu: str, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(cpu=cpu, nonce=NONCE, key=KEY, gpus=0)
    assert refused(made, anchors, Expected(nonce=NONCE, key=EVIL)) == {"binding.report-data"}
    # One member more or less is another key: all of them are hashed.
    assert refused(made, anchors, Expected(nonce=NONCE, key={**KEY, "use": "enc"})) == {"binding.report-data"}
    assert refused(made, anchors, Expected(nonce=NONCE)) == {"binding.report-data"}


@pytest.mark.parametrize("value", [1.0, 1.5, [0.5], {"x": 1e21}])
def test_t_canon_no_float_is_hashed(value: Any) -> None:
    """1.0 has the canonical form of 1, so two keys would share one digest."""
    with pytest.raises(ValueError, match="float"):
        Expected(nonce=NONCE, key={**KEY, "n": value})
    with pytest.raises(Malformed):
        read_key('{"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ", "n": 1.0}')
    Expected(nonce=NONCE, key={**KEY, "n": 1, "ext": True, "key_ops": ["deriveKey"]})


# -- devices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["machine-gpu-added", "machine-gpu-swapped", "machine-text-changed", "machine-gpu-nonce"]
)
@pytest.mark.parametrize("cpu", ["snp", "tdx"])
def test_t_unbound_devices_are_those_that_the_cpu_signed_for(
    cpu: str, fault: str, simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.machine(cpu=cpu, nonce=NONCE, key=KEY, gpus=2, fault=fault)
    found = refused(made, anchors, Expected(nonce=NONCE, key=KEY))
    assert found & {"binding.report-data", "binding.gpu-nonce"}


@pytest.mark.parametrize(
    ("claim", "value"),
    [("gpu-to-cpu", "false"), ("gpu-to-cpu", None), ("protocol", "0.3"), ("protocol", "0.2")],
)
def test_t_unbound_no_device_counts_that_nothing_ties_to_the_cpu(
    judge: Judge, claim: str, value: str | None
) -> None:
    claims = tree(snp=SNP, gpu=[GPU])
    assert judge(claims).conforms
    del claims["binding"][claim]
    if value is not None:
        claims["binding"][claim] = value
    assert [problem.code for problem in judge(claims).problems] == [f"policy.binding.{claim}"]


# -- whose machine ----------------------------------------------------------------------------------


RELAYED: list[tuple[str, str, str, Mapping[str, str]]] = [
    ("snp", "chip-id", SNP["chip-id"], {"chip-id": "99" * 64}),
    ("snp", "host-data", "44" * 32, {"host-data": "99" * 32}),
    ("snp", "measurement", SNP["measurement"], {"measurement": "99" * 48}),
    ("tdx", "mrconfigid", "44" * 48, {"mrconfigid": "99" * 48}),
    ("tdx", "fmspc", TDX["fmspc"], {"fmspc": "99" * 6}),
]


@pytest.mark.parametrize(("section", "claim", "pinned", "other"), RELAYED)
def test_t_relay_a_machine_that_is_not_on_the_owners_list_is_refused(
    judge: Judge, section: str, claim: str, pinned: str, other: Mapping[str, str]
) -> None:
    policy = policy_of(f'{{{section}: {{{claim}: {{one-of: ["{pinned}"]}}}}}}', platforms=section)
    part = {**(SNP if section == "snp" else TDX), claim: pinned}
    assert judge(tree(**{section: part}), policy).conforms
    elsewhere = judge(tree(**{section: {**part, **other}}), policy)
    assert [problem.code for problem in elsewhere.problems] == [f"policy.{section}.{claim}"]
    unsaid = {name: value for name, value in part.items() if name != claim}
    assert not judge(tree(**{section: unsaid}), policy).conforms


def test_t_relay_the_limit_is_written_down() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    assert "Without a list of known chips" in text


ZERO = [("snp", "host-data", 32), ("snp", "chip-id", 64), ("tdx", "mrconfigid", 48), ("tdx", "mrowner", 48)]


@pytest.mark.parametrize(("section", "claim", "size"), ZERO)
def test_t_initdata_a_field_of_zeros_is_unset_and_matches_nothing(
    section: str, claim: str, size: int, simulator: Simulator, anchors: Anchors
) -> None:
    """Not even a policy that pins zeros: no host chose them."""
    made = simulator.snp(signing_key="vlek") if section == "snp" else simulator.tdx()
    verified = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
    assert claim not in verified.claims[section]
    policy = policy_of(f'{{{section}: {{{claim}: "{"00" * size}"}}}}', platforms=section)
    appraisal = appraise(verified, policy, at=made.at)
    assert f"policy.{section}.{claim}" in {problem.code for problem in appraisal.problems}


@pytest.mark.parametrize("kind", ["host-data", "init-data", "rtmr3"])
def test_t_factory_what_the_host_or_the_guest_chooses_alone_is_no_identity(judge: Judge, kind: str) -> None:
    platform = "tdx" if kind == "rtmr3" else "snp"
    section = {"host-data": "snp", "init-data": "binding", "rtmr3": "tdx"}[kind]
    value = {"host-data": "44" * 32, "init-data": "55" * 32, "rtmr3": "66" * 48}[kind]
    claims = tree(snp={**SNP, "host-data": "44" * 32}) if platform == "snp" else tree(tdx=TDX)
    claims[section] = {**claims[section], kind: value}
    more = "snp: {guest-svn: {at-least: 0}}, " if section == "binding" else ""
    policy = policy_of(f'{{{more}{section}: {{{kind}: "{value}"}}}}', platforms=platform)
    appraisal = judge(claims, policy)
    assert appraisal.conforms
    assert "no-workload-identity" in {warning.code for warning in appraisal.warnings}


# -- time -------------------------------------------------------------------------------------------


def test_t_clock_nothing_is_judged_before_it_was_verified(judge: Judge) -> None:
    """A clock that steps back would revive what has ended, and stop the evidence's age."""
    policy = policy_of(f'{{snp: {{measurement: {{is: "{SNP["measurement"]}", covers: image}}}}}}')
    assert judge(tree(snp=SNP), policy, NOW).verdict == "conforms"
    earlier = appraise(verified_of(tree(snp=SNP)), policy, at=NOW - timedelta(seconds=1))
    assert earlier.verdict == "refused"
    assert [problem.code for problem in earlier.problems] == ["policy.clock"]


@pytest.mark.parametrize("days", [-4000, 4000])
@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu"])
def test_t_clock_a_wrong_clock_refuses_in_both_directions(
    kind: str, days: int, simulator: Simulator, anchors: Anchors
) -> None:
    made = getattr(simulator, kind)()
    with pytest.raises(Rejected) as caught:
        verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at + timedelta(days=days),
            anchors=anchors,
        )
    wanted = "x509.expired" if days > 0 else "x509.not-yet-valid"
    assert wanted in caught.value.codes


def test_t_lease_what_was_refused_does_not_come_back_by_asking_later(judge: Judge) -> None:
    verified = verified_of(tree(snp=SNP), expires=NOW + timedelta(seconds=10))
    codes = [
        [problem.code for problem in appraise(verified, None, at=NOW + timedelta(seconds=s)).problems]
        for s in (10, 11)
    ]
    assert codes == [[], ["policy.expired"]]
