"""OCSP answers: what they say, when they count, whose they must be. Single faults have the simulator's."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.errors import Malformed, Rejected
from attest.memory import Memory
from attest.nvidia.ocsp_answer import Answer
from attest.simulator.certificates import CrlPlan, name
from attest.simulator.device import DevicePlan
from attest.simulator.ocsp import OcspPlan
from attest.verified import Verified
from attest.verifier import verify
from attest.x509 import Crl
from tests.conftest import Sample, Vectors
from tests.nvidia.conftest import AT, Bench

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
SKEW = timedelta(seconds=300)
REAL = {
    # what answers are about → (files, an instant inside their day)
    "device": (["gpu_certificate_l2", "gpu_certificate_l3", "gpu_certificate_l4"], "2025-08-21T12:47:08Z"),
    "manifests": (
        ["gpu_driver_rim_l3", "gpu_driver_rim_l4", "gpu_rim_l2", "gpu_vbios_l4"],
        "2025-10-24T17:32:21Z",
    ),
}


def judged(bench: Bench, plan: DevicePlan, *more: OcspPlan, **keywords: Any) -> Verified:
    """Verified with the plan's own answers and more."""
    answers = tuple(answer.build(bench.keys) for answer in (*plan.answers.values(), *more))
    return bench.verify(plan, ocsp=answers, **keywords)


def refused(bench: Bench, plan: DevicePlan, *more: OcspPlan, **keywords: Any) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        judged(bench, plan, *more, **keywords)
    return refusal.value.codes


def cert(verified: Verified) -> str:
    return str(verified.claims["gpu"][0]["cert"])


def outcome(verified: Verified, check: str = "revocation") -> str:
    return next(record.outcome for record in verified.checks if record.name == f"gpu[0].{check}")


def another(plan: DevicePlan, of: str = "brom", *, later: timedelta = -HOUR, **changes: Any) -> OcspPlan:
    """A second answer about the same certificate, made `later`."""
    first = plan.answers[of]
    made = OcspPlan(
        "another.der",
        first.subject,
        first.issuer,
        first.this_update + later,
        None if first.next_update is None else first.next_update + later,
        first.produced_at + later,
        first.responder,
    )
    return replace(made, **changes)


# -- all together ---------------------------------------------------------------------------------------


def test_with_a_good_answer_about_every_certificate_it_is_good(bench: Bench) -> None:
    plan = bench.plan()
    verified = judged(bench, plan)
    assert cert(verified) == "good"
    assert outcome(verified) == "passed"
    assert "revocation-unchecked" not in {warning.code for warning in verified.warnings}
    listed = verified.claims["raw"]["gpu"][0]["revocation"]
    assert [one["certificate"] for one in listed] == [
        "GH100 A01 GSP BROM",
        "NVIDIA GH100 Provisioner ICA 1",
        "NVIDIA GH100 Identity",
        "HCC RIM L4 Signer",
        "NVIDIA Reference Value L3 GH100 002",
        "NVIDIA Reference Value GH100 CA",
    ]
    assert {one["status"] for one in listed} == {"good"}


@pytest.mark.parametrize(
    "missing", ["brom", "provisioner", "identity", "rim-signer", "rim-third", "rim-authority"]
)
def test_each_certificate_needs_its_answer(bench: Bench, missing: str) -> None:
    plan = bench.plan()
    del plan.answers[missing]
    verified = judged(bench, plan)
    assert cert(verified) == "absent"
    assert outcome(verified) == "not-run"
    assert "revocation-unchecked" in {warning.code for warning in verified.warnings}


@pytest.mark.parametrize(
    "asked", ["brom", "provisioner", "identity", "rim-signer", "rim-third", "rim-authority"]
)
@pytest.mark.parametrize(("status", "reason"), [("revoked", None), ("revoked", 1), ("revoked", 8)])
def test_revoked_refuses_wherever_it_stands(
    bench: Bench, asked: str, status: str, reason: int | None
) -> None:
    plan = bench.plan()
    plan.answers[asked].status, plan.answers[asked].reason = status, reason
    assert refused(bench, plan) == {"x509.revoked"}


def test_the_claim_is_the_worst_of_all_chains(bench: Bench) -> None:
    """hold is worse than unknown, unknown than no answer, and one good answer redeems none of them."""
    plan = bench.plan()
    del plan.answers["identity"]
    assert cert(judged(bench, plan)) == "absent"
    plan.answers["rim-third"].status = "unknown"
    assert cert(judged(bench, plan)) == "unknown"
    plan.answers["rim-signer"].status, plan.answers["rim-signer"].reason = "revoked", 6
    assert cert(judged(bench, plan)) == "hold"


