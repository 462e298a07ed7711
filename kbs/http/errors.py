"""Errors of the framework in the one shape that guests read."""

from __future__ import annotations

from math import ceil

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException

from kbs.refusals import Kind, Refusal
from kbs.store.failures import Unavailable

_log = structlog.get_logger("kbs.http")
_KINDS: dict[int, Kind] = {404: "PluginNotFound", 405: "MethodNotAllowed", 413: "RequestTooLarge"}
NO_STORE = {"cache-control": "no-store"}


def install(app: FastAPI) -> None:
    app.add_exception_handler(Refusal, _refusal)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Unavailable, _database)
    app.add_exception_handler(DataError, _not_kept)
    app.add_exception_handler(Exception, _failure)


async def _refusal(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    headers = dict(NO_STORE)
    if error.retry_after is not None:
        headers["retry-after"] = str(ceil(error.retry_after))
    return JSONResponse(error.body(), error.status, headers=headers)


async def _framework(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = _KINDS.get(error.status_code, "InvalidRequest")
    refusal = Refusal(error.status_code, kind, "there is nothing to be had here")
    return JSONResponse(refusal.body(), error.status_code, headers=NO_STORE)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # Places and reasons only: the framework's own text repeats what was sent, secrets included.
    reasons = [f"{'.'.join(map(str, item['loc']))}: {item['type']}" for item in error.errors()]
    refusal = Refusal(422, "InvalidRequest", "; ".join(reasons[:5]))
    return JSONResponse(refusal.body(), 422, headers=NO_STORE)


async def _database(_request: Request, error: Exception) -> JSONResponse:
    _log.error("the database does not serve; nothing was released", cause=str(error))
    refusal = Refusal(503, "InternalError", "the broker's database does not serve; nothing was released")
    return JSONResponse(refusal.body(), 503, headers=NO_STORE)


async def _not_kept(_request: Request, _error: Exception) -> JSONResponse:
    # PostgreSQL keeps no text with a NUL; nothing of what was sent is repeated.
    refusal = Refusal(
        400, "InvalidRequest", "a value holds what the database cannot keep, such as the character NUL"
    )
    return JSONResponse(refusal.body(), 400, headers=NO_STORE)


async def _failure(_request: Request, _error: Exception) -> JSONResponse:
    # The framework raises it again after this answer, and the edge logs its kind.
    refusal = Refusal(500, "InternalError", "the broker failed; nothing was released")
    return JSONResponse(refusal.body(), 500, headers=NO_STORE)
