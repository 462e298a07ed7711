"""An issuer's keys from its own address, over TLS to a server of this machine: when it is asked, and when it is silent."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from attest.result.passport import read_jwks
from kbs.passport.fetched import FRESH, KEPT, PAUSE, FetchedKeys
from kbs.passport.keys import KeysUnavailable
from tests.passport.conftest import OTHER, jwk

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@dataclass
class Issuer:
    """status, headers and body of the next answer."""

    url: str = ""
    trusted: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = json.dumps({"keys": [jwk(kid="one")]}).encode()
    chunk: int = 1 << 20
    pause: float = 0
    finished: Event = field(default_factory=Event)
    paths: list[str] = field(default_factory=list)

    def source(self, **keywords: Any) -> FetchedKeys[Any]:
        return FetchedKeys(f"{self.url}/jwks.json", read_jwks, verify=self.trusted, **keywords)


def certificate(folder: Path) -> Path:
    """Of 127.0.0.1 and its own authority, with its key, valid today."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + pem)
    return file


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    said = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.paths.append(self.path)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(said.body)))
            self.end_headers()
            for index in range(0, len(said.body), said.chunk):
                self.wfile.write(said.body[index : index + said.chunk])
                said.finished.wait(said.pause)

        def log_message(self, *_: object) -> None:
            pass

    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    said.url = f"https://127.0.0.1:{server.server_address[1]}"
    said.trusted = ssl.create_default_context(cafile=str(pem))
    yield said
    said.finished.set()
    server.shutdown()
    server.server_close()


def test_keys_are_had_and_kept_for_ten_minutes(issuer: Issuer) -> None:
    source = issuer.source()
    assert [key.kid for key in source.current(NOW)] == ["one"]
    source.current(NOW + FRESH - SECOND)
    assert issuer.paths == ["/jwks.json"]
    issuer.body = json.dumps({"keys": [jwk(OTHER, kid="two")]}).encode()
    assert [key.kid for key in source.current(NOW + FRESH)] == ["two"]


def test_a_key_that_is_not_known_asks_again_but_not_at_once(issuer: Issuer) -> None:
    source = issuer.source()
    source.current(NOW)
    issuer.body = json.dumps({"keys": [jwk(OTHER, kid="two")]}).encode()
    assert source.renewed(NOW + PAUSE - SECOND) is None
    assert len(issuer.paths) == 1
    assert [key.kid for key in source.renewed(NOW + PAUSE) or ()] == ["two"]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 404},
        {"status": 302, "headers": {"location": "https://127.0.0.1/other"}},
        {"body": b"{"},
        {"body": b'{"keys":[]}'},
        {"body": b" " * (300 << 10)},
    ],
)
def test_an_issuer_that_fails_is_believed_for_an_hour_and_no_longer(issuer: Issuer, answer: Any) -> None:
    source = issuer.source()
    source.current(NOW)
    for name, value in answer.items():
        setattr(issuer, name, value)
    later = NOW + FRESH
    assert [key.kid for key in source.current(later)] == ["one"]
    assert source.renewed(later + PAUSE) is None
    assert [key.kid for key in source.current(NOW + KEPT - SECOND)] == ["one"]
    with pytest.raises(KeysUnavailable):
        source.current(NOW + KEPT)
    assert set(issuer.paths) == {"/jwks.json"}, "no redirect is followed"
    issuer.status, issuer.headers, issuer.body = 200, {}, Issuer.body
    assert source.current(NOW + KEPT + PAUSE)


def test_an_issuer_that_never_answered_has_no_keys(issuer: Issuer) -> None:
    issuer.status = 503
    source = issuer.source()
    with pytest.raises(KeysUnavailable):
        source.current(NOW)
    with pytest.raises(KeysUnavailable):
        source.current(NOW + SECOND)
    assert len(issuer.paths) == 1, "and is not asked by each guest"


def test_an_issuer_that_sends_a_byte_now_and_then_does_not_hold_everybody_up(issuer: Issuer) -> None:
    issuer.chunk, issuer.pause = 1, 0.2
    started = time.monotonic()
    with pytest.raises(KeysUnavailable):
        issuer.source(seconds=1.0).current(NOW)
    assert issuer.paths
    assert time.monotonic() - started < 5


def test_t_kbs_a_server_of_another_authority_has_no_keys_for_us(issuer: Issuer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    issuer.trusted = ssl.create_default_context(cafile=str(certificate(tmp_path / "other")))
    with pytest.raises(KeysUnavailable):
        issuer.source().current(NOW)
    assert issuer.paths == []


def test_many_guests_at_once_ask_once(issuer: Issuer) -> None:
    source = issuer.source()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: source.current(NOW), range(16)))
    assert len(issuer.paths) == 1
    assert all([key.kid for key in keys] == ["one"] for keys in found)


def test_t_dos_an_issuer_that_is_slow_holds_up_nobody_who_has_its_keys(issuer: Issuer) -> None:
    source = issuer.source()
    source.current(NOW)
    issuer.chunk, issuer.pause = 16, 10
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(source.current, NOW + FRESH)
        while len(issuer.paths) < 2:
            time.sleep(0.01)
        assert [key.kid for key in source.current(NOW + FRESH)] == ["one"]
        assert source.renewed(NOW + FRESH + PAUSE) is None
        assert not asking.done()
        issuer.finished.set()
        assert [key.kid for key in asking.result()] == ["one"]
    assert len(issuer.paths) == 2


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/keys", "file:///etc/passwd", "https://u:p@host/keys", "https://", "x"]
)
def test_t_ssrf_an_address_is_https_and_the_operators(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        FetchedKeys(url, read_jwks)
