"""What platforms share is kept from one to the next; what is asked of each one, and of each instant, is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from attest.cache import Cache
from attest.claims import instant
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.simulator import Simulator, intel
from attest.simulator.tdx import TdxPlan
from attest.tdx.collateral import QE_IDENTITY, TCB_INFO
from attest.verified import Verified
from tests.tdx.conftest import Judge

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def codes(judge: Callable[[], Verified]) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        judge()
    return set(refusal.value.codes)


def test_a_new_platform_is_looked_up_in_the_list_that_is_known(judge: Judge, simulator: Simulator) -> None:
    known, new = (simulator.plan_tdx(platform=number) for number in (0, 1))
    new.pck.serial = known.pck.serial + 1
    assert known.pck_crl is not None
    known.pck_crl.revoked.append((new.pck.serial, known.pck_crl.this_update, 1))
    endorsements, cache = known.build().endorsements, Cache()
    judge(quote=known.build().raw, endorsements=endorsements, cache=cache)
    quote = new.build().raw
    assert codes(lambda: judge(quote=quote, endorsements=endorsements, cache=cache)) == {"x509.revoked"}


def test_a_new_platform_has_dates_of_its_own(judge: Judge, simulator: Simulator) -> None:
    known, new = (simulator.plan_tdx(platform=number) for number in (0, 1))
    new.pck.not_after = simulator.at - HOUR
    endorsements, cache = known.build().endorsements, Cache()
    judge(quote=known.build().raw, endorsements=endorsements, cache=cache)
    quote = new.build().raw
    assert codes(lambda: judge(quote=quote, endorsements=endorsements, cache=cache)) == {"x509.expired"}


def test_a_platform_of_another_pce_finds_no_collateral(judge: Judge, simulator: Simulator) -> None:
    known, new = (simulator.plan_tdx(platform=number) for number in (0, 1))
    new.sgx.pceid = b"\0\1"
    endorsements, cache = known.build().endorsements, Cache()
    judge(quote=known.build().raw, endorsements=endorsements, cache=cache)
    quote = new.build().raw
    found = codes(lambda: judge(quote=quote, endorsements=endorsements, cache=cache))
    assert found == {"tdx.tcb-info.pce-id"}


# -- dates: each alone the first to begin or the last to end ------------------------------------------------


def _begins(plan: TdxPlan, what: str, at: datetime) -> None:
    assert plan.root_crl is not None
    assert plan.pck_crl is not None
    if what in (TCB_INFO, QE_IDENTITY):
        plan.documents[what].body["issueDate"] = instant(at)
    elif what == "signer":
        plan.tcb_signer.not_before = at
    else:
        (plan.root_crl if what == "root list" else plan.pck_crl).this_update = at


def _ends(plan: TdxPlan, what: str, at: datetime) -> None:
    assert plan.root_crl is not None
    assert plan.pck_crl is not None
    if what in (TCB_INFO, QE_IDENTITY):
        plan.documents[what].body["nextUpdate"] = instant(at)
    elif what == "signer":
        plan.tcb_signer.not_after = at
    else:
        (plan.root_crl if what == "root list" else plan.pck_crl).next_update = at


@pytest.mark.parametrize("what", [TCB_INFO, QE_IDENTITY, "signer", "root list", "pck list"])
@pytest.mark.parametrize("change", [_begins, _ends])
def test_each_date_is_asked_at_every_verification(
    judge: Judge, simulator: Simulator, what: str, change: Callable[[TdxPlan, str, datetime], None]
) -> None:
    plan, cache = simulator.plan_tdx(), Cache()
    sign = -1 if change is _begins else 1
    edge = simulator.at + sign * HOUR
    change(plan, what, edge)
    made = plan.build()
    judge(quote=made.raw, endorsements=made.endorsements, cache=cache)
    judge(quote=made.raw, endorsements=made.endorsements, cache=cache, at=edge)
    outside = edge + sign * SECOND
    cold = codes(lambda: judge(quote=made.raw, endorsements=made.endorsements, at=outside))
    warm = codes(lambda: judge(quote=made.raw, endorsements=made.endorsements, at=outside, cache=cache))
    assert warm == cold


# -- where there are several of a kind, the instant chooses -------------------------------------------------


def test_of_two_lists_the_newer_one_counts_from_when_it_is_there(judge: Judge, simulator: Simulator) -> None:
    for more in ("pck", "root"):
        plan, cache = simulator.plan_tdx(), Cache()
        later = simulator.at + 3 * HOUR
        second = intel.pck_crl(plan.ca, later) if more == "pck" else intel.root_crl(plan.root, later)
        plan.more_crls = (second,)
        made = plan.build()
        judge(quote=made.raw, endorsements=made.endorsements, cache=cache)
        for hours in (0, 40, 60):
            at = simulator.at + hours * HOUR
            warm = judge(quote=made.raw, endorsements=made.endorsements, at=at, cache=cache)
            cold = judge(quote=made.raw, endorsements=made.endorsements, at=at)
            assert warm.claims_json() == cold.claims_json()


def test_documents_of_two_evaluations_are_told_each_time(judge: Judge, simulator: Simulator) -> None:
    plan, cache = simulator.plan_tdx(), Cache()
    plan.qe_identity["tcbEvaluationDataNumber"] -= 1
    made = plan.build()
    for _ in range(2):
        verified = judge(quote=made.raw, endorsements=made.endorsements, cache=cache)
        assert "tdx.collateral.mixed" in {warning.code for warning in verified.warnings}


# -- both signers are looked up -----------------------------------------------------------------------------


def with_document(given: Endorsements, foreign: Endorsements, kind: str) -> Endorsements:
    """`given`, with the document of one kind, and its signer, from elsewhere."""
    other = next(one for one in foreign.documents if one.kind == kind)
    return replace(given, documents=tuple(other if one.kind == kind else one for one in given.documents))


@pytest.mark.parametrize("whose", [TCB_INFO, QE_IDENTITY])
def test_the_signer_of_either_document_may_be_revoked(judge: Judge, simulator: Simulator, whose: str) -> None:
    plan, other = simulator.plan_tdx(), simulator.plan_tdx()
    other.tcb_signer.serial = plan.tcb_signer.serial + 1
    assert plan.root_crl is not None
    plan.root_crl.revoked.append((other.tcb_signer.serial, plan.root_crl.this_update, 1))
    made = plan.build()
    endorsements = with_document(made.endorsements, other.build().endorsements, whose)
    assert codes(lambda: judge(quote=made.raw, endorsements=endorsements)) == {"x509.revoked"}


@pytest.mark.parametrize("whose", [TCB_INFO, QE_IDENTITY])
def test_the_signer_of_either_document_may_have_expired(
    judge: Judge, simulator: Simulator, whose: str
) -> None:
    plan, other = simulator.plan_tdx(), simulator.plan_tdx()
    other.tcb_signer.not_after = simulator.at - HOUR
    made = plan.build()
    endorsements = with_document(made.endorsements, other.build().endorsements, whose)
    assert codes(lambda: judge(quote=made.raw, endorsements=endorsements)) == {"x509.expired"}
