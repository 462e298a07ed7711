"""Who may do what: the whole table tried against the app, route by route and role by role."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from fastapi.routing import APIRoute

from attest.dsse import seal_envelope
from kbs.access import DOORS, ROLES, Principal, Role, may_give
from kbs.consent import ConsentKeys, payload_of
from kbs.domain import PathPattern
from kbs.http.admin import PREFIX, router
from kbs.refusals import Refusal
from tests.kbs.conftest import ADMINISTRATOR, PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.test_consent import pem
from tests.kbs.twin import refusal_of

VALUE = base64.b64encode(SECRET).decode()


@pytest.fixture
def two(acme: Bench) -> Bench:
    """Two owners with a rule and a secret each."""
    acme.owner("other", path="other/*")
    acme.secret("other", path="other/key/a")
    return acme


def key_of(bench: Bench, role: Role, *owners: str, days: int | None = None) -> str:
    name = f"{role}-{len(bench.administration.people.all())}"
    key = bench.administration.people.add(ADMINISTRATOR, name, role, owners, days).key
    assert key is not None
    return key


def ask(bench: Bench, key: str, method: str, path: str, **request: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return bench.http().request(method, f"{PREFIX}/{path}", headers=headers, **request)


def routes(bench: Bench) -> list[tuple[str, str]]:
    found = [
        (method, route.path.removeprefix(PREFIX))
        for route in router(bench.administration, bench.store).routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    assert len(found) > 30
    return found


def test_t_acl_every_route_of_administration_is_in_the_table_and_nothing_else(bench: Bench) -> None:
    assert sorted(routes(bench)) == sorted(DOORS)


def test_t_acl_a_route_that_is_not_in_the_table_is_nobodys(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kbs.http.admin.DOORS", {})
    roles: tuple[Role, ...] = ("administrator", "operator", "auditor")
    for role in roles:
        assert refusal_of(ask(bench, key_of(bench, role), "GET", "owners")).status == 403
    assert refusal_of(bench.admin("GET", "owners")).status == 403


def filled(template: str, bench: Bench, owner: str) -> str:
    rule = bench.administration.rules(owner)[0].id
    resource = PATH if owner == "acme" else "other/key/a"
    repository, kind, tag = resource.split("/")
    return template.lstrip("/").format(
        name=owner, rule_id=rule, repository=repository, kind=kind, tag=tag, version=1, number=1,
        what="0" * 16, session="0" * 64, digest="0" * 64,
    )  # fmt: skip


def request_for(method: str, template: str, bench: Bench, owner: str) -> dict[str, Any]:
    """A request about what is `owner`'s, of a form that its route takes."""
    resource = PATH if owner == "acme" else "other/key/a"
    bodies: dict[tuple[str, str], Any] = {
        ("POST", "/owners"): {"name": "new"},
        ("PATCH", "/owners/{name}"): {"enabled": True},
        ("PUT", "/owners/{name}/paths"): {"paths": []},
        ("PUT", "/owners/{name}/quota"): {"releases_an_hour": 1000},
        ("PUT", "/rules"): {"owner": owner, "path": f"{owner}/config/*", "policy": SNP_POLICY},
        ("PATCH", "/rules/{rule_id}"): {"enabled": True},
        ("POST", "/rules/dry-run"): {"owner": owner, "path": f"{owner}/*", "policy": SNP_POLICY},
        ("PUT", "/secrets/{repository}/{kind}/{tag}"): {"owners": [owner], "value": VALUE},
        ("PATCH", "/secrets/{repository}/{kind}/{tag}/versions/{version}"): {"enabled": True},
        ("POST", "/consents"): {"document": base64.b64encode(signed(bench, owner)).decode()},
        ("POST", "/consents/withdraw"): {"owner": owner, "path": resource},
        ("POST", "/consents/owners"): {"path": resource, "owners": [owner], "documents": []},
        ("POST", "/revocations"): {"kind": "secret", "value": resource, "reason": "x"},
        ("POST", "/stops"): {"owner": owner, "reason": "x"},
        ("POST", "/keys/rewrap"): {},
        ("POST", "/keys/retire"): {"id": "x"},
        ("POST", "/principals"): {"name": "new", "role": "auditor"},
        ("POST", "/principals/{name}/rotate"): {},
    }
    request: dict[str, Any] = {"params": {"owner": owner}} if method in ("GET", "DELETE") else {}
    if (method, template) in bodies:
        request["json"] = bodies[method, template]
    return request


KEY = ed25519.Ed25519PrivateKey.generate()


