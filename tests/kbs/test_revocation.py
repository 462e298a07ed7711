"""What is revoked or stopped is refused at the next request, at every replica, and says so to owners alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.claims import instant
from kbs.domain import InvalidName, ResourcePath, hashed
from kbs.refusals import Refusal
from kbs.revocation import KINDS, revocable
from kbs.stops import Stop
from kbs.token import Tokens
from tests.kbs.conftest import ADMINISTRATOR, NOON, PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.test_release import refused
from tests.kbs.twin import TwinGuest


def session_of(guest: TwinGuest) -> bytes:
    return hashed(guest.http.cookies["kbs-session-id"])


def claims_of(bench: Bench, guest: TwinGuest) -> dict[str, Any]:
    session = bench.store.read(lambda tx: tx.sessions.session(session_of(guest)))
    assert session is not None
    facts = bench.store.read(lambda tx: bench.broker._facts(lambda _: session, ResourcePath.parse(PATH), tx))
    claims: dict[str, Any] = bench.broker._claims_of(session, facts).claims  # type: ignore[assignment]
    return claims


VALUES: dict[str, Callable[[Bench, TwinGuest], str]] = {
    "secret": lambda bench, guest: PATH,
    "version": lambda bench, guest: f"{PATH}@1",
    "chip": lambda bench, guest: claims_of(bench, guest)["snp"]["chip-id"],
    "gpu": lambda bench, guest: claims_of(bench, guest)["gpu"][0]["id"],
    "measurement": lambda bench, guest: claims_of(bench, guest)["snp"]["measurement"],
    "policy": lambda bench, guest: bench.administration.rules("acme")[0].digest,
    "token": lambda bench, guest: bench.sql("SELECT token_id FROM sessions")[0][0],
    "session": lambda bench, guest: session_of(guest).hex(),
    "attested-before": lambda bench, guest: instant(NOON + timedelta(seconds=1)),
}
KIND_OF = {"chip": "platform", "gpu": "platform"}


def test_every_kind_is_among_those_tried() -> None:
    assert {KIND_OF.get(name, name) for name in VALUES} == set(KINDS)


@pytest.mark.parametrize("what", VALUES)
def test_t_toctou_what_is_revoked_is_refused_at_the_next_request_and_given_again_when_lifted(
    acme: Bench, what: str
) -> None:
    guest = acme.guest()
    assert guest.boot(PATH) == SECRET
    made = acme.administration.stops.revoke(
        ADMINISTRATOR, KIND_OF.get(what, what), VALUES[what](acme, guest), "for a test"
    )
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    assert acme.codes() == {"kbs.revoked"}
    assert "for a test" in str(acme.rows("release-denied")[-1]["problems"])
    acme.administration.stops.lift(ADMINISTRATOR, made.number)
    assert guest.resource(PATH) == SECRET


@pytest.mark.parametrize("what", ["chip", "gpu", "measurement"])
def test_t_phys_a_revoked_machine_is_refused_when_it_attests(acme: Bench, what: str) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.administration.stops.revoke(
        ADMINISTRATOR, KIND_OF.get(what, what), VALUES[what](acme, guest), "stolen"
    )
    again = acme.guest()
    again.auth()
    with refused(401, "AttestationError"):
        again.attest()
    assert acme.codes() == {"kbs.revoked"}


def test_t_phys_a_tdx_platform_is_revoked_by_what_its_certificate_says(acme: Bench) -> None:
    guest = acme.guest(cpu="tdx", gpus=0)
    guest.auth()
    guest.attest()
    pck = claims_of(acme, guest)["raw"]["tdx"]["pck"]
    acme.administration.stops.revoke(
        ADMINISTRATOR, "platform", pck.get("platform_instance_id", pck["ppid"]), "stolen"
    )
    again = acme.guest(cpu="tdx", gpus=0)
    again.auth()
    with refused(401, "AttestationError"):
        again.attest()
    assert acme.codes() == {"kbs.revoked"}


def test_what_attested_since_counts(acme: Bench) -> None:
    acme.administration.stops.revoke(ADMINISTRATOR, "attested-before", instant(NOON), "a wrong clock")
    assert acme.guest().boot(PATH) == SECRET


def test_another_thing_of_the_same_kind_is_not_revoked(acme: Bench) -> None:
    for kind, value in (
        ("secret", "acme/key/other"),
        ("version", f"{PATH}@2"),
        ("platform", "00" * 32),
        ("measurement", "00" * 48),
        ("policy", "sha384:" + "00" * 48),
        ("token", "nobody"),
        ("session", "00" * 32),
    ):
        acme.administration.stops.revoke(ADMINISTRATOR, kind, value, "for a test")
    assert acme.guest().boot(PATH) == SECRET


def test_a_revoked_policy_at_a_strangers_rule_ends_nothing_of_the_owners(acme: Bench) -> None:
    """A rule of somebody who is no owner does not count: neither for a release nor against one."""
    text = SNP_POLICY.replace("snp-machines", "another-name")
    acme.owner("stranger", text)
    (rule,) = acme.administration.rules("stranger")
    acme.administration.stops.revoke(ADMINISTRATOR, "policy", rule.digest, "for a test")
    assert acme.guest().boot(PATH) == SECRET


def test_another_replica_sees_it_and_a_restart_does_not_forget_it(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    replica, path = acme.replica(), ResourcePath.parse(PATH)
    replica.release(session_of(guest), path)
    acme.administration.stops.revoke(ADMINISTRATOR, "secret", PATH, "for a test")
    for broker in (replica, acme.replica()):
        with pytest.raises(Refusal, match="policies do not release"):
            broker.release(session_of(guest), path)


@pytest.mark.parametrize("owner", ["acme", None])
def test_an_emergency_stop_is_in_force_until_it_is_lifted(acme: Bench, owner: str | None) -> None:
    acme.owner("other", path="other/*")
    acme.secret("other", path="other/key/a")
    guest = acme.guest()
    guest.boot(PATH)
    acme.administration.stops.stop(ADMINISTRATOR, owner, "incident 42")
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    assert acme.codes() == {"kbs.stopped"}
    if owner is None:
        with refused(403, "PolicyDeny"):
            guest.resource("other/key/a")
    else:
        guest.resource("other/key/a")
    assert acme.administration.stops.stops() == [Stop(owner, "administrator", "incident 42")]
    acme.administration.stops.lift_stop(ADMINISTRATOR, owner)
    assert guest.resource(PATH) == SECRET
    assert acme.administration.stops.stops() == []


def test_one_of_several_owners_stops_what_they_share(acme: Bench) -> None:
    acme.owner("other", path="acme/*")
    acme.secret("acme", "other", path="acme/key/both")
    guest = acme.guest()
    guest.boot("acme/key/both")
    acme.administration.stops.stop(ADMINISTRATOR, "other", "incident 42")
    with refused(403, "PolicyDeny"):
        guest.resource("acme/key/both")
    assert guest.resource(PATH) == SECRET


def test_t_confused_guests_read_no_reason_and_nothing_of_what_is_revoked(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.administration.stops.revoke(ADMINISTRATOR, "secret", PATH, "leaked by bob")
    acme.administration.stops.stop(ADMINISTRATOR, "acme", "incident 42")
    text = guest.http.get(f"/kbs/v0/resource/{PATH}").text
    assert not any(word in text for word in ("bob", "42", "revoked", "stop"))


def test_t_restore_each_change_raises_the_epoch_that_rows_carry(acme: Bench) -> None:
    stops = acme.administration.stops
    acme.guest().boot(PATH)
    made = stops.revoke(ADMINISTRATOR, "token", "nobody", "for a test")
    stops.lift(ADMINISTRATOR, made.number)
    stops.stop(ADMINISTRATOR, "acme", "x")
    stops.lift_stop(ADMINISTRATOR, "acme")
    acme.guest().boot(PATH)
    assert [row["epoch"] for row in acme.rows() if "epoch" in row] == [0, 1, 2, 3, 4, 4]


def test_a_newer_revocation_list_ends_sessions_that_were_verified_with_an_older_one(acme: Bench) -> None:
    """T-TOCTOU: what the newer list revokes, the claims of yesterday cannot tell."""
    early = acme.guest()
    early.boot(PATH)
    issuers = acme.store.read(lambda tx: tx.sessions.memory()).crls
    assert issuers
    later = {name: date + timedelta(seconds=1) for name, date in issuers.items()}
    acme.store.write(lambda tx: tx.sessions.remember(type(tx.sessions.memory())(crls=later)))
    with refused(401, "AttestationError"):
        early.resource(PATH)
    stranger = {"00" * 32: NOON}
    acme.store.write(lambda tx: tx.sessions.remember(type(tx.sessions.memory())(crls=stranger)))
    assert acme.rows("release-denied")[-1]["type"] == "AttestationError"


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("planet", "x"),
        ("secret", "a/b"),
        ("version", PATH),
        ("version", f"{PATH}@0"),
        ("version", f"{PATH}@01"),
        ("platform", "xyz"),
        ("platform", "AB" * 16),
        ("measurement", ""),
        ("policy", "sha256:" + "0" * 64),
        ("session", "00"),
        ("token", "a b"),
        ("attested-before", "yesterday"),
    ],
)
def test_what_names_nothing_cannot_be_revoked(acme: Bench, kind: str, value: str) -> None:
    with pytest.raises(Refusal):
        acme.administration.stops.revoke(ADMINISTRATOR, kind, value, "for a test")
    assert acme.rows("revoked") == []


def test_revoking_wants_a_reason_and_no_second_time(acme: Bench) -> None:
    for reason in ("", "  ", "x" * 501):
        with pytest.raises(Refusal, match="reason"):
            acme.administration.stops.revoke(ADMINISTRATOR, "secret", PATH, reason)
    acme.administration.stops.revoke(ADMINISTRATOR, "secret", PATH, "x")
    with pytest.raises(Refusal, match="already"):
        acme.administration.stops.revoke(ADMINISTRATOR, "secret", PATH, "x")
    with pytest.raises(Refusal, match="no revocation 99"):
        acme.administration.stops.lift(ADMINISTRATOR, 99)


@given(st.sampled_from(KINDS), st.text(max_size=80))
def test_any_text_names_something_in_one_spelling_or_nothing(kind: str, value: str) -> None:
    try:
        found = revocable(kind, value)
    except InvalidName:
        return
    assert revocable(*found) == found


def test_the_token_of_a_session_carries_the_id_that_is_revoked(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    ((kept,),) = acme.sql("SELECT token_id FROM sessions")
    assert Tokens(acme.keys.tokens).read(token, NOON)["jti"] == kept
