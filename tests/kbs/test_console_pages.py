"""The pages of the console: each says what the routes of administration say, to whom they say it, and no secret."""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from fastapi import Request

from attest.claims import instant
from attest.dsse import seal_envelope
from kbs import approval
from kbs.access import Role
from kbs.administration import Administration
from kbs.clock import Clock
from kbs.consent import ConsentKeys, ReleaseConsent, payload_of
from kbs.domain import PathPattern, ResourcePath
from kbs.http.console.acts import ACTS
from kbs.http.console.comparing import compared
from kbs.http.console.inside import READS, Inside
from kbs.http.console.pages import PAGES
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal
from kbs.terms import Terms
from tests.kbs.conftest import ADMINISTRATOR, PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.console import HOME, Browser, ConsoleBench
from tests.kbs.test_access import key_of
from tests.kbs.test_consent import pem

KEY = ed25519.Ed25519PrivateKey.generate()
OTHER = "other/key/a"
TIGHTER = SNP_POLICY.replace("{snp: 20}", "{snp: 200}")


@pytest.fixture
def console(acme: Bench) -> ConsoleBench:
    """Two owners, of whose secrets a machine got one and was denied the other."""
    acme.owner("other", policy=TIGHTER, path="other/*")
    acme.secret("other", path=OTHER)
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), collateral=acme.collateral)
    guest = acme.guest()
    guest.boot(PATH)
    guest.http.get(f"/kbs/v0/resource/{OTHER}")
    return ConsoleBench(acme)


@pytest.fixture
def plain(acme: Bench) -> ConsoleBench:
    """One owner with a rule and a secret, before any machine came."""
    return ConsoleBench(acme)


def session_of(bench: Bench) -> str:
    (session,) = {row["session"] for row in bench.rows("released")}
    return str(session)


def every_page(bench: Bench) -> list[str]:
    filled = {"what": session_of(bench), "session": session_of(bench), "rule_id": "1", "name": "revoke"}
    filled |= dict(zip(("repository", "kind", "tag"), PATH.split("/"), strict=True))
    return [path.format(**filled) for method, path in PAGES if method == "GET"]


# -- who sees what ----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["administrator", "auditor", "operator", "owner"])
def test_t_acl_every_link_of_every_page_leads_where_its_reader_may(console: ConsoleBench, role: Role) -> None:
    """Visited like a crawler, and nothing of what the role may not read is on any of it."""
    bench = console.bench
    browser = console.browser(key_of(bench, role, *(["acme"] if role == "owner" else [])))
    waiting, seen = ["/console/"], dict[str, str]()
    while waiting:
        address = waiting.pop()
        place = address.partition("?")[0]
        if address in seen or place in {known.partition("?")[0] for known in seen if "/act/" not in place}:
            continue
        answer = browser.go(address)
        if answer.headers["content-type"].startswith("text/html"):
            assert answer.status_code == 200, (role, address, browser.page.text)
            waiting += [href for _, href in browser.page.links if href.startswith("/console")]
        seen[address] = answer.text
    whole = "\n".join(seen.values())
    assert SECRET.decode("latin-1") not in whole
    assert base64.b64encode(SECRET).decode() not in whole
    assert "kbsadm_" not in whole
    if role == "operator":
        assert PATH not in whole
    elif role == "owner":
        assert PATH in whole
        assert OTHER not in whole
    else:
        assert {PATH, OTHER} <= set(re.findall(r"[a-z]+/key/[a-z]+", whole))
    assert len(seen) > (6 if role == "operator" else 10)


@pytest.mark.parametrize("role", ["auditor", "operator", "owner"])
def test_t_acl_no_address_shows_what_the_routes_do_not(console: ConsoleBench, role: Role) -> None:
    """Addresses typed by hand: pages that the role has no link to refuse, as the routes do."""
    bench = console.bench
    browser = console.browser(key_of(bench, role, *(["other"] if role == "owner" else [])))
    for path in every_page(bench):
        answer = browser.go(path)
        assert answer.status_code in (200, 400, 403, 404), path
        if role != "auditor":
            assert PATH not in answer.text.replace(path, ""), path
        assert "MEASUREMENT" not in answer.text


