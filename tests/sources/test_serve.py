"""The service on a socket: bounded, read-only, logged; answered to our own client and to the bytes of others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest

from attest import verify
from attest.anchors import Anchors
from attest.cli.endorsements_serve import asking
from attest.endorsements import Endorsements
from attest.nvidia.rim import Rim
from attest.simulator import Simulator
from attest.simulator.simulated import Simulated
from attest.sources import serve
from attest.sources.coverage import issuers_of, manifest_ids
from attest.sources.fetch_for import fetch_for
from attest.sources.serve import EndorsementServer
from attest.sources.shelf import Shelf
from tests.conftest import NOON
from tests.sources.conftest import Site


@dataclass
class Running:
    server: EndorsementServer
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.server.url

    def raw(self, data: bytes, *, limit: float = 10) -> bytes:
        """Whatever comes back for these bytes, until the server closes."""
        with socket.create_connection(self.server.server_address[:2], timeout=limit) as connection:  # type: ignore[arg-type]
            connection.sendall(data)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer

    def status(self, data: bytes) -> int:
        return int(self.raw(data).split(b" ", 2)[1])


@pytest.fixture(scope="module")
def machines(simulator: Simulator) -> list[Simulated]:
    return [simulator.snp(), simulator.tdx(), simulator.gpu()]


def shelf_of(machines: list[Simulated], anchors: Anchors) -> Shelf:
    held = Endorsements()
    ids: dict[str, str] = {}
    for made in machines:
        held += made.endorsements + Endorsements(issuers_of(made.evidence))
        for device in made.evidence.devices:
            ids |= manifest_ids(device)
    rims = tuple(rim if isinstance(rim, Rim) else Rim.parse(rim) for rim in held.rims)
    named = {rim.digest: ids[str(rim.stated.version).upper()] for rim in rims}
    kept = Endorsements(held.certificates, held.crls, held.documents, rims, held.ocsp)
    return Shelf(kept, anchors=anchors, rim_ids=named)


@pytest.fixture(scope="module")
def running(machines: list[Simulated], anchors: Anchors) -> Iterator[Running]:
    shelf = shelf_of(machines, anchors)
    lines: list[str] = []
    with EndorsementServer(("127.0.0.1", 0), shelf.answer, lines.append) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield Running(server, lines)
        server.shutdown()
        thread.join(5)


CRL = "/vcek/v1/Genoa/crl"


def quiet(_: str) -> None:
    """A log that nobody reads."""


def test_our_own_client_fetches_everything_from_it(
    machines: list[Simulated], running: Running, anchors: Anchors, site: Site
) -> None:
    site.vendors.base = running.url
    for made in machines:
        sources = site.sources()
        fetched = fetch_for(made.evidence, sources)
        verified = verify(made.evidence, endorsements=fetched.endorsements, at=NOON, anchors=anchors)
        plain = verify(made.evidence, endorsements=made.endorsements, at=NOON, anchors=anchors)
        assert verified.claims_json() == plain.claims_json()


def test_many_at_once_get_the_same_bytes(running: Running, machines: list[Simulated]) -> None:
    (crl,) = machines[0].endorsements.crls
    with httpx.Client(base_url=running.url, trust_env=False) as client, ThreadPoolExecutor(16) as pool:
        bodies = set(pool.map(lambda _: client.get(CRL).content, range(64)))
    assert bodies == {crl.der}


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /vcek/v1/Genoa/crl HTTP/1.1\r\n\r\n", 200),
        (b"HEAD /vcek/v1/Genoa/crl HTTP/1.1\r\n\r\n", 405),
        (b"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 405),
        (b"DELETE / HTTP/1.1\r\n\r\n", 405),
        (b"BREW / HTTP/1.1\r\n\r\n", 501),
        (b"GET /../../../../etc/passwd HTTP/1.1\r\n\r\n", 400),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n\r\n", 400),
        (b"GET //etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET http://elsewhere/vcek/v1/Genoa/crl HTTP/1.1\r\n\r\n", 400),
        (b"GET /x\0y HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + (b"a: " + b"b" * 1000 + b"\r\n") * 15 + b"\r\n", 200),
        (b"GET / HTTP/1.1\r\n" + (b"a: " + b"b" * 1000 + b"\r\n") * 17 + b"\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nxx", 415),
    ],
)  # fmt: skip
def test_what_comes_over_the_wire(data: bytes, status: int, running: Running) -> None:
    assert running.status(data) == status


def test_a_head_request_gets_no_body(running: Running) -> None:
    assert running.raw(b"HEAD / HTTP/1.1\r\n\r\n").endswith(b"\r\n\r\n")


def test_a_second_request_on_a_connection_is_not_answered(running: Running) -> None:
    answer = running.raw(b"GET /x HTTP/1.1\r\n\r\nGET /y HTTP/1.1\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


def test_each_request_is_one_line_of_log_without_controls(running: Running) -> None:
    running.lines.clear()
    running.raw(b"GET /vcek/v1/Genoa/crl HTTP/1.1\r\n\r\n")
    running.raw(b"GET /\x1b[2J\xe2\x80\xae HTTP/1.1\r\n\r\n")
    running.raw(b"\x1b]0;x\x07 / HTTP/1.1\r\n\r\n")
    first, *others = running.lines
    _, client, method, target, status, size = first.split(" ")
    assert (client, method, target, status) == ("127.0.0.1", "GET", CRL, "200")
    assert int(size) > 0
    assert len(others) == 2
    assert all(line.isascii() and line.isprintable() for line in running.lines)


def test_who_says_nothing_is_cut_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve._Handler, "timeout", 0.2)
    assert running.raw(b"GET / HTT") == b""


def test_who_drips_is_cut_off_too(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "DEADLINE", 0.4)
    with socket.create_connection(running.server.server_address[:2], timeout=10) as connection:  # type: ignore[arg-type]
        connection.settimeout(0.05)
        for _ in range(200):
            try:
                connection.sendall(b"a")
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return
    pytest.fail("the connection lives on")


def test_more_connections_than_it_holds_are_turned_away(
    machines: list[Simulated], anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "MAX_CONNECTIONS", 2)
    with EndorsementServer(("127.0.0.1", 0), shelf_of([], anchors).answer, quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        here = Running(server)
        address = server.server_address[:2]
        held = [socket.create_connection(address, timeout=10) for _ in range(2)]  # type: ignore[arg-type]
        try:
            assert here.status(b"") == 503
        finally:
            for connection in held:
                connection.close()
        # Their places are free again.
        for _ in range(100):
            if here.status(b"GET / HTTP/1.1\r\n\r\n") == 200:
                break
        else:
            pytest.fail("no place became free")
        server.shutdown()
        thread.join(5)


def test_when_the_bundle_ends_nothing_is_handed_out(machines: list[Simulated], anchors: Anchors) -> None:
    now = NOON
    shelf = shelf_of(machines[:1], anchors)
    ask = asking(shelf, NOON, lambda: now)
    assert ask("GET", CRL, "", b"").status == 200
    now += timedelta(seconds=1)
    with EndorsementServer(("127.0.0.1", 0), ask, quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        assert Running(server).status(b"GET /vcek/v1/Genoa/crl HTTP/1.1\r\n\r\n") == 503
        server.shutdown()
        thread.join(5)
