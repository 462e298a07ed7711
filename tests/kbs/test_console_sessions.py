"""Signing in to the console and out, and what stands around every page of it (T-COOKIE, T-RENDER, T-ACL)."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute

from kbs.access import DOORS, Role, Subject
from kbs.administration import Administration
from kbs.clock import Clock
from kbs.config import InvalidConfig, read_config
from kbs.domain import hashed
from kbs.http.bare import bare
from kbs.http.console import open_console
from kbs.http.console.guard import COOKIE, HEADERS, POLICY
from kbs.http.console.inside import READS, Inside, by_session
from kbs.http.console.pages import PAGES
from kbs.refusals import Refusal
from kbs.sign_in import SignIn
from tests.kbs.conftest import ADMINISTRATOR, PATH, Bench
from tests.kbs.console import HOME, LIFE, Browser, ConsoleBench
from tests.kbs.test_access import key_of
from tests.kbs.test_sign_in import CLAIMS, CORP, ONE, Had, token


@pytest.fixture
def console(acme: Bench) -> ConsoleBench:
    return ConsoleBench(acme)


def cookie_of(browser: Browser) -> str:
    return browser.http.cookies[COOKIE]


def sessions(bench: Bench) -> list[bytes]:
    return [bytes(row[0]) for row in bench.sql("SELECT id FROM console_sessions ORDER BY created, id")]


def test_there_is_no_console_unless_the_configuration_says_so(acme: Bench) -> None:
    assert acme.http().get("/console/sign-in").status_code == 404


def test_t_acl_the_routes_of_the_console_are_those_of_its_table_and_ask_what_the_door_has(
    acme: Bench,
) -> None:
    app = bare()
    open_console(app, acme.administration, acme.store, LIFE)
    found = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert found == set(PAGES)
    assert {door for page in PAGES.values() for door in page.asks} <= set(DOORS)


def test_t_cookie_it_is_of_this_host_alone_no_script_reads_it_and_only_its_hash_is_kept(
    console: ConsoleBench,
) -> None:
    browser = console.browser()
    browser.go("/console/sign-in")
    answer = browser.http.post(
        f"{HOME}/console/sign-in",
        data={"key": console.bench.admin_key},
        headers={"sec-fetch-site": "same-origin"},
        follow_redirects=False,
    )
    said = answer.headers["set-cookie"]
    assert said.startswith(f"{COOKIE}=")
    assert COOKIE.startswith("__Host-")
    flags = {part.strip().lower() for part in said.split(";")[1:]}
    assert flags == {
        "httponly",
        "secure",
        "samesite=strict",
        "path=/",
        f"max-age={int(LIFE.total_seconds())}",
    }
    token = cookie_of(browser)
    assert len(token) == 43, "256 bits"
    assert sessions(console.bench) == [hashed(token)]
    assert token not in console.bench.address.path.read_bytes().decode("latin-1")  # type: ignore[union-attr]


def test_t_cookie_signing_in_makes_a_new_one_and_ends_the_one_before(console: ConsoleBench) -> None:
    browser = console.browser()
    browser.http.cookies.set(COOKIE, "planted", domain="kbs.example")
    browser.sign_in(console.bench.admin_key)
    first = cookie_of(browser)
    assert first != "planted"
    browser.sign_in(console.bench.admin_key)
    second = cookie_of(browser)
    assert second != first
    assert sessions(console.bench) == [hashed(second)]


def test_t_cookie_two_of_them_say_nothing(console: ConsoleBench) -> None:
    browser = console.browser(console.bench.admin_key)
    twice = f"{COOKIE}={cookie_of(browser)}; {COOKIE}=planted"
    bare_browser = Browser(console.app)
    bare_browser.http.get(f"{HOME}/console/releases", headers={"cookie": twice})
    answer = bare_browser.http.get(
        f"{HOME}/console/releases", headers={"cookie": twice}, follow_redirects=False
    )
    assert answer.headers["location"] == "/console/sign-in"


@pytest.mark.parametrize("how", ["out", "time", "removed", "ended", "made again"])
def test_t_cookie_a_session_ends(console: ConsoleBench, how: str) -> None:
    bench = console.bench
    key = key_of(bench, "auditor", days=1)
    (name,) = [one.name for one in bench.administration.people.all() if one.role == "auditor"]
    if how == "ended":
        bench.clock.pass_seconds(24 * 3600 - 60)
    browser = console.browser(key)
    token = cookie_of(browser)
    assert browser.path == "/console/"
    match how:
        case "out":
            browser.fill("Sign out")
            assert COOKIE not in browser.http.cookies
            assert sessions(bench) == []
            browser.http.cookies.set(COOKIE, token, domain="kbs.example")
        case "time":
            bench.clock.pass_seconds(int(LIFE.total_seconds()))
        case "ended":
            bench.clock.pass_seconds(60)
        case _:
            bench.administration.people.remove(ADMINISTRATOR, name)
            if how == "made again":
                bench.administration.people.add(ADMINISTRATOR, name, "auditor", (), None)
    browser.go("/console/releases")
    assert browser.path == "/console/sign-in"


def test_what_is_no_key_signs_nobody_in(console: ConsoleBench) -> None:
    browser = console.browser()
    for key in ("", "kbsadm_", "kbsadm_" + "A" * 43, "x" * 5000, console.bench.admin_key[:-1]):
        browser.go("/console/sign-in")
        answer = browser.fill("Sign in", key=key)
        assert answer.status_code == 401
        assert "no key of anybody" in browser.page.text
        assert COOKIE not in browser.http.cookies
        assert len(key) < 10 or key not in answer.text
    assert console.bench.rows("console-entered") == []


def test_signing_in_is_in_the_trail_and_the_key_is_not(console: ConsoleBench) -> None:
    console.browser(console.bench.admin_key)
    (row,) = console.bench.rows("console-entered")
    assert row["by"] == "test"
    assert console.bench.admin_key not in str(console.bench.rows())


def test_every_page_needs_a_session_but_those_of_strangers(console: ConsoleBench) -> None:
    browser = console.browser()
    for (method, path), page in PAGES.items():
        filled = re.sub(r"\{[a-z_]+\}", "0", path)
        answer = browser.http.request(
            method, f"{HOME}{filled}", headers={"sec-fetch-site": "same-origin"}, follow_redirects=False
        )
        away = answer.status_code == 303 and answer.headers["location"] == "/console/sign-in"
        assert away is not page.strangers, path


def test_t_render_every_answer_carries_the_policy_and_no_page_a_script(console: ConsoleBench) -> None:
    browser = console.browser(console.bench.admin_key)
    for (method, path), page in PAGES.items():
        filled = re.sub(r"\{[a-z_]+\}", "0", path)
        answer = browser.http.request(
            method, f"{HOME}{filled}", headers={"sec-fetch-site": "same-origin"}, follow_redirects=False
        )
        for name, value in HEADERS.items():
            if (name, page.title) != ("cache-control", "style"):
                assert answer.headers[name] == value, (path, name)
        assert "<script" not in answer.text
        assert "style=" not in answer.text
        assert " on" not in re.sub(r">[^<]*<", "><", answer.text) or not re.search(
            r"<[^>]* on[a-z]+=", answer.text
        )
    assert POLICY.startswith("default-src 'none'; style-src 'self'; form-action 'self'")
    assert "script" not in POLICY


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site", "origin": HOME}, False),
        ({"origin": HOME}, True),
        ({"origin": "null"}, False),
        ({"origin": "https://evil.example"}, False),
        ({}, False),
    ],
)
def test_a_form_counts_only_from_a_page_of_ours(
    console: ConsoleBench, headers: dict[str, str], taken: bool
) -> None:
    browser = console.browser(console.bench.admin_key)
    ((form, _),) = [
        (form, own) for form in browser.page.forms for said, own in form.buttons if said == "Sign out"
    ]
    answer = browser.http.post(
        f"{HOME}{form.action}", data=form.members, headers=headers, follow_redirects=False
    )
    assert (answer.status_code == 303) is taken
    assert (sessions(console.bench) == []) is taken
    strange = console.browser().http.post(
        f"{HOME}/console/sign-in",
        data={"key": console.bench.admin_key},
        headers=headers,
        follow_redirects=False,
    )
    assert (strange.status_code == 303) is taken, "nobody is signed in by another's form either"


@pytest.mark.parametrize("form", [None, "", "0" * 64, "of another"])
def test_a_form_counts_only_from_its_own_session(console: ConsoleBench, form: str | None) -> None:
    other = console.browser(console.bench.admin_key)
    members = {} if form is None else {"form": form}
    if form == "of another":
        members = other.page.forms[0].members
    browser = console.browser(console.bench.admin_key)
    assert browser.post("/console/sign-out", members).status_code == 403
    assert hashed(cookie_of(browser)) in sessions(console.bench)


@pytest.mark.parametrize(
    "body", [b"form=a&form=b", b"form=%ff", b"\xff", b"&".join(b"a%d=" % n for n in range(65))]
)
def test_t_canon_a_form_that_two_readers_read_otherwise_is_none(console: ConsoleBench, body: bytes) -> None:
    browser = console.browser(console.bench.admin_key)
    answer = browser.http.post(
        f"{HOME}/console/sign-out",
        content=body,
        headers={"sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 400
    assert "<h1>Bad Request</h1>" in answer.text


def test_a_session_is_no_key(console: ConsoleBench) -> None:
    """It means nothing at the administrators' door, and asks there for nothing that changes something."""
    token = cookie_of(console.browser(console.bench.admin_key))
    for scheme in ("Bearer", "Console"):
        answer = console.bench.http().get(
            "/admin/v1/owners",
            headers={"authorization": f"{scheme} {token}", "cookie": f"{COOKIE}={token}"},
        )
        assert answer.status_code == 401
    assert {method for method, _ in READS} == {"GET", "POST"}
    assert {door for door in READS if door[0] == "POST"} == {
        ("POST", "/rules/dry-run"),
        ("POST", "/consents"),
    }