def signed(bench: Bench, owner: str) -> bytes:
    name = bench.store.read(lambda tx: tx.broker.state().name)
    said = ConsentKeys(name, owner, 1, 1, (pem(KEY),), (PathPattern.parse("acme/config/*"),))
    return seal_envelope("consent", payload_of(said), KEY)


@pytest.mark.parametrize(("method", "template"), sorted(DOORS), ids=" ".join)
def test_t_acl_each_role_does_what_the_table_says(two: Bench, method: str, template: str) -> None:
    """403 is the table's answer, and no other refusal is."""
    door = DOORS[method, template]
    for role in ROLES:
        key = key_of(two, role, *(["acme"] if role == "owner" else []))
        for about in ("acme", "other") if role == "owner" else ("acme",):
            path = filled(template, two, about)
            answer = ask(two, key, method, path, **request_for(method, template, two, about))
            allowed = (
                role == "administrator"
                or role in door.roles
                or (
                    role == "owner" and door.own is not None and about == "acme" and template != "/why/{what}"
                )
            )
            assert (answer.status_code != 403) is allowed, (role, about, answer.text)
            if method == "DELETE" and allowed and answer.is_success:
                return  # it is gone; each was asked up to here
    if door.own is not None:
        assert "owner" not in door.roles


def test_t_lastwriter_an_owner_writes_no_rule_and_no_secret_of_another(two: Bench) -> None:
    key = key_of(two, "owner", "acme")
    before = two.administration.rules(None)
    for method, path, body in (
        ("PUT", "rules", {"owner": "other", "path": "other/*", "policy": SNP_POLICY}),
        ("PUT", "secrets/other/key/a", {"owners": ["acme"], "value": VALUE}),
        ("PUT", "secrets/other/key/a", {"owners": ["acme", "other"], "value": VALUE}),
        ("DELETE", "secrets/other/key/a", None),
        ("DELETE", f"rules/{two.administration.rules('other')[0].id}", None),
        ("POST", "stops", {"owner": "other", "reason": "x"}),
        ("POST", "stops", {"owner": None, "reason": "x"}),
        ("POST", "revocations", {"kind": "secret", "value": "other/key/a", "reason": "x"}),
        ("POST", "revocations", {"kind": "version", "value": "other/key/a@1", "reason": "x"}),
        ("POST", "revocations", {"kind": "platform", "value": "00" * 8, "reason": "x"}),
    ):
        assert refusal_of(ask(two, key, method, path, json=body)).status == 403, (method, path)
    assert two.administration.rules(None) == before
    assert ask(two, key, "PUT", "secrets/acme/key/new", json={"owners": ["acme"], "value": VALUE}).is_success


def test_t_lastwriter_an_owner_puts_first_secrets_in_his_place_and_for_himself_alone(two: Bench) -> None:
    """Whoever puts the first one says who agrees to its release: in another's repository that is not his to say."""
    key = key_of(two, "owner", "acme")
    alone = {"owners": ["acme"], "value": VALUE}
    for path, owners in (
        ("other/key/new", ["acme"]),
        ("shared/key/new", ["acme"]),
        ("acme/key/new", ["acme", "other"]),
        ("acme/key/new", ["other"]),
        ("acme/key/new", []),
    ):
        refusal = refusal_of(ask(two, key, "PUT", f"secrets/{path}", json={**alone, "owners": owners}))
        assert (refusal.status, "for himself alone" in refusal.detail) == (403, True), path
    assert ask(two, key, "PUT", "secrets/acme/key/new", json=alone).is_success
    assert two.admin("PUT", "owners/acme/paths", json={"paths": ["shared/key/*"]}).json()["paths"] == [
        "shared/key/*"
    ]
    assert ask(two, key, "PUT", "secrets/shared/key/new", json=alone).is_success
    assert refusal_of(ask(two, key, "PUT", "secrets/shared/file/new", json=alone)).status == 403
    both = key_of(two, "owner", "acme", "other")
    shared = {"owners": ["acme", "other"], "value": VALUE}
    assert ask(two, both, "PUT", "secrets/acme/key/both", json=shared).is_success
    assert ask(two, key, "PUT", "secrets/acme/key/both", json=shared).is_success, (
        "a version of one that is there"
    )
    assert two.admin("PUT", "owners/acme/paths", json={"paths": []}).is_success
    assert refusal_of(ask(two, key, "PUT", "secrets/shared/key/more", json=alone)).status == 403
    assert ask(two, key, "PUT", "secrets/shared/key/new", json=alone).is_success, "it is his"
    for paths in (["*"], ["/x"], ["a/b/c/d"], ["../*"]):
        assert refusal_of(two.admin("PUT", "owners/acme/paths", json={"paths": paths})).status == 400
    assert refusal_of(two.admin("PUT", "owners/none/paths", json={"paths": []})).status == 409


