"""What is kept of a chip between its reports saves signatures, never time, revocation or memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from attest import Cache, Endorsements, Rejected, Verified, verify
from attest.anchors import Anchors
from attest.memory import Memory
from attest.simulator import Simulated, Simulator
from attest.snp import ground
from attest.x509 import Certificate, Crl
from tests.ca import BORN, DIES

FAR = timedelta(days=365 * 30)


@pytest.fixture
def made(simulator: Simulator) -> Simulated:
    return simulator.snp()


@pytest.fixture
def warm(made: Simulated, anchors: Anchors) -> Cache:
    cache = Cache()
    judge(made, anchors, cache)
    return cache


def judge(
    made: Simulated,
    anchors: Anchors,
    cache: Cache | None,
    *,
    at: datetime | None = None,
    memory: Memory | None = None,
    endorsements: Endorsements | None = None,
) -> Verified:
    return verify(
        made.evidence,
        endorsements=endorsements or made.endorsements,
        at=at or made.at,
        anchors=anchors,
        cache=cache,
        memory=memory,
    )


def codes(*asked: Any, **more: Any) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        judge(*asked, **more)
    return set(refusal.value.codes)


def root_key(made: Simulated) -> str:
    root = Certificate(made.certificates[2])
    return root.spki_sha256.hex()


def crl(made: Simulated) -> Crl:
    (one,) = made.endorsements.crls
    return one


def test_the_second_answer_is_the_first(made: Simulated, anchors: Anchors, warm: Cache) -> None:
    cold, again = judge(made, anchors, None), judge(made, anchors, warm)
    assert again.claims_json() == cold.claims_json()
    assert {(one.name, one.outcome) for one in again.checks} == {
        (one.name, one.outcome) for one in cold.checks
    }


def test_a_known_chip_ends_with_its_certificates(made: Simulated, anchors: Anchors, warm: Cache) -> None:
    assert "x509.expired" in codes(made, anchors, warm, at=made.at + FAR)
    assert "x509.not-yet-valid" in codes(made, anchors, warm, at=made.at - FAR)


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_known_list_goes_out_of_date(made: Simulated, anchors: Anchors, warm: Cache, side: str) -> None:
    end = crl(made).next_update
    assert end is not None
    second = timedelta(seconds=1)
    inside, outside = (crl(made).this_update, crl(made).this_update - second) if side == "before" else (end, end + second)  # fmt: skip
    assert judge(made, anchors, warm, at=inside).claims["snp"]["crl"] == "fresh"
    try:
        state = judge(made, anchors, warm, at=outside).claims["snp"]["crl"]
    except Rejected as refusal:  # the simulator's certificates begin on the day its lists do
        assert "x509.not-yet-valid" in refusal.codes
    else:
        assert state == "stale"


def test_a_known_list_older_than_the_memory_is_refused(
    made: Simulated, anchors: Anchors, warm: Cache
) -> None:
    own = crl(made)
    for seen, refused in ((own.this_update, False), (own.this_update + timedelta(seconds=1), True)):
        memory = Memory(crls={root_key(made): seen})
        if refused:
            assert codes(made, anchors, warm, memory=memory) == {"x509.crl.rollback"}
        else:
            judge(made, anchors, warm, memory=memory)


def test_a_known_list_of_a_lower_number_than_remembered_is_refused(
    made: Simulated, anchors: Anchors, warm: Cache
) -> None:
    number = crl(made).number
    assert number is not None
    judge(made, anchors, warm, memory=Memory(crl_numbers={root_key(made): number}))
    memory = Memory(crl_numbers={root_key(made): number + 1})
    assert codes(made, anchors, warm, memory=memory) == {"x509.crl.rollback"}


def test_a_revoked_issuer_is_refused_however_often_it_is_asked(
    simulator: Simulator, anchors: Anchors
) -> None:
    cache = Cache()
    judge(simulator.snp(), anchors, cache)
    revoked = simulator.snp(fault="snp-ask-revoked")
    for _ in range(2):
        assert codes(revoked, anchors, cache) == {"x509.revoked"}


def test_a_chip_is_not_known_without_its_list(made: Simulated, anchors: Anchors, warm: Cache) -> None:
    """Other endorsements are another question, and a missing list is never taken from before."""
    own = made.endorsements
    without = Endorsements(own.certificates)
    for _ in range(2):
        assert judge(made, anchors, warm, endorsements=without).claims["snp"]["crl"] == "absent"


def test_another_root_is_another_question(made: Simulated, warm: Cache) -> None:
    assert "x509.anchor" in codes(made, Anchors.production(), warm)


def test_of_two_chips_the_one_that_signed_counts(simulator: Simulator, anchors: Anchors) -> None:
    one, other = simulator.snp(product="genoa"), simulator.snp(product="milan")
    both = one.endorsements + other.endorsements
    cache = Cache()
    for made in (one, other, one):
        chip = judge(made, anchors, cache, endorsements=both).claims["snp"]["chip-id"]
        assert chip == made.raw[0x1A0:0x1E0].hex()
    third = simulator.snp(product="turin")
    assert "snp.leaf.several" in codes(third, anchors, cache, endorsements=both)


@pytest.mark.parametrize("side", ["before", "after"])
def test_what_was_first_seen_out_of_date_is_not_kept_as_that(
    made: Simulated, anchors: Anchors, side: str
) -> None:
    own, cache = crl(made), Cache()
    assert own.next_update is not None
    at = own.this_update - timedelta(seconds=1) if side == "before" else own.next_update + timedelta(days=1)
    with contextlib.suppress(Rejected):
        assert judge(made, anchors, cache, at=at).claims["snp"]["crl"] == "stale"
    now = judge(made, anchors, cache)
    assert now.claims["snp"]["crl"] == "fresh"
    assert now.expires <= own.next_update


def test_of_a_known_chip_the_report_alone_is_checked_again(
    made: Simulated, anchors: Anchors, warm: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_to_follow(monkeypatch)
    assert judge(made, anchors, warm).claims["snp"]["crl"] == "fresh"


KEPT_NOT: dict[str, Callable[[Simulated, Simulated], Endorsements]] = {
    "refused": lambda one, other: one.endorsements,
    "several leaves": lambda one, other: one.endorsements + other.endorsements,
    "several lists": lambda one, other: Endorsements(
        one.endorsements.certificates, (*one.endorsements.crls, *other.endorsements.crls)
    ),
    "no list": lambda one, other: Endorsements(one.endorsements.certificates),
}


@pytest.mark.parametrize("why", KEPT_NOT)
def test_what_an_instant_may_judge_otherwise_is_followed_again(
    why: str, simulator: Simulator, anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = timedelta(days=1)
    made = simulator.snp(fault="snp-ask-revoked" if why == "refused" else None)
    other = simulator.moved_to(made.at - day).snp(**({} if why == "several lists" else {"product": "milan"}))
    endorsements, cache = KEPT_NOT[why](made, other), Cache()
    with contextlib.suppress(Rejected):
        judge(made, anchors, cache, endorsements=endorsements)
    _refuse_to_follow(monkeypatch)
    with pytest.raises(Followed):
        judge(made, anchors, cache, endorsements=endorsements)


class Followed(Exception):
    """The chain was followed, or the list read."""


def _refuse_to_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    def followed(*_: object, **__: object) -> None:
        raise Followed

    monkeypatch.setattr(ground, "check_chain", followed)
    monkeypatch.setattr(ground, "check_crls", followed)


def test_a_list_without_a_number_leaves_none_in_the_memory(simulator: Simulator, anchors: Anchors) -> None:
    plan = simulator.plan_snp()
    assert plan.crl is not None
    plan.crl.number = None
    seen = judge(plan.build(), anchors, None, memory=Memory()).memory
    assert seen.crl_numbers == {}
    assert Memory.from_dict(seen.as_dict()) == seen


def test_issuers_are_sought_only_for_the_leaf_that_signed(
    simulator: Simulator, anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-DOS: leaves cost nothing to make, and each issuer of their name an operation under any key."""
    made = simulator.snp()
    vcek, ask = (Certificate(der).parsed for der in made.certificates[:2])
    key = ec.generate_private_key(ec.SECP384R1())

    def forged(subject: x509.Name, issuer: x509.Name, serial: int) -> Certificate:
        signed = x509.CertificateBuilder(
            issuer, subject, key.public_key(), serial, BORN, DIES
        ).sign(key, hashes.SHA384())  # fmt: skip
        return Certificate(signed.public_bytes(Encoding.DER))

    issuers = [forged(ask.subject, ask.subject, 1 + i) for i in range(30)]
    others = [forged(vcek.subject, vcek.issuer, 100 + i) for i in range(30)]
    asked: list[Certificate] = []
    issued_by = Certificate.issued_by

    def counted(self: Certificate, issuer: Certificate) -> bool:
        asked.append(self)
        return issued_by(self, issuer)

    monkeypatch.setattr(Certificate, "issued_by", counted)
    crowd = Endorsements((*issuers, *others), ())
    with contextlib.suppress(Rejected):
        judge(made, anchors, None, endorsements=crowd + made.endorsements)
    assert len(asked) <= 12
    judge(made, anchors, None, endorsements=made.endorsements + crowd)
