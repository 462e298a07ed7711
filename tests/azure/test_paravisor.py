"""T-PARAVISOR: an ordinary guest plays the paravisor, and every software link of it is good."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from attest.anchors import Anchors
from attest.binding import Expected
from attest.claims import thaw
from attest.policy import Policy, appraise
from attest.result.answer import of_appraisal
from attest.result.text import render
from attest.simulator import Simulator
from attest.simulator.azure import GUEST_SVN, ID_KEY, default_pcrs
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import ROOT

NONCE = bytes(range(32))
KEY = {"kty": "EC", "crv": "P-256", "x": "eA", "y": "eQ"}
MEASUREMENT = hashlib.sha384(b"simulated launch").hexdigest()
MRTD = hashlib.sha384(b"simulated firmware").hexdigest()
PCR11 = default_pcrs()[11].hex()


def verified(
    simulator: Simulator, anchors: Anchors, *, fault: str | None = None, **keywords: object
) -> Verified:
    made = simulator.azure(fault=fault, nonce=NONCE, key=KEY, **keywords)
    expected = Expected(nonce=NONCE, key=KEY)
    return verify(
        made.evidence, endorsements=made.endorsements, at=simulator.at, expected=expected, anchors=anchors
    )


@pytest.fixture(scope="module")
def honest(simulator: Simulator, anchors: Anchors) -> Verified:
    return verified(simulator, anchors)


@pytest.fixture(scope="module")
def forged(simulator: Simulator, anchors: Anchors) -> Verified:
    return verified(simulator, anchors, fault="azure-forged-paravisor")


def policy(require: str, platforms: str = "azure-snp") -> Policy:
    return Policy.from_text(f"policy: 1\nname: t\nplatforms: [{platforms}]\nrequire: {require}\n")


def codes(verified: Verified, policy: Policy | None) -> set[str]:
    return {problem.code for problem in appraise(verified, policy, at=verified.at).problems}


PINNING = {
    "measurement": f'snp: {{measurement: "{MEASUREMENT}"}}',
    "id key": f'snp: {{id-key: "{ID_KEY.hex()}", guest-svn: {{at-least: {GUEST_SVN}}}}}',
}


def test_t_paravisor_verify_accepts_the_hardware_and_nothing_is_known_of_the_guest(forged: Verified) -> None:
    """T-PARAVISOR: the chip is genuine and signed what it was asked to; all else is the forger's word."""
    assert all(record.outcome != "failed" for record in forged.checks)
    appraisal = appraise(forged, None, at=forged.at)
    assert "paravisor-unknown" in {warning.code for warning in appraisal.warnings}
    assert appraisal.verdict == "conforms-with-warnings", "no release without the owner's word"
    assert not any((rule["rule"] or "").startswith("azure.") for rule in appraisal.rules)


@pytest.mark.parametrize("pin", PINNING)
def test_t_paravisor_a_policy_that_pins_it_refuses_the_forged_one(
    honest: Verified, forged: Verified, pin: str
) -> None:
    rules = policy(f'{{{PINNING[pin]}, azure: {{secure-boot: true, pcr11: "{PCR11}"}}}}')
    assert codes(honest, rules) == set()
    found = codes(forged, rules)
    assert found & {"policy.snp.measurement", "policy.snp.id-key", "policy.snp.guest-svn"}
    assert {"policy.azure.secure-boot", "policy.azure.pcr11", "policy.azure.user-data-bound"} <= found, (
        "what an unknown paravisor says is unknown, though the forger wrote the right values"
    )


POLICIES = sorted(file for file in ROOT.glob("policies/*.yaml") if not file.name.endswith(".test.yaml"))


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.stem)
def test_t_paravisor_every_shipped_policy_refuses_the_forged_one(forged: Verified, file: Path) -> None:
    values = {"ld": MEASUREMENT, "idk": ID_KEY.hex(), "svn": str(GUEST_SVN), "uki": PCR11}
    values |= {"host": PCR11, **dict.fromkeys(("mrtd", "rtmr1", "rtmr2"), MEASUREMENT)}
    text = file.read_text()
    used = {name: value for name, value in values.items() if f"  {name}: {{type:" in text}
    assert codes(forged, Policy.read(file, parameters=used))


def test_the_shipped_azure_policy_accepts_the_machine_it_pins(honest: Verified) -> None:
    values = {"idk": ID_KEY.hex(), "svn": str(GUEST_SVN), "uki": PCR11}
    assert codes(honest, Policy.read(ROOT / "policies" / "azure-cvm.yaml", parameters=values)) == set()