# -- explanations -----------------------------------------------------------------------------------


def test_a_decision_is_explained_with_its_tree_and_the_machine(console: ConsoleBench) -> None:
    browser = console.browser(console.bench.admin_key)
    browser.go("/console/releases", event="release-denied")
    browser.follow("Explain")
    text = browser.page.text
    assert "A decision" in text
    assert "SNP firmware is too old" in text
    assert "snp ≥ 200 on Genoa" in text
    assert "Rule 2 of other for other/*" in text
    browser.follow(session_of(console.bench))
    text = browser.page.text
    assert "What the machine proved" in text
    assert "Simulated" in text
    assert "snp.measurement" in text
    assert "Rule 1 of acme" in text
    assert "The evidence itself is not kept" in text


def test_an_owner_reads_of_a_session_only_what_was_about_his(console: ConsoleBench) -> None:
    bench = console.bench
    browser = console.browser(key_of(bench, "owner", "acme"))
    session = session_of(bench)
    assert browser.go(f"/console/why/{session}").status_code == 403
    assert browser.go(f"/console/why/{session}", path=PATH).status_code == 200
    assert "What the machine proved" not in browser.page.text
    assert OTHER not in browser.page.text


@pytest.mark.parametrize("what", ["0" * 16, "0" * 64, "x", "0" * 63, "%2e"])
def test_what_is_no_decision_is_told(plain: ConsoleBench, what: str) -> None:
    browser = plain.browser(plain.bench.admin_key)
    answer = browser.go(f"/console/why/{what}")
    assert answer.status_code == (200 if what == "0" * 64 else 404)


# -- policies ---------------------------------------------------------------------------------------


def test_a_policy_is_compared_tried_on_what_was_decided_and_put_with_the_key(console: ConsoleBench) -> None:
    bench = console.bench
    browser = console.browser(bench.admin_key)
    browser.go("/console/policies")
    browser.follow("Rule 2")
    assert "snp: 200" in browser.page.text
    browser.follow("Change it, or try another in its place")
    browser.fill("Try it", policy=SNP_POLICY)
    text = browser.page.text
    assert "B lets pass what A does not" in text
    assert "1 of 1 decisions would come out otherwise" in text
    assert "snp: 20}" in text
    assert bench.administration.rules("other")[0].policy == TIGHTER, "trying changes nothing"
    browser.fill("Put it in force…")
    assert "Put this policy in force for other/*, by other" in browser.page.text
    browser.fill("Put in force", key=bench.admin_key)
    assert browser.path == "/console/policies"
    assert "Done: put in force" in browser.page.text
    assert bench.administration.rules("other")[0].policy == SNP_POLICY.rstrip("\n") or (
        bench.administration.rules("other")[0].policy == SNP_POLICY
    )
    assert bench.rows("rule-put")[-1]["by"] == "test"


def test_two_rules_are_compared(console: ConsoleBench) -> None:
    browser = console.browser(console.bench.admin_key)
    browser.go("/console/policies/1")
    browser.fill("Compare", **{"with": "2"})
    assert "B lets pass nothing that A does not" in browser.page.text
    assert "tighter" in browser.page.text
    assert "+    tcb: {at-least: {genoa: {snp: 200}}}" in browser.page.text


