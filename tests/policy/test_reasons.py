"""Why a claim is unknown: refused, out of date, not asked for, or really not there. The denial says which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.binding import Expected
from attest.endorsements import Endorsements
from attest.eventlog.log import EventLog
from attest.evidence import Evidence
from attest.loader import load
from attest.policy import appraise
from attest.simulator import Simulated, Simulator
from attest.simulator.eventlog import td_boot, tpm_boot
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import EVIDENCE, Sample
from tests.policy.conftest import SNP, Judge, policy_of, tree

_NONCE = bytes(range(32))


def sentence(verified: Verified, require: str, platforms: str, code: str) -> str:
    """The denial with this code."""
    appraisal = appraise(verified, policy_of(require, platforms=platforms), at=verified.at)
    (found,) = [problem.message for problem in appraisal.problems if problem.code == code]
    return found


def verified_of(made: Simulated, anchors: Anchors, *logs: EventLog) -> Verified:
    evidence = replace(made.evidence, event_logs=logs)
    return verify(evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)


def log_of(plan: Any) -> EventLog:
    return EventLog.parse(plan.encode())


# -- boot: the log ----------------------------------------------------------------------------------

_KERNEL = "{tdx: {debug: false}, boot: {kernel: " + "00" * 48 + ", any: [{initrd: " + "00" * 48 + "}]}}"


def test_a_log_that_does_not_replay_is_not_called_missing(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.tdx(event_log=True)
    plan = td_boot()
    plan.events.pop()
    verified = verified_of(made, anchors, log_of(plan))
    differing = [warning.where for warning in verified.warnings if warning.code == "event-log.mismatch"]
    assert differing
    said = sentence(verified, _KERNEL, "tdx", "policy.boot.kernel")
    assert said == (
        f"Cannot tell (boot.kernel, p.yaml:4). The event log does not match the signed {' and '.join(map(str, differing))},"
        " so nothing is read from it; unknown counts as not met."
        " Collect log and quote together, in one boot; or pin rtmr1 and rtmr2, which are signed."
    )
    assert "initrd: the event log does not match" in sentence(verified, _KERNEL, "tdx", "policy.boot.any")
    said = sentence(verified, "{tdx: {event-log: replayed}}", "tdx", "policy.tdx.event-log")
    assert f"Not replayed: {', '.join(map(str, differing))}." in said


def test_a_log_that_was_not_given_is_said_to_be_absent(simulator: Simulator, anchors: Anchors) -> None:
    verified = verified_of(simulator.tdx(event_log=True), anchors)
    said = sentence(verified, _KERNEL, "tdx", "policy.boot.kernel")
    assert "No event log was given; unknown counts as not met. Give the event log of this boot" in said


def test_a_log_of_registers_that_nobody_signed_is_said_to_be_unused(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.tdx(event_log=True)
    verified = verified_of(made, anchors, log_of(tpm_boot()))
    said = sentence(verified, _KERNEL, "tdx", "policy.boot.kernel")
    assert "The event log that was given is of no register signed here" in said
    snp = "{snp: {debug: false}, boot: {secure-boot: true}}"
    said = sentence(
        verified_of(simulator.snp(), anchors, log_of(td_boot())), snp, "snp", "policy.boot.secure-boot"
    )
    assert "is of no register signed here" in said
    said = sentence(verified_of(simulator.snp(), anchors), snp, "snp", "policy.boot.secure-boot")
    assert "An SEV-SNP report signs no register of the boot" in said


def test_a_log_that_replays_and_proves_no_kernel_says_why(simulator: Simulator, anchors: Anchors) -> None:
    zeros: dict[str, Any] = {f"rtmr{number}": bytes(48) for number in range(4)}
    plan = td_boot()
    plan.events.clear()
    verified = verified_of(simulator.tdx(**zeros), anchors, log_of(plan))
    assert verified.claims["tdx"]["event-log"] == "replayed"
    unknown = verified.claims["raw"]["tdx"]["event_log"]["boot_unknown"]["kernel"]
    said = sentence(verified, _KERNEL, "tdx", "policy.boot.kernel")
    assert f"The event log replays, and does not prove it: {unknown};" in said


def test_the_log_of_an_azure_machine_names_registers_of_the_tpm(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.azure(event_log=True, pcrs={4: b"\x5a" * 32})
    verified = verify(made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)
    measurement = verified.claims["snp"]["measurement"]
    require = (
        f"{{snp: {{measurement: {measurement}}}, azure: {{ak-cert: azure}}, boot: {{secure-boot: true}}}}"
    )
    said = sentence(verified, require, "azure-snp", "policy.boot.secure-boot")
    assert "The event log does not match the signed pcr4, so nothing is read from it" in said
    other = require.replace(measurement, "00" * 48)
    said = sentence(verified, other, "azure-snp", "policy.boot.secure-boot")
    assert "The paravisor that says it is not the one that the policy pins" in said


# -- devices ----------------------------------------------------------------------------------------


def gpu(made: Simulated, anchors: Anchors, endorsements: Endorsements | None = None) -> Verified:
    kept = made.endorsements if endorsements is None else endorsements
    return verify(made.evidence, endorsements=kept, at=made.at, anchors=anchors)


def test_an_answer_out_of_date_is_not_a_device_that_nobody_knows(
    simulator: Simulator, anchors: Anchors
) -> None:
    stale = gpu(simulator.gpu(fault="gpu-ocsp-stale"), anchors)
    said = sentence(stale, "{gpu: {count: 1}}", "none", "policy.gpu.cert")
    assert "Revocation of the device is out of date (gpu[0].cert, default). The answer about " in said
    assert said.endswith("Give current OCSP answers or lists as files, or --fetch.")
    unknown = gpu(simulator.gpu(fault="gpu-ocsp-unknown"), anchors)
    said = sentence(unknown, "{gpu: {count: 1}}", "none", "policy.gpu.cert")
    assert "The responder does not know a certificate of the device (gpu[0].cert, default)" in said


def test_what_could_not_be_compared_names_the_manifest_that_was_missing(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.gpu()
    bare = gpu(made, anchors, replace(made.endorsements, rims=()))
    require = "{gpu: {driver-rim: valid, cert: good}}"
    said = sentence(bare, require, "none", "policy.gpu.measurements")
    assert (
        "No manifest for driver 550.90.07 was given. No manifest for vbios 96.00.9F.00.01 was given." in said
    )
    assert "--fetch" in said
    said = sentence(bare, require, "none", "policy.gpu.driver-rim")
    assert "The driver's reference manifest was not given" in said
    assert "No manifest for driver 550.90.07 was given" in said
    unasked = gpu(made, anchors, replace(made.endorsements, ocsp=()))
    said = sentence(unasked, require, "none", "policy.gpu.cert")
    assert "Revocation of the device was not checked (gpu[0].cert, p.yaml:4). No OCSP answer about " in said


# -- binding, time, fields --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(genoa: Sample) -> Verified:
    evidence, endorsements = load(*(EVIDENCE / "snp-genoa" / name for name in ("report.bin", "vcek.der")))
    return verify(evidence, endorsements=endorsements, at=genoa.at)


@pytest.mark.parametrize(
    ("section", "rule", "why"),
    [
        ("snp", "host-data: " + "00" * 32, "The host set none: the field is zero"),
        ("snp", "csp: aws", "A VCEK names no cloud provider; a VLEK does"),
        ("binding", "gpu-to-cpu: true", "There is no evidence of a GPU or a switch"),
        ("binding", "key: true", "No nonce was given to compare with"),
        ("binding", "protocol: {at-least: 0.4}", "Evidence from files came by no guest protocol"),
        ("time", "evidence-age: {at-most: 5m}", "Nobody recorded when the nonce was made"),
        ("time", "collateral-age: {at-most: 5d}", "No list and no OCSP answer with a date was given"),
    ],
)
def test_the_reason_is_the_true_one(real: Verified, section: str, rule: str, why: str) -> None:
    claim = rule.partition(":")[0]
    require = (
        f"{{snp: {{{rule}}}}}" if section == "snp" else f"{{snp: {{debug: false}}, {section}: {{{rule}}}}}"
    )
    said = sentence(real, require, "snp", f"policy.{section}.{claim}")
    assert said.startswith(f"Cannot tell ({section}.{claim}, p.yaml:4). {why}; unknown counts as not met. ")


def test_a_nonce_without_a_key_is_no_missing_nonce(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.gpu(nonce=_NONCE)
    verified = verify(
        Evidence(devices=made.evidence.devices),
        endorsements=made.endorsements,
        at=made.at,
        anchors=anchors,
        expected=Expected(gpu_nonce=_NONCE),
    )
    require = "{gpu: {count: 1}, binding: {key: true, gpu-to-cpu: true}}"
    said = sentence(verified, require, "none", "policy.binding.key")
    assert "A nonce was compared, and no key is covered by it" in said
    assert "--nonce and --key" in said
    said = sentence(verified, require, "none", "policy.binding.gpu-to-cpu")
    assert "There is no CPU evidence to tie the devices to" in said


def test_a_key_that_nobody_gave_is_not_one_that_the_evidence_lacks(judge: Judge) -> None:
    policy = policy_of("{snp: {debug: false}, binding: {key: true}}")
    for nonce, said in (
        ("true", "No key was given to compare with"),
        ("false", "The evidence does not carry the key"),
    ):
        appraisal = judge(tree(snp=SNP, binding={"nonce": nonce, "key": "false"}), policy)
        (problem,) = [one for one in appraisal.problems if one.code == "policy.binding.key"]
        assert problem.message.startswith(f"{said} (binding.key, p.yaml:4). ")
        assert ("--key" in problem.message) == (nonce == "true")


def test_a_reason_never_makes_the_unknown_pass(judge: Judge) -> None:
    """Whatever stands in a tree: the same result with and without what the reasons are read from."""
    trees: list[dict[str, Any]] = [
        {},
        {"gpu": "no list"},
        {"azure": {"paravisor_says": 1}},
        {"tdx": {"event_log": []}},
    ]
    for raw in trees:
        appraisal = judge(
            tree(snp=SNP, raw=raw), policy_of("{snp: {debug: false}, boot: {kernel: " + "00" * 48 + "}}")
        )
        assert appraisal.verdict == "refused"
        assert {problem.code for problem in appraisal.problems} == {"policy.boot.kernel"}
