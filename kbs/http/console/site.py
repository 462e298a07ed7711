"""The console put together: each page found by the table, guarded, rendered, and refused as a page too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from kbs.access import Principal
from kbs.administration import Administration
from kbs.console_sessions import ConsoleSessions
from kbs.http.console import escaping
from kbs.http.console.guard import (
    FORM,
    HEADERS,
    PREFIX,
    form_token,
    members_of,
    query_of,
    require_form,
    require_own,
    token_of,
)
from kbs.http.console.inside import Inside
from kbs.http.console.pages import PAGES, may
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.failures import Unavailable

_log = structlog.get_logger("kbs.http")
SIGN_IN: Final = f"{PREFIX}/sign-in"
Shows = Callable[[Visit], Awaitable[Response]]
ShowsStrangers = Callable[[Request, dict[str, str]], Awaitable[Response]]


class Site:
    def __init__(
        self, app: FastAPI, administration: Administration, store: Store, sessions: ConsoleSessions
    ) -> None:
        self._app = app
        self.administration = administration
        self.sessions = sessions
        self.tries = administration.tries
        self._inside = Inside(administration, store)
        self._templates = Environment(
            loader=PackageLoader("kbs.http.console"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=escaping.shown,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"address": escaping.address, "form_member": FORM}
        self._templates.filters |= {
            "lines": escaping.lines,
            "carried": escaping.carried,
            "hidden": escaping.hidden,
        }

    # -- pages --------------------------------------------------------------------------------------

    def page(self, method: str, path: str, shows: Shows) -> None:
        """Of somebody who is signed in."""
        page = PAGES[method, path]

        async def answered(request: Request) -> Response:
            token = token_of(request)
            if token is None:
                return self._away()
            try:
                who = await run_in_threadpool(self.sessions.of, token)
            except Refusal as refusal:
                if refusal.status == 401:
                    return self._away()
                raise
            members: dict[str, str] = {}
            if method == "POST":
                require_own(request)
                members = members_of(await request.body())
                require_form(members, token)
            visit = Visit(request, page, self._inside, token, who, query_of(request), members)
            return await shows(visit)

        self._route(method, path, answered)

    def strangers(self, method: str, path: str, shows: ShowsStrangers) -> None:
        """Of anybody. What is sent must still come from a page of ours."""
        assert PAGES[method, path].strangers

        async def answered(request: Request) -> Response:
            members: dict[str, str] = {}
            if method == "POST":
                require_own(request)
                members = members_of(await request.body())
            return await shows(request, members)

        self._route(method, path, answered)

    def _route(self, method: str, path: str, answered: Callable[[Request], Awaitable[Response]]) -> None:
        async def guarded(request: Request) -> Response:
            try:
                response = await answered(request)
            except Refusal as refusal:
                response = await self._refused(request, refusal)
            except Unavailable as error:
                _log.error("the database does not serve; nothing was released", cause=str(error))
                lost = Refusal(503, "InternalError", "the broker's database does not serve")
                response = await self._refused(request, lost)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        self._app.add_api_route(path, guarded, methods=[method], response_model=None)

    # -- answers ------------------------------------------------------------------------------------

    def show(self, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        return self._rendered(template, status, visit.page.title, visit.who, visit.token, values, visit)

    def show_stranger(self, template: str, title: str, status: int = 200, **values: Any) -> Response:
        return self._rendered(template, status, title, None, None, values, None)

    def _rendered(
        self,
        template: str,
        status: int,
        title: str,
        who: Principal | None,
        token: str | None,
        values: dict[str, Any],
        visit: Visit | None,
    ) -> Response:
        links = [
            (path, page.title)
            for (_, path), page in PAGES.items()
            if page.link and who is not None and any(may(who, door) for door in page.asks)
        ]
        text = self._templates.get_template(template).render(
            title=values.pop("title", title),
            who=who,
            here=None if visit is None else visit.request.url.path,
            links=links,
            form_token=None if token is None else form_token(token),
            visit=visit,
            **values,
        )
        return HTMLResponse(text, status)

    async def _refused(self, request: Request, refusal: Refusal) -> Response:
        token = token_of(request)
        who = None
        if token is not None and refusal.status < 500:
            try:
                who = await run_in_threadpool(self.sessions.of, token)
            except (Refusal, Unavailable):
                token = None
        return self._rendered(
            "refused.html",
            refusal.status,
            HTTPStatus(refusal.status).phrase,
            who,
            token if who is not None else None,
            {"detail": refusal.detail},
            None,
        )

    def _away(self) -> Response:
        return RedirectResponse(SIGN_IN, 303)
