"""The corpus of hostile strings through what the broker shows: pages, the file for spreadsheets, commands, logs (T-RENDER)."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
import structlog

from kbs.cli.audit import _show
from kbs.http.console.escaping import address, carried, cell, lines, shown, visible
from kbs.http.console.pages import PAGES
from kbs.logs import to_stderr
from tests.hostile import HOSTILE, plain, require_harmless
from tests.kbs.conftest import ADMINISTRATOR, PATH, SNP_POLICY, Bench
from tests.kbs.console import ConsoleBench, Reading

_NAMES = (
    "by", "tee", "cause", "request", "revoked", "principal", "policy", "key", "protocol", "claims", "endorsements", "evidence",
)  # fmt: skip


def comments() -> str:
    """Those that YAML takes in a comment, in one."""
    taken = [text for text in HOSTILE.values() if not set(text) & set("\x00\x07\x1b\x9b\r\n\x85\u2028\ufeff")]
    return "".join(f"# {text[:300]}\n" for text in taken)


def write_hostile(bench: Bench) -> dict[str, str]:
    """Each string wherever a row, a reason and a policy can hold one; name → the session that its rows name."""
    sessions = {name: f"{number:064x}" for number, name in enumerate(HOSTILE)}
    for name, text in HOSTILE.items():
        problem = dict.fromkeys(("message", "code", "where", "expected", "found", "remedy"), text)
        common = {"at": "2040-11-23T12:00:00Z", "session": sessions[name], "reason": None}
        rows: list[dict[str, Any]] = [
            {**common, "event": "attested", **dict.fromkeys(_NAMES, text), "platforms": [text], "warnings": [problem]},
            {**common, "event": "release-denied", "resource": PATH, "owner": text, "problems": [problem]},
            {**common, "event": text, "path": text, "reason-given": text, "version": text, "owners": [text], "session": text},
        ]  # fmt: skip
        bench.store.write(lambda tx, rows=rows: [tx.audit.append(row) for row in rows])  # type: ignore[misc]
        bench.administration.stops.revoke(ADMINISTRATOR, "token", f"t-{name}", text[:500])
    reason = HOSTILE["image"] + HOSTILE["script"] + HOSTILE["base"] + HOSTILE["terminal"] + HOSTILE["bidi"]
    bench.administration.stops.stop(ADMINISTRATOR, "acme", reason)
    bench.administration.put_rule("test", "acme", "acme/config/*", comments() + SNP_POLICY)
    return sessions


def test_t_render_no_page_shows_harm_as_it_is(acme: Bench) -> None:
    """Every page, and each answer to a form, with every string of the corpus in everything that can hold it."""
    sessions = write_hostile(acme)
    browser = ConsoleBench(acme).browser(acme.admin_key)
    pages = {
        "/console/", "/console/releases", "/console/stops", "/console/policies", "/console/policies/2",
        "/console/policies/2?with=1", "/console/trial?rule=2", "/console/act/stop-owner?owner=acme",
        *(f"/console/why/{session}" for session in sessions.values()),
    }  # fmt: skip
    assert {page.partition("?")[0].rpartition("/")[0] for page in pages} <= {
        path.rpartition("/")[0] for _, path in PAGES
    }
    whole = ""
    for page in sorted(pages):
        answer = browser.go(page)
        assert answer.status_code == 200, page
        require_harmless(answer.text)
        whole += browser.page.text
    assert browser.go("/console/releases", before="60").status_code == 200
    require_harmless(browser.answer.text)
    for name, text in HOSTILE.items():
        seen = visible(text)[:60]
        assert seen.split("\n")[0].strip() in whole, f"{name} is not shown at all, so nothing was tried"


def test_t_render_what_is_sent_to_a_page_comes_back_harmless(acme: Bench) -> None:
    browser = ConsoleBench(acme).browser(acme.admin_key)
    found: list[Reading] = []
    for name in ("trial", "consents", "act/revoke"):
        browser.go(f"/console/{name}")
        found.append(browser.page)
    trial, consents, revoke = found

    def fill(page: Reading, button: str, **members: str) -> None:
        browser.page = page
        browser.fill(button, **members)
        require_harmless(browser.answer.text)

    for text in (text[:2000] for text in HOSTILE.values()):
        for path, members in (
            ("releases", ("text", "event", "owner", "path", "before")), ("consents/sign", ("owner", "path")),
            ("expiring", ("days",)), ("stops", ("done",)), ("policies/1", ("with",)),
        ):  # fmt: skip
            browser.go(f"/console/{path}", **dict.fromkeys(members, text))
            require_harmless(browser.answer.text)
        fill(trial, "Try it", owner=text, path=text, days=text, policy=text)
        fill(consents, "Read it first", document=text)
        browser.go("/console/act/agree", digest=text)
        require_harmless(browser.answer.text)
        fill(revoke, "Revoke", kind=text, value=text, reason=text, key="no key")
        browser.post("/console/sign-in", {"key": text})
        require_harmless(browser.answer.text)
    fill(trial, "Try it", owner="acme", path="acme/*", policy=SNP_POLICY + comments())
    assert "No difference in meaning" in browser.page.text


def test_t_render_no_cell_of_the_file_is_a_formula_or_hides_something(acme: Bench) -> None:
    write_hostile(acme)
    browser = ConsoleBench(acme).browser(acme.admin_key)
    text = browser.go("/console/releases.csv").text
    assert plain(text, "\r\n")
    read = list(csv.reader(io.StringIO(text)))
    assert {len(row) for row in read} == {9}
    assert len(read) == 1 + len(acme.rows()), "no string ends a row or begins another"
    for value in (value for row in read for value in row):
        assert value[:1] not in ("=", "+", "-", "@", "\t", "\r"), value
    assert any(value.startswith("'=HYPERLINK") for row in read for value in row)


def test_t_render_the_command_shows_rows_of_others_escaped(
    acme: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    write_hostile(acme)
    answer = acme.admin("GET", "audit", params={"limit": 1000})
    _show(answer.json())
    out = capsys.readouterr().out
    assert plain(out), [char for char in out if not plain(char)][:9]


@pytest.mark.parametrize("form", ["json", "text"])
def test_t_render_a_log_line_stays_one_line(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    to_stderr(form, "info")  # type: ignore[arg-type]
    log = structlog.get_logger("kbs.test")
    for name, text in HOSTILE.items():
        log.error("refused", name=name, cause=text)
    out = capfd.readouterr().err
    lines_of = out.splitlines()
    assert len(out.strip("\n").split("\n")) == len(HOSTILE), lines_of[:3]
    if form == "json":
        assert [json.loads(line)["name"] for line in out.strip("\n").split("\n")] == list(HOSTILE)


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_t_render_each_piece_of_escaping_alone(name: str) -> None:
    text = HOSTILE[name]
    assert plain(visible(text), "")
    assert plain(str(shown(text)), "")
    assert all(plain(line, "") for line in lines(text))
    assert plain(cell(text), "")
    assert cell(text)[:1] not in tuple("=+-@")
    kept = carried(text)
    assert kept is None or (plain(kept, "\n\t") and not set("<>\"'") & set(kept))
    to = address("/console/why/{}", text, path=text)
    assert to.isascii()
    assert not set("<>\"' \n") & set(to)
    assert to.startswith("/console/why/")
    assert "/" not in to.removeprefix("/console/why/").partition("?")[0]
