"""A release while a key store takes its time: nobody waits for it but the guest, and nothing is decided on
what was true before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from kbs.domain import ResourcePath
from kbs.http.guest import RELEASES_AT_ONCE
from kbs.keys.wrap import KeyWrap
from kbs.refusals import Refusal
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.keys.conftest import HsmBench, TransitBench
from tests.kbs.keys.interrupted import Interrupted, interrupted, use
from tests.kbs.test_release import NEWER_FIRMWARE, refused
from tests.kbs.twin import TwinGuest, refusal_of


@pytest.fixture
def store(acme: Bench) -> Interrupted:
    return interrupted(acme)


@pytest.fixture
def guest(acme: Bench) -> TwinGuest:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    return guest


# -- decided again ---------------------------------------------------------------------------------------


def test_no_transaction_is_open_while_a_secret_is_opened(
    acme: Bench, guest: TwinGuest, store: Interrupted
) -> None:
    store.at_unwrap.append(lambda: acme.owner("another", policy=None))
    start = time.monotonic()
    assert guest.resource(PATH) == SECRET
    assert time.monotonic() - start < 10, "a writer waited for the key store"


def test_a_guest_that_gets_nothing_does_not_reach_the_key_store(acme: Bench, store: Interrupted) -> None:
    acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE)
    with refused(403, "PolicyDeny"):
        acme.guest().boot(PATH)
    assert refusal_of(acme.http().get(f"/kbs/v0/resource/{PATH}")).status == 401
    assert store.calls == []


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        (
            lambda acme: acme.administration.put_rule("test", "acme", "acme/*", NEWER_FIRMWARE),
            403,
            "PolicyDeny",
        ),
        (lambda acme: acme.administration.enable_owner("test", "acme", False), 403, "PolicyDeny"),
        (lambda acme: acme.administration.delete_rule("test", 1), 403, "PolicyDeny"),
        (lambda acme: acme.administration.delete_secret("test", PATH), 404, "ResourceNotFound"),
        (lambda acme: acme.clock.pass_seconds(300), 401, "TokenNotFound"),
        (lambda acme: acme.clock.pass_seconds(-60), 503, "InternalError"),
    ],
    ids=["stricter rule", "owner disabled", "rule deleted", "secret deleted", "session ended", "clock back"],
)
def test_t_toctou_what_changes_while_the_secret_is_opened_decides(
    acme: Bench, guest: TwinGuest, store: Interrupted, change: Callable[[Bench], None], status: int, kind: str
) -> None:
    store.at_unwrap.append(lambda: change(acme))
    with refused(status, kind):
        guest.resource(PATH)
    assert store.calls == ["unwrap"]
    assert acme.rows("released") == []


def test_t_toctou_the_version_that_is_current_at_the_end_is_released(
    acme: Bench, guest: TwinGuest, store: Interrupted
) -> None:
    store.at_unwrap.append(lambda: acme.secret("acme", value=b"rotated"))
    assert guest.resource(PATH) == b"rotated"
    (row,) = acme.rows("released")
    assert row["version"] == 2


def test_a_version_whose_row_changed_meanwhile_is_opened_again(
    acme: Bench, guest: TwinGuest, store: Interrupted
) -> None:
    def broken() -> None:
        acme.sql("UPDATE secret_versions SET ciphertext = :zeros", zeros=bytes(80))

    store.at_unwrap.append(broken)
    with refused(500, "InternalError"):
        guest.resource(PATH)
    assert acme.rows("released") == []


def test_a_secret_that_never_rests_is_given_up(acme: Bench, guest: TwinGuest, store: Interrupted) -> None:
    store.at_unwrap.extend([lambda: acme.secret("acme", value=b"again")] * 10)
    with refused(503, "InternalError"):
        guest.resource(PATH)
    assert len([call for call in store.calls if call == "unwrap"]) == 3
    assert acme.rows("release-denied")[-1]["status"] == 503


# -- putting -----------------------------------------------------------------------------------------------


def test_no_transaction_is_open_while_a_secret_is_sealed(acme: Bench, store: Interrupted) -> None:
    store.at_wrap.append(lambda: acme.owner("another", policy=None))
    start = time.monotonic()
    acme.secret("acme", value=b"next")
    assert time.monotonic() - start < 10, "a writer waited for the key store"


def test_two_versions_put_at_once_both_open(acme: Bench, store: Interrupted, guest: TwinGuest) -> None:
    store.at_wrap.append(lambda: acme.secret("acme", value=b"the other's"))
    acme.secret("acme", value=b"mine")
    assert [one.number for one in acme.administration.versions(PATH)] == [1, 2, 3]
    assert guest.resource(PATH) == b"mine"


def test_a_put_that_is_overtaken_for_ever_is_given_up(acme: Bench, store: Interrupted) -> None:
    def overtake() -> None:
        acme.store.write(
            lambda tx: tx.registry.next_version(ResourcePath.parse(PATH), ["acme"], acme.clock.now)
        )

    store.at_wrap.extend([overtake] * 10)
    with pytest.raises(Refusal, match="others put versions") as refusal:
        acme.secret("acme", value=b"mine")
    assert refusal.value.status == 503
    assert [one.number for one in acme.administration.versions(PATH)] == [1]


# -- gone and back -----------------------------------------------------------------------------------------


def in_a_token(acme: Bench, hsm: HsmBench, seconds: float = 20.0) -> None:
    """The secrets of `acme` under a key of the token."""
    first = hsm.store()
    first.rotate(acme.clock.now)
    first.close()
    use(acme, KeyWrap(hsm.store(seconds)))
    acme.secret("acme")


def test_token_gone_a_clear_error_its_row_and_the_next_request_works(
    acme: Bench, guest: TwinGuest, faulty_hsm: HsmBench
) -> None:
    in_a_token(acme, faulty_hsm)
    assert guest.resource(PATH) == SECRET
    released = len(acme.rows("released"))
    (faulty_hsm.faults / "removed").touch()
    with refused(503, "InternalError"):
        guest.resource(PATH)
    assert acme.rows("release-denied")[-1]["cause"].endswith("fails with DeviceRemoved")
    answer = acme.admin("PUT", "secrets/acme/key/b", json={"owners": ["acme"], "value": "QQ=="})
    assert "the key store does not answer: the token" in refusal_of(answer).detail
    assert len(acme.rows("released")) == released
    (faulty_hsm.faults / "removed").unlink()
    assert guest.resource(PATH) == SECRET


def test_token_slow_a_clear_error_in_time_and_the_next_request_works(
    acme: Bench, guest: TwinGuest, faulty_hsm: HsmBench
) -> None:
    in_a_token(acme, faulty_hsm, seconds=2)
    (faulty_hsm.faults / "hangs").touch()
    start = time.monotonic()
    with refused(503, "InternalError"):
        guest.resource(PATH)
    assert time.monotonic() - start < 8
    assert "did not answer in 2 s" in acme.rows("release-denied")[-1]["cause"]
    (faulty_hsm.faults / "hangs").unlink()
    assert guest.resource(PATH) == SECRET


@pytest.mark.xdist_group("bao")
def test_server_slow_a_clear_error_in_time_and_the_next_request_works(
    acme: Bench, guest: TwinGuest, transit: TransitBench
) -> None:
    transit.store().rotate(acme.clock.now)
    use(acme, KeyWrap(transit.store(1)))
    acme.secret("acme")
    transit.server.stop()
    try:
        with refused(503, "InternalError"):
            guest.resource(PATH)
    finally:
        transit.server.go_on()
    assert "did not answer in 1 s" in acme.rows("release-denied")[-1]["cause"]
    assert guest.resource(PATH) == SECRET


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application in a real server: its threads are what is asked about."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


def test_guests_are_challenged_and_attested_while_every_release_waits_for_the_store(
    acme: Bench, guest: TwinGuest, store: Interrupted
) -> None:
    release = threading.Event()

    def wait() -> None:
        release.wait(60)

    store.at_unwrap.extend([wait] * 45)
    cookie = guest.http.cookies["kbs-session-id"]

    def ask(url: str) -> None:
        headers = {"cookie": f"kbs-session-id={cookie}"}
        answers.append(
            httpx.get(f"{url}/kbs/v0/resource/{PATH}", headers=headers, timeout=60, trust_env=False)
        )

    answers: list[httpx.Response] = []
    with served(acme.app) as url:
        waiting = [threading.Thread(target=ask, args=(url,)) for _ in range(45)]
        for thread in waiting:
            thread.start()
        end = time.monotonic() + 30
        while len(store.calls) < RELEASES_AT_ONCE and time.monotonic() < end:
            time.sleep(0.02)
        with httpx.Client(base_url=url, timeout=10, trust_env=False) as http:
            other = acme.guest(http=http)
            other.auth()
            other.attest()
        assert not answers
        release.set()
        for thread in waiting:
            thread.join(60)
    assert {answer.status_code for answer in answers} == {200}
    assert (len(acme.rows("released")), len(acme.rows("repeat"))) == (1, 44)
