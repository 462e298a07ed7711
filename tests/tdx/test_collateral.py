"""Collateral: how it is read, whose it is, which counts, and when."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.claims import instant
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed, Rejected
from attest.evidence import Evidence
from attest.memory import Memory
from attest.simulator import Simulator
from attest.simulator.tdx import TdxPlan
from attest.tdx.collateral import read_dcap_qvl, read_pcs
from attest.tdx.qe_identity import QeIdentity
from attest.tdx.quote import Quote
from attest.verified import Verified
from attest.verifier import verify
from attest.x509 import Crl
from tests.conftest import Sample
from tests.tdx.conftest import Judge

DAY = timedelta(days=1)
SIGNATURE = b"ab" * 64


def codes_of(judge: Judge, *arguments: Any, **keywords: Any) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        judge(*arguments, **keywords)
    return refusal.value.codes


def collateral_of(td: Sample) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(td.read("collateral.json"))
    return document


def judge_real(td: Sample, endorsements: Endorsements, at: datetime | None = None) -> Verified:
    quote = Quote.parse(td.read("quote.bin"))
    return verify(Evidence(quote), endorsements=endorsements, at=at or td.at)


# -- answers of Intel's service --------------------------------------------------------------------------------


@pytest.mark.parametrize(("member", "kind"), [("tcbInfo", "tcb-info"), ("enclaveIdentity", "qe-identity")])
def test_the_signed_octets_are_cut_out_as_they_stand(member: str, kind: str) -> None:
    inner = b'{"b": 1 ,"a":"\\u0041,\\"signature\\":\\"no\\"}"}'
    document = read_pcs(b'{"%s":%s,"signature":"%s"}' % (member.encode(), inner, SIGNATURE))
    assert document.kind == kind
    assert document.body == inner
    assert document.signature == bytes.fromhex(SIGNATURE.decode())


def test_white_space_around_the_signed_object_is_not_signed() -> None:
    document = read_pcs(b' { "tcbInfo" : {"a":1} , "signature" : "%s" } \r\n' % SIGNATURE)
    assert document.body == b'{"a":1}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"tcbInfo":{},"signature":""}',
        b'{"tcbInfo":{},"signature":"%s"' % SIGNATURE,
        b'{"tcbInfo":{},"signature":"%s"}}' % SIGNATURE,
        b'{"tcbInfo":{},"signature":"%s00"}' % SIGNATURE,
        b'{"tcbInfo":{},"signature":"%s"}{}' % SIGNATURE,
        b'{"tcbInfo":[],"signature":"%s"}' % SIGNATURE,
        b'{"tcbInfo":{"a":1,"a":2},"signature":"%s"}' % SIGNATURE,
        b'{"tcbInfo":{},"tcbInfo":{},"signature":"%s"}' % SIGNATURE,
        b'{"tcbInfo":{},"more":1,"signature":"%s"}' % SIGNATURE,
        b'{"tcbInfo":{},"signature":"%s","signature":"%s"}' % (SIGNATURE, SIGNATURE),
        b'{"signature":"%s","tcbInfo":{}}' % SIGNATURE,
        b'{"sgxInfo":{},"signature":"%s"}' % SIGNATURE,
        b'{"tcbInfo":{"x":"\xff"},"signature":"%s"}' % SIGNATURE,
        b'{"tcbInfo":{},"signature":"%s"}' % SIGNATURE.replace(b"a", b"g"),
    ],
)
def test_an_answer_of_another_form_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_pcs(body)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_document_or_malformed(data: bytes) -> None:
    for body in (data, b'{"tcbInfo":{' + data + b'},"signature":"' + SIGNATURE + b'"}'):
        with contextlib.suppress(Malformed):
            read_pcs(body)


def test_separate_answers_and_a_signer_beside_them_serve_like_one_file(td: Sample) -> None:
    found = collateral_of(td)
    answers = []
    for member, name in (("tcbInfo", "tcb_info"), ("enclaveIdentity", "qe_identity")):
        body, signature = found[name].encode(), found[f"{name}_signature"].encode()
        answers.append(read_pcs(b'{"%s":%s,"signature":"%s"}' % (member.encode(), body, signature)))
    signer = td.endorsements.documents[0].chain
    given_apart = Endorsements(signer, td.endorsements.crls, tuple(answers))
    assert judge_real(td, given_apart).claims == judge_real(td, td.endorsements).claims
    with pytest.raises(Rejected) as refusal:
        judge_real(td, replace(given_apart, certificates=()))
    assert refusal.value.codes == {"x509.missing"}
    with pytest.raises(Rejected) as refusal:
        judge_real(td, replace(given_apart, certificates=signer[1:]))
    assert refusal.value.codes == {"x509.missing"}


# -- the container of dcap-qvl -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tcb_info", None),
        ("tcb_info", {}),
        ("tcb_info_signature", "00"),
        ("tcb_info_signature", "zz" * 64),
        ("qe_identity_signature", None),
        ("root_ca_crl", "00"),
        ("root_ca_crl", "not hex"),
        ("pck_crl", None),
        ("pck_crl_issuer_chain", "text"),
        ("tcb_info_issuer_chain", ""),
        ("qe_identity_issuer_chain", 5),
        ("qe_identity_issuer_chain", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
        ("pck_certificate_chain", 1),
        ("tcb_info", "\ud800"),
        ("tcb_info_issuer_chain", "\ud800"),
    ],
)
def test_a_member_of_another_form_is_malformed(td: Sample, name: str, value: object) -> None:
    document: Mapping[str, object] = {**collateral_of(td), name: value}
    with pytest.raises(Malformed) as refusal:
        read_dcap_qvl(document, "collateral.json")
    assert refusal.value.codes <= {"endorsement.malformed", "x509.malformed"}


def test_a_chain_that_ends_in_nul_and_a_pck_chain_are_taken(td: Sample) -> None:
    found = collateral_of(td)
    found["tcb_info_issuer_chain"] += "\0"
    found["pck_certificate_chain"] = Quote.parse(td.read("quote.bin")).certification_data.decode()
    endorsements = read_dcap_qvl(found, "collateral.json")
    assert len(endorsements.certificates) == 2 + 3
    judge_real(td, endorsements)


# -- lists ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [0, 1])
def test_without_both_lists_nothing_is_accepted(td: Sample, missing: int) -> None:
    crls = td.endorsements.crls[:missing] + td.endorsements.crls[missing + 1 :]
    with pytest.raises(Rejected) as refusal:
        judge_real(td, replace(td.endorsements, crls=crls))
    assert [problem.code for problem in refusal.value.problems] == ["x509.crl.missing"]


def test_a_list_that_names_the_ca_and_is_not_signed_by_it_is_refused(td: Sample) -> None:
    root, pck = td.endorsements.crls
    forged = Crl(pck.der[:-1] + bytes([pck.der[-1] ^ 1]))
    for crls in ((root, forged), (root, pck, forged)):
        with pytest.raises(Rejected) as refusal:
            judge_real(td, replace(td.endorsements, crls=crls))
        assert refusal.value.codes == {"x509.crl.signature"}


@pytest.mark.parametrize("days", [-1, 0, 29, 30, 31])
def test_the_day_decides(td: Sample, days: int) -> None:
    """Both ends belong to the period: lists from 06-19 10:00:35 to 07-19 10:00:35, documents a little later."""
    at = td.endorsements.crls[1].this_update + timedelta(days=days, minutes=32)
    if 0 <= days < 30:
        judge_real(td, td.endorsements, at)
        return
    with pytest.raises(Rejected) as refusal:
        judge_real(td, td.endorsements, at)
    assert "x509.crl.stale" in refusal.value.codes


@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, True)])
def test_the_first_second_of_a_document_belongs_to_it(
    judge: Judge, simulator: Simulator, seconds: int, good: bool
) -> None:
    plan = simulator.plan_tdx()
    plan.tcb_info["issueDate"] = instant(simulator.at - timedelta(seconds=seconds))
    if good:
        judge(plan)
    else:
        assert codes_of(judge, plan) == {"tdx.tcb-info.not-yet-valid"}


@pytest.mark.parametrize(("seconds", "good"), [(-1, False), (0, True)])
def test_the_last_second_of_a_document_belongs_to_it(
    judge: Judge, simulator: Simulator, seconds: int, good: bool
) -> None:
    plan = simulator.plan_tdx()
    plan.qe_identity["nextUpdate"] = instant(simulator.at + timedelta(seconds=seconds))
    if good:
        judge(plan)
    else:
        assert codes_of(judge, plan) == {"tdx.qe-identity.expired"}


# -- which document counts -------------------------------------------------------------------------------------------


def document_of(plan: TdxPlan, kind: str) -> SignedDocument:
    return next(d for d in plan.build().endorsements.documents if d.kind == kind)


def test_the_newest_document_counts_whatever_stands_beside_it(judge: Judge, simulator: Simulator) -> None:
    old, new = simulator.plan_tdx(), simulator.plan_tdx(tcb_evaluation=22)
    new.tcb_info["tcbLevels"][0]["tcb"]["pcesvn"] = 12
    both = new.build().endorsements + old.build().endorsements
    for documents in (both.documents, both.documents[::-1]):
        verified = judge(old, endorsements=replace(both, documents=documents))
        assert verified.claims["tdx"]["tcb-evaluation"] == "22"
        assert verified.claims["tdx"]["tcb-status"] != "UpToDate"


def test_documents_of_other_families_are_passed_over(judge: Judge, simulator: Simulator) -> None:
    plan, other = simulator.plan_tdx(), simulator.plan_tdx(fmspc=bytes.fromhex("90c06f000000"))
    extra = document_of(other, "tcb-info")
    given_endorsements = plan.build().endorsements
    judge(plan, endorsements=replace(given_endorsements, documents=(extra, *given_endorsements.documents)))


def test_an_altered_document_refuses_even_beside_a_good_one(judge: Judge, simulator: Simulator) -> None:
    plan = simulator.plan_tdx()
    good = plan.build().endorsements
    altered = replace(good.documents[0], body=good.documents[0].body.replace(b"2025", b"2026", 1))
    assert codes_of(judge, plan, endorsements=replace(good, documents=(*good.documents, altered))) == {
        "tdx.tcb-info.signature"
    }


def test_a_document_under_a_root_nobody_named_is_passed_over(td: Sample, simulator: Simulator) -> None:
    extra = simulator.tdx(fmspc=bytes.fromhex("b0c06f000000")).endorsements.documents
    assert not judge_real(td, replace(td.endorsements, documents=td.endorsements.documents + extra)).simulated
    with pytest.raises(Rejected) as refusal:
        judge_real(td, replace(td.endorsements, documents=extra))
    assert refusal.value.codes == {"x509.anchor", "evidence.simulated"}


def test_a_real_quote_is_not_judged_by_simulated_collateral(td: Sample, simulator: Simulator) -> None:
    plan = simulator.moved_to(td.at).plan_tdx(fmspc=bytes.fromhex("b0c06f000000"))
    with pytest.raises(Rejected) as refusal:
        verify(
            Evidence(Quote.parse(td.read("quote.bin"))),
            endorsements=replace(td.endorsements, documents=plan.build().endorsements.documents),
            at=td.at,
            anchors=simulator.anchors(),
        )
    assert refusal.value.codes == {"x509.anchor"}


# -- memory ------------------------------------------------------------------------------------------------------------


def test_verified_remembers_what_it_used(td: Sample) -> None:
    memory = judge_real(td, td.endorsements).memory
    assert memory.documents == {
        "TDX/b0c06f000000/17": datetime.fromisoformat("2025-06-19T10:16:03Z"),
        "TD_QE//17": datetime.fromisoformat("2025-06-19T10:32:27Z"),
    }
    assert len(memory.crls) == 2


@pytest.mark.parametrize("kind", ["tcb-info", "qe-identity"])
def test_an_older_document_than_one_seen_is_refused(judge: Judge, simulator: Simulator, kind: str) -> None:
    memory = judge(simulator.plan_tdx()).memory
    plan = simulator.plan_tdx()
    plan.documents[kind].body["issueDate"] = instant(simulator.at - 2 * DAY)
    assert codes_of(judge, plan, memory=memory) == {"tdx.collateral.rollback"}
    judge(plan)
    judge(simulator.plan_tdx(), memory=memory)


def test_a_higher_evaluation_number_seen_does_not_shut_the_lower_out(
    judge: Judge, simulator: Simulator
) -> None:
    """Early collateral must not poison the memory: each number has its own."""
    memory = judge(simulator.plan_tdx(tcb_evaluation=22)).memory
    judge(simulator.plan_tdx(tcb_evaluation=21), memory=memory)


def test_a_number_below_the_callers_minimum_is_refused(judge: Judge, simulator: Simulator) -> None:
    judge(simulator.plan_tdx(), memory=Memory(minimum_evaluation=21))
    assert codes_of(judge, simulator.plan_tdx(), memory=Memory(minimum_evaluation=22)) == {
        "tdx.collateral.evaluation"
    }


def test_the_lower_of_two_numbers_is_the_claim(judge: Judge, simulator: Simulator) -> None:
    plan = simulator.plan_tdx()
    plan.qe_identity["tcbEvaluationDataNumber"] = 15
    verified = judge(plan)
    assert verified.claims["tdx"]["tcb-evaluation"] == "15"
    assert "tdx.collateral.mixed" in {warning.code for warning in verified.warnings}


# -- QE identity -----------------------------------------------------------------------------------------------------


def identity(**changes: object) -> bytes:
    members: dict[str, object] = {
        "id": "TD_QE",
        "version": 2,
        "issueDate": "2025-01-01T00:00:00Z",
        "nextUpdate": "2025-01-31T00:00:00Z",
        "tcbEvaluationDataNumber": 18,
        "miscselect": "00000000",
        "miscselectMask": "FFFFFFFF",
        "attributes": "11" + "00" * 15,
        "attributesMask": "FB" + "FF" * 7 + "00" * 8,
        "mrsigner": "DC" * 32,
        "isvprodid": 2,
        "tcbLevels": [{"tcb": {"isvsvn": 4}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": "UpToDate"}],
    }
    members.update(changes)
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "QE"},
        {"version": 3},
        {"miscselect": "00"},
        {"attributesMask": None},
        {"mrsigner": "DC" * 31},
        {"isvprodid": 65536},
        {"tcbLevels": []},
        {"tcbLevels": None},
    ],
)
def test_a_qe_identity_of_another_form_is_malformed(changes: dict[str, object]) -> None:
    QeIdentity.parse(identity())
    with pytest.raises(Malformed):
        QeIdentity.parse(identity(**changes))


@given(st.binary(max_size=200))
def test_any_body_gives_an_identity_or_malformed(data: bytes) -> None:
    with contextlib.suppress(Malformed):
        QeIdentity.parse(data)


def test_what_two_documents_have_in_common_is_told_once(simulator: Simulator) -> None:
    """One signer of both, whose certificate has ended: two equal lines say no more than one."""
    made = simulator.tdx()
    with pytest.raises(Rejected) as refusal:
        verify(
            made.evidence,
            endorsements=made.endorsements,
            at=made.at + 40 * 365 * DAY,
            anchors=simulator.anchors(),
        )
    told = [(one.code, one.where, one.expected) for one in refusal.value.problems]
    assert sum(code == "x509.expired" for code, _, _ in told) > 1
    assert len(told) == len(set(told))
