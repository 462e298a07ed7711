"""Four eyes: what cannot be had back is done when another person agreed to exactly that."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from kbs.access import DOORS, Principal
from kbs.administration import Administration
from kbs.approval import DESTRUCTIVE
from kbs.clock import Clock
from kbs.http.app import create_app
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.test_access import ADMINISTRATOR, ask, filled, key_of, request_for
from tests.kbs.twin import refusal_of

BEFORE = f"secrets/{PATH}/versions/1"


@pytest.fixture
def guarded(acme: Bench) -> Bench:
    acme.owner("other", path="other/*")
    acme.secret("other", path="other/key/a")
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), four_eyes=True)
    acme.app = create_app(acme.broker, acme.administration, acme.store)
    return acme


def waiting(bench: Bench) -> str:
    (one,) = bench.administration.approvals.waiting()
    return one.digest


def asked(answer: httpx.Response) -> bool:
    return answer.status_code == 409 and "another person must agree" in answer.text


def test_every_destructive_route_is_one_of_the_table() -> None:
    assert set(DOORS) >= DESTRUCTIVE
    left = {key for key in DOORS if key[0] == "DELETE"} - DESTRUCTIVE
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
    assert guarded.administration.approvals.waiting() == []


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
        newest = guarded.administration.approvals.waiting()[-1].digest
        for one in guarded.administration.approvals.waiting():
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
    assert guarded.administration.approvals.waiting() == []
    assert refusal_of(ask(guarded, other, "POST", f"approvals/{digest}")).status == 409


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