def test_a_session_alone_changes_nothing_whatever_a_page_asks_in_its_name(console: ConsoleBench) -> None:
    bench = console.bench
    token = cookie_of(console.browser(bench.admin_key))
    inside = Inside(bench.administration, bench.store)
    before = bench.rows()
    names = dict.fromkeys(
        ("rule_id", "name", "version", "number", "digest", "repository", "kind", "tag"), "1"
    )
    refused = {door for door in DOORS if door not in READS}
    assert len(refused) > 20
    for door in refused:
        with pytest.raises(Refusal) as refusal:
            asyncio.run(inside.ask(by_session(token), door, names, None, {}))
        assert (refusal.value.status, "needs the key" in refusal.value.detail) == (403, True), door
    assert bench.rows() == before


def test_somebody_of_an_identity_provider_signs_in_with_a_token_and_acts_with_one(acme: Bench) -> None:
    sign_in = SignIn([(CORP, Had(ONE))])
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), sign_in=sign_in)
    people = acme.administration.people
    people.add(ADMINISTRATOR, "ann", "administrator", (), None, Subject("corp", "ann"))
    people.add(ADMINISTRATOR, "bob", "administrator", (), None, Subject("corp", "bob"))
    console = ConsoleBench(acme)
    browser = console.browser(token())
    assert "ann, administrator" in browser.page.text
    browser.go("/console/act/disable-rule", rule_id="1")
    assert browser.fill("Disable", key=token({**CLAIMS, "sub": "bob"})).status_code == 403
    assert browser.fill("Disable", key=token({**CLAIMS, "exp": CLAIMS["iat"] - 90})).status_code == 401
    assert acme.rows("rule-disabled") == []
    browser.fill("Disable", key=token())
    assert [row["by"] for row in acme.rows("rule-disabled")] == ["ann"]
    people.remove(ADMINISTRATOR, "ann")
    browser.go("/console/")
    assert browser.path == "/console/sign-in"
    assert console.browser(token({**CLAIMS, "sub": "bob"})).path == "/console/"


