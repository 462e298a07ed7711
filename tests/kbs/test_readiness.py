"""What makes a broker not ready, who is told, and that asking often costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from attest import Endorsements
from kbs.collateral import Epoch, NoCollateral
from kbs.endorsement_ends import ends
from kbs.http.app import create_app
from kbs.keys import KeyStoreError, KeyStoreUnavailable
from kbs.observing.gauges import Gauges
from kbs.readiness import KEPT_SECONDS, Readiness
from kbs.store.failures import Unavailable
from tests.kbs.conftest import Bench
from tests.kbs.twin import refusal_of


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def readiness(bench: Bench, ticks: Ticks) -> Readiness:
    return Readiness(bench.store, bench.keys.wrap, bench.collateral, bench.broker._clock, ticks)


def lacking(readiness: Readiness, ticks: Ticks) -> list[str]:
    ticks.now += KEPT_SECONDS
    return [name for name, good in readiness.checks().items() if not good]


def test_a_broker_that_can_serve_is_ready(readiness: Readiness, ticks: Ticks) -> None:
    assert readiness.ready
    assert lacking(readiness, ticks) == []


def test_a_lost_database_and_its_return(
    readiness: Readiness, ticks: Ticks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: Any) -> Any:
        raise Unavailable("lost")

    with monkeypatch.context() as patched:
        patched.setattr("kbs.store.database.whole", lost)
        assert lacking(readiness, ticks) == ["database"]
    assert lacking(readiness, ticks) == []


@pytest.mark.parametrize("error", [KeyStoreUnavailable("away"), KeyStoreError("refuses")])
def test_a_key_store_that_does_not_open(
    readiness: Readiness, ticks: Ticks, bench: Bench, monkeypatch: pytest.MonkeyPatch, error: KeyStoreError
) -> None:
    def away(*_: Any) -> Any:
        raise error

    assert readiness.ready
    with monkeypatch.context() as patched:
        patched.setattr(bench.keys.wrap, "unwrap", away)
        assert lacking(readiness, ticks) == ["key-store"]
    assert lacking(readiness, ticks) == []


def test_a_key_store_that_gives_other_bytes_is_none(
    readiness: Readiness, ticks: Ticks, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.keys.wrap, "unwrap", lambda *_: bytes(32))
    assert lacking(readiness, ticks) == ["key-store"]


def test_the_key_that_closed_the_canary_may_be_retired(
    readiness: Readiness, ticks: Ticks, bench: Bench
) -> None:
    assert readiness.ready
    old = bench.keys.wrap.current()
    bench.keys.wrap.rotate(bench.clock.now + timedelta(days=1))
    bench.keys.wrap.retire(old)
    assert lacking(readiness, ticks) == []


def test_a_clock_that_is_behind(readiness: Readiness, ticks: Ticks, bench: Bench) -> None:
    bench.owner("acme")
    bench.clock.now -= timedelta(hours=1)
    assert lacking(readiness, ticks) == ["clock"]


def test_endorsements_count_until_the_last_of_them_ends(
    readiness: Readiness, ticks: Ticks, bench: Bench
) -> None:
    dated = ends(bench.collateral.epoch.endorsements)
    assert dated[0] < dated[-1]
    bench.clock.now = dated[0] + timedelta(seconds=1)
    assert lacking(readiness, ticks) == []
    bench.clock.now = dated[-1]
    assert lacking(readiness, ticks) == []
    bench.clock.now = dated[-1] + timedelta(seconds=1)
    assert lacking(readiness, ticks) == ["endorsements"]
    bench.collateral.epoch = Epoch("none", Endorsements())
    assert lacking(readiness, ticks) == [], "guests may bring theirs"


def test_every_kind_of_endorsement_has_its_end(endorsements: Endorsements) -> None:
    for kind in ("certificates", "crls", "documents", "rims", "ocsp"):
        alone = replace(Endorsements(), **{kind: getattr(endorsements, kind)})
        assert len(ends(alone)) == len(getattr(endorsements, kind)) > 0, kind
    assert ends(Endorsements(ocsp=(b"no answer",), rims=(b"<no manifest/>",))) == []


def test_the_first_end_is_told_in_seconds(readiness: Readiness, bench: Bench) -> None:
    gauges = Gauges(bench.store, bench.collateral, readiness, lambda: bench.clock.now.timestamp())
    first = ends(bench.collateral.epoch.endorsements)[0]
    assert value(gauges, "kbs_endorsements_first_end_seconds") == (first - bench.clock.now).total_seconds()
    assert value(gauges, "kbs_endorsements_age_seconds") == 0
    bench.clock.pass_seconds(60)
    assert value(gauges, "kbs_endorsements_age_seconds") == 60
    bench.collateral.epoch = replace(bench.collateral.epoch, name="second")
    assert value(gauges, "kbs_endorsements_age_seconds") == 0
    none = Gauges(bench.store, NoCollateral(), Readiness(bench.store, bench.keys.wrap, NoCollateral()))
    assert "kbs_endorsements_first_end_seconds" not in {one.name for one in none()}


def test_challenges_and_sessions_are_counted_until_they_end(readiness: Readiness, bench: Bench) -> None:
    gauges = Gauges(bench.store, bench.collateral, readiness, lambda: bench.clock.now.timestamp())
    names = ("kbs_open_challenges", "kbs_sessions", "kbs_audit_head")
    bench.guest().auth()
    guest = bench.guest()
    guest.auth()
    assert [value(gauges, name) for name in names] == [2, 0, 0]
    guest.attest()
    assert [value(gauges, name) for name in names] == [1, 1, 1]
    bench.clock.pass_seconds(300)
    assert [value(gauges, name) for name in names] == [0, 0, 1]


def value(gauges: Gauges, name: str) -> float:
    (found,) = [one.value for one in gauges() if one.name == name]
    return found


def test_strangers_that_ask_often_make_it_look_once(
    readiness: Readiness, ticks: Ticks, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    unwrap = bench.keys.wrap.unwrap

    def counted(raw: bytes, context: bytes) -> bytes:
        opened.append(raw)
        # Whoever asks while somebody looks is told what was found before, and waits for nobody.
        assert isinstance(readiness.checks(), Mapping)
        return unwrap(raw, context)

    monkeypatch.setattr(bench.keys.wrap, "unwrap", counted)
    app = create_app(bench.broker, bench.administration, bench.store, readiness)
    bench.app = app
    assert [bench.http().get("/readyz").status_code for _ in range(20)] == [200] * 20
    assert len(opened) == 1
    ticks.now += KEPT_SECONDS
    assert bench.http().get("/readyz").status_code == 200
    assert len(opened) == 2


def test_a_stranger_is_told_no_more_than_that(
    readiness: Readiness, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.app = create_app(bench.broker, bench.administration, bench.store, readiness)
    assert bench.http().get("/readyz").json() == {"status": "ready"}
    readiness.drain()
    refusal = refusal_of(bench.http().get("/readyz"))
    assert (refusal.status, refusal.kind, refusal.detail) == (503, "InternalError", "not ready")
    assert bench.http().get("/healthz").status_code == 200


def test_every_answer_has_an_id_of_the_brokers_own(bench: Bench) -> None:
    ids = set()
    for path in ("/healthz", "/kbs/v0/resource/a/b/c", "/nothing", "/%20", "/admin/v1/owners"):
        answer = bench.http().get(path, headers={"kbs-request-id": "mine"})
        ids.add(answer.headers["kbs-request-id"])
    assert len(ids) == 5
    assert "mine" not in ids
