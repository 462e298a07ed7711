"""A guest that asks again for what it was given gets it again; that is told apart and counts as nothing new."""

from __future__ import annotations

from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.test_release import NEWER_FIRMWARE, refused


def events(bench: Bench) -> list[str]:
    return [row["event"] for row in bench.rows() if row["event"] in ("released", "repeat")]


def test_the_same_version_for_the_same_session_is_a_repeat(acme: Bench) -> None:
    guest = acme.guest()
    assert guest.boot(PATH) == SECRET
    assert guest.resource(PATH) == SECRET
    assert guest.resource(PATH) == SECRET
    (released,) = acme.rows("released")
    repeats = acme.rows("repeat")
    assert [row["first"] for row in repeats] == [released["number"]] * 2
    for row in repeats:
        assert (row["session"], row["version"], row["key"]) == (
            released["session"],
            released["version"],
            released["key"],
        )
        assert row["agreed"], "it was decided about again"


def test_every_repeat_is_wrapped_anew(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    answers = {guest.http.get(f"/kbs/v0/resource/{PATH}").content for _ in range(4)}
    assert len(answers) == 4


def test_the_token_of_the_session_repeats_too(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    assert guest.resource(PATH) == SECRET
    assert guest.resource(PATH, token) == SECRET
    assert events(acme) == ["released", "repeat"]


def test_another_version_another_path_and_another_session_are_releases(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.secret("acme", value=b"rotated")
    assert guest.resource(PATH) == b"rotated"
    acme.secret("acme", path="acme/key/other")
    guest.resource("acme/key/other")
    again = acme.guest()
    again.key = guest.key
    again.boot(PATH)
    assert events(acme) == ["released"] * 4


def test_t_toctou_what_was_given_once_is_decided_about_again(acme: Bench) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with refused(403, "PolicyDeny"):
        guest.resource(PATH)
    assert acme.rows("repeat") == []


def test_what_was_given_is_forgotten_with_the_session(acme: Bench) -> None:
    acme.guest().boot(PATH)
    acme.clock.pass_seconds(301)
    acme.guest().auth()
    assert acme.sql("SELECT count(*) FROM releases") == [(0,)]