def test_t_lastwriter_a_stop_is_lifted_by_the_role_that_made_it_or_an_administrator(two: Bench) -> None:
    keys = {role: key_of(two, role, *(["acme"] if role == "owner" else [])) for role in ROLES}
    body = {"owner": "acme", "reason": "incident 42"}
    for made_by in ("owner", "operator", "administrator"):
        for lifts in ("owner", "operator", "administrator"):
            assert ask(two, keys[made_by], "POST", "stops", json=body).is_success
            answer = ask(two, keys[lifts], "DELETE", "stops", params={"owner": "acme"})
            if lifts in (made_by, "administrator"):
                assert answer.json() == {"owner": "acme", "left": []}
            else:
                assert f"it was stopped by an {made_by}" in refusal_of(answer).detail
                assert [one.role for one in two.administration.stops.stops()] == [made_by]
                two.administration.stops.lift_stop(ADMINISTRATOR, "acme")


def test_t_lastwriter_each_of_two_stops_is_lifted_for_itself(two: Bench) -> None:
    """An owner's stop is still there when the operator's has ended, and the other way round."""
    owner, operator = key_of(two, "owner", "acme"), key_of(two, "operator")
    guest = two.guest()
    guest.boot(PATH)
    for key, reason in ((owner, "mine"), (operator, "theirs")):
        ask(two, key, "POST", "stops", json={"owner": "acme", "reason": reason})
    left = ask(two, operator, "DELETE", "stops", params={"owner": "acme"}).json()["left"]
    assert left == [{"owner": "acme", "role": "owner", "reason": "mine"}]
    assert guest.http.get(f"/kbs/v0/resource/{PATH}").status_code == 403
    assert ask(two, owner, "DELETE", "stops", params={"owner": "acme"}).json()["left"] == []
    assert guest.resource(PATH) == SECRET


def test_t_lastwriter_an_owner_who_was_disabled_does_not_enable_himself(two: Bench) -> None:
    two.administration.enable_owner("test", "acme", False)
    answer = ask(two, key_of(two, "owner", "acme"), "PATCH", "owners/acme", json={"enabled": True})
    assert refusal_of(answer).status == 403
    assert [one.enabled for one in two.administration.owners() if one.name == "acme"] == [False]


def test_t_lastwriter_an_owners_revocation_is_not_lifted_by_an_operator(two: Bench) -> None:
    owner, operator = key_of(two, "owner", "acme"), key_of(two, "operator")
    new = {"kind": "secret", "value": PATH, "reason": "leaked"}
    number = ask(two, owner, "POST", "revocations", json=new).json()["number"]
    assert "revoked by an owner" in refusal_of(ask(two, operator, "DELETE", f"revocations/{number}")).detail
    assert [one.lifted for one in two.administration.stops.revocations()] == [None]
    own = ask(
        two, operator, "POST", "revocations", json={"kind": "token", "value": "j", "reason": "x"}
    ).json()
    assert ask(two, operator, "DELETE", f"revocations/{own['number']}").is_success
    assert two.admin("DELETE", f"revocations/{number}").is_success


def test_t_lastwriter_a_revocation_that_was_there_first_is_no_hold_on_the_owners(two: Bench) -> None:
    owner, operator = key_of(two, "owner", "acme"), key_of(two, "operator")
    guest = two.guest()
    guest.boot(PATH)
    new = {"kind": "secret", "value": PATH, "reason": "x"}
    first = ask(two, operator, "POST", "revocations", json=new).json()["number"]
    assert ask(two, owner, "POST", "revocations", json=new).is_success
    assert refusal_of(ask(two, owner, "POST", "revocations", json=new)).status == 409
    assert ask(two, operator, "DELETE", f"revocations/{first}").is_success
    assert guest.http.get(f"/kbs/v0/resource/{PATH}").status_code == 403


def test_t_acl_no_answer_tells_an_operator_the_name_of_a_secret(two: Bench) -> None:
    key = key_of(two, "operator")
    two.guest().boot(PATH)
    for kind, value in (("secret", PATH), ("version", f"{PATH}@1"), ("token", "a-token")):
        two.administration.stops.revoke(ADMINISTRATOR, kind, value, "for a test")
    asked = 0
    for method, template in sorted(DOORS):
        path = filled(template, two, "acme")
        if method == "GET" and template != "/metrics":
            text = ask(two, key, method, path, **request_for(method, template, two, "acme")).text
            assert "key/model" not in text, path
            asked += "a-token" in text
    assert asked


