"""How much somebody may ask for: budgets that fill again, and the guests' door that keeps them (T-DOS)."""

from __future__ import annotations

from dataclasses import replace

from kbs.broker import Broker
from kbs.budget import Budget, Rate
from kbs.clock import Clock
from kbs.http.app import create_app
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.twin import refusal_of


def test_a_budget_fills_again_and_one_name_does_not_take_anothers() -> None:
    now = [0.0]
    each, all_ = Rate(2, 3600, "each"), Rate(3, 60, "all")
    budget = Budget(each, all_, clock=lambda: now[0])
    assert [budget.spend("a") for _ in range(2)] == [None, None]
    spent = budget.spend("a")
    assert spent is not None
    assert (spent.rate, round(spent.wait)) == (each, 1800)
    assert budget.spend("b") is None
    spent = budget.spend("b")
    assert spent is not None
    assert (spent.rate, round(spent.wait)) == (all_, 20)
    now[0] += 1800
    assert [budget.spend(one) for one in ("a", "b", "b")] == [None, None, None]
    assert budget.spend("a") is not None


def test_a_budget_forgets_names_and_stays_bounded() -> None:
    budget = Budget(Rate(1, 3600, "each"), clock=lambda: 0.0)
    for number in range(10_050):
        assert budget.spend(str(number)) is None
    assert len(budget._of) == 10_000
    assert budget.spend("10049") is not None


def served(bench: Bench, **rates: int) -> None:
    settings = replace(bench.broker._settings, **rates)  # type: ignore[arg-type] # only the two rates
    bench.broker = Broker(bench.store, bench.keys, bench.broker._verification, settings, Clock(bench.clock))
    bench.app = create_app(bench.broker, bench.administration, bench.store)


def test_t_dos_an_address_has_so_many_requests_a_minute(acme: Bench) -> None:
    served(acme, address_rate=3)
    http = acme.http()
    body = b'{"version":"0.4.0","tee":"snp","extra-params":{}}'
    assert [http.post("/kbs/v0/auth", content=body).status_code for _ in range(3)] == [200] * 3
    answer = http.post("/kbs/v0/auth", content=body)
    refusal = refusal_of(answer)
    assert (refusal.status, refusal.kind) == (429, "TooManyRequests")
    assert 1 <= int(answer.headers["retry-after"]) <= 21
    assert refusal_of(http.post("/kbs/v0/attest", content=b"{}")).status == 429
    assert refusal_of(http.get(f"/kbs/v0/resource/{PATH}")).status == 429
    assert acme.admin("GET", "owners").is_success, "administration has a door of its own"


def test_t_dos_a_session_has_so_many_requests_for_secrets_a_minute(acme: Bench) -> None:
    served(acme, session_rate=2)
    guest, other = acme.guest(), acme.guest()
    assert guest.boot(PATH) == SECRET
    assert guest.resource(PATH) == SECRET
    assert refusal_of(guest.http.get(f"/kbs/v0/resource/{PATH}")).status == 429
    assert len(acme.rows("repeat")) == 1
    assert other.boot(PATH) == SECRET
