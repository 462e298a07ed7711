"""How often an address may try keys, and whose address counts behind a proxy (T-DOS)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kbs.administration import Administration
from kbs.clock import Clock
from kbs.config import InvalidConfig, read_config
from kbs.http.app import create_app
from kbs.refusals import Refusal
from kbs.tries import Tries
from tests.kbs.conftest import Bench, TestClient
from tests.kbs.test_access import key_of
from tests.kbs.twin import refusal_of

PROXIES = ["10.0.0.5/32", "10.9.0.0/16", "fd00::/8"]


@pytest.fixture
def door(acme: Bench) -> Bench:
    """Three wrong keys a minute, and proxies."""
    acme.administration = Administration(acme.store, acme.keys, Clock(acme.clock), wrong_keys_a_minute=3)
    acme.app = create_app(acme.broker, acme.administration, acme.store, proxies=PROXIES)
    return acme


def ask(bench: Bench, key: str | None, address: str = "192.0.2.1", *via: str) -> httpx.Response:
    """via: values of X-Forwarded-For, a header line each."""
    headers = [("x-forwarded-for", one) for one in via]
    headers += [] if key is None else [("authorization", f"Bearer {key}")]
    http = TestClient(bench.app, raise_server_exceptions=False, client=(address, 5))
    return http.get("/admin/v1/rules", headers=headers)


def tried(bench: Bench, *asked: Any) -> list[int]:
    return [ask(bench, "kbsadm_" + "A" * 43, *asked).status_code for _ in range(4)]


def test_t_dos_keys_are_not_tried_without_end_from_one_address(door: Bench) -> None:
    with capture_logs() as logs:
        assert tried(door) == [401, 401, 401, 429]
    assert [(one["log_level"], one["address"]) for one in logs if "wrong keys" in one["event"]] == [
        ("warning", "192.0.2.1")
    ]
    answer = ask(door, door.admin_key)
    refusal = refusal_of(answer)
    assert (refusal.status, refusal.kind) == (429, "TooManyRequests"), (
        "or the answer would tell which is right"
    )
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    assert ask(door, None).status_code == 429
    assert ask(door, door.admin_key, "192.0.2.2").is_success, "another address has its own"


def test_right_keys_cost_nothing_whatever_they_may(door: Bench) -> None:
    operator = key_of(door, "operator")
    assert {ask(door, door.admin_key).status_code for _ in range(5)} == {200}
    assert {ask(door, operator).status_code for _ in range(5)} == {403}
    assert tried(door) == [401, 401, 401, 429]


def test_wrong_keys_are_forgiven_with_time_and_of_ipv6_a_site_is_one() -> None:
    now = [0.0]
    tries = Tries(2, clock=lambda: now[0])

    def fails(address: str, status: int = 401) -> int:
        with pytest.raises(Refusal) as refused, tries.counted(address):
            raise Refusal(status, "AdminAuthAccess", "no")
        return refused.value.status

    assert [fails(f"2001:db8:0:1::{number}") for number in (1, 2, 3)] == [401, 401, 429]
    assert fails("2001:db8:0:2::1") == 401
    assert [fails("192.0.2.1"), fails("::ffff:192.0.2.1"), fails("192.0.2.1")] == [401, 401, 429]
    assert [fails("x", 403) for _ in range(4)] == [403] * 4
    now[0] += 30
    assert [fails("192.0.2.1"), fails("192.0.2.1")] == [401, 429]


def test_behind_a_proxy_each_address_has_its_own(door: Bench) -> None:
    assert tried(door, "10.0.0.5", "192.0.2.1") == [401, 401, 401, 429]
    assert ask(door, door.admin_key, "10.0.0.5", "192.0.2.2").is_success
    assert ask(door, door.admin_key, "10.0.0.5", "192.0.2.2, 192.0.2.1").status_code == 429
    assert ask(door, door.admin_key, "10.0.0.5", "192.0.2.2, 192.0.2.1, 10.9.1.1").status_code == 429
    assert ask(door, door.admin_key, "fd00::1", "192.0.2.1").status_code == 429
    assert ask(door, door.admin_key, "10.0.0.5").is_success, "it says nobody's: its own"


@pytest.mark.parametrize(
    "chosen", [["198.51.100.7"], ["198.51.100.7, 192.0.2.1"], ["198.51.100.7", "192.0.2.1"]]
)
def test_t_dos_nobody_chooses_his_own_address(door: Bench, chosen: list[str]) -> None:
    """Neither one who is no proxy, nor one behind a proxy, which writes the last."""
    whole = ask(door, None, "10.0.0.5", *chosen, "192.0.2.9")
    assert whole.status_code == 401
    assert tried(door, "10.0.0.5", "192.0.2.9") == [401, 401, 429, 429]
    assert tried(door, "127.0.0.1", *chosen) == [401, 401, 401, 429]
    assert ask(door, door.admin_key, "127.0.0.1", "203.0.113.1").status_code == 429


def test_without_proxies_in_the_configuration_nothing_is_read(door: Bench) -> None:
    door.app = create_app(door.broker, door.administration, door.store)
    assert tried(door, "127.0.0.1", "192.0.2.1") == [401, 401, 401, 429]
    assert ask(door, door.admin_key, "127.0.0.1", "192.0.2.2").status_code == 429


def test_guests_behind_a_proxy_have_their_own_rates(door: Bench) -> None:
    http = TestClient(door.app, client=("10.0.0.5", 5))
    guest = door.guest(http=http)
    http.headers["x-forwarded-for"] = "8.8.8.8"
    guest.boot("acme/key/model")
    assert door.rows("released")[-1]["network"] == "public"


@pytest.mark.parametrize(
    ("proxy", "why"),
    [
        ("0.0.0.0/0", "not everybody is a proxy"),
        ("::/0", "not everybody is a proxy"),
        ("*", "a proxy is an address"),
        ("proxy.example", "a proxy is an address"),
        ("10.0.0.5/8", "a proxy is an address"),
    ],
)
def test_a_proxy_that_is_none_is_not_configured(tmp_path: Path, proxy: str, why: str) -> None:
    text = f"state: .\nlisten:\n  proxies: ['10.0.3.0/24', '{proxy}']\n"
    with pytest.raises(InvalidConfig, match=f"kbs.yaml:3:.*listen.proxies.2: {why}"):
        read_config(text.encode(), tmp_path / "kbs.yaml")
    good = read_config(b"state: .\nlisten: {proxies: [10.0.0.5, 'fd00::/8']}\n", tmp_path / "kbs.yaml")
    assert [str(one) for one in good.listen.proxies] == ["10.0.0.5/32", "fd00::/8"]
