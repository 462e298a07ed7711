"""Reports of real machines, judged at their own time, with the reason the manifest names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from attest import Rejected, load, verify
from attest.cache import Cache
from attest.errors import Malformed
from attest.evidence import Evidence
from attest.loader import load_endorsements
from attest.simulator.certificates import pem
from attest.snp.containers import read_report_document, write_report_document
from attest.snp.report import Report
from tests.conftest import Sample, Vectors

ACCEPTED = [
    "snp-milan-v2-vcek-trustee",
    "snp-milan-v2-vcek-virtee",
    "snp-milan-v3-vlek-aws-trustee",
    "snp-milan-v3-vcek-oak-release",
    "snp-genoa-v5-vcek-oak",
    "snp-milan-v3-reported-tcb-lag-dstack",
    "snp-milan-v2-vcek-azure-aci",
    "snp-milan-v2-debug-go-sev-guest",
]
REFUSED = {
    "snp-milan-v3-vlek-aws-expired": {"x509.expired"},
    "snp-milan-v2-invalid-vcek-legacy": {
        "x509.signature",
        "snp.signature.invalid",
        "snp.tcb.mismatch",
        "snp.chip-id.mismatch",
    },
    "snp-milan-v2-invalid-vcek-new": {
        "x509.signature",
        "snp.signature.invalid",
        "snp.tcb.mismatch",
        "snp.chip-id.mismatch",
    },
    "snp-malformed-version0-ms": {"snp.report.version", "snp.leaf.missing"},
    "snp-milan-v4-gce-no-vcek": {"snp.leaf.missing"},
}


def files(vectors: Vectors, case: str) -> list[Any]:
    roles = ("report", "vcek", "vlek", "ask", "asvk")
    listed = vectors.cases[case]["files"]
    return [vectors.path(listed[role]) for role in roles if role in listed]


@pytest.mark.parametrize("case", ACCEPTED)
def test_genuine_reports_verify(case: str, vectors: Vectors) -> None:
    evidence, endorsements = load(*files(vectors, case))
    verified = verify(evidence, endorsements=endorsements, at=vectors.at(case))
    facts = vectors.cases[case]["facts"]
    raw = verified.claims["raw"]["snp"]
    for name in ("measurement", "report_data", "host_data"):
        if name in facts:
            assert raw[name] == facts[name]
    assert verified.claims["snp"]["debug"] == ("true" if facts["debug_allowed"] else "false")
    assert verified.claims["snp"]["vmpl"] == str(facts["vmpl"])
    assert raw["committed_version"] == facts["committed_version"]
    assert verified.claims["snp"]["signing-key"] == facts["signing_key"].lower()
    assert {warning.code for warning in verified.warnings} == {"no-freshness"}


@pytest.mark.parametrize(("case", "codes"), REFUSED.items())
def test_refusals_have_the_reason_the_manifest_names(case: str, codes: set[str], vectors: Vectors) -> None:
    at = vectors.cases[case]["verify_at"]
    evidence, endorsements = load(*files(vectors, case))
    with pytest.raises(Rejected) as refusal:
        verify(
            evidence,
            endorsements=endorsements,
            at=datetime.fromisoformat(at) if at else datetime(2026, 1, 1, tzinfo=UTC),
        )
    assert refusal.value.codes == codes


def test_the_shared_ask_is_not_needed(vectors: Vectors) -> None:
    case = "snp-genoa-v5-vcek-oak"
    evidence, endorsements = load(*files(vectors, case)[:2])
    assert (
        verify(evidence, endorsements=endorsements, at=vectors.at(case)).claims["snp"]["product"] == "genoa"
    )


def test_reported_tcb_may_lag_behind_current(vectors: Vectors) -> None:
    case = "snp-milan-v3-reported-tcb-lag-dstack"
    evidence, endorsements = load(*files(vectors, case))
    claims = verify(evidence, endorsements=endorsements, at=vectors.at(case)).claims["snp"]
    assert claims["tcb"]["snp"] == "23"
    assert claims["tcb-committed"]["snp"] == "24"


def test_the_wrong_chip_of_the_azure_vector_is_refused(vectors: Vectors) -> None:
    """Other verifiers gate this check on the common name VCEK, which no certificate carries."""
    case = vectors.cases["az-snp-hcl-wrong-chip-kinvolk"]
    hcl = vectors.path(case["files"]["hcl_report"]).read_bytes()
    endorsements = load_endorsements([vectors.path(case["files"]["vcek_chain_pem"])])
    evidence = Evidence(Report.parse(hcl[32 : 32 + 1184]))
    with pytest.raises(Rejected) as refusal:
        verify(evidence, endorsements=endorsements, at=datetime.fromisoformat(case["verify_at"]))
    assert {"snp.chip-id.mismatch", "snp.signature.invalid"} <= refusal.value.codes


def test_the_crl_of_the_ark_is_used(genoa: Sample) -> None:
    verified = verify(genoa.evidence, endorsements=genoa.endorsements, at=genoa.at)
    assert verified.claims["snp"]["crl"] == "fresh"
    later = verify(genoa.evidence, endorsements=genoa.endorsements, at=genoa.at + timedelta(days=90))
    assert later.claims["snp"]["crl"] == "stale"
    assert {warning.code for warning in verified.warnings} == {"no-freshness", "collateral-memory-absent"}


def test_memory_comes_back_and_stops_an_older_list(genoa: Sample) -> None:
    verified = verify(genoa.evidence, endorsements=genoa.endorsements, at=genoa.at)
    (issuer, seen), *_ = verified.memory.crls.items()
    newer = verified.memory.updated({bytes.fromhex(issuer): seen + timedelta(days=1)}, {})
    with pytest.raises(Rejected) as refusal:
        verify(genoa.evidence, endorsements=genoa.endorsements, at=genoa.at, memory=newer)
    assert refusal.value.codes == {"x509.crl.rollback"}


def test_a_warm_cache_gives_the_same_answer(genoa: Sample) -> None:
    cache = Cache()
    cold = verify(genoa.evidence, endorsements=genoa.endorsements, at=genoa.at, cache=cache)
    warm = verify(genoa.evidence, endorsements=genoa.endorsements, at=genoa.at, cache=cache)
    assert warm.claims_json() == cold.claims_json()
    assert warm.checks == cold.checks
    with pytest.raises(Rejected) as refusal:
        verify(
            genoa.evidence, endorsements=genoa.endorsements, at=genoa.at + timedelta(days=3000), cache=cache
        )
    assert refusal.value.codes == {"x509.expired"}


def test_a_report_survives_the_guest_protocols_json(genoa: Sample) -> None:
    report = Report.parse(genoa.read("report.bin"))
    document = write_report_document(report, genoa.endorsements.certificates)
    again, certificates = read_report_document(document, where="test")
    assert again.raw == report.raw
    assert certificates == genoa.endorsements.certificates


@pytest.mark.parametrize(("many", "good"), [(2, True), (3, False)])
def test_an_entry_of_a_guests_chain_is_no_collection(genoa: Sample, many: int, good: bool) -> None:
    """Whoever sends evidence to a broker must not have it check signatures by the hundred."""
    document = write_report_document(
        Report.parse(genoa.read("report.bin")), genoa.endorsements.certificates[:1]
    )
    text = pem(genoa.endorsements.certificates[0].der) * many
    document["cert_chain"][0]["data"] = list(text)
    if good:
        assert len(read_report_document(document, where="test")[1]) == many
        return
    with pytest.raises(Malformed) as refusal:
        read_report_document(document, where="test")
    assert refusal.value.codes == {"x509.malformed"}
