"""What a cache may save and what it may not: dates, revocation, memory and the quote are always asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from attest.anchors import Anchors
from attest.cache import Cache
from attest.errors import Rejected
from attest.evidence import Evidence
from attest.memory import Memory
from attest.simulator import Simulator
from attest.tdx.quote import Quote
from attest.verifier import verify
from attest.x509 import Crl
from tests.conftest import Sample
from tests.tdx.conftest import Judge


@pytest.fixture
def warm(td: Sample) -> Cache:
    cache = Cache()
    verify(td.evidence, endorsements=td.endorsements, at=td.at, cache=cache)
    return cache


def test_warm_and_cold_say_the_same(td: Sample, warm: Cache) -> None:
    memory = verify(td.evidence, endorsements=td.endorsements, at=td.at).memory
    for known in (None, memory):
        cold = verify(td.evidence, endorsements=td.endorsements, at=td.at, memory=known)
        again = verify(td.evidence, endorsements=td.endorsements, at=td.at, memory=known, cache=warm)
        assert again.claims_json() == cold.claims_json()
        assert sorted(map(str, again.checks)) == sorted(map(str, cold.checks))
        assert (again.warnings, again.expires, again.memory) == (cold.warnings, cold.expires, cold.memory)


@pytest.mark.parametrize("days", [-4, 30, 400, 4000])
def test_a_warm_verification_looks_at_the_clock(td: Sample, warm: Cache, days: int) -> None:
    at = td.at + timedelta(days=days)
    found = []
    for cache in (None, warm):
        with pytest.raises(Rejected) as refusal:
            verify(td.evidence, endorsements=td.endorsements, at=at, cache=cache)
        found.append([problem.as_dict() for problem in refusal.value.problems])
    assert found[0] == found[1]


def test_a_warm_verification_asks_the_memory(td: Sample, warm: Cache) -> None:
    seen = verify(td.evidence, endorsements=td.endorsements, at=td.at).memory
    later = timedelta(seconds=1)
    for memory, code in (
        (replace(seen, crls={name: date + later for name, date in seen.crls.items()}), "x509.crl.rollback"),
        (
            replace(seen, documents={name: date + later for name, date in seen.documents.items()}),
            "tdx.collateral.rollback",
        ),
        (Memory(minimum_evaluation=18), "tdx.collateral.evaluation"),
    ):
        with pytest.raises(Rejected) as refusal:
            verify(td.evidence, endorsements=td.endorsements, at=td.at, cache=warm, memory=memory)
        assert refusal.value.codes == {code}


def test_a_list_added_later_is_read(judge: Judge, simulator: Simulator) -> None:
    plan, cache = simulator.plan_tdx(), Cache()
    judge(plan, cache=cache)
    made = plan.build().endorsements
    revoking = simulator.plan_tdx(fault="tdx-pck-revoked").build().endorsements
    with pytest.raises(Rejected) as refusal:
        judge(plan, endorsements=replace(made, crls=made.crls + revoking.crls), cache=cache)
    assert refusal.value.codes == {"x509.revoked"}


def test_another_platform_beside_the_same_collateral_is_its_own(judge: Judge, simulator: Simulator) -> None:
    cache = Cache()
    first, second = (simulator.plan_tdx(platform=number) for number in (0, 1))
    endorsements = first.build().endorsements
    seen = {
        judge(quote=plan.build().raw, endorsements=endorsements, cache=cache).claims["raw"]["tdx"]["pck"][
            "ppid"
        ]
        for plan in (first, second)
    }
    assert len(seen) == 2


def test_other_documents_for_the_same_platform_are_read(judge: Judge, simulator: Simulator) -> None:
    plan, cache = simulator.plan_tdx(), Cache()
    judge(plan, cache=cache)
    plan.tcb_info["tcbLevels"][0]["tcb"]["pcesvn"] += 1
    assert judge(plan, cache=cache).claims["tdx"]["tcb-status"] != "UpToDate"


def test_a_list_taken_away_is_missed(td: Sample, warm: Cache) -> None:
    with pytest.raises(Rejected) as refusal:
        verify(
            td.evidence,
            endorsements=replace(td.endorsements, crls=td.endorsements.crls[:1]),
            at=td.at,
            cache=warm,
        )
    assert refusal.value.codes == {"x509.crl.missing"}


def test_a_forged_list_is_found_out(td: Sample, warm: Cache) -> None:
    root, pck = td.endorsements.crls
    forged = Crl(pck.der[:-1] + bytes([pck.der[-1] ^ 1]))
    with pytest.raises(Rejected) as refusal:
        verify(td.evidence, endorsements=replace(td.endorsements, crls=(root, forged)), at=td.at, cache=warm)
    assert refusal.value.codes == {"x509.crl.signature"}


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (48 + 136, "tdx.quote.signature"),
        (636, "tdx.quote.signature"),
        (636 + 134 + 64, "tdx.qe-report.signature"),
        (636 + 518, "tdx.qe-report.signature"),
        (636 + 584, "tdx.qe-report.binding"),
    ],
)
def test_signatures_over_the_quote_are_never_cached(td: Sample, warm: Cache, offset: int, code: str) -> None:
    raw = bytearray(td.read("quote.bin"))
    raw[offset] ^= 1
    with pytest.raises(Rejected) as refusal:
        verify(Evidence(Quote.parse(bytes(raw))), endorsements=td.endorsements, at=td.at, cache=warm)
    assert code in refusal.value.codes


def test_a_platform_known_under_the_simulators_root_is_unknown_in_production(
    judge: Judge, simulator: Simulator
) -> None:
    cache, plan = Cache(), simulator.plan_tdx()
    assert judge(plan, cache=cache).simulated
    with pytest.raises(Rejected) as refusal:
        judge(plan, cache=cache, anchors=Anchors.production())
    assert "x509.anchor" in refusal.value.codes


def test_where_the_instant_chooses_nothing_is_kept(judge: Judge, simulator: Simulator) -> None:
    """Two TCB infos: the newer one is judged by as soon as it is in force."""
    plan, cache = simulator.plan_tdx(), Cache()
    newer = simulator.plan_tdx(tcb_evaluation=22)
    newer.tcb_info["issueDate"] = newer.qe_identity["issueDate"] = "2026-11-24T00:00:00Z"
    both = plan.build().endorsements + newer.build().endorsements
    at = simulator.at
    for day, number in ((0, "21"), (1, "22"), (0, "21")):
        verified = judge(plan, endorsements=both, cache=cache, at=at + timedelta(days=day))
        assert verified.claims["tdx"]["tcb-evaluation"] == number


def test_signed_octets_beside_another_chain_are_another_question(td: Sample, warm: Cache) -> None:
    """The same TCB info, once verified, under a chain that does not sign it: cold and warm say the same."""
    documents = tuple(replace(d, chain=d.chain[1:]) for d in td.endorsements.documents)
    for cache in (None, warm):
        with pytest.raises(Rejected) as refusal:
            verify(
                td.evidence,
                endorsements=replace(td.endorsements, documents=documents),
                at=td.at,
                cache=cache,
            )
        assert "tdx.tcb-info.signature" not in refusal.value.codes
        assert refusal.value.codes & {"x509.depth", "x509.name", "x509.anchor", "x509.signature"}