# -- several answers (T-OMIT) ---------------------------------------------------------------------------


@pytest.mark.parametrize("later", [-3 * DAY, -HOUR, HOUR], ids=["long ago", "before", "after"])
def test_t_omit_revoked_in_any_authentic_answer_refuses(bench: Bench, later: timedelta) -> None:
    plan = bench.plan()
    assert refused(bench, plan, another(plan, later=later, status="revoked")) == {"x509.revoked"}


def test_the_newest_alone_decides_the_rest(bench: Bench) -> None:
    plan = bench.plan()
    held: dict[str, Any] = {"status": "revoked", "reason": 6}
    assert cert(judged(bench, plan, another(plan, later=-HOUR, **held))) == "good"
    assert cert(judged(bench, plan, another(plan, later=HOUR, **held))) == "hold"
    assert cert(judged(bench, plan, another(plan, later=-30 * DAY))) == "good"


def test_of_two_made_in_one_second_the_worse_speaks(bench: Bench) -> None:
    plan = bench.plan()
    assert cert(judged(bench, plan, another(plan, later=timedelta(0), status="unknown"))) == "unknown"


def test_an_older_answer_than_remembered_is_refused(bench: Bench) -> None:
    plan = bench.plan()
    memory = judged(bench, plan, memory=Memory()).memory
    older = bench.plan()
    for answer in older.answers.values():
        answer.this_update -= HOUR
    assert refused(bench, older, memory=Memory.from_dict(memory.as_dict())) == {"nvidia.ocsp.rollback"}
    assert cert(judged(bench, plan, memory=memory)) == "good"


def test_what_is_dated_ahead_raises_no_bar(bench: Bench) -> None:
    plan = bench.plan()
    plan.answers["brom"].this_update = AT + DAY
    plan.answers["brom"].next_update = AT + 2 * DAY
    memory = judged(bench, plan).memory
    assert len(memory.documents) == 5
    assert cert(judged(bench, bench.plan(), memory=memory)) == "good"


# -- when -----------------------------------------------------------------------------------------------


def test_the_window_is_kept_to_the_second(bench: Bench) -> None:
    plan = bench.plan()
    answer = plan.answers["brom"]
    answer.this_update, answer.next_update = AT + SKEW, AT + DAY
    answer.produced_at = AT
    assert cert(judged(bench, plan)) == "good"
    answer.this_update += SECOND
    assert cert(judged(bench, plan)) == "unknown"
    answer.this_update, answer.next_update = AT - DAY, AT - SKEW + SECOND
    assert cert(judged(bench, plan)) == "good"
    answer.next_update -= SECOND
    verified = judged(bench, plan)
    assert cert(verified) == "unknown"
    assert outcome(verified) == "not-run"
    assert "nvidia.ocsp.stale" in {warning.code for warning in verified.warnings}


def test_an_answer_without_end_is_good_for_an_hour(bench: Bench) -> None:
    plan = bench.plan()
    answer = plan.answers["brom"]
    answer.next_update, answer.this_update = None, AT - HOUR - SKEW + SECOND
    assert cert(judged(bench, plan)) == "good"
    answer.this_update -= SECOND
    assert cert(judged(bench, plan)) == "unknown"


@pytest.mark.parametrize("cached", [False, True])
def test_a_warm_cache_still_looks_at_the_clock(bench: Bench, cached: bool) -> None:
    cache = Cache() if cached else None
    plan = bench.plan()
    assert cert(judged(bench, plan, cache=cache)) == "good"
    answers = tuple(answer.build(bench.keys) for answer in plan.answers.values())
    later = bench.verify(plan, ocsp=answers, at=AT + 2 * DAY, cache=cache)
    assert cert(later) == "unknown"


def test_a_responder_must_be_valid_now_too(bench: Bench) -> None:
    plan = bench.plan()
    responder = plan.answers["brom"].responder
    assert responder is not None
    responder.not_after = AT
    cache = Cache()
    assert cert(judged(bench, plan, cache=cache)) == "good"
    assert refused(bench, plan, at=AT + SECOND, cache=cache) == {"x509.expired"}


