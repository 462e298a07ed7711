"""Spans for OpenTelemetry: what the broker did for a request and how long each part took, without a name of anything in it.

What an error says is never recorded, and a trace that a client says it belongs to is not read: both are strangers' text.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode, Tracer

from kbs.observing import WHOLE, Part, Step
from kbs.observing.outcome import GRANTED, codes, outcome

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_log = structlog.get_logger("kbs.traces")
_OTLP: Final = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


class Traces:
    """An observer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @contextmanager
    def step(self, name: Step) -> Iterator[None]:
        request = structlog.contextvars.get_contextvars().get("request")
        whole = name in WHOLE
        with self._tracer.start_as_current_span(
            f"kbs.{name}",
            context=Context() if whole else None,
            attributes={"kbs.request": request} if whole and request else None,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("kbs.outcome", outcome(error))
                span.set_attribute("kbs.problems", sorted(codes(error)))
                span.set_status(StatusCode.ERROR)
                raise
            span.set_attribute("kbs.outcome", GRANTED)

    def failed(self, part: Part) -> None:
        """Seen in the span that it ended."""


def provider(environment: Mapping[str, str] = os.environ) -> TracerProvider | None:
    """Where the environment's standard names say that spans go; None where they say nothing: OTEL_TRACES_EXPORTER.

    Everything else (sampler, resource, endpoint, headers) the SDK and the exporter read by themselves.
    """
    wanted = environment.get("OTEL_TRACES_EXPORTER", "none").strip().lower()
    if wanted in ("", "none"):
        return None
    if wanted == "otlp":
        wanted = _OTLP.get(environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), wanted)
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        (exporter,) = entry_points(group="opentelemetry_traces_exporter", name=wanted)
        made = exporter.load()()
    except (ImportError, ValueError):
        _log.warning("no spans: install attest[otel] and the exporter that OTEL_TRACES_EXPORTER names")
        return None
    found = TracerProvider()
    found.add_span_processor(BatchSpanProcessor(made))
    return found