def test_a_comparison_that_takes_too_long_is_left_and_one_reads_no_file(
    plain: ConsoleBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    browser = plain.browser(plain.bench.admin_key)
    browser.go("/console/trial", rule="1")
    monkeypatch.setattr("kbs.http.console.comparing._SECONDS", 0.001)
    browser.fill("Try it")
    assert "takes longer than 30 seconds: attest policy diff A B" in browser.page.text
    (tmp_path / "parent.yaml").write_text(SNP_POLICY)
    extending = f"policy: 1\nname: x\nextends: ['{tmp_path}/parent.yaml']\n"
    _, faults = asyncio.run(compared(SNP_POLICY, extending, plain.bench.clock.now))
    assert faults, "what a policy names is not read from the broker's disk"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"policy": "policy: 1\nname: [", "owner": "acme", "path": "acme/*"}, "the policy does not load"),
        ({"policy": SNP_POLICY, "owner": "acme", "path": "*"}, "a rule's path is"),
        ({"policy": SNP_POLICY, "owner": "Acme", "path": "acme/*"}, "an owner's name is"),
        ({"policy": SNP_POLICY, "owner": "acme", "path": "acme/*", "days": "x"}, "days is a number"),
        ({"policy": SNP_POLICY, "owner": "acme", "path": "acme/*", "days": "0"}, "days"),
    ],
)
def test_what_cannot_be_tried_is_told_and_kept_in_the_form(
    plain: ConsoleBench, given: dict[str, str], says: str
) -> None:
    browser = plain.browser(plain.bench.admin_key)
    browser.go("/console/trial")
    answer = browser.fill("Try it", **given)
    assert 400 <= answer.status_code < 500
    assert says in browser.page.text
    (form,) = [form for form in browser.page.forms if form.action == "/console/trial"]
    assert form.members["policy"] == given["policy"].rstrip("\n") or form.members["policy"] == given["policy"]


# -- consents ---------------------------------------------------------------------------------------


def put_keys(bench: Bench) -> str:
    name = bench.store.read(lambda tx: tx.broker.state().name)
    keys = ConsentKeys(name, "acme", 1, 1, (pem(KEY),), (PathPattern.parse("acme/*"),))
    bench.administration.consents.put("test", seal_envelope("consent", payload_of(keys), KEY))
    return name


def consent(bench: Bench, broker: str, sequence: int = 2) -> bytes:
    digest = bench.administration.consents.in_force("acme", PATH).policies
    said = ReleaseConsent(
        broker,
        "acme",
        sequence,
        ResourcePath.parse(PATH),
        1,
        digest,
        5,
        None,
        bench.clock.now + timedelta(days=3),
    )
    return seal_envelope("consent", payload_of(said), KEY)


def test_a_consent_is_asked_for_shown_before_it_is_put_and_withdrawn_with_the_key(
    plain: ConsoleBench,
) -> None:
    bench = plain.bench
    broker = put_keys(bench)
    browser = plain.browser(key_of(bench, "owner", "acme"))
    browser.go("/console/consents")
    assert "Wanting (1)" in browser.page.text
    browser.follow("What to sign")
    text = browser.page.text
    assert f"kbs consent prepare {PATH} --owner acme" in text
    assert "kbs consent sign consent.json" in text
    assert broker in text
    browser.fill("Read it first", document=consent(bench, broker).decode())
    assert "a release" in browser.page.text
    assert bench.administration.consents.consents() == [], "it was only read"
    browser.fill("Put it in force")
    assert browser.path == "/console/consents"
    assert "Wanting (0)" in browser.page.text
    assert "in force" in browser.page.text
    browser.follow("Withdraw")
    assert browser.fill("Withdraw", key=bench.admin_key).status_code == 403
    assert "not that of owner-" in browser.page.text
    key = key_of(bench, "owner", "acme")
    assert browser.fill("Withdraw", key=key).status_code == 403, "another person's, of the same role"
    assert len(bench.administration.consents.consents()) == 1


def test_what_is_no_signed_document_is_told(plain: ConsoleBench) -> None:
    browser = plain.browser(plain.bench.admin_key)
    for document in ("", "x", "{}", "{", base64.b64encode(b"{}").decode(), "A" * 140_000):
        browser.go("/console/consents")
        answer = browser.fill("Read it first", document=document)
        assert 400 <= answer.status_code < 500, document[:10]