@pytest.mark.parametrize(
    "body",
    [
        b'{"owner":"acme","owner":"other","path":"other/*","policy":"x"}',
        b'{"owner":["acme"],"path":"other/*","policy":"x"}',
        b'[{"owner":"acme"}]',
        b"{",
        b"\xff",
        b"",
    ],
)
def test_t_acl_a_body_that_two_readers_read_otherwise_is_nobodys(two: Bench, body: bytes) -> None:
    key = key_of(two, "owner", "acme")
    answer = two.http().request(
        "PUT", f"{PREFIX}/rules", content=body,
        headers={"authorization": f"Bearer {key}", "content-type": "application/json"},
    )  # fmt: skip
    assert refusal_of(answer).status == 403


def test_an_owner_reads_what_is_his_and_explains_only_his_decisions(two: Bench) -> None:
    two.administration.put_rule("test", "other", "other/*", SNP_POLICY.replace("{snp: 20}", "{snp: 200}"))
    guest = two.guest()
    guest.boot(PATH)
    answer = guest.http.get("/kbs/v0/resource/other/key/a").json()["detail"]
    reason = answer.partition("(reason ")[2].rstrip(")")
    acme, other = key_of(two, "owner", "acme"), key_of(two, "owner", "other")
    assert [one["path"] for one in ask(two, acme, "GET", "secrets", params={"owner": "acme"}).json()] == [
        PATH
    ]
    assert ask(two, acme, "GET", "secrets").status_code == 403, "without an owner it is everybody's"
    assert ask(two, other, "GET", f"why/{reason}").is_success
    assert ask(two, acme, "GET", f"why/{reason}").status_code == 403
    (session,) = {row["session"] for row in two.rows("released")}
    assert ask(two, acme, "GET", f"why/{session}").status_code == 403, (
        "the session was about another's secret too"
    )
    own = ask(two, acme, "GET", f"why/{session}", params={"path": PATH}).json()
    assert [one["row"]["event"] for one in own["decisions"]] == ["released"]


def test_t_admin_default_keys_end_and_are_nobodys_then(two: Bench) -> None:
    key = key_of(two, "auditor", days=1)
    assert ask(two, key, "GET", "audit").is_success
    two.clock.pass_seconds(24 * 3600)
    assert refusal_of(ask(two, key, "GET", "audit")).status == 401


def test_a_principal_that_was_removed_is_nobody_at_the_next_request(two: Bench) -> None:
    key = key_of(two, "auditor")
    (name,) = [one.name for one in two.administration.people.all() if one.role == "auditor"]
    two.administration.people.remove(ADMINISTRATOR, name)
    assert refusal_of(ask(two, key, "GET", "audit")).status == 401
    assert [row["principal"] for row in two.rows("principal-removed")] == [name]
    assert key not in str(two.rows())


def test_t_lastwriter_an_operator_makes_nobody_who_is_more_than_he(two: Bench) -> None:
    key = key_of(two, "operator")
    for role, status in (("administrator", 403), ("owner", 403), ("operator", 201), ("auditor", 201)):
        body = {"name": f"new-{role}", "role": role, "owners": ["acme"] if role == "owner" else []}
        assert ask(two, key, "POST", "principals", json=body).status_code == status
    assert refusal_of(ask(two, key, "DELETE", "principals/test")).status == 403
    assert [(giver, role) for giver in ROLES for role in ROLES if may_give(Principal("x", giver), role)] == [
        *(("administrator", role) for role in ROLES),
        ("operator", "operator"),
        ("operator", "auditor"),
    ]


def test_the_last_administrator_stays(two: Bench) -> None:
    with pytest.raises(Refusal, match="last administrator"):
        two.administration.people.remove(ADMINISTRATOR, "test")
    key_of(two, "administrator")
    two.administration.people.remove(ADMINISTRATOR, "test")
    assert refusal_of(two.admin("GET", "owners")).status == 401


@pytest.mark.parametrize(
    ("name", "role", "owners"),
    [
        ("A", "auditor", []),
        ("", "auditor", []),
        ("a", "root", []),
        ("a", "owner", []),
        ("a", "auditor", ["acme"]),
        ("a", "owner", ["nobody"]),
        ("a", "owner", ["A b"]),
        ("test", "auditor", []),
    ],
)
def test_a_principal_that_makes_no_sense_is_not_made(
    two: Bench, name: str, role: str, owners: list[str]
) -> None:
    with pytest.raises(Refusal):
        two.administration.people.add(ADMINISTRATOR, name, role, owners, None)
    assert two.rows("principal-added") == []
