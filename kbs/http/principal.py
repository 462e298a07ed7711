"""Who asks, on a route of the administrators' door."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from kbs.access import Principal


def _by(request: Request) -> str:
    """Set by the route itself before anything is read; without it this fails, and so does the act."""
    name: str = request.state.principal
    return name


def _who(request: Request) -> Principal:
    who: Principal = request.state.who
    return who


By = Annotated[str, Depends(_by)]
Who = Annotated[Principal, Depends(_who)]