def test_an_older_paravisor_of_the_same_signer_is_not_known(simulator: Simulator, anchors: Anchors) -> None:
    old = verified(simulator, anchors, guest_svn=GUEST_SVN - 1)
    rules = policy(f"{{{PINNING['id key']}, azure: {{secure-boot: true}}}}")
    assert {"policy.snp.guest-svn", "policy.azure.secure-boot"} <= codes(old, rules)


@pytest.mark.parametrize(
    ("platforms", "require"),
    [
        ("snp", f'{{snp: {{measurement: "{MEASUREMENT}"}}}}'),
        ("azure-tdx", f'{{tdx: {{mrtd: "{MRTD}"}}, azure: {{secure-boot: true}}}}'),
    ],
)
def test_a_machine_under_a_paravisor_is_no_plain_guest(
    honest: Verified, platforms: str, require: str
) -> None:
    assert "policy.platforms" in codes(honest, policy(require, platforms))


def test_tdx_is_pinned_by_mrtd(simulator: Simulator, anchors: Anchors) -> None:
    rules = policy(f'{{tdx: {{mrtd: "{MRTD}"}}, azure: {{pcr11: "{PCR11}"}}}}', "azure-tdx")
    assert codes(verified(simulator, anchors, kind="tdx"), rules) == set()
    other = verified(simulator, anchors, kind="tdx", mrtd=hashlib.sha384(b"own firmware").digest())
    assert codes(other, rules) == {"policy.tdx.mrtd", "policy.azure.pcr11", "policy.azure.user-data-bound"}


def test_t_version_downgrade_an_older_version_is_a_claim_and_refused_by_default(
    simulator: Simulator, anchors: Anchors
) -> None:
    """T-VERSION-DOWNGRADE: version 1 leaves out the user data, so the report may be as old as the boot."""
    old = verified(simulator, anchors, version=1)
    assert old.paravisor_claims["azure"]["evidence-version"] == "1"
    rules = policy(f"{{{PINNING['measurement']}, azure: {{evidence-version: {{at-least: 2}}}}}}")
    assert codes(old, rules) == {"policy.azure.evidence-version", "policy.azure.user-data-bound"}


def test_t_paravisor_what_it_says_is_no_claim_until_a_policy_pins_it(honest: Verified) -> None:
    """T-PARAVISOR: also for a reader of the claims who asks no policy."""
    assert not {"azure", "boot"} & set(honest.claims)
    said = honest.claims["raw"]["azure"]["paravisor_says"]
    assert said == honest.paravisor_claims
    unpinned = of_appraisal(appraise(honest, None, at=honest.at)).as_dict()
    assert "azure" not in unpinned["claims"]
    assert unpinned["claims"]["raw"]["azure"]["paravisor_says"] == thaw(said)
    pinned = policy(f"{{{PINNING['measurement']}, azure: {{secure-boot: true}}}}")
    answer = of_appraisal(appraise(honest, pinned, at=honest.at)).as_dict()
    assert answer["claims"]["azure"] == thaw(said["azure"])
    assert "paravisor_says" not in answer["claims"]["raw"]["azure"]
    other = policy('{snp: {measurement: "' + 48 * "00" + '"}, azure: {secure-boot: true}}')
    assert "azure" not in appraise(honest, other, at=honest.at).claims


def test_a_paravisor_that_is_not_the_pinned_one_is_given_as_the_reason(honest: Verified) -> None:
    other = policy('{snp: {measurement: "' + 48 * "00" + f'"}}, azure: {{pcr11: "{PCR11}"}}}}')
    refused = {one.code: str(one) for one in appraise(honest, other, at=honest.at).problems}
    said = refused["policy.azure.pcr11"]
    assert "not the one that the policy pins" in said
    assert "rop the rule" not in said


def test_the_answer_in_words_tells_what_is_only_said(honest: Verified) -> None:
    shown = render(of_appraisal(appraise(honest, None, at=honest.at)), width=100)
    assert "Azure, as its paravisor says: unknown, as the paravisor is not pinned" in shown


def test_what_the_paravisor_says_is_called_so(honest: Verified) -> None:
    assert "paravisor" in honest.claims["raw"]["azure"]["limit"]
    assert (
        honest.claims["raw"]["snp"]["report_data"] != honest.claims["raw"]["azure"]["tpm_quote"]["extra_data"]
    )
