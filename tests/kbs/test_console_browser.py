"""The console in a real browser: without JavaScript, by keyboard, under its own policy, while it shows what means harm.

Needs Debian's Chromium. Pictures are left in build/screens.
"""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from attest import Endorsements
from attest.simulator import Simulator
from kbs.administration import Administration
from kbs.broker import Settings
from kbs.clock import Clock
from kbs.http.app import create_app
from kbs.store.address import SqliteFile
from tests.conftest import ROOT
from tests.kbs.conftest import ADMINISTRATOR, PATH, SNP_POLICY, Bench, make_bench
from tests.kbs.console import LIFE
from tests.kbs.test_console_hostile import write_hostile
from tests.kbs.test_console_pages import OTHER, TIGHTER, consent, put_keys, session_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page

CHROMIUM = shutil.which("chromium")
SCREENS = ROOT / "build" / "screens"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium"),
    pytest.mark.xdist_group("chromium"),
]


@dataclass
class Served:
    bench: Bench
    url: str


def fill(bench: Bench) -> None:
    """A broker that was used for a while."""
    bench.owner("acme")
    bench.secret("acme")
    bench.secret("acme", path="acme/key/adapter")
    bench.owner("other", policy=TIGHTER, path="other/*")
    bench.secret("other", path=OTHER)
    guest = bench.guest()
    guest.boot(PATH)
    guest.http.get(f"/kbs/v0/resource/{OTHER}")
    administration = bench.administration
    administration.people.add(ADMINISTRATOR, "ann", "owner", ("acme",), 3)
    administration.people.add(ADMINISTRATOR, "audit-2040", "auditor", (), 20)
    administration.stops.revoke(ADMINISTRATOR, "platform", "ab" * 32, "sold, and not ours any more")
    broker = put_keys(bench)
    administration.consents.put("test", consent(bench, broker))


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
    simulator: Simulator,
    endorsements: Endorsements,
    empty_file: bytes,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("console")
    file = folder / "broker.db"
    file.write_bytes(empty_file)
    made = make_bench(folder, simulator, endorsements, SqliteFile(file), Settings())
    bench = next(made)
    bench.administration = Administration(
        bench.store, bench.keys, Clock(bench.clock), collateral=bench.collateral
    )
    fill(bench)
    app = create_app(bench.broker, bench.administration, bench.store, console=LIFE)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield Served(bench, f"http://127.0.0.1:{listening.getsockname()[1]}")
    server.should_exit = True
    thread.join()
    next(made, None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_page(chromium: Browser, served: Served, **options: Any) -> Page:
    context = chromium.new_context(
        base_url=served.url,
        **{"java_script_enabled": False, "viewport": {"width": 1180, "height": 760}, **options},
    )
    context.set_default_timeout(5000)
    return context.new_page()


def sign_in(page: Page, key: str) -> None:
    page.goto("/console/sign-in")
    page.get_by_label("Administration key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def picture(page: Page, name: str, *, whole: bool = True) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}.png", full_page=whole)


def test_a_whole_visit_without_javascript(chromium: Browser, served: Served) -> None:
    """From signing in to an act, by what a person sees: headings, labels and links."""
    page = open_page(chromium, served)
    page.goto("/console/")
    picture(page, "sign-in")
    sign_in(page, served.bench.admin_key)
    assert page.get_by_role("heading", level=1).inner_text() == "What needs attention"
    picture(page, "start", whole=False)
    page.get_by_role("link", name="Releases").click()
    page.get_by_label("Event").select_option("release-denied")
    page.get_by_role("button", name="Search").click()
    picture(page, "releases-denied")
    page.get_by_role("link", name="Explain row").first.click()
    assert page.get_by_text("SNP firmware is too old").first.is_visible()
    picture(page, "why", whole=False)
    page.goto(f"/console/why/{session_of(served.bench)}")
    picture(page, "session")
    for link in ("Releases", "Policies", "Consents", "Ends soon", "Stops", "People"):
        page.get_by_role("navigation", name="Pages").get_by_role("link", name=link).click()
        picture(page, link.lower().replace(" ", "-"))
    page.goto("/console/policies/2")
    page.get_by_role("link", name="Change it").click()
    page.get_by_label("Policy").fill(SNP_POLICY)
    page.get_by_role("button", name="Try it").click()
    assert page.get_by_text("B lets pass what A does not").is_visible()
    picture(page, "trial")
    page.get_by_role("button", name="Put it in force").click()
    picture(page, "act")
    page.get_by_label("Your administration key").fill("kbsadm_nothing")
    page.get_by_role("button", name="Put in force").click()
    assert page.get_by_role("alert").is_visible()
    picture(page, "act-refused")
    page.goto("/console/consents/sign?owner=acme&path=acme/key/adapter")
    picture(page, "sign")
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
    page.goto("/console/releases")
    assert page.url.endswith("/console/sign-in")


PAGES = (
    "/console/", "/console/releases", "/console/policies/1?with=2", "/console/trial?rule=1", "/console/consents",
    f"/console/secrets/{PATH}", "/console/stops", "/console/act/revoke",
)  # fmt: skip


def test_every_page_is_accessible(chromium: Browser, served: Served) -> None:
    """axe finds nothing: labels, headings, landmarks, contrast; the latter in the dark too, where all else is the same. It is
    JavaScript, so here it is let run, past the policy that forbids it."""
    import axe_playwright_python

    axe = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
    page = open_page(chromium, served, java_script_enabled=True, bypass_csp=True)
    page.goto("/console/sign-in")
    found: dict[str, Any] = {"/console/sign-in": violations(page, axe)}
    sign_in(page, served.bench.admin_key)
    session = f"/console/why/{session_of(served.bench)}"
    for path in (*PAGES, session):
        page.goto(path)
        found[path] = violations(page, axe)
    page.emulate_media(color_scheme="dark")
    for path in ("/console/", "/console/policies/1?with=2", session):
        page.goto(path)
        found[f"{path} in the dark"] = violations(page, axe, "color-contrast")
        picture(page, f"dark-{path.split('/')[2].partition('?')[0] or 'start'}")
    assert {path: one for path, one in found.items() if one} == {}
    page.evaluate("document.querySelector('h1').style.color = '#333'")
    assert violations(page, axe, "color-contrast"), "it would be found"


def violations(page: Page, axe: str, *rules: str) -> list[str]:
    """rules: only these."""
    page.evaluate(axe)
    found = page.evaluate(
        "async only => (await axe.run(document, {resultTypes: ['violations'], ...(only.length ? {runOnly: only} : {})})).violations"
        ".flatMap(v => v.nodes.map(n => v.id + ': ' + n.html.slice(0, 160) + ' ' + n.failureSummary))",
        list(rules),
    )
    return [str(one) for one in found]


def test_it_is_used_by_keyboard_alone_and_fits_a_narrow_screen(chromium: Browser, served: Served) -> None:
    page = open_page(chromium, served, viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto("/console/sign-in")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(served.bench.admin_key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the page"
    picture(page, "narrow-focus")
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    for path in ("/console/releases", "/console/trial?rule=1", f"/console/why/{session_of(served.bench)}"):
        page.goto(path)
        box = page.locator("body").bounding_box()
        assert box is not None
        assert box["width"] <= 390
        picture(page, f"narrow-{path.split('/')[2].partition('?')[0]}")


def test_t_render_nothing_runs_and_nothing_is_asked_elsewhere_while_what_means_harm_is_shown(
    chromium: Browser, served: Served
) -> None:
    """With JavaScript on, so that what got through would run."""
    bench = served.bench
    sessions = write_hostile(bench)
    page = open_page(chromium, served, java_script_enabled=True)
    asked: list[str] = []
    ran: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def opened(dialog: Dialog) -> None:
        ran.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", opened)
    sign_in(page, bench.admin_key)
    for path in (
        "/console/", "/console/releases", f"/console/releases?text={'%3Cscript%3Ealert(1)%3C/script%3E'}",
        "/console/stops", f"/console/why/{sessions['image']}",
    ):  # fmt: skip
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200
        assert page.locator("script,img,iframe,object,base,[onerror],[onclick]").count() == 0
    picture(page, "hostile-why")
    page.goto("/console/releases")
    picture(page, "hostile-releases")
    assert ran == []
    assert {url for url in asked if not url.startswith(served.url)} == set()
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s) }"
    )
    assert page.evaluate("window.ran") is None, "the policy stops what escaping would have missed"
    assert "Content Security Policy" in " ".join(refused)