def test_a_session_is_of_every_replica(console: ConsoleBench) -> None:
    token = cookie_of(console.browser(console.bench.admin_key))
    another = ConsoleBench(console.bench).browser()
    another.http.cookies.set(COOKIE, token, domain="kbs.example")
    another.go("/console/")
    assert another.path == "/console/"


def test_the_configuration_says_whether_there_is_a_console_and_for_how_long(tmp_path: Path) -> None:
    for text, minutes in ((b"", None), (b"console: {session-minutes: 5}\n", 5)):
        section = read_config(b"state: .\n" + text, tmp_path / "kbs.yaml").console
        assert (None if section is None else section.session_minutes) == minutes
    for text in (b"console: {session-minutes: 0}", b"console: {session-minutes: 481}", b"console: {key: x}"):
        with pytest.raises(InvalidConfig, match="console"):
            read_config(b"state: .\n" + text, tmp_path / "kbs.yaml")


@pytest.mark.parametrize("role", ["administrator", "auditor", "operator", "owner"])
def test_t_acl_a_page_shows_what_the_role_may_read_and_no_more(console: ConsoleBench, role: Role) -> None:
    bench = console.bench
    bench.owner("other", path="other/*")
    bench.secret("other", path="other/key/a")
    browser = console.browser(key_of(bench, role, *(["acme"] if role == "owner" else [])))
    answer = browser.go("/console/releases")
    if role == "operator":
        assert answer.status_code == 403
        assert "Releases" not in [said for said, _ in browser.page.links]
        return
    assert PATH in browser.page.text
    assert ("other/key/a" in browser.page.text) is (role != "owner")
    if role == "owner":
        assert browser.go("/console/releases", owner="other").status_code == 403
        assert browser.go("/console/releases.csv", owner="other").status_code == 403


