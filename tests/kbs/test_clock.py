"""One time for all replicas: never back, and no clock far behind is believed (T-CLOCK)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from attest.claims import instant
from kbs.cli.main import main
from kbs.domain import ResourcePath, hashed
from kbs.refusals import Refusal
from tests.kbs.conftest import NOON, PATH, SECRET, Bench, Turned
from tests.kbs.databases import both_kinds as both_kinds  # a fixture


def behind(seconds: int) -> Turned:
    clock = Turned()
    clock.pass_seconds(-seconds)
    return clock


def test_guest_goes_on_at_a_replica_whose_clock_is_a_little_behind(acme: Bench) -> None:
    other = acme.replica(behind(10))
    guest = acme.guest()
    guest.auth()
    cookie = guest.http.cookies["kbs-session-id"]
    issued = other.attest(cookie, guest.attestation())
    answer = other.release(hashed(issued.cookie), ResourcePath.parse(PATH))
    assert guest.key.open(answer.body) == SECRET
    times = [row["at"] for row in acme.rows()]
    assert times == sorted(times)
    assert times[-1] == instant(NOON)


def test_t_clock_replica_whose_clock_is_far_behind_serves_nobody(
    acme: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    session = hashed(guest.http.cookies["kbs-session-id"])
    other = acme.replica(behind(11))
    with pytest.raises(Refusal, match="does not know the time") as refusal:
        other.release(session, ResourcePath.parse(PATH))
    assert refusal.value.status == 503
    assert len(acme.rows("released")) == 1
    assert "kbs clock accept" in capsys.readouterr().out


def test_t_clock_ended_session_that_somebody_asked_for_is_gone_for_every_clock(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    session = hashed(guest.http.cookies["kbs-session-id"])
    ahead = Turned()
    ahead.pass_seconds(301)
    with pytest.raises(Refusal, match="attest first"):
        acme.replica(ahead).release(session, ResourcePath.parse(PATH))
    with pytest.raises(Refusal, match="attest first"):
        acme.broker.release(session, ResourcePath.parse(PATH))
    assert acme.sql("SELECT count(*) FROM sessions") == [(0,)]


def test_administrator_at_a_clock_far_behind_changes_nothing(acme: Bench) -> None:
    acme.clock.pass_seconds(-11)
    answer = acme.admin("POST", "owners", json={"name": "late"})
    assert answer.status_code == 503
    assert [owner.name for owner in acme.administration.owners()] == ["acme"]


def test_clock_accept_takes_this_clock_and_ends_every_session(
    acme: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tests' clock was far ahead of this machine's."""
    guest = acme.guest()
    guest.boot(PATH)
    other_guest = acme.guest()
    other_guest.auth()
    config = acme.configuration()
    assert main(["clock", "accept", "--config", str(config)]) == 0
    assert "guests attest again" in capsys.readouterr().out
    accepted = acme.rows()[-1]
    assert accepted["event"] == "clock-accepted"
    acme.clock.now = NOON.replace(year=2027)
    assert acme.administration.add_owner("test", "more").enabled
    session = hashed(guest.http.cookies["kbs-session-id"])
    for clock in (acme.clock, Turned()):
        with pytest.raises(Refusal, match="attest first"):
            acme.replica(clock).release(session, ResourcePath.parse(PATH))
    with pytest.raises(Refusal, match="no open challenge"):
        acme.broker.attest(other_guest.http.cookies["kbs-session-id"], b"{}")


def test_forward_is_always_believed(acme: Bench) -> None:
    acme.guest().boot(PATH)
    acme.clock.now += timedelta(days=1)
    assert acme.guest().boot(PATH) == SECRET
