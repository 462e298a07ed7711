"""Mistakes found in verifiers that others shipped; each must be refused here, for its own reason.

Everything is simulated unless the test says real: byte-exact evidence in which one thing is wrong and
everything else is signed well.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from attest import Malformed, Policy, Rejected, appraise, verify
from attest.anchors import Anchors
from attest.binding import Expected
from attest.cache import Cache
from attest.endorsements import Endorsements
from attest.evidence import Evidence
from attest.simulator import Simulated, Simulator
from attest.snp.report import Report
from attest.verified import Verified
from tests.conftest import Sample


def judge(made: Simulated, anchors: Anchors, **more: Any) -> Verified:
    return verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors, **more)


def refusal(made: Simulated, anchors: Anchors, **more: Any) -> set[str]:
    with pytest.raises(Rejected) as caught:
        judge(made, anchors, **more)
    return caught.value.codes


def denial(made: Simulated, anchors: Anchors) -> set[str]:
    appraisal = appraise(judge(made, anchors), None, at=made.at)
    assert appraisal.verdict == "refused"
    return {problem.code for problem in appraisal.problems}


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        ("snp", {"snp.leaf.missing"}),
        (
            "tdx",
            {"tdx.tcb-info.missing", "tdx.qe-identity.missing", "x509.crl.missing", "tdx.collateral.signer"},
        ),
        ("gpu", {"x509.missing", "x509.depth"}),
    ],
)
def test_no_certificate_at_all(kind: str, codes: set[str], simulator: Simulator, anchors: Anchors) -> None:
    made = getattr(simulator, kind)()
    evidence = made.evidence
    if kind == "gpu":
        device = made.evidence.devices[0]
        evidence = Evidence(devices=(type(device)(device.report, None, device.arch),))
    with pytest.raises(Rejected) as caught:
        verify(evidence, endorsements=Endorsements(), at=made.at, anchors=anchors)
    assert caught.value.codes
    assert caught.value.codes <= codes


def test_a_resigned_tdx_attestation_key(simulator: Simulator, anchors: Anchors) -> None:
    """A key that the QE report does not vouch for signs the quote: the chain is complete without it."""
    assert refusal(simulator.tdx(fault="tdx-attestation-key-replaced"), anchors) == {"tdx.qe-report.binding"}


@pytest.mark.parametrize("fault", ["snp-self-made-chain", "tdx-self-made-chain", "gpu-self-made-chain"])
def test_a_self_made_chain_with_the_vendors_names(fault: str, simulator: Simulator, anchors: Anchors) -> None:
    made = getattr(simulator, fault[:3])(fault=fault)
    assert refusal(made, anchors) <= {"x509.anchor", "x509.signature"}


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu"])
def test_simulated_evidence_without_its_root_named(kind: str, simulator: Simulator) -> None:
    codes = refusal(getattr(simulator, kind)(), Anchors.production())
    assert codes & {"x509.anchor", "x509.signature"}


@pytest.mark.parametrize(
    ("kind", "fault", "code"),
    [
        ("snp", "snp-debug", "policy.snp.debug"),
        ("snp", "snp-vmpl-1", "policy.snp.vmpl"),
        ("snp", "snp-migrate-ma", "policy.snp.migrate-ma"),
        ("snp", "snp-policy-unknown-bit", "policy.snp.policy-unknown-bits"),
        ("snp", "snp-crl-stale", "policy.snp.crl"),
        ("tdx", "tdx-debug", "policy.tdx.debug"),
        ("tdx", "tdx-out-of-date", "policy.tdx.tcb-status"),
        ("gpu", "gpu-measurement", "policy.gpu.measurements"),
        ("gpu", "gpu-rim-missing", "policy.gpu.measurements"),
        ("gpu", "gpu-ppcie", "policy.gpu.mode"),
    ],
)
def test_well_signed_and_still_unwanted_by_default(
    kind: str, fault: str, code: str, simulator: Simulator, anchors: Anchors
) -> None:
    """Genuine evidence of a debuggable, outdated or unmeasured machine is denied without any policy."""
    assert denial(getattr(simulator, kind)(fault=fault), anchors) == {code}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("snp-version-1", "snp.report.version"),
        ("snp-version-6", "snp.report.version"),
        ("snp-signature-algorithm", "snp.report.signature-algorithm"),
        ("snp-hwid-missing", "snp.leaf.extension"),
        ("snp-hwid-of-another-chip", "snp.chip-id.mismatch"),
        ("snp-chip-id-masked", "snp.chip-id.masked"),
        ("snp-spl-missing", "snp.leaf.extension"),
        ("snp-spl-snp", "snp.tcb.mismatch"),
        ("snp-spl-above-127", "snp.tcb.mismatch"),
    ],
)
def test_snp_fields_that_others_do_not_look_at(
    fault: str, code: str, simulator: Simulator, anchors: Anchors
) -> None:
    assert refusal(simulator.snp(fault=fault), anchors) == {code}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("tdx-tcb-info-expired", "tdx.tcb-info.expired"),
        ("tdx-qe-identity-expired", "tdx.qe-identity.expired"),
        ("tdx-fmspc", "tdx.tcb-info.fmspc"),
        ("tdx-root-crl-bad-signature", "x509.crl.signature"),
        ("tdx-pck-crl-bad-signature", "x509.crl.signature"),
        ("tdx-root-crl-missing", "x509.crl.missing"),
        ("tdx-pck-crl-missing", "x509.crl.missing"),
    ],
)
def test_tdx_collateral_that_others_take(
    fault: str, code: str, simulator: Simulator, anchors: Anchors
) -> None:
    assert refusal(simulator.tdx(fault=fault), anchors) == {code}


def test_tdx_components_0_and_1_are_the_modules_to_judge(simulator: Simulator, anchors: Anchors) -> None:
    """With a versioned module the platform level is compared from component 2 on: the simulator's newest
    level asks component 0 for more than the module has, and the platform is up to date all the same."""
    verified = judge(simulator.tdx(), anchors)
    assert verified.claims["tdx"]["tcb-status"] == "UpToDate"
    behind = judge(simulator.tdx(fault="tdx-module-out-of-date"), anchors)
    assert behind.claims["tdx"]["tcb-status"] == "OutOfDate"


@pytest.mark.parametrize("keywords", [{"version": 5, "body": "1.0"}, {"version": 5, "body": "1.5"}])
def test_quotes_of_version_5(keywords: Mapping[str, Any], simulator: Simulator, anchors: Anchors) -> None:
    claims = judge(simulator.tdx(**keywords), anchors).claims
    assert claims["raw"]["tdx"]["header"]["version"] == "5"
    assert ("mrservicetd" in claims["tdx"]) is (keywords["body"] == "1.5")


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu"])
def test_no_expected_report_data_is_said(kind: str, simulator: Simulator, anchors: Anchors) -> None:
    verified = judge(getattr(simulator, kind)(), anchors)
    assert "no-freshness" in {warning.code for warning in verified.warnings}
    assert any(
        record.outcome == "not-run" for record in verified.checks if record.name.startswith("binding.")
    )


def test_trailing_bytes(simulator: Simulator, anchors: Anchors, genoa: Sample) -> None:
    with pytest.raises(Malformed):
        Report.parse(genoa.read("report.bin") + b"\0")
    zero = judge(simulator.gpu(fault="gpu-tail-zero"), anchors)
    assert "nvidia.trailing-bytes" in {warning.code for warning in zero.warnings}
    honest = judge(simulator.gpu(), anchors)
    assert zero.claims["gpu"] == honest.claims["gpu"]
    with pytest.raises(Malformed):
        _ = simulator.gpu(fault="gpu-tail").evidence


def test_dates_of_a_rim_certificate(simulator: Simulator, anchors: Anchors) -> None:
    for fault, code in (("gpu-rim-expired", "x509.expired"), ("gpu-rim-not-yet-valid", "x509.not-yet-valid")):
        assert refusal(simulator.gpu(fault=fault), anchors) == {code}


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu"])
def test_a_chain_cached_under_the_simulators_root_does_not_serve_production(
    kind: str, simulator: Simulator, anchors: Anchors
) -> None:
    cache = Cache()
    made = getattr(simulator, kind)()
    for _ in range(2):
        assert judge(made, anchors, cache=cache).simulated
    assert refusal(made, Anchors.production(), cache=cache) & {"x509.anchor", "x509.signature"}


def test_a_warm_cache_still_looks_at_the_clock(simulator: Simulator, anchors: Anchors) -> None:
    for kind in ("snp", "tdx", "gpu"):
        cache = Cache()
        made = getattr(simulator, kind)()
        judge(made, anchors, cache=cache)
        with pytest.raises(Rejected) as caught:
            verify(
                made.evidence,
                endorsements=made.endorsements,
                at=made.at + timedelta(days=20_000),
                anchors=anchors,
                cache=cache,
            )
        assert any("expired" in code for code in caught.value.codes)


@pytest.mark.parametrize("nonce", ["931d8dd0" + "00" * 28, "4cff7f53" + "11" * 28])
def test_a_nonce_from_sample_code_is_no_challenge(nonce: str, simulator: Simulator, anchors: Anchors) -> None:
    public = bytes.fromhex(nonce)
    made = simulator.gpu(nonce=public)
    assert "nonce.public-constant" in refusal(made, anchors, expected=Expected(gpu_nonce=public))


def test_devices_that_answer_different_challenges(simulator: Simulator, anchors: Anchors) -> None:
    first, second = (simulator.gpu(index=index, nonce=bytes([index]) * 32) for index in (0, 1))
    evidence = Evidence(devices=(*first.evidence.devices, *second.evidence.devices))
    with pytest.raises(Rejected) as caught:
        verify(evidence, endorsements=first.endorsements + second.endorsements, at=first.at, anchors=anchors)
    assert caught.value.codes == {"devices.nonce"}


def test_an_empty_policy_platform_does_not_let_another_in(simulator: Simulator, anchors: Anchors) -> None:
    """A TDX guest against a policy that only speaks of SNP."""
    policy = Policy.from_text("policy: 1\nname: p\nplatforms: [snp]\nrequire: {snp: {product: genoa}}\n")
    made = simulator.tdx()
    appraisal = appraise(judge(made, anchors), policy, at=made.at)
    assert appraisal.verdict == "refused"


def test_verified_cannot_be_made_or_changed(simulator: Simulator, anchors: Anchors) -> None:
    with pytest.raises(TypeError):
        Verified(object(), claims={})
    verified = judge(simulator.machine(gpus=1, nonce=bytes(32)), anchors)
    with pytest.raises(AttributeError):
        verified.simulated = False
    claims: Any = verified.claims
    for place, name in (
        (claims, "snp"),
        (claims["snp"], "debug"),
        (claims["snp"]["tcb"], "snp"),
        (claims["gpu"], 0),
        (claims["gpu"][0], "driver"),
        (claims["raw"]["snp"]["leaf"], "root"),
    ):
        with pytest.raises(TypeError):
            place[name] = "changed"
    again = Verified.unseal(bytes(32), b"", verified.seal(bytes(32), b""))
    assert again.claims == verified.claims
    with pytest.raises(TypeError):
        again.claims["snp"]["debug"] = "false"


def test_a_sealed_verified_opens_only_in_its_own_context(simulator: Simulator, anchors: Anchors) -> None:
    verified = judge(simulator.snp(), anchors)
    key = bytes(32)
    sealed = verified.seal(key, b"session 1")
    again = Verified.unseal(key, b"session 1", sealed)
    assert again.claims_json() == verified.claims_json()
    assert (again.checks, again.warnings) == (verified.checks, verified.warnings)
    assert (again.simulated, again.expires, again.at) == (True, verified.expires, verified.at)
    assert again.memory == verified.memory
    changed = bytearray(sealed)
    changed[20] ^= 1
    for attempt in (
        (key, b"session 2", sealed),
        (b"\1" * 32, b"session 1", sealed),
        (key, b"session 1", bytes(changed)),
        (key, b"session 1", sealed[:-1]),
        (key, b"session 1", b""),
    ):
        with pytest.raises(Malformed):
            Verified.unseal(*attempt)
