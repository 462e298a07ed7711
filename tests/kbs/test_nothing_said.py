"""Whatever a broker does, its metrics, logs and traces name no secret, key, cookie, token, nonce, evidence or path (T-CT).

One whole run: guests that are released to, denied and refused; every act of administration; and all that can fail. Then
everything that was said is searched for everything that may not be.
"""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest

from kbs.access import DOORS
from kbs.http.admin import PREFIX
from kbs.http.app import create_app
from kbs.logs import to_stderr
from kbs.observing import Several
from kbs.observing.gauges import Gauges
from kbs.observing.metrics import Metrics
from kbs.observing.traces import Traces
from kbs.readiness import Readiness
from kbs.store.failures import Unavailable
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.keys.test_no_key_bytes import spellings
from tests.kbs.test_access import VALUE, filled, request_for, two  # noqa: F401  # a fixture
from tests.kbs.test_release import NEWER_FIRMWARE
from tests.kbs.twin import TwinGuest, TwinRefused

MARKED = "mark-of-a-name-that-is-not-there"


@dataclass
class Run:
    """A broker that is watched in every way at once. marks: what may be said nowhere."""

    bench: Bench
    metrics: Metrics
    spans: InMemorySpanExporter
    capture: pytest.CaptureFixture[str]
    said: str = ""
    marks: set[str] = field(default_factory=set)

    def keep(self, *marks: str | bytes) -> None:
        for mark in marks:
            self.marks |= spellings(mark) if isinstance(mark, bytes) else {mark}

    def everything(self) -> str:
        """Log, metrics and spans until now."""
        out, err = self.capture.readouterr()
        self.said += out + err
        spans = "".join(span.to_json() for span in self.spans.get_finished_spans())
        return self.said + spans + generate_latest(self.metrics.registry).decode()

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def run(two: Bench, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:  # noqa: F811
    readiness = Readiness(two.store, two.keys.wrap, two.collateral, two.broker._clock)
    metrics = Metrics(Gauges(two.store, two.collateral, readiness, lambda: two.clock.now.timestamp()))
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    # Whatever else knows of OpenTelemetry in this process finds a provider, too.
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    observer = Several([metrics, Traces(provider.get_tracer("kbs"))])
    two.broker.observer = two.store.observer = readiness.observer = observer
    two.app = create_app(two.broker, two.administration, two.store, readiness, metrics)
    made = Run(two, metrics, spans, capfd)
    made.keep(SECRET, VALUE, PATH, "other/key/a", MARKED, two.admin_key)
    for file in Path(two.folder / "keys").iterdir():
        made.keep(raw_key(file))
    return made


def raw_key(file: Path) -> bytes:
    raw = file.read_bytes()
    if file.suffix != ".pem":
        return raw
    key = serialization.load_pem_private_key(raw, None)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes_raw()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def guests(run: Run) -> TwinGuest:
    """One that is released to; others that are denied, refused and not understood."""
    bench = run.bench
    guest = bench.guest()
    guest.auth()
    run.keep(guest.nonce, guest.http.cookies["kbs-session-id"], guest.key.jwk["x"])
    token = guest.attest()
    primary = json.loads(guest.body)["tee-evidence"]["primary_evidence"]
    run.keep(guest.http.cookies["kbs-session-id"], token, guest.body[200:264], json.dumps(primary)[:80])
    run.keep(base64.b64encode(guest.body[200:264]).decode())
    assert guest.resource(PATH) == SECRET
    assert guest.resource(PATH) == SECRET
    assert guest.http.get(f"/kbs/v0/resource//{PATH}").status_code == 200
    http = bench.http()
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", f"/kbs/v0/resource/acme/key/{MARKED}", {"headers": {"cookie": f"kbs-session-id={MARKED}"}}),
        ("GET", f"/kbs/v0/resource/acme/key/{MARKED}", {"headers": {"authorization": f"Bearer {MARKED}"}}),
        ("GET", f"/kbs/v0/resource/{MARKED}", {}),
        ("GET", f"/kbs/v0/resource/acme/key/{MARKED}%20", {}),
        ("GET", f"/kbs/v0/{MARKED}", {}),
        (
            "GET",
            f"/{MARKED}",
            {"headers": {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "kbs-request-id": MARKED}},
        ),
        (MARKED.upper(), f"/kbs/v0/resource/{PATH}", {}),
        ("POST", "/kbs/v0/auth", {"content": json.dumps({MARKED: MARKED})}),
        (
            "POST",
            "/kbs/v0/auth",
            {"content": json.dumps({"version": MARKED, "tee": "snp", "extra-params": ""})},
        ),
        ("POST", "/kbs/v0/attest", {"content": MARKED, "headers": {"cookie": f"kbs-session-id={MARKED}"}}),
        ("POST", "/kbs/v0/auth", {"content": MARKED * 10_000}),
    ]
    for method, path, request in requests:
        assert http.request(method, path, **request).status_code >= 400
    liar = bench.guest()
    liar.auth()
    body = json.loads(liar.attestation())
    body["tee-evidence"]["primary_evidence"][MARKED] = MARKED
    body["runtime-data"]["nonce"] = base64.b64encode(MARKED[:32].encode()).decode()
    for content in (MARKED.encode(), json.dumps(body).encode()):
        with pytest.raises(TwinRefused):
            liar.attest(content)
    with pytest.raises(TwinRefused):
        guest.resource(f"acme/key/{MARKED}")
    bench.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with pytest.raises(TwinRefused):
        guest.resource(PATH)
    bench.administration.put_rule("test", "acme", "acme/*", bench.administration.rules("other")[0].policy)
    assert guest.resource(PATH) == SECRET
    return guest


