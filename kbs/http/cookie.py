"""Cookies as they came."""

from __future__ import annotations

from fastapi import Request


def only_cookie(request: Request, name: str) -> str | None:
    """The cookie of this name, None where there is none. Two of them say nothing (session fixation)."""
    values = [
        value
        for header in request.headers.getlist("cookie")
        for given, _, value in (part.strip().partition("=") for part in header.split(";"))
        if given == name
    ]
    return values[0] if len(values) == 1 else None