def test_it_ends_with_its_answers(bench: Bench) -> None:
    plan = bench.plan()
    verified = judged(bench, plan)
    until = plan.answers["brom"].next_update
    assert until is not None
    assert verified.expires == until + SKEW
    assert verified.claims["time"]["collateral-age"] == f"{12 * 3600}s"


# -- who ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hash_name", ["sha1", "sha384"])
def test_certid_may_be_hashed_with_sha1_or_sha2(bench: Bench, hash_name: str) -> None:
    plan = bench.plan()
    for answer in plan.answers.values():
        answer.hash_name = hash_name
    assert cert(judged(bench, plan)) == "good"


def test_an_issuer_may_answer_itself(bench: Bench) -> None:
    plan = bench.plan()
    plan.answers["brom"].responder = None
    assert cert(judged(bench, plan)) == "good"


def test_another_issuer_may_not(bench: Bench) -> None:
    """A CA above, whose key could answer for its own children, is no issuer of this certificate."""
    plan = bench.plan()
    plan.answers["brom"].responder = None
    plan.answers["brom"].signer = plan.answers["identity"].issuer.key
    assert refused(bench, plan) == {"nvidia.ocsp.signature"}


def test_a_forged_answer_is_refused_whatever_stands_beside_it(bench: Bench) -> None:
    plan = bench.plan()
    assert refused(bench, plan, another(plan, signer="p384/stranger")) == {"nvidia.ocsp.signature"}


def test_a_revoked_responder_is_refused(bench: Bench) -> None:
    """NVIDIA's device responders carry no no-check: where a list of their issuer is at hand it counts."""
    plan = bench.plan()
    answer = plan.answers["brom"]
    assert answer.responder is not None
    listed = CrlPlan(
        answer.issuer.subject, answer.issuer.key, AT - DAY, AT + DAY, 1, [(answer.responder.serial, AT, None)]
    )
    assert refused(bench, plan, crls=(Crl(listed.build(bench.keys)),)) == {"x509.revoked"}


def test_one_answer_may_speak_of_several_certificates(bench: Bench) -> None:
    plan = bench.plan()
    first = plan.answers["brom"]
    first.singles = [another(plan, serial=number).single(bench.keys) for number in (1, 2)]
    assert cert(judged(bench, plan)) == "good"
    first.singles.append(another(plan, status="revoked").single(bench.keys))
    assert refused(bench, plan) == {"nvidia.ocsp.ambiguous"}


def test_answers_about_others_are_passed_over(bench: Bench) -> None:
    plan, other = bench.plan(), bench.plan(index=5)
    assert cert(judged(bench, plan, other.answers["brom"])) == "good"
    other.answers["brom"].status = "revoked"
    assert cert(judged(bench, plan, other.answers["brom"])) == "good"


@pytest.mark.parametrize("changed", [{"key": "p384/stranger"}, {"subject": name("CN=NVIDIA somebody")}])
def test_certid_names_its_issuer_by_name_and_by_key(bench: Bench, changed: dict[str, Any]) -> None:
    plan = bench.plan()
    plan.answers["brom"].issuer = replace(plan.answers["brom"].issuer, **changed)
    assert cert(judged(bench, plan)) == "absent"


def test_a_list_in_date_stands_in_for_an_answer(bench: Bench) -> None:
    plan = bench.plan()
    issuer = plan.answers["identity"].issuer
    del plan.answers["identity"]

    def listed(age: timedelta) -> Crl:
        made = AT - age
        return Crl(CrlPlan(issuer.subject, issuer.key, made, made + 10 * DAY, 1).build(bench.keys))

    assert cert(judged(bench, plan, crls=(listed(DAY),))) == "good"
    assert cert(judged(bench, plan, crls=(listed(11 * DAY),))) == "absent"


def test_a_nonce_is_recorded(bench: Bench) -> None:
    """Nobody asked here, so there is nothing to compare it with."""
    plan = bench.plan()
    plan.answers["brom"].nonce = bytes(range(32))
    listed = judged(bench, plan).claims["raw"]["gpu"][0]["revocation"]
    assert listed[0]["nonce"] == bytes(range(32)).hex()
    assert listed[1]["nonce"] == "absent"


# -- form -----------------------------------------------------------------------------------------------


def test_bytes_that_are_no_answer_are_refused(bench: Bench) -> None:
    good = bench.plan().answers["brom"].build(bench.keys)
    for bad in (b"", b"\x30\x00", good[:-1], good + b"\0", b"\x30\x80" + good[4:], b"\x30" * 70_000):
        with pytest.raises(Malformed) as refusal:
            Answer.parse(bad)
        assert refusal.value.codes == {"nvidia.ocsp.malformed"}
        with pytest.raises(Rejected):
            bench.verify(bench.plan(), ocsp=(bad,))


