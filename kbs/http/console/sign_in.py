"""In with a key, and out."""

from __future__ import annotations

from importlib.resources import files

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from kbs.http.client_address import client_address
from kbs.http.console.guard import PREFIX, end_cookie, set_cookie, token_of
from kbs.http.console.site import SIGN_IN, Site
from kbs.http.console.visit import Visit
from kbs.refusals import Refusal


def add_pages(site: Site) -> None:
    sheet = files("kbs.http.console").joinpath("style.css").read_bytes()

    async def style(request: Request, members: dict[str, str]) -> Response:
        return Response(sheet, media_type="text/css", headers={"cache-control": "private, max-age=300"})

    async def form(request: Request, members: dict[str, str]) -> Response:
        return site.show_stranger("sign_in.html", "Sign in", wrong=False)

    async def enter(request: Request, members: dict[str, str]) -> Response:
        try:
            with site.tries.counted(client_address(request)):
                token = await run_in_threadpool(site.sessions.begin, members.get("key", "").strip())
        except Refusal as refusal:
            if refusal.status != 401:
                raise
            return site.show_stranger("sign_in.html", "Sign in", 401, wrong=True)
        before = token_of(request)
        if before is not None:
            await run_in_threadpool(site.sessions.end, before)
        response = RedirectResponse(f"{PREFIX}/", 303)
        set_cookie(response, token, int(site.sessions.life.total_seconds()))
        return response

    async def leave(visit: Visit) -> Response:
        await run_in_threadpool(site.sessions.end, visit.token)
        response = RedirectResponse(SIGN_IN, 303)
        end_cookie(response)
        return response

    site.strangers("GET", f"{PREFIX}/style.css", style)
    site.strangers("GET", SIGN_IN, form)
    site.strangers("POST", SIGN_IN, enter)
    site.page("POST", f"{PREFIX}/sign-out", leave)
