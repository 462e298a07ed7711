"""A browser without scripts, in this process: it keeps cookies, follows where it is sent, and fills in forms by their labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

from kbs.http.app import create_app
from kbs.http.console.guard import COOKIE
from tests.kbs.conftest import Bench, TestClient

HOME = "https://kbs.example"
OWN = {"sec-fetch-site": "same-origin"}
LIFE = timedelta(minutes=30)


@dataclass
class Form:
    method: str
    action: str
    members: dict[str, str]
    buttons: list[tuple[str, dict[str, str]]]


class Reading(HTMLParser):
    """What of a page a person reads, and its links and forms."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[tuple[str, str]] = []
        self.forms: list[Form] = []
        self._open: list[str] = []
        self._form: Form | None = None
        self._link: list[str] | None = None
        self._area: str | None = None
        self._select: str | None = None
        self._button: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        match tag:
            case "a":
                self._link = [said.get("href", ""), ""]
            case "form":
                self._form = Form(said.get("method", "get"), said["action"], {}, [])
                self.forms.append(self._form)
            case "input" if self._form is not None and "name" in said:
                if said.get("type") not in ("checkbox", "radio") or "checked" in said:
                    self._form.members[said["name"]] = said.get("value", "")
            case "textarea":
                self._area = said["name"]
                assert self._form is not None
                self._form.members[self._area] = ""
            case "select":
                self._select = said["name"]
            case "option" if self._select is not None and self._form is not None:
                if "selected" in said or self._select not in self._form.members:
                    self._form.members[self._select] = said.get("value", "")
            case "button" if self._form is not None:
                own = {said["name"]: said.get("value", "")} if "name" in said else {}
                self._form.buttons.append(("", own))
                self._button = [""]

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "a" if self._link is not None:
                self.links.append((self._link[1].strip(), self._link[0]))
                self._link = None
            case "form":
                self._form = None
            case "textarea":
                self._area = None
            case "select":
                self._select = None
            case "button":
                self._button = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._link is not None:
            self._link[1] += data
        if self._area is not None and self._form is not None:
            self._form.members[self._area] += data.removeprefix("\n")
        if self._button is not None and self._form is not None:
            name, own = self._form.buttons[-1]
            self._form.buttons[-1] = (name + data, own)


class Browser:
    def __init__(self, app: object) -> None:
        self.http = TestClient(app, base_url=HOME, raise_server_exceptions=False)  # type: ignore[arg-type]
        self.answer: httpx.Response
        self.page: Reading

    def go(self, address: str, /, **query: str) -> httpx.Response:
        return self._came(self.http.get(urljoin(HOME, address), params=query or None))

    def post(self, path: str, members: dict[str, str], **headers: str) -> httpx.Response:
        return self._came(self.http.post(urljoin(HOME, path), data=members, headers={**OWN, **headers}))

    def follow(self, words: str) -> httpx.Response:
        (href,) = {href for said, href in self.page.links if said == words}
        return self.go(href)

    def fill(self, button: str, **members: str) -> httpx.Response:
        """Press it, with these members of its form filled in."""
        ((form, own),) = [
            (form, own) for form in self.page.forms for said, own in form.buttons if said.strip() == button
        ]
        sent = {**form.members, **own, **members}
        if form.method == "get":
            return self.go(form.action, **{name: value for name, value in sent.items() if value})
        return self.post(form.action, sent)

    def sign_in(self, key: str) -> httpx.Response:
        self.go("/console/sign-in")
        return self.fill("Sign in", key=key)

    @property
    def path(self) -> str:
        return urlsplit(str(self.answer.url)).path

    def _came(self, answer: httpx.Response) -> httpx.Response:
        self.answer = answer
        if answer.headers.get("content-type", "").startswith("text/html"):
            self.page = Reading(answer.text)
        return answer


@dataclass
class ConsoleBench:
    bench: Bench

    @cached_property
    def app(self) -> object:
        bench = self.bench
        return create_app(bench.broker, bench.administration, bench.store, console=LIFE)

    def browser(self, key: str | None = None) -> Browser:
        """key: of whoever is signed in."""
        browser = Browser(self.app)
        if key is not None:
            browser.sign_in(key)
            assert COOKIE in browser.http.cookies
        return browser
