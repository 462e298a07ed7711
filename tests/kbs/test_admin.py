"""The administrators' door: no default key, no guest's token, no secret out."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest

from kbs.access import DOORS
from tests.kbs.conftest import PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.twin import refusal_of

_NUMBERS = ("{rule_id}", "{version}", "{number}")
ROUTES = [
    (method, re.sub(r"{[a-z_]+}", lambda part: "1" if part[0] in _NUMBERS else "acme", template).lstrip("/"))
    for method, template in DOORS
]


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer kbsadm_", "Bearer kbsadm_" + "A" * 43, "Basic YTpi", "Bearer ü"],
)
def test_nothing_is_done_without_the_key(acme: Bench, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode()}
    http, before = acme.http(), acme.rows()
    for method, path in ROUTES:
        answer = http.request(method, f"/admin/v1/{path}", headers=headers, content=b"{}")
        refusal = refusal_of(answer)
        assert (refusal.status, refusal.kind) == (401, "AdminAuthAccess"), (method, path)
    assert acme.rows() == before


@pytest.mark.parametrize("body", [b"{", b"[" * 60_000, b'"x"', b"\xff", b""])
@pytest.mark.parametrize("path", ["owners", "rules", "secrets/a/b/c"])
def test_key_is_asked_for_before_the_body_is_read(acme: Bench, path: str, body: bytes) -> None:
    method, headers = ("POST" if path == "owners" else "PUT"), {"content-type": "application/json"}
    refusal = refusal_of(acme.http().request(method, f"/admin/v1/{path}", headers=headers, content=body))
    assert (refusal.status, refusal.kind) == (401, "AdminAuthAccess")
    assert 400 <= refusal_of(acme.admin(method, path, content=body)).status < 500


@pytest.mark.parametrize("number", [str(1 << 63), "9" * 30, "9" * 5000, "0", "-1", "1.5"])
def test_numbers_that_the_database_cannot_hold_are_4xx(acme: Bench, number: str) -> None:
    for method, path in (("DELETE", f"rules/{number}"), ("PATCH", f"rules/{number}")):
        refusal = refusal_of(acme.admin(method, path, json={"enabled": True}))
        assert refusal.status == 422
    if number not in ("0",):
        assert refusal_of(acme.admin("GET", f"audit?after={number}")).status == 422


def test_guests_token_and_cookie_are_not_accepted_here(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    answer = guest.http.get("/admin/v1/secrets", headers={"authorization": f"Bearer {token}"})
    assert refusal_of(answer).status == 401


def test_administration_key_is_not_accepted_by_the_guests_door(acme: Bench) -> None:
    headers = {"authorization": f"Bearer {acme.admin_key}"}
    answer = acme.http().get(f"/kbs/v0/resource/{PATH}", headers=headers)
    assert refusal_of(answer).status == 401
    assert refusal_of(acme.http().delete(f"/kbs/v0/resource/{PATH}", headers=headers)).status == 405


def test_database_has_no_principal_until_one_is_made(bench: Bench) -> None:
    bench.sql("DELETE FROM principals")
    assert bench.admin("GET", "owners").status_code == 401


def test_owner_rule_and_secret_are_made_over_http_and_release(bench: Bench) -> None:
    assert bench.admin("POST", "owners", json={"name": "acme"}).status_code == 201
    rule = {"owner": "acme", "path": "acme/*", "policy": SNP_POLICY}
    assert bench.admin("PUT", "rules", json=rule).json()["digest"].startswith("sha384:")
    secret = {"owners": ["acme"], "value": base64.b64encode(SECRET).decode()}
    assert bench.admin("PUT", f"secrets/{PATH}", json=secret).json() == {"path": PATH, "version": 1}
    assert bench.guest().boot(PATH) == SECRET
    assert [row["by"] for row in bench.rows("secret-put")] == ["test"]


def test_no_answer_shows_a_secret(acme: Bench) -> None:
    shown = [acme.admin("GET", path) for path in ("secrets", f"secrets/{PATH}/versions", "rules", "audit")]
    for answer in shown:
        assert answer.status_code == 200
        assert SECRET not in answer.content
        assert base64.b64encode(SECRET) not in answer.content
    assert refusal_of(acme.admin("GET", f"secrets/{PATH}")).status in (404, 405)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "owners", {"name": "Bad Name"}, 400),
        ("POST", "owners", {"name": "acme"}, 409),
        ("POST", "owners", {"name": 5}, 422),
        ("POST", "owners", {}, 422),
        ("POST", "owners", {"name": "x", "more": 1}, 422),
        ("PATCH", "owners/nobody", {"enabled": False}, 409),
        ("PATCH", "owners/acme", {"enabled": "no"}, 422),
        ("PUT", "rules", {"owner": "nobody", "path": "a/*", "policy": SNP_POLICY}, 409),
        ("PUT", "rules", {"owner": "acme", "path": "*", "policy": SNP_POLICY}, 400),
        ("PUT", "rules", {"owner": "acme", "path": "a/*", "policy": "policy: 1"}, 400),
        ("PUT", "rules", {"owner": "acme", "path": "a/*", "policy": "\x00"}, 400),
        ("PUT", "rules", {"owner": "acme", "path": "a/*", "policy": " " * (300 << 10)}, 413),
        ("DELETE", "rules/99", None, 409),
        ("DELETE", "rules/x", None, 422),
        ("PUT", "secrets/a/b/c", {"owners": [], "value": "QQ=="}, 422),
        ("PUT", "secrets/a/b/c", {"owners": ["nobody"], "value": "QQ=="}, 409),
        ("PUT", "secrets/a/b/c", {"owners": ["acme"], "value": "not base64"}, 400),
        ("PUT", "secrets/a/b/c", {"owners": ["acme"], "value": ""}, 413),
        ("PUT", "secrets/a/.b/c", {"owners": ["acme"], "value": "QQ=="}, 400),
        ("DELETE", "secrets/a/b/c", None, 409),
        ("POST", "keys/retire", {"id": "x"}, 404),
        ("POST", "keys/retire", {"id": "x" * 256}, 422),
        ("POST", "keys/retire", {}, 422),
        ("POST", "keys/rewrap", {"after": "a/b/c"}, 422),
        ("POST", "keys/rewrap", {"after": {"path": "a/b/c", "version": 1 << 63}}, 422),
        ("POST", "keys/rewrap", {"after": None, "more": 1}, 422),
        ("GET", "audit/reason/00", None, 404),
        ("GET", "audit?limit=100000", None, 422),
        ("GET", "nothing", None, 404),
    ],
)
def test_wrong_use_is_4xx_of_one_shape_and_leaves_no_row(
    acme: Bench, method: str, path: str, body: Any, status: int
) -> None:
    before = len(acme.rows())
    answer = acme.admin(method, path, **({} if body is None else {"json": body}))
    assert refusal_of(answer).status == status
    assert len(acme.rows()) == before


def test_refused_request_does_not_repeat_what_was_sent(acme: Bench) -> None:
    answer = acme.admin("PUT", "secrets/a/b/c", json={"owners": "acme", "value": ["hunter2"]})
    assert b"hunter2" not in answer.content
    answer = acme.admin("PUT", "secrets/a/b/c", content=b'{"value": "hunter2"')
    assert b"hunter2" not in answer.content


def test_policy_that_does_not_load_says_where(acme: Bench) -> None:
    policy = SNP_POLICY.replace("measurement:", "measurment:")
    answer = acme.admin("PUT", "rules", json={"owner": "acme", "path": "a/*", "policy": policy})
    assert "measurment" in refusal_of(answer).detail
