"""Who asks, on a route of the administrators' door."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request


def _by(request: Request) -> str:
    """Set by the route itself before anything is read; without it this fails, and so does the act."""
    name: str = request.state.principal
    return name


By = Annotated[str, Depends(_by)]