def test_a_consent_that_nobody_signed_is_not_put(plain: ConsoleBench) -> None:
    bench = plain.bench
    broker = put_keys(bench)
    stranger = ed25519.Ed25519PrivateKey.generate()
    forged = seal_envelope("consent", base64.b64decode(_payload(consent(bench, broker))), stranger)
    browser = plain.browser(bench.admin_key)
    browser.go("/console/consents")
    browser.fill("Read it first", document=forged.decode())
    assert browser.fill("Put it in force").status_code == 400
    assert "not accepted" in browser.page.text
    assert bench.administration.consents.consents() == []


def _payload(document: bytes) -> str:
    import json

    return str(json.loads(document)["payload"])


# -- what ends --------------------------------------------------------------------------------------


def test_what_ends_soon_of_every_kind_the_first_first(console: ConsoleBench) -> None:
    bench = console.bench
    until = instant(bench.clock.now + timedelta(days=5))
    policy = SNP_POLICY.replace(
        "require:",
        f'references:\n  images:\n    type: snp.measurement\n    values:\n      - {{value: "{"ab" * 48}", covers: image, name: spring, until: {until[:10]}}}\nrequire:',
    )
    bench.administration.put_rule("test", "acme", "acme/config/*", policy)
    broker = put_keys(bench)
    bench.administration.consents.put("test", consent(bench, broker))
    bench.administration.people.add(ADMINISTRATOR, "guest-auditor", "auditor", (), 2)
    browser = console.browser(bench.admin_key)
    browser.go("/console/expiring")
    text = browser.page.text
    ends = re.findall(r'scope="row" class="time">([^<]+)<', browser.answer.text)
    assert ends == sorted(ends)
    for kind, what in (
        ("principal", "guest-auditor, auditor"),
        ("consent", f"{PATH} version 1"),
        ("reference", "images spring: rule"),
    ):
        assert re.search(rf"{kind}\s*{re.escape(what)}", text), (kind, text)
    browser.go("/console/expiring", days="3650")
    assert "endorsement" in browser.page.text
    operator = console.browser(key_of(bench, "operator"))
    operator.go("/console/expiring", days="3650")
    assert "guest-auditor" in operator.page.text
    assert "acme" not in operator.page.text
    owner = console.browser(key_of(bench, "owner", "other"))
    owner.go("/console/expiring", days="3650")
    assert "Nothing ends" in owner.page.text


def test_an_owner_is_told_of_what_ends_of_his_own_alone(acme: Bench) -> None:
    acme.owner("other", path="other/*")
    ends = Terms(lease_seconds=3600, not_after=acme.clock.now + timedelta(days=2))
    for owner, path in (("acme", "acme/key/leased"), ("other", "other/key/leased")):
        acme.administration.put_secret("test", path, [owner], SECRET, ends)
    guest = acme.guest()
    guest.boot("acme/key/leased")
    guest.http.get("/kbs/v0/resource/other/key/leased")

    def told(owner: str | None) -> set[tuple[str, str, str]]:
        return {(one.kind, one.owner, one.what) for one in acme.administration.expiring.ending(owner, 30)[1]}

    his = {
        ("lease", "acme", "acme/key/leased version 1"),
        ("secret", "acme", "acme/key/leased version 1, by its terms"),
    }
    assert told("acme") == his
    assert told(None) == his | {(kind, "other", what.replace("acme", "other")) for kind, _, what in his}
    acme.clock.pass_seconds(3600)
    assert {kind for kind, _, _ in told("acme")} == {"secret"}
    assert acme.administration.expiring.ending("acme", 1)[1] == [], "two days ahead is not within one"
    with pytest.raises(Refusal, match="1 to 3650 days"):
        acme.administration.expiring.ending(None, 0)


def test_t_acl_a_page_that_asks_what_its_row_does_not_have_fails() -> None:
    visit = Visit(
        cast(Request, None), PAGES["GET", "/console/stops"], cast(Inside, None), "", ADMINISTRATOR, {}, {}
    )
    with pytest.raises(RuntimeError, match="Stops asks GET /rules"):
        asyncio.run(visit.ask("GET", "/rules"))


