"""Another key for a principal, the one before for a while, and the day he was last here."""

from __future__ import annotations

from typing import Any

import pytest

from kbs.access import Principal, Subject
from kbs.administration import Administration
from kbs.clock import Clock
from kbs.http.app import create_app
from kbs.refusals import Refusal
from kbs.store.failures import Unavailable
from tests.kbs.conftest import ADMINISTRATOR, Bench
from tests.kbs.test_access import ask, key_of
from tests.kbs.twin import refusal_of

DAY = 24 * 3600


def rotated(bench: Bench, name: str, overlap: int = 0, by: Principal = ADMINISTRATOR) -> str:
    key = bench.administration.people.rotate(by, name, overlap).key
    assert key is not None
    return key


def counts(bench: Bench, *keys: str) -> list[bool]:
    return [ask(bench, key, "GET", "audit").is_success for key in keys]


def listed(bench: Bench, name: str) -> dict[str, Any]:
    (found,) = [one for one in bench.admin("GET", "principals").json() if one["name"] == name]
    return dict(found)


def test_t_admin_default_another_key_ends_the_one_before_at_once(acme: Bench) -> None:
    first = key_of(acme, "auditor")
    answer = acme.admin("POST", "principals/auditor-1/rotate", json={})
    second = answer.json()["key"]
    assert counts(acme, first, second) == [False, True]
    assert refusal_of(ask(acme, first, "GET", "audit")).status == 401
    (row,) = acme.rows("principal-rotated")
    assert (row["principal"], row["by"], row["former-ends"]) == ("auditor-1", "test", row["at"])
    assert first not in str(acme.rows())
    assert second not in str(acme.rows())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_in_an_overlap_both_count_and_then_the_one_before_does_not(kind: str, acme: Bench) -> None:
    first = key_of(acme, "auditor")
    second = rotated(acme, "auditor-1", 3600)
    assert counts(acme, first, second) == [True, True]
    assert listed(acme, "auditor-1")["used"] == "2040-11-23"
    assert listed(acme, "auditor-1")["former_key_ends"] == "2040-11-23T13:00:00Z"
    acme.clock.pass_seconds(3599)
    assert counts(acme, first, second) == [True, True]
    acme.clock.pass_seconds(1)
    assert counts(acme, first, second) == [False, True]
    assert listed(acme, "auditor-1")["former_key_ends"] is None


def test_of_three_keys_the_first_never_counts(acme: Bench) -> None:
    first = key_of(acme, "auditor")
    second = rotated(acme, "auditor-1", 3600)
    third = rotated(acme, "auditor-1", 3600)
    assert counts(acme, first, second, third) == [False, True, True]
    fourth = rotated(acme, "auditor-1")
    assert counts(acme, first, second, third, fourth) == [False, False, False, True]


def test_who_is_removed_or_ends_has_no_key_at_all(acme: Bench) -> None:
    first = key_of(acme, "auditor", days=1)
    second = rotated(acme, "auditor-1", 2 * DAY)
    acme.clock.pass_seconds(DAY)
    assert counts(acme, first, second) == [False, False]
    with pytest.raises(Refusal, match="auditor-1 has ended"):
        rotated(acme, "auditor-1")
    third = key_of(acme, "auditor")
    fourth = rotated(acme, "auditor-2", 3600)
    acme.administration.people.remove(ADMINISTRATOR, "auditor-2")
    assert counts(acme, third, fourth) == [False, False]


def test_t_lastwriter_nobody_takes_the_key_of_one_who_is_more(acme: Bench) -> None:
    operator, owner = key_of(acme, "operator"), key_of(acme, "owner", "acme")
    key_of(acme, "auditor")

    def status(key: str, name: str) -> int:
        return ask(acme, key, "POST", f"principals/{name}/rotate", json={"overlap_seconds": 60}).status_code

    assert [status(operator, name) for name in ("test", "owner-2", "operator-1", "auditor-3")] == [
        *(403, 403, 200, 200)
    ]
    assert [status(owner, name) for name in ("test", "operator-1", "auditor-3", "owner-2")] == [
        *(403, 403, 403, 200)
    ]
    assert status(operator, "nobody") == 409
    acme.store.write(
        lambda tx: tx.registry.add_principal(
            Principal("bob", "auditor", subject=Subject("corp", "bob")), None, acme.clock.now
        )
    )
    with pytest.raises(Refusal, match="has no key"):
        rotated(acme, "bob")
    answer = ask(acme, operator, "POST", "principals/auditor-3/rotate", json={"overlap_seconds": 31 * DAY})
    assert answer.status_code == 422


def test_with_four_eyes_nobody_takes_another_pair_alone(acme: Bench) -> None:
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), four_eyes=True)
    acme.app = create_app(acme.broker, acme.administration, acme.store)
    second = key_of(acme, "administrator")
    answer = acme.admin("POST", "principals/administrator-1/rotate", json={"overlap_seconds": 60})
    assert refusal_of(answer).status == 409
    assert "another person must agree" in answer.text
    assert counts(acme, second) == [True]
    (one,) = acme.administration.approvals.waiting(ADMINISTRATOR)
    assert "rotate" in one.said
    assert "overlap_seconds" in one.said
    assert ask(acme, second, "POST", f"approvals/{one.digest}").is_success
    taken = acme.admin("POST", "principals/administrator-1/rotate", json={"overlap_seconds": 60})
    assert counts(acme, second, taken.json()["key"]) == [True, True]


def test_the_list_says_on_which_day_each_was_last_here(acme: Bench) -> None:
    key, other = key_of(acme, "auditor"), key_of(acme, "operator")
    assert listed(acme, "auditor-1")["used"] is None
    assert ask(acme, key, "GET", "audit").is_success
    assert ask(acme, other, "GET", "audit").status_code == 403
    assert (listed(acme, "auditor-1")["used"], listed(acme, "operator-2")["used"]) == (
        "2040-11-23",
        "2040-11-23",
    ), "he was here, whatever he was told"
    acme.clock.pass_seconds(DAY)
    assert listed(acme, "auditor-1")["used"] == "2040-11-23"
    assert listed(acme, "test")["used"] == "2040-11-24"
    assert ask(acme, key, "GET", "audit").is_success
    assert listed(acme, "auditor-1")["used"] == "2040-11-24"
    acme.administration.people.remove(ADMINISTRATOR, "auditor-1")
    again = acme.administration.people.add(ADMINISTRATOR, "auditor-1", "auditor", [], None).key
    assert again is not None
    assert listed(acme, "auditor-1")["used"] is None
    assert ask(acme, again, "GET", "audit").is_success
    assert listed(acme, "auditor-1")["used"] == "2040-11-24"


def test_the_day_is_written_once_and_never_back(acme: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[object] = []
    write = acme.store.write

    def counted(act: Any) -> Any:
        written.append(act)
        return write(act)

    monkeypatch.setattr(acme.store, "write", counted)
    assert {acme.admin("GET", "owners").status_code for _ in range(3)} == {200}
    assert len(written) == 1
    acme.store.write(lambda tx: tx.principals.use("test", acme.clock.now.replace(year=2030)))
    assert listed(acme, "test")["used"] == "2040-11-23"


def test_whoever_only_reads_is_served_where_nothing_can_be_written(
    acme: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_act: object) -> None:
        raise Unavailable("the disk is full")

    monkeypatch.setattr(acme.store, "write", full)
    assert acme.admin("GET", "owners").is_success
