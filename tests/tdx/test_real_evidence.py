"""Real quotes at their own time: the verdict of the manifest, for the manifest's reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from attest.errors import Rejected
from attest.loader import load
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import Sample, Vectors

UP_TO_DATE = [
    "tdx-v4-uptodate-phala",
    "tdx-v5-uptodate-go-tdx-guest",
    "tdx-v4-gce-cos113-uptodate-2025",
    "tdx-v4-uptodate-flashbots-gcp",
    "tdx-v4-uptodate-dstack-eventlog",
    "tdx-v4-uptodate-nearai-20a06f",
]
OUT_OF_DATE = [
    "tdx-v5-mrservicetd-alibaba",
    "tdx-v4-gce-cos113-outofdate-2026",
    "tdx-v4-azure-septve-off-trustee",
]
REFUSED = {
    "tdx-v4-collateral-expired-phala": {"tdx.tcb-info.expired", "tdx.qe-identity.expired", "x509.crl.stale"},
    "tdx-v4-wrong-fmspc-collateral": {"tdx.tcb-info.fmspc"},
    "tdx-v5-no-matching-level-phala": {"tdx.tcb.no-level"},
    "tdx-v5-no-matching-level-trustee": {"tdx.tcb.no-level"},
    "tdx-v4-no-matching-level-tappd": {"tdx.tcb.no-level"},
    "tdx-v4-pck-not-yet-valid-dstack": {"x509.not-yet-valid"},
    "tdx-v4-debug-td-trustee": {"tdx.tcb-info.missing", "tdx.qe-identity.missing", "x509.crl.missing"},
}


def judged(vectors: Vectors, name: str) -> tuple[Verified, dict[str, Any]]:
    case = vectors.cases[name]
    files = [vectors.path(path) for role, path in case["files"].items() if role != "root"]
    at = datetime.fromisoformat(case["verify_at"] or "2024-06-01T00:00:00Z")
    evidence, endorsements = load(*files)
    return verify(evidence, endorsements=endorsements, at=at), case


def check_parts(verified: Verified, case: dict[str, Any]) -> None:
    ours, facts = verified.claims["raw"]["tdx"]["tcb"], case["facts"]["tcb"]
    assert ours["platform"]["status"] == facts["platform"]
    assert sorted(ours["platform"]["advisories"]) == facts["platform_advisories"]
    name, svn, status, advisories = facts["tdx_module"]
    assert (ours["module"]["id"], ours["module"]["status"]) == (name, status)
    assert ours["module"]["advisories"] == tuple(advisories)
    assert verified.claims["tdx"]["tee-tcb-svn"].startswith(f"{svn:02x}")
    assert ours["qe"]["status"] == facts["qe"][1]
    claims = verified.claims["tdx"]
    assert claims["fmspc"] == case["facts"]["fmspc"]
    assert claims["tcb-evaluation"] == str(case["facts"]["collateral"]["tcb_evaluation_data_number"])


@pytest.mark.parametrize("name", UP_TO_DATE)
def test_up_to_date_evidence_verifies(vectors: Vectors, name: str) -> None:
    verified, case = judged(vectors, name)
    claims = verified.claims["tdx"]
    assert claims["tcb-status"] == case["expect"]["tcb_status"] == "UpToDate"
    assert claims["tcb-lag"] == "0s"
    assert claims["advisories"] == ()
    assert claims["crl"] == "fresh"
    assert not verified.simulated
    check_parts(verified, case)


@pytest.mark.parametrize("name", OUT_OF_DATE)
def test_out_of_date_evidence_is_genuine_and_says_what_is_behind(vectors: Vectors, name: str) -> None:
    verified, case = judged(vectors, name)
    claims, tcb = verified.claims["tdx"], verified.claims["raw"]["tdx"]["tcb"]
    assert claims["tcb-status"] == "OutOfDate"
    assert claims["advisories"] == tuple(case["facts"]["tcb"]["platform_advisories"])
    assert int(claims["tcb-lag"].removesuffix("s")) > 365 * 86400
    assert tcb["platform"]["behind"]
    assert tcb["module"]["behind"] == (f"TDX module {case['facts']['tcb']['tdx_module'][1]}, wanted 6",)
    check_parts(verified, case)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_evidence_is_refused_for_its_reason(vectors: Vectors, name: str) -> None:
    with pytest.raises(Rejected) as refusal:
        judged(vectors, name)
    assert refusal.value.codes == REFUSED[name]


def test_no_case_is_left_out(vectors: Vectors) -> None:
    known = {*UP_TO_DATE, *OUT_OF_DATE, *REFUSED, "tdx-v4-spr-e4-go-tdx-guest"}
    assert {name for name, case in vectors.cases.items() if case["kind"] == "tdx"} == known


def test_services_and_attributes_of_real_tds_are_claims(vectors: Vectors) -> None:
    bound, _ = judged(vectors, "tdx-v5-mrservicetd-alibaba")
    assert bound.claims["tdx"]["mrservicetd"].startswith("383c87d3bbb0")
    azure, _ = judged(vectors, "tdx-v4-azure-septve-off-trustee")
    assert azure.claims["tdx"]["sept-ve-disable"] == "false"
    assert "mrservicetd" not in azure.claims["tdx"]
    assert "mrconfigid" not in azure.claims["tdx"], "zero is unset"


def test_a_service_answer_as_fetched_in_2023_verifies_under_the_signer_reissued_later(
    vectors: Vectors,
) -> None:
    """Both documents were signed by the same key as today's; the raw answers are cut, not re-written."""
    case = vectors.cases["tdx-v4-spr-e4-go-tdx-guest"]
    files = [vectors.path(path) for role, path in case["files"].items() if role != "root"]
    evidence, endorsements = load(*files)
    _, later = load(
        vectors.path("tdx/tdx-v4-uptodate-phala/quote.bin"),
        vectors.path("tdx/collateral/b0c06f-2025-06-eval17.json"),
    )
    signer = later.documents[0].chain
    given = type(endorsements)(signer, endorsements.crls, endorsements.documents)
    with pytest.raises(Rejected) as refusal:
        verify(evidence, endorsements=given, at=datetime.fromisoformat("2023-07-01T00:00:00Z"))
    # The re-issued certificate is younger than the documents; no signature is complained of.
    assert refusal.value.codes == {"x509.not-yet-valid", "tdx.tcb.no-level"}


def test_an_honest_td_is_not_said_to_be_watched(td: Sample) -> None:
    verified = verify(td.evidence, endorsements=td.endorsements, at=td.at)
    assert "tdx.perfmon" not in {warning.code for warning in verified.warnings}
