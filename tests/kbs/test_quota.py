"""How much of an owner's is released in an hour (T-DOS)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbs.broker import Broker, Grant, Settings
from kbs.clock import Clock
from kbs.http.app import create_app
from tests.kbs.conftest import PATH, SECRET, Bench, TestClient
from tests.kbs.test_access import ask, key_of
from tests.kbs.twin import TwinGuest, TwinRefused, refusal_of

SHARED = "acme/key/shared"


def limited(bench: Bench, owner: str, releases: int | None) -> None:
    answer = bench.admin("PUT", f"owners/{owner}/quota", json={"releases_an_hour": releases})
    assert answer.json() == {"name": owner, "enabled": True, "paths": [], "releases_an_hour": releases}


def got(bench: Bench, path: str = PATH) -> bool:
    """Whether another guest gets it."""
    try:
        return bench.guest().boot(path) == SECRET
    except TwinRefused as refused:
        assert (refused.status, refused.kind) == (429, "TooManyRequests")
        return False


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_t_dos_no_more_of_an_owners_is_released_in_an_hour(kind: str, acme: Bench) -> None:
    limited(acme, "acme", 2)
    assert [got(acme) for _ in range(3)] == [True, True, False]
    row = acme.rows("release-denied")[-1]
    (said,) = row["problems"]
    assert (said["code"], said["where"], said["expected"]) == (
        "kbs.owner.quota",
        "acme",
        "at most 2 releases in an hour",
    )
    assert (row["status"], row["resource"]) == (429, PATH)
    assert [one["owner"] for one in row["agreed"]] == ["acme"]
    acme.clock.pass_seconds(3599)
    assert not got(acme)
    acme.clock.pass_seconds(1)
    assert [got(acme) for _ in range(3)] == [True, True, False]


def test_the_answer_says_when_to_ask_again_and_not_whose_it_is(acme: Bench) -> None:
    limited(acme, "acme", 1)
    assert got(acme)
    acme.clock.pass_seconds(600)
    guest = acme.guest()
    guest.auth()
    guest.attest()
    answer = guest.http.get(f"/kbs/v0/resource/{PATH}")
    refusal = refusal_of(answer)
    assert (refusal.status, answer.headers["retry-after"]) == (429, "3000")
    assert "acme" not in refusal.detail
    assert acme.rows("release-denied")[-1]["reason"] in refusal.detail


def test_a_lost_answer_is_had_again_and_counts_for_nothing(acme: Bench) -> None:
    limited(acme, "acme", 2)
    guest = acme.guest()
    assert guest.boot(PATH) == SECRET
    assert [guest.resource(PATH) for _ in range(3)] == [SECRET] * 3
    assert [got(acme), got(acme)] == [True, False]
    assert guest.resource(PATH) == SECRET


def test_a_machine_that_does_not_conform_learns_nothing_of_it_and_uses_nothing(acme: Bench) -> None:
    limited(acme, "acme", 1)
    wrong = acme.guest(gpus=0)
    with pytest.raises(TwinRefused, match="403 PolicyDeny"):
        wrong.boot(PATH)
    assert got(acme)
    with pytest.raises(TwinRefused, match="403 PolicyDeny"):
        acme.guest(gpus=0).boot(PATH)


def test_a_secret_of_several_owners_counts_for_each_and_waits_for_the_last(acme: Bench) -> None:
    acme.owner("other", path="acme/*")
    acme.secret("acme", "other", path=SHARED)
    limited(acme, "acme", 1)
    limited(acme, "other", 2)
    assert got(acme, SHARED)
    assert not got(acme), "acme's own was used up with it"
    assert not got(acme, SHARED)
    assert [one["where"] for one in acme.rows("release-denied")[-1]["problems"]] == ["acme"]
    limited(acme, "acme", None)
    assert [got(acme, SHARED), got(acme, SHARED)] == [True, False]
    assert got(acme)
    assert [one["where"] for one in acme.rows("release-denied")[-1]["problems"]] == ["other"]


def test_the_configurations_number_is_for_owners_without_their_own(acme: Bench) -> None:
    settings = replace(acme.broker._settings, owner_releases=1)
    acme.broker = Broker(acme.store, acme.keys, acme.broker._verification, settings, Clock(acme.clock))
    acme.app = create_app(acme.broker, acme.administration, acme.store)
    acme.owner("other", path="other/*")
    acme.secret("other", path="other/key/a")
    assert [got(acme), got(acme)] == [True, False]
    assert [got(acme, "other/key/a"), got(acme, "other/key/a")] == [True, False]
    limited(acme, "acme", 2)
    assert [got(acme), got(acme)] == [True, False]
    assert not got(acme, "other/key/a")
    assert Settings().owner_releases is None


def test_t_toctou_two_who_ask_at_once_do_not_both_get_the_last(
    acme: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other's release is committed after this one was decided and opened, on another replica."""
    limited(acme, "acme", 1)
    first = acme.guest()
    first.auth()
    first.attest()
    other = acme.replica()
    app = create_app(other, acme.administration, acme.store)
    second = TwinGuest(TestClient(app), acme.machine(), tee="snp")
    answer = acme.broker._answer
    answers: list[bytes] = []

    def late(grant: Grant) -> bytes:
        if not answers:
            answers.append(second.boot(PATH))
        return answer(grant)

    monkeypatch.setattr(acme.broker, "_answer", late)
    with pytest.raises(TwinRefused, match="429"):
        first.resource(PATH)
    assert answers == [SECRET]
    assert len(acme.rows("released")) == 1


def test_only_who_runs_the_broker_sets_it_and_a_row_says_so(acme: Bench) -> None:
    for role, owners, status in (("operator", [], 200), ("auditor", [], 403), ("owner", ["acme"], 403)):
        key = key_of(acme, role, *owners)  # type: ignore[arg-type] # of the three
        answer = ask(acme, key, "PUT", "owners/acme/quota", json={"releases_an_hour": 7})
        assert answer.status_code == status
    assert [(row["owner"], row["releases-an-hour"]) for row in acme.rows("owner-limited")] == [("acme", 7)]
    assert acme.admin("GET", "owners").json()[0]["releases_an_hour"] == 7
    assert acme.admin("PATCH", "owners/acme", json={"enabled": True}).json()["releases_an_hour"] == 7
    limited(acme, "acme", None)
    assert "releases-an-hour" not in acme.rows("owner-limited")[-1]
    assert acme.admin("PUT", "owners/nobody/quota", json={"releases_an_hour": 7}).status_code == 409
    for wrong in (0, -1, 1 << 31, "7", True):
        answer = acme.admin("PUT", "owners/acme/quota", json={"releases_an_hour": wrong})
        assert answer.status_code == 422
    assert acme.admin("PUT", "owners/acme/quota", json={}).status_code == 422
