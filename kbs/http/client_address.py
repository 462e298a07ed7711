"""Whose address a request counts for: who connected, or whom a proxy of the configuration names."""

from __future__ import annotations

from fastapi import Request


def client_address(request: Request) -> str:
    """A proxy that the configuration does not name stands for all behind it."""
    return request.client.host if request.client is not None else ""