def test_the_first_page_says_what_needs_attention(console: ConsoleBench) -> None:
    bench = console.bench
    browser = console.browser(bench.admin_key)
    assert browser.path == "/console/"
    assert "1 denied since yesterday" in browser.page.text
    assert "0 stopped" in browser.page.text
    bench.administration.stops.stop(ADMINISTRATOR, "acme", "stolen")
    browser.go("/console/")
    assert "1 stopped" in browser.page.text


# -- acts -------------------------------------------------------------------------------------------


WAITING = approval.Act("DELETE", "/stops", "/stops", "", b"", frozenset(), "")


def members_for(name: str) -> dict[str, str]:
    known = {
        "path": PATH, "version": "1", "rule_id": "1", "owner": "acme", "policy": SNP_POLICY, "number": "1",
        "name": "acme", "digest": WAITING.digest, "kind": "secret", "value": PATH,
        "reason": "x",
    }  # fmt: skip
    act = ACTS[name]
    return {one: known[one] for one in (*act.given, *(act.asked or {}))}


def test_every_act_is_one_that_a_session_alone_may_not_do() -> None:
    assert not {act.door for act in ACTS.values()} & READS


def test_no_act_is_done_without_the_key_of_whoever_is_signed_in(plain: ConsoleBench) -> None:
    """Not on the cookie, not on a key of somebody else, and not on a key that is none."""
    bench = plain.bench
    browser = plain.browser(bench.admin_key)
    other = key_of(bench, "administrator")
    bench.store.write(lambda tx: tx.approvals.ask(WAITING, "ann", bench.clock.now + timedelta(hours=1)))
    before = bench.rows()
    for name, act in ACTS.items():
        members = members_for(name)
        browser.go(f"/console/act/{name}", **{one: members[one] for one in act.given})
        (form,) = [form for form in browser.page.forms if form.action == f"/console/act/{name}"]
        given = {one: value for one, value in {**form.members, **members}.items() if one != "key"}
        for key, status in ((None, 200), ("", 401), ("kbsadm_" + "A" * 43, 401), (other, 403)):
            answer = browser.post(form.action, given if key is None else {**given, "key": key})
            assert answer.status_code == status, (name, browser.page.text)
            assert not key or key not in answer.text
    assert bench.rows() == before


def test_every_act_asks_its_route_with_what_the_page_named(plain: ConsoleBench) -> None:
    bench = plain.bench
    bench.administration.people.add(ADMINISTRATOR, "acme", "auditor", (), None)
    bench.administration.consents.put("test", consent(bench, put_keys(bench)))
    browser = plain.browser(bench.admin_key)
    events = {
        "withdraw-consent": "consent-withdrawn",
        "disable-version": "version-disabled",
        "enable-version": "version-enabled",
        "disable-rule": "rule-disabled",
        "enable-rule": "rule-enabled",
        "put-rule": "rule-put",
        "stop-owner": "stopped",
        "lift-stop-of-owner": "stop-lifted",
        "stop-everything": "stopped",
        "lift-stop-of-everything": "stop-lifted",
        "revoke": "revoked",
        "lift-revocation": "revocation-lifted",
        "disable-owner": "owner-disabled",
        "enable-owner": "owner-enabled",
        "remove-principal": "principal-removed",
        "destroy-version": "version-destroyed",
        "delete-secret": "secret-deleted",
        "delete-rule": "rule-deleted",
    }
    assert {*events, "agree", "refuse"} == set(ACTS)
    for name, event in events.items():
        members, act = members_for(name), ACTS[name]
        browser.go(f"/console/act/{name}", **{one: members[one] for one in act.given})
        asked = {one: members[one] for one in act.asked or {}}
        answer = browser.fill(act.button, key=bench.admin_key, **asked)
        assert answer.status_code == 200, (name, browser.page.text)
        assert browser.path == f"/console{act.back}"
        assert f"Done: {act.button.lower()}" in browser.page.text
        row = bench.rows()[-1]
        assert (row["by"], row["event"]) == ("test", event)