def administrators(run: Run) -> set[tuple[str, str]]:
    """Every route with a request that it takes, with one that it does not, and without a key. What was asked."""
    bench = run.bench
    last = [("DELETE", "/owners/{name}"), ("DELETE", "/secrets/{repository}/{kind}/{tag}")]
    doors = sorted(DOORS, key=lambda door: (door[0] == "DELETE", door in last))
    # A rule that is deleted has no number to ask with.
    requests = [
        (*door, filled(door[1], bench, "other"), request_for(*door, bench, "other")) for door in doors
    ]
    for method, template, path, request in requests:
        answer = bench.admin(method, path, **request)
        if template == "/principals" and method == "POST":
            run.keep(answer.json()["key"])
        bench.admin(method, path, content=json.dumps({MARKED: MARKED, "value": VALUE}))
        bench.admin(method, path.replace("other", MARKED), **request)
        bench.http().request(method, f"{PREFIX}/{path}", headers={"authorization": f"Bearer {MARKED}"})
    return set(doors)


def failures(run: Run, guest: TwinGuest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key store, the database, and the program itself."""
    bench = run.bench
    bench.sql(
        "UPDATE secret_versions SET wrapped_key = :bad", bad=b"mark of a wrapped key, which is none, at all"
    )
    with pytest.raises(TwinRefused):
        guest.resource(PATH)

    def fails(*_: Any, **__: Any) -> Any:
        raise raised

    for raised in (Unavailable("lost"), RuntimeError(f"{PATH}: {SECRET!r}")):
        with monkeypatch.context() as patched:
            patched.setattr("kbs.store.database.whole", fails)
            with pytest.raises(TwinRefused):
                guest.resource(PATH)
            assert bench.admin("GET", "secrets").status_code >= 500
            if isinstance(raised, Unavailable):
                bench.http().get("/readyz")
                generate_latest(run.metrics.registry)
    try:
        raise RuntimeError(f"{PATH}: {SECRET!r}")
    except RuntimeError:
        logging.getLogger("uvicorn.error").exception("a library fails at %s", PATH)


@pytest.mark.parametrize("form", ["json", "text"])
def test_t_ct_nothing_is_said_that_may_not_be(run: Run, form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    to_stderr(form, "debug")
    guest = guests(run)
    asked = administrators(run)
    failures(run, guest_again(run, guest), monkeypatch)
    said = run.everything()
    found = sorted(mark for mark in run.marks if mark in said)
    assert found == []
    # It was said a lot, and of everything.
    routes = {
        tuple(sample.labels[name] for name in ("method", "route"))
        for sample in samples(run, "kbs_requests_total")
    }
    assert {(method, PREFIX + template) for method, template in asked} <= routes
    names = {span.name for span in run.spans.get_finished_spans()}
    parts = {
        "attest.parse",
        "attest.verify",
        "release.facts",
        "release.decide",
        "release.unwrap",
        "release.commit",
    }
    assert names == {f"kbs.{name}" for name in ("challenge", "attest", "release", *parts)}
    assert "a library fails at" in said
    assert "RuntimeError" in said
    assert run.value("kbs_decisions_total", act="release", outcome="granted") >= 3
    assert run.value("kbs_decisions_total", act="release", outcome="PolicyDeny") >= 1
    assert run.value("kbs_decisions_total", act="attest", outcome="AttestationError") >= 1
    assert run.value("kbs_decisions_total", act="release", outcome="DatabaseUnavailable") >= 1
    assert run.value("kbs_problems_total", act="release", code="policy.snp.tcb.snp.at-least") >= 0
    assert run.value("kbs_failures_total", part="database") >= 2
    assert run.value("kbs_failures_total", part="key-store") >= 1
    assert run.value("kbs_audit_head") > 10


def guest_again(run: Run, guest: TwinGuest) -> TwinGuest:
    """Administration may have ended sessions, rules and the secret."""
    bench = run.bench
    for stop in ("", "?owner=acme", "?owner=other"):
        bench.admin("DELETE", f"stops{stop}")
    again = bench.guest()
    again.auth()
    run.keep(again.nonce)
    again.attest()
    assert again.resource(PATH) == SECRET
    return again


def samples(run: Run, name: str) -> list[Any]:
    return [
        sample
        for family in run.metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_the_search_finds_what_is_said(run: Run, form: Any) -> None:
    """Each of the three ways, and each mark: a search that finds nothing anywhere would be green for ever."""
    to_stderr(form, "debug")
    guests(run)
    run.everything()
    for mark in run.marks:
        structlog.get_logger("kbs").info("said", what=mark)
    said = run.everything()
    # One with a backslash or a quotation mark is written otherwise in JSON; each key has others.
    plain = {mark for mark in run.marks if mark.isascii() and mark.isprintable() and not {*mark} & {*'\\"'}}
    assert len(plain) > 20
    assert {mark for mark in plain if mark not in said} == set()
    run.metrics.answered("GET", f"/kbs/v0/resource/{PATH}", 200)
    assert f'route="/kbs/v0/resource/{PATH}"' in run.everything()
