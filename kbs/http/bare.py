"""An application without routes: what every one of ours does not do, and how it refuses."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from kbs.http import errors

_NO_TELEMETRY: Final = TelemetryConfig(
    tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False
)
"""The framework's own would send paths, which name secrets, and bodies in the text of errors (T-CT): see kbs.observing."""


def bare() -> FastAPI:
    # No documentation pages, and no redirects: a guest takes 3xx for a broken broker.
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=_NO_TELEMETRY
    )
    errors.install(app)
    return app