def test_t_acl_an_act_that_the_role_may_not_do_has_no_page(plain: ConsoleBench) -> None:
    browser = plain.browser(key_of(plain.bench, "auditor"))
    for name in ACTS:
        assert browser.go(f"/console/act/{name}", **members_for(name)).status_code == 404
    assert browser.go("/console/act/nothing").status_code == 404


def test_t_collude_with_four_eyes_the_act_waits_and_another_agrees_on_a_page(plain: ConsoleBench) -> None:
    bench = plain.bench
    bench.administration = Administration(bench.store, bench.keys, Clock(bench.clock), four_eyes=True)
    second = ConsoleBench(bench)
    ann, bob = key_of(bench, "administrator"), key_of(bench, "administrator")
    asks, agrees = second.browser(ann), second.browser(bob)
    asks.go("/console/act/destroy-version", path=PATH, version="1")
    assert "Another person must agree" in asks.page.text
    asks.fill("Destroy", key=ann)
    assert "It waits for another person" in asks.page.text
    assert not bench.administration.versions(PATH)[0].destroyed
    asks.go("/console/approvals")
    assert "Agree" not in [said for said, _ in asks.page.links], "nobody agrees with himself"
    agrees.go("/console/approvals")
    assert f"DELETE /secrets/{PATH}/versions/1" in agrees.page.text
    digest = bench.administration.approvals.waiting(ADMINISTRATOR)[0].digest
    for forged in ({"request": "GET /owners"}, {"by": "somebody else"}):
        agrees.go("/console/act/agree", digest=digest, **forged)
        assert f"DELETE /secrets/{PATH}/versions/1" in agrees.page.text, "what is read is what is agreed to"
        assert next(iter(forged.values())) not in agrees.page.text
    assert agrees.go("/console/act/agree", digest="0" * 64).status_code == 404
    agrees.go("/console/approvals")
    agrees.follow("Agree")
    agrees.fill("Agree", key=bob)
    assert "agreed" in agrees.page.text
    asks.go("/console/act/destroy-version", path=PATH, version="1")
    asks.fill("Destroy", key=ann)
    assert asks.path == "/console/secrets"
    assert bench.administration.versions(PATH)[0].destroyed


def test_an_act_that_was_asked_on_a_page_is_the_one_that_the_command_asks(plain: ConsoleBench) -> None:
    """The same digest, so that agreements to it are the same."""
    bench = plain.bench
    bench.administration = Administration(bench.store, bench.keys, Clock(bench.clock), four_eyes=True)
    browser = ConsoleBench(bench).browser(bench.admin_key)
    for name, path, body in (
        ("delete-rule", "rules/1", None),
        ("disable-owner", "owners/acme", {"enabled": False}),
    ):
        members = members_for(name)
        browser.go(f"/console/act/{name}", **members)
        browser.fill(ACTS[name].button, key=bench.admin_key)
        waiting = {one.digest for one in bench.administration.approvals.waiting(ADMINISTRATOR)}
        method = ACTS[name].door[0]
        request: dict[str, Any] = {} if body is None else {"json": body}
        bench.__dict__.pop("app", None)
        assert bench.admin(method, path, **request).status_code == 409
        assert {one.digest for one in bench.administration.approvals.waiting(ADMINISTRATOR)} == waiting


def test_whoever_is_removed_is_signed_out(plain: ConsoleBench) -> None:
    bench = plain.bench
    other = plain.browser(key_of(bench, "auditor"))
    (name,) = [one.name for one in bench.administration.people.all() if one.role == "auditor"]
    browser = plain.browser(bench.admin_key)
    browser.go("/console/act/remove-principal", name=name)
    browser.fill("Remove", key=bench.admin_key)
    other.go("/console/releases")
    assert other.path == "/console/sign-in"


def test_pages_that_are_not_there_say_so_in_their_own_form(plain: ConsoleBench) -> None:
    browser = Browser(plain.app)
    for path in ("/console/nothing", "/console", "/console/secrets/a/b/c/d"):
        assert browser.http.get(f"{HOME}{path}").status_code == 404
