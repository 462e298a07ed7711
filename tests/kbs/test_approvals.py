"""Four eyes: what cannot be had back is done when another person agreed to exactly that."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from kbs.access import DOORS, Principal, Role
from kbs.administration import Administration
from kbs.agreement import Agreement
from kbs.approval import DESTRUCTIVE, Act
from kbs.clock import Clock
from kbs.http.admin import PREFIX
from kbs.http.app import create_app
from kbs.key_administration import START
from kbs.store.repository import Repository
from tests.kbs.conftest import ADMINISTRATOR, PATH, SECRET, Bench
from tests.kbs.test_access import ask, filled, key_of, request_for
from tests.kbs.twin import refusal_of

READERS: list[tuple[Role, list[str]]] = [
    ("administrator", []),
    ("auditor", []),
    ("operator", []),
    ("owner", ["acme"]),
    ("owner", ["other"]),
]
BEFORE = f"secrets/{PATH}/versions/1"


@pytest.fixture
def guarded(acme: Bench) -> Bench:
    acme.owner("other", path="other/*")
    acme.secret("other", path="other/key/a")
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), four_eyes=True)
    acme.app = create_app(acme.broker, acme.administration, acme.store)
    return acme


def waiting(bench: Bench) -> str:
    (one,) = bench.administration.approvals.waiting(ADMINISTRATOR)
    return one.digest


def asked(answer: httpx.Response) -> bool:
    return answer.status_code == 409 and "another person must agree" in answer.text


def test_every_destructive_route_is_one_of_the_table() -> None:
    assert set(DOORS) >= DESTRUCTIVE
    left = {key for key in DOORS if key[0] == "DELETE"} - DESTRUCTIVE
    assert ("POST", "/principals") in DESTRUCTIVE, "or one person makes his own second"
    assert left == {("DELETE", "/approvals/{digest}")}


@pytest.mark.parametrize(("method", "template"), sorted(DESTRUCTIVE), ids=" ".join)
def test_nobody_destroys_anything_alone(guarded: Bench, method: str, template: str) -> None:
    request: dict[str, Any] = request_for(method, template, guarded, "acme")
    if template == "/owners/{name}":
        request["json"] = {"enabled": False}
    before = guarded.rows()
    answer = ask(guarded, guarded.admin_key, method, filled(template, guarded, "acme"), **request)
    assert asked(answer)
    assert [row["event"] for row in guarded.rows()[len(before) :]] == ["approval-asked"]
    assert asked(ask(guarded, guarded.admin_key, method, filled(template, guarded, "acme"), **request))
    assert len(guarded.rows()) == len(before) + 1, "asking again is no second act"


def test_it_is_done_once_after_another_agreed(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    assert asked(ask(guarded, guarded.admin_key, "DELETE", BEFORE))
    assert ask(guarded, other, "POST", f"approvals/{waiting(guarded)}").is_success
    assert ask(guarded, guarded.admin_key, "DELETE", BEFORE).is_success
    assert guarded.administration.versions(PATH)[0].destroyed
    assert [row["event"] for row in guarded.rows()][-4:] == [
        "approval-asked",
        "approval-given",
        "approval-used",
        "version-destroyed",
    ]
    assert guarded.administration.approvals.waiting(ADMINISTRATOR) == []


@pytest.mark.parametrize(("method", "template"), sorted(DESTRUCTIVE), ids=" ".join)
def test_each_act_spends_its_agreement(guarded: Bench, method: str, template: str) -> None:
    other = key_of(guarded, "administrator")
    stops, people = guarded.administration.stops, guarded.administration.people
    stops.stop(ADMINISTRATOR, "acme", "x")
    people.add(ADMINISTRATOR, "ann", "auditor", [], None)
    stops.revoke(ADMINISTRATOR, "token", "j", "x")
    keys = guarded.administration.keys
    keys.rotate("test")
    guarded.clock.pass_seconds(3600)
    request: dict[str, Any] = request_for(method, template, guarded, "acme")
    if template == "/owners/{name}":
        request["json"] = {"enabled": False}
    elif template == "/keys/retire":
        request["json"] = {"id": keys.uses()[0].id}
        keys.rewrap("test", START)
    path = filled(template, guarded, "acme")
    if template.startswith("/principals/"):
        path = template.lstrip("/").format(name="ann")
    assert asked(ask(guarded, guarded.admin_key, method, path, **request))
    assert ask(guarded, other, "POST", f"approvals/{waiting(guarded)}").is_success
    before = len(guarded.rows())
    assert ask(guarded, guarded.admin_key, method, path, **request).is_success
    events = [row["event"] for row in guarded.rows()[before:]]
    assert (events[0], len(events)) == ("approval-used", 2)
    assert guarded.administration.approvals.waiting(ADMINISTRATOR) == []


def test_an_act_that_fails_costs_no_agreement(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    ask(guarded, other, "POST", f"approvals/{waiting(guarded)}")
    guarded.sql(
        "CREATE TRIGGER full_disk BEFORE INSERT ON audit WHEN instr(NEW.body, 'version-destroyed') > 0"
        " BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    before = guarded.rows()
    assert ask(guarded, guarded.admin_key, "DELETE", BEFORE).status_code >= 500
    assert guarded.rows() == before
    guarded.sql("DROP TRIGGER full_disk")
    assert ask(guarded, guarded.admin_key, "DELETE", BEFORE).is_success
    assert guarded.administration.versions(PATH)[0].destroyed


def test_what_changes_between_the_agreement_and_the_act_voids_it(guarded: Bench) -> None:
    """Also in the moment in which the request is already inside."""
    other = key_of(guarded, "administrator")
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    ask(guarded, other, "POST", f"approvals/{waiting(guarded)}")
    given_or_asked = guarded.administration.approvals.given_or_asked

    def and_then(who: Principal, act: Act, state: Callable[[Repository], str]) -> Agreement:
        agreement = given_or_asked(who, act, state)
        guarded.administration.put_secret("test", PATH, ["acme"], SECRET)
        return agreement

    guarded.administration.approvals.given_or_asked = and_then  # type: ignore[method-assign]
    refusal = refusal_of(ask(guarded, guarded.admin_key, "DELETE", BEFORE))
    assert (refusal.status, "changed meanwhile" in refusal.detail) == (409, True)
    assert not guarded.administration.versions(PATH)[0].destroyed


def test_who_asked_does_not_agree_and_who_agreed_does_not_do_it(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    digest = waiting(guarded)
    assert refusal_of(ask(guarded, guarded.admin_key, "POST", f"approvals/{digest}")).status == 403
    assert ask(guarded, other, "POST", f"approvals/{digest}").is_success
    assert asked(ask(guarded, other, "DELETE", BEFORE)), "he asked for nothing"
    assert not guarded.administration.versions(PATH)[0].destroyed


@pytest.mark.parametrize(("role", "owner", "may"), [("owner", "acme", True), ("owner", "other", False), ("operator", None, False), ("auditor", None, False)])  # fmt: skip
def test_only_who_could_do_it_agrees(guarded: Bench, role: Any, owner: str | None, may: bool) -> None:
    key = key_of(guarded, role, *([owner] if owner else []))
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    assert ask(guarded, key, "POST", f"approvals/{waiting(guarded)}").is_success is may


def test_what_changed_meanwhile_voids_it(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    for change in (
        lambda: guarded.administration.put_secret("test", PATH, ["acme"], SECRET),
        lambda: guarded.administration.enable_version("test", PATH, 1, False),
    ):
        ask(guarded, guarded.admin_key, "DELETE", BEFORE)
        newest = guarded.administration.approvals.waiting(ADMINISTRATOR)[-1].digest
        for one in guarded.administration.approvals.waiting(ADMINISTRATOR):
            if one.agreed is None:
                newest = one.digest
        assert ask(guarded, other, "POST", f"approvals/{newest}").is_success
        change()
        assert asked(ask(guarded, guarded.admin_key, "DELETE", BEFORE))
    assert not guarded.administration.versions(PATH)[0].destroyed


def test_agreement_to_one_request_is_none_to_another(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    guarded.administration.put_secret("test", PATH, ["acme"], SECRET)
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    ask(guarded, other, "POST", f"approvals/{waiting(guarded)}")
    assert asked(ask(guarded, guarded.admin_key, "DELETE", f"secrets/{PATH}/versions/2"))
    assert asked(ask(guarded, guarded.admin_key, "DELETE", f"secrets/{PATH}"))


def test_an_agreement_ends_and_can_be_refused(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    digest = waiting(guarded)
    ask(guarded, other, "POST", f"approvals/{digest}")
    guarded.clock.pass_seconds(24 * 3600)
    assert asked(ask(guarded, guarded.admin_key, "DELETE", BEFORE))
    assert ask(guarded, other, "DELETE", f"approvals/{waiting(guarded)}").is_success
    assert guarded.administration.approvals.waiting(ADMINISTRATOR) == []
    assert refusal_of(ask(guarded, other, "POST", f"approvals/{digest}")).status == 409


def test_nobody_makes_the_other_who_agrees_with_him(guarded: Bench) -> None:
    body = {"name": "sock", "role": "administrator"}
    assert asked(ask(guarded, guarded.admin_key, "POST", "principals", json=body))
    assert [one.name for one in guarded.administration.people.all()] == ["test"]
    other = key_of(guarded, "administrator")
    (one,) = ask(guarded, other, "GET", "approvals").json()
    assert one["request"] == 'POST /principals {"name": "sock", "role": "administrator"}'
    assert ask(guarded, other, "POST", f"approvals/{one['digest']}").is_success
    assert asked(ask(guarded, guarded.admin_key, "POST", "principals", json={**body, "name": "socks"}))
    assert ask(guarded, guarded.admin_key, "POST", "principals", json=body).status_code == 201


def test_whoever_agrees_reads_what_to(guarded: Bench) -> None:
    for method, path, request, said in (
        ("DELETE", "stops", {"params": {"owner": "acme"}}, "DELETE /stops?owner=acme"),
        ("POST", "keys/retire", {"json": {"id": "k\x1b[2J"}}, 'POST /keys/retire {"id": "k\\u001b[2J"}'),
        ("PATCH", "owners/acme", {"json": {"enabled": False}}, 'PATCH /owners/acme {"enabled": false}'),
    ):
        before = {one.digest for one in guarded.administration.approvals.waiting(ADMINISTRATOR)}
        assert asked(ask(guarded, guarded.admin_key, method, path, **request))
        listed = ask(guarded, guarded.admin_key, "GET", "approvals").json()
        assert [one["request"] for one in listed if one["digest"] not in before] == [said]
        assert guarded.rows("approval-asked")[-1]["request"] == said


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("principals", b'{"name":"a","name":"b","role":"auditor"}'),
        ("principals", b'["a"]'),
        ("principals", b'{"name":"' + b"a" * 9000 + b'","role":"auditor"}'),
        ("principals", '{"name":"a","role":"auditor"}'.encode("utf-16")),
        ("owners/acme", b'{"enabled":false,"enabled":true}'),
    ],
)
def test_what_nobody_can_read_nobody_agrees_to(guarded: Bench, path: str, body: bytes) -> None:
    headers = {"authorization": f"Bearer {guarded.admin_key}", "content-type": "application/json"}
    method = "PATCH" if path.startswith("owners") else "POST"
    answer = guarded.http().request(method, f"{PREFIX}/{path}", content=body, headers=headers)
    assert refusal_of(answer).status == 400
    assert guarded.administration.approvals.waiting(ADMINISTRATOR) == []


def test_what_is_said_of_an_act_is_bounded_and_has_no_control_characters(guarded: Bench) -> None:
    long = {"owner": "acme", "more": "a" * 9000}
    assert refusal_of(ask(guarded, guarded.admin_key, "DELETE", "stops", params=long)).status == 400
    raw = Act("DELETE", "/stops", "/stops", "owner=\x1b[2J\u202e", b"", frozenset(), "")
    assert raw.said == "DELETE /stops?owner=\\x1b[2J\\u202e"


def test_who_asked_reads_what_waits(guarded: Bench) -> None:
    key = key_of(guarded, "owner", "acme")
    assert asked(ask(guarded, key, "DELETE", BEFORE))
    assert [one["by"] for one in ask(guarded, key, "GET", "approvals").json()] == ["owner-1"]


def test_acts_that_wait_are_read_by_who_could_agree(guarded: Bench) -> None:
    ask(guarded, guarded.admin_key, "DELETE", "secrets/other/key/a")
    seen = {
        (role, *owners): len(ask(guarded, key_of(guarded, role, *owners), "GET", "approvals").json())
        for role, owners in READERS
    }
    assert seen == {
        ("administrator",): 1,
        ("auditor",): 1,
        ("operator",): 0,
        ("owner", "acme"): 0,
        ("owner", "other"): 1,
    }


def test_an_operator_agrees_to_no_act_on_who_is_more_than_he(guarded: Bench) -> None:
    key_of(guarded, "administrator")
    name = guarded.administration.people.all()[0].name
    assert name == "administrator-1"
    operator = key_of(guarded, "operator")
    auditor = {"name": "eve", "role": "auditor"}
    for method, path, body, may in (
        ("DELETE", f"principals/{name}", None, False),
        ("POST", "principals", {"name": "sock", "role": "administrator"}, False),
        ("POST", "principals", {"name": "sock", "role": "owner", "owners": ["acme"]}, False),
        ("POST", "principals", auditor, True),
    ):
        before = {one.digest for one in guarded.administration.approvals.waiting(ADMINISTRATOR)}
        assert asked(ask(guarded, guarded.admin_key, method, path, json=body))
        now = {one.digest for one in guarded.administration.approvals.waiting(ADMINISTRATOR)}
        (digest,) = now - before
        assert ask(guarded, operator, "POST", f"approvals/{digest}").is_success is may, (path, body)


def test_who_is_nobody_any_more_agreed_to_nothing(guarded: Bench) -> None:
    removed = key_of(guarded, "administrator")
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    assert ask(guarded, removed, "POST", f"approvals/{waiting(guarded)}").is_success
    guarded.administration.people.remove(ADMINISTRATOR, "administrator-1")
    answer = refusal_of(ask(guarded, guarded.admin_key, "DELETE", BEFORE))
    assert "administrator-1, who agreed, may not any more" in answer.detail
    ends = key_of(guarded, "owner", "acme", days=1)
    ask(guarded, key_of(guarded, "administrator"), "DELETE", f"approvals/{waiting(guarded)}")
    guarded.clock.pass_seconds(3600)
    ask(guarded, guarded.admin_key, "DELETE", BEFORE)
    assert ask(guarded, ends, "POST", f"approvals/{waiting(guarded)}").is_success
    guarded.clock.pass_seconds(23 * 3600)
    assert "may not any more" in refusal_of(ask(guarded, guarded.admin_key, "DELETE", BEFORE)).detail
    assert not guarded.administration.versions(PATH)[0].destroyed


def test_lifting_one_stop_is_not_lifting_the_next(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    for owner, params in ((None, {}), ("acme", {"owner": "acme"})):
        ask(guarded, guarded.admin_key, "POST", "stops", json={"owner": owner, "reason": "one"})
        ask(guarded, guarded.admin_key, "DELETE", "stops", params=params)
        for one in guarded.administration.approvals.waiting(ADMINISTRATOR):
            ask(guarded, other, "POST", f"approvals/{one.digest}")
        ask(guarded, guarded.admin_key, "POST", "stops", json={"owner": owner, "reason": "another"})
        assert asked(ask(guarded, guarded.admin_key, "DELETE", "stops", params=params))


def test_a_principal_made_anew_is_not_the_one_whose_removal_was_agreed_to(guarded: Bench) -> None:
    other = key_of(guarded, "administrator")
    people = guarded.administration.people
    people.add(ADMINISTRATOR, "eve", "auditor", [], None)
    ask(guarded, guarded.admin_key, "DELETE", "principals/eve")
    assert ask(guarded, other, "POST", f"approvals/{waiting(guarded)}").is_success
    people.remove(ADMINISTRATOR, "eve")
    people.add(ADMINISTRATOR, "eve", "auditor", [], None)
    assert asked(ask(guarded, guarded.admin_key, "DELETE", "principals/eve"))


def test_a_rule_has_one_number_to_agree_to(guarded: Bench) -> None:
    rule = guarded.administration.rules("acme")[0].id
    for text in (f"0{rule}", f"{rule}.0"):
        assert refusal_of(ask(guarded, guarded.admin_key, "DELETE", f"rules/{text}")).status == 404
    assert guarded.administration.approvals.waiting(ADMINISTRATOR) == []


def test_what_destroys_nothing_waits_for_nobody(guarded: Bench) -> None:
    value = base64.b64encode(b"another").decode()
    body = {"owners": ["acme"], "value": value}
    assert ask(guarded, guarded.admin_key, "PUT", f"secrets/{PATH}", json=body).is_success
    assert ask(guarded, guarded.admin_key, "PATCH", "owners/acme", json={"enabled": True}).is_success
    assert ask(guarded, guarded.admin_key, "POST", "stops", json={"owner": "acme", "reason": "x"}).is_success
    assert asked(ask(guarded, guarded.admin_key, "DELETE", "stops", params={"owner": "acme"}))


def test_without_four_eyes_nothing_waits(acme: Bench) -> None:
    assert ask(acme, acme.admin_key, "DELETE", BEFORE).is_success
    assert isinstance(ADMINISTRATOR, Principal)
