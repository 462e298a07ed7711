"""Real evidence of Azure machines at its own time: the verdict of the manifest, for the manifest's reason."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from attest.azure.evidence import AzureEvidence
from attest.binding import Expected
from attest.claims import read_instant
from attest.errors import Malformed, Rejected
from attest.loader import load
from attest.policy import appraise
from attest.recognise import Found, recognise
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import Vectors

ACCEPTED = {
    "az-snp-vtpm-milan-v0-trustee": ("0", "snp"),
    "az-snp-vtpm-milan-v1-trustee": ("1", "snp"),
    "az-snp-vtpm-genoa-trustee": ("0", "snp"),
    "az-snp-vtpm-milan-v2-trustee-parts": (None, "snp"),
    "az-tdx-vtpm-uptodate-flashbots": (None, "tdx"),
}
UNWANTED = ["az-tdx-vtpm-v0-trustee", "az-tdx-vtpm-v1-trustee"]
REFUSED = {
    "az-snp-hcl-wrong-chip-kinvolk": {"snp.signature.invalid", "snp.chip-id.mismatch"},
    "az-snp-vtpm-ak-mismatch-trustee": {"azure.tpm.signature"},
}


def judged(vectors: Vectors, name: str, expected: Expected | None = None) -> Verified:
    case = vectors.cases[name]
    files = [vectors.path(path) for role, path in case["files"].items() if role not in ("root", "ark")]
    evidence, endorsements = load(*files)
    at = read_instant(case["verify_at"])
    return verify(evidence, endorsements=endorsements, at=at, expected=expected)


def outcomes(checks: Any) -> dict[str, str]:
    return {record.name: record.outcome for record in checks}


def test_every_case_is_here(vectors: Vectors) -> None:
    azure = {name for name, case in vectors.cases.items() if case["kind"] in ("az-snp-vtpm", "az-tdx-vtpm")}
    assert azure == {*ACCEPTED, *UNWANTED, *REFUSED}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_genuine_machine_is_authentic(vectors: Vectors, name: str) -> None:
    version, section = ACCEPTED[name]
    verified, facts = judged(vectors, name), vectors.cases[name]["facts"]
    azure = verified.paravisor_claims["azure"]
    assert section in verified.claims
    assert azure.get("evidence-version") == version
    assert azure["user-data-bound"] == "false"
    assert {f"pcr{index}" for index in facts["tpm_quote"]["pcrs"]} <= set(azure)
    digest = hashlib.sha256(b"".join(bytes.fromhex(azure[f"pcr{i}"]) for i in facts["tpm_quote"]["pcrs"]))
    assert digest.hexdigest() == verified.claims["raw"]["azure"]["tpm_quote"]["pcr_digest"]
    appraisal = appraise(verified, None, at=verified.at)
    assert appraisal.verdict == "conforms-with-warnings"
    assert "paravisor-unknown" in {warning.code for warning in appraisal.warnings}


@pytest.mark.parametrize("name", UNWANTED)
def test_all_links_hold_and_the_td_is_unwanted(vectors: Vectors, name: str) -> None:
    verified = judged(vectors, name)
    found = {problem.code for problem in appraise(verified, None, at=verified.at).problems}
    assert found == {"policy.tdx.sept-ve-disable", "policy.tdx.tcb-status"}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_for_the_manifests_reason(vectors: Vectors, name: str) -> None:
    with pytest.raises(Rejected) as refusal:
        judged(vectors, name)
    assert refusal.value.codes == REFUSED[name]
    assert outcomes(refusal.value.checks)["azure.hcl.binding"] == "passed", "runtime data are this report's"


def test_the_link_of_the_hash_is_not_replaced_by_a_good_quote(vectors: Vectors) -> None:
    """All else of the mismatched case is good: the same report with its own quote is accepted."""
    with pytest.raises(Rejected) as refusal:
        judged(vectors, "az-snp-vtpm-ak-mismatch-trustee")
    failed = [name for name, outcome in outcomes(refusal.value.checks).items() if outcome == "failed"]
    assert failed == ["azure.tpm.signature"]
    judged(vectors, "az-snp-vtpm-milan-v2-trustee-parts")


def test_the_challenge_is_the_quotes_and_never_the_hardwares(vectors: Vectors) -> None:
    name = "az-snp-vtpm-milan-v1-trustee"
    assert judged(vectors, name, Expected(tpm_nonce=b"challenge")).claims["binding"]["nonce"] == "true"
    for nonce in (b"challeng", b"challenge\0", b"challenge".ljust(64, b"\0"), bytes(9)):
        with pytest.raises(Rejected) as refusal:
            judged(vectors, name, Expected(tpm_nonce=nonce))
        assert refusal.value.codes == {"azure.tpm.extra-data"}
    signed = bytes.fromhex(judged(vectors, name).claims["raw"]["snp"]["report_data"])
    with pytest.raises(Rejected) as refusal:
        judged(vectors, name, Expected(report_data=signed))
    assert refusal.value.codes == {"azure.report-data"}


def test_forty_eight_bytes_of_challenge(vectors: Vectors) -> None:
    name = "az-snp-vtpm-genoa-trustee"
    nonce = bytes.fromhex(vectors.cases[name]["facts"]["tpm_quote"]["nonce_hex"])
    assert len(nonce) == 48
    judged(vectors, name, Expected(tpm_nonce=nonce))
    with pytest.raises(Rejected) as refusal:
        judged(vectors, name, Expected(tpm_nonce=nonce[:32]))
    assert refusal.value.codes == {"azure.tpm.extra-data"}


def test_azures_certificate_of_the_key_leads_to_the_pinned_root(vectors: Vectors) -> None:
    verified = judged(vectors, "az-tdx-vtpm-uptodate-flashbots")
    assert verified.paravisor_claims["azure"]["ak-cert"] == "azure"
    assert verified.claims["raw"]["azure"]["ak_certificate"]["issuer"] == "Global Virtual TPM CA - 03"
    assert outcomes(verified.checks)["azure.ak-certificate"] == "passed"
    assert outcomes(verified.checks)["azure.ak-certificate.crl"] == "not-run"
    assert "revocation-unchecked" in {warning.code for warning in verified.warnings}
    assert verified.expires <= read_instant("2026-11-30T00:00:00Z")


def test_it_ends_with_the_certificate(vectors: Vectors) -> None:
    name = "az-tdx-vtpm-uptodate-flashbots"
    case = vectors.cases[name]
    evidence, endorsements = load(vectors.path(case["files"]["evidence_yaml"]))
    with pytest.raises(Rejected) as refusal:
        verify(evidence, endorsements=endorsements, at=read_instant("2026-11-30T00:00:01Z"))
    assert "x509.expired" in refusal.value.codes


def test_a_report_alone_says_what_was_not_run(vectors: Vectors) -> None:
    case = vectors.cases["az-snp-vtpm-milan-v2-trustee-parts"]
    evidence, endorsements = load(
        *(vectors.path(case["files"][role]) for role in ("hcl_report", "vcek_chain_pem"))
    )
    verified = verify(evidence, endorsements=endorsements, at=read_instant(case["verify_at"]))
    ran = outcomes(verified.checks)
    for check in ("azure.tpm.format", "azure.tpm.signature", "azure.tpm.pcrs", "azure.user-data"):
        assert ran[check] == "not-run"
    assert ran["azure.hcl.binding"] == "passed"
    assert not any(name.startswith("pcr") for name in verified.paravisor_claims["azure"])
    with pytest.raises(Rejected) as refusal:
        verify(
            evidence,
            endorsements=endorsements,
            at=read_instant(case["verify_at"]),
            expected=Expected(tpm_nonce=b"x"),
        )
    assert refusal.value.codes == {"binding.no-evidence"}


def test_a_tdreport_without_a_quote_proves_nothing(vectors: Vectors) -> None:
    name = "az-tdx-vtpm-uptodate-flashbots"
    found = Found()
    recognise("evidence", vectors.read(name, "evidence_yaml"), found)
    evidence = found.evidence().cpu
    assert isinstance(evidence, AzureEvidence)
    alone = Found()
    recognise("hcl", evidence.hcl.raw, alone)
    with pytest.raises(Rejected) as refusal:
        verify(alone.evidence(), endorsements=alone.endorsements(), at=vectors.at(name))
    assert refusal.value.codes == {"azure.td-quote.missing"}
    assert evidence.td_quote is not None
    with_quote = Found()
    recognise("hcl", evidence.hcl.raw, with_quote)
    recognise("quote", evidence.td_quote.raw, with_quote)
    recognise("collateral", vectors.read(name, "collateral"), with_quote)
    verified = verify(with_quote.evidence(), endorsements=with_quote.endorsements(), at=vectors.at(name))
    assert outcomes(verified.checks)["azure.td-report"] == "passed"


def test_message_and_signature_come_together(vectors: Vectors) -> None:
    case = vectors.cases["az-snp-vtpm-ak-mismatch-trustee"]
    with pytest.raises(Malformed) as refusal:
        load(*(vectors.path(case["files"][role]) for role in ("hcl_report", "tpm_quote_msg")))
    assert refusal.value.codes == {"evidence.malformed"}
