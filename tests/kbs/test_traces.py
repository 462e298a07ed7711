"""Where spans go: nowhere, unless OpenTelemetry's own environment names somebody who is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from structlog.testing import capture_logs

from kbs.observing.traces import provider
from tests.conftest import ROOT


@pytest.mark.parametrize("environment", [{}, {"OTEL_TRACES_EXPORTER": ""}, {"OTEL_TRACES_EXPORTER": "none"}])
def test_nothing_is_sent_unless_somebody_is_named(environment: dict[str, str]) -> None:
    with capture_logs() as logs:
        assert provider(environment) is None
    assert logs == []


SPAN = """
from kbs.observing.traces import Traces, provider
made = provider({"OTEL_TRACES_EXPORTER": "console"})
with Traces(made.get_tracer("kbs")).step("release.decide"):
    pass
made.shutdown()
"""


def test_who_is_named_gets_the_spans() -> None:
    """In a process of its own: the exporter writes to the standard output of when it was loaded."""
    done = subprocess.run([sys.executable, "-c", SPAN], capture_output=True, text=True, check=True, cwd=ROOT)
    out = done.stdout
    assert '"name": "kbs.release.decide"' in out
    assert '"kbs.outcome": "granted"' in out


@pytest.mark.parametrize("wanted", ["otlp", "nobody"])
def test_who_is_not_installed_is_said_and_the_broker_goes_on(wanted: str) -> None:
    with capture_logs() as logs:
        assert provider({"OTEL_TRACES_EXPORTER": wanted}) is None
    assert "install attest[otel]" in logs[0]["event"]


def test_without_the_sdk_there_are_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with capture_logs() as logs:
        assert provider({"OTEL_TRACES_EXPORTER": "console"}) is None
    assert "install attest[otel]" in logs[0]["event"]
