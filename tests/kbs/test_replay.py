"""A challenge is answered once: in a row, at once, and by whoever was first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from attest.snp.report import Report
from kbs.domain import hashed
from kbs.protocol.codec import Attestation
from kbs.protocol.v0_4_0 import Version040
from kbs.refusals import Refusal
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.twin import TwinGuest, TwinRefused


def test_t_replay_replayed_nonce_is_refused(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    challenge_cookie = guest.http.cookies["kbs-session-id"]
    guest.attest()
    again = TwinGuest(acme.http(), guest.machine, key=guest.key, nonce=guest.nonce)
    again.http.cookies.set("kbs-session-id", challenge_cookie, path="/kbs/v0")
    with pytest.raises(TwinRefused) as refusal:
        again.attest()  # another report over the same nonce
    assert refusal.value.status == 401
    assert "answered already" in refusal.value.detail
    assert len(acme.rows("attested")) == 1


def test_refused_evidence_spends_the_nonce(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    other = acme.guest()
    other.auth()
    good, guest.nonce = guest.nonce, other.nonce
    with pytest.raises(TwinRefused):
        guest.attest()
    guest.nonce = good
    with pytest.raises(TwinRefused, match="answered already"):
        guest.attest()


def test_client_that_lost_the_answer_gets_the_same_again_and_nothing_is_verified(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    lost = guest.http.cookies["kbs-session-id"]
    token = guest.attest()
    session = guest.http.cookies["kbs-session-id"]
    guest.http.cookies.clear()
    guest.http.cookies.set("kbs-session-id", lost, path="/kbs/v0")
    assert guest.attest(guest.body) == token
    assert [cookie.value for cookie in guest.http.cookies.jar if cookie.value != lost] == [session]
    guest.http.cookies.clear()
    guest.http.cookies.set("kbs-session-id", session, path="/kbs/v0")
    assert guest.resource(PATH) == SECRET
    assert len(acme.rows("attested")) == 1


def test_same_body_after_a_refusal_is_refused_again(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    body = guest.attestation().replace(b'"unknown', b'"Unknown')
    body = body.replace(b'\\"unknown', b'\\"Unknown')
    for _ in range(2):
        with pytest.raises(TwinRefused) as refusal:
            guest.attest(body)
        assert refusal.value.status == 401


def test_t_replay_two_attestations_at_once_one_wins(acme: Bench) -> None:
    """The same challenge, two different reports, many times in parallel."""
    for _ in range(3):
        guest = acme.guest()
        guest.auth()
        cookie = guest.http.cookies["kbs-session-id"]
        bodies = [guest.attestation() + b" " * n for n in range(4)]

        def attest(body: bytes, cookie: str = cookie) -> int:
            http = acme.http()
            http.cookies.set("kbs-session-id", cookie, path="/kbs/v0")
            return http.post("/kbs/v0/attest", content=body).status_code

        with ThreadPoolExecutor(4) as pool:
            statuses = sorted(pool.map(attest, bodies))
        assert statuses == [200, 401, 401, 401]


def test_two_attestations_that_both_saw_the_challenge_open_still_give_one_winner(
    acme: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are held after the first look and let go together: only the conditional UPDATE decides."""
    together = Barrier(2, timeout=20)
    read = Version040.read_attestation

    def held(codec: Version040, body: bytes) -> Attestation:
        together.wait()
        return read(codec, body)

    monkeypatch.setattr(Version040, "read_attestation", held)
    guest = acme.guest()
    guest.auth()
    cookie = guest.http.cookies["kbs-session-id"]
    bodies = [guest.attestation(), guest.attestation() + b" "]

    def attest(body: bytes) -> int:
        try:
            acme.broker.attest(cookie, body)
        except Refusal as refusal:
            return refusal.status
        return 200

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attest, bodies)) == [200, 401]
    assert len(acme.rows("attested")) == 1


def test_nonce_is_consumed_before_verification_starts(acme: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    consumed: list[bool] = []
    guest = acme.guest()
    guest.auth()

    def while_verifying(*arguments: object, **_: object) -> None:
        cookie = guest.http.cookies["kbs-session-id"]
        challenge = acme.store.read(lambda tx: tx.sessions.challenge(hashed(cookie)))
        consumed.append(challenge is not None and challenge.consumed is not None)
        raise RuntimeError("stop here")

    monkeypatch.setattr("kbs.broker.verify", while_verifying)
    with pytest.raises(TwinRefused):
        guest.attest()
    assert consumed == [True]


def test_t_dos_evidence_for_another_challenge_costs_no_signature(
    acme: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def verified(*_: object, **__: object) -> None:
        raise AssertionError("a signature was to be checked")

    monkeypatch.setattr(Report, "verify_with", verified)
    guest = acme.guest()
    guest.auth()
    body = guest.attestation().replace(guest.nonce.encode(), guest.auth().encode())
    with pytest.raises(TwinRefused) as refusal:
        guest.attest(body)
    assert refusal.value.status == 401
    assert acme.codes() == {"binding.report-data", "binding.gpu-nonce"}


def test_consume_is_conditional_in_the_database_itself(acme: Bench) -> None:
    """Two brokers on one database: the second UPDATE changes no row."""
    guest = acme.guest()
    guest.auth()
    challenge_id = hashed(guest.http.cookies["kbs-session-id"])
    assert acme.store.write(lambda tx: tx.sessions.consume(challenge_id, b"1" * 32, acme.clock.now))
    assert not acme.store.write(lambda tx: tx.sessions.consume(challenge_id, b"1" * 32, acme.clock.now))


def test_cookie_changes_on_attest_and_the_old_one_opens_nothing(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    before = guest.http.cookies["kbs-session-id"]
    guest.attest()
    after = guest.http.cookies["kbs-session-id"]
    assert before != after
    assert len(after) == 64
    guest.http.cookies.clear()
    guest.http.cookies.set("kbs-session-id", before, path="/kbs/v0")
    with pytest.raises(TwinRefused) as refusal:
        guest.resource(PATH)
    assert (refusal.value.status, refusal.value.kind) == (401, "TokenNotFound")


def test_stolen_cookie_yields_ciphertext_for_the_attested_key_only(acme: Bench) -> None:
    victim = acme.guest()
    victim.boot(PATH)
    thief = acme.guest()
    thief.http.cookies.set("kbs-session-id", victim.http.cookies["kbs-session-id"], path="/kbs/v0")
    with pytest.raises(AssertionError, match="integrity check"):
        thief.resource(PATH)


def test_two_session_cookies_say_nothing(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    cookie = guest.http.cookies["kbs-session-id"]
    answer = acme.http().get(
        f"/kbs/v0/resource/{PATH}",
        headers={"cookie": f"kbs-session-id={cookie}; kbs-session-id={'0' * 64}"},
    )
    assert answer.status_code == 401