def test_rows_are_searched_and_paged_newest_first(console: ConsoleBench) -> None:
    bench = console.bench
    for number in range(60):
        bench.administration.stops.revoke(ADMINISTRATOR, "secret", f"acme/key/{number}", "x")
    browser = console.browser(bench.admin_key)
    browser.go("/console/releases")
    numbers = [int(n) for n in re.findall(r'class="number">(\d+)<', browser.answer.text)]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 50
    browser.follow("Older")
    older = [int(n) for n in re.findall(r'class="number">(\d+)<', browser.answer.text)]
    assert older == list(range(numbers[-1] - 1, 0, -1))
    browser.follow("Newest")
    browser.fill("Search", event="secret-put")
    assert "secret-put" in browser.page.text
    assert re.findall(r'class="number">(\d+)<', browser.answer.text) == ["3"]
    browser.fill("Search", event="", text="acme/key/59")
    assert len(re.findall(r'class="number">', browser.answer.text)) == 1
    browser.fill("Search", text="nothing says this")
    assert "No row holds all of that" in browser.page.text


def test_t_dos_keys_are_not_tried_without_end_at_the_console_either(acme: Bench) -> None:
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), wrong_keys_a_minute=3)
    console = ConsoleBench(acme)
    reader = console.browser(acme.admin_key)
    browser = console.browser()
    tried = [browser.sign_in("kbsadm_" + "A" * 43).status_code for _ in range(2)]
    reader.go("/console/stops")
    reader.follow("Stop everything")
    wrong = reader.fill("Stop everything", reason="x", key="kbsadm_" + "A" * 43).status_code
    assert ([*tried, wrong], acme.rows("stopped")) == ([401, 401, 401], [])
    assert browser.sign_in(acme.admin_key).status_code == 429
    reader.go("/console/stops")
    reader.follow("Stop everything")
    assert reader.fill("Stop everything", reason="x", key=acme.admin_key).status_code == 429
    assert acme.rows("stopped") == []
    assert reader.go("/console/").status_code == 200, "whoever reads tries no key"


def test_a_session_lasts_as_long_as_the_key_that_began_it(console: ConsoleBench) -> None:
    key = key_of(console.bench, "auditor")
    people = console.bench.administration.people
    browser = console.browser(key)
    people.rotate(ADMINISTRATOR, "auditor-1", 60)
    assert browser.go("/console/").status_code == 200
    assert browser.path == "/console/"
    other = console.browser(key)
    assert other.go("/console/").status_code == 200
    console.bench.clock.pass_seconds(60)
    for one in (browser, other):
        one.go("/console/")
        assert one.path == "/console/sign-in"