def test_cut_anywhere_an_answer_is_malformed(bench: Bench) -> None:
    good = bench.plan().answers["brom"].build(bench.keys)
    for end in range(len(good)):
        with pytest.raises(Malformed):
            Answer.parse(good[:end])


@given(st.integers(0, 900), st.binary(max_size=6), st.integers(0, 6))
def test_any_bytes_are_an_answer_or_malformed(bench: Bench, at: int, put: bytes, taken: int) -> None:
    good = bench.plan().answers["brom"].build(bench.keys)
    changed = good[:at] + put + good[at + taken :]
    try:
        assert Answer.parse(changed).raw == changed
    except Malformed as refusal:
        assert refusal.codes <= {"nvidia.ocsp.malformed", "nvidia.ocsp.unsuccessful"}


def test_a_stale_hold_still_holds_and_ends_nothing(bench: Bench) -> None:
    plan = bench.plan()
    answer = plan.answers["brom"]
    answer.status, answer.reason = "revoked", 6
    answer.this_update, answer.next_update = AT - 3 * DAY, AT - 2 * DAY
    verified = judged(bench, plan)
    assert cert(verified) == "hold"
    assert verified.expires > AT


@pytest.mark.parametrize("status", [1, 2, 3, 5, 6])
def test_a_responder_that_gave_no_answer_is_none(bench: Bench, status: int) -> None:
    plan = bench.plan()
    plan.answers["brom"].outcome = status
    assert refused(bench, plan) == {"nvidia.ocsp.unsuccessful"}


# -- real ones ------------------------------------------------------------------------------------------


def real(vectors: Vectors, names: Sequence[str]) -> tuple[bytes, ...]:
    folder = vectors.path("nvidia/ocsp")
    return tuple(
        base64.b64decode((folder / f"test_{name}_base64encoded_ocsp_response.dat").read_bytes())
        for name in names
    )


@pytest.mark.parametrize("about", REAL)
def test_real_answers_are_good_inside_their_day(vectors: Vectors, h100: Sample, about: str) -> None:
    names, at = REAL[about]
    endorsements = h100.endorsements + Endorsements(ocsp=real(vectors, names))
    inside = datetime.fromisoformat(at)

    def states(when: datetime) -> set[str]:
        verified = verify(h100.evidence, endorsements=endorsements, at=when)
        listed = verified.claims["raw"]["gpu"][0]["revocation"]
        return {one["status"] for one in (listed[:3] if about == "device" else listed[3:])}

    assert states(inside) == {"good"}
    assert states(inside + 2 * DAY) == states(inside - 2 * DAY) == {"stale"}


def test_real_answers_agree_with_the_manifest(vectors: Vectors) -> None:
    cases = [case for case in vectors.cases.values() if case["kind"] == "nvidia-ocsp"]
    assert len(cases) == 7
    for case in cases:
        answer = Answer.parse(base64.b64decode(vectors.read(case["id"], "ocsp_response_base64")))
        (single,), facts = answer.singles, case["facts"]
        assert single.said == facts["status"].lower()
        assert single.serial == int(facts["serial"], 16)
        assert single.this_update == datetime.fromisoformat(facts["this_update"]).astimezone(UTC)
        assert answer.responder is not None
        assert answer.responder.common_name in facts["responder"]
        assert single.hash_name == "sha384"


@pytest.mark.parametrize("until", [datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), None])
def test_an_answer_may_end_when_time_does(bench: Bench, until: datetime | None) -> None:
    plan = bench.plan()
    plan.answers["brom"].next_update = until
    if until is None:
        plan.answers["brom"].this_update = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert cert(judged(bench, plan)) == ("good" if until is not None else "unknown")


def test_a_cache_does_not_keep_large_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can sign one with a key of his own: what is kept of it before its issuer is known is small."""
    from attest.nvidia import ocsp

    blob = bench.plan().answers["brom"].build(bench.keys)
    cache = Cache()
    assert ocsp.read_answers([blob], "gpu.revocation", CheckLog(), cache)
    assert len(cache) == 1
    monkeypatch.setattr(ocsp, "_MAX_KEPT", len(blob) - 1)
    cache = Cache()
    assert ocsp.read_answers([blob], "gpu.revocation", CheckLog(), cache)
    assert len(cache) == 0
