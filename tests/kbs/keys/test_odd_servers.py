"""What answers at the address of a transit server and is none, or none that can be trusted to be one."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

import pytest

from kbs.keys import KeyStoreError, KeyStoreUnavailable, Wrapped
from kbs.keys.files import write_new
from kbs.keys.transit import TransitAddress, TransitStore
from kbs.keys.wrap import KeyWrap
from kbs.keys.wrapped import write

Answer = Callable[[BaseHTTPRequestHandler], None]


class Start(Protocol):
    def __call__(self, answer: Answer, seconds: float = 1.0) -> TransitStore: ...


@pytest.fixture
def answered(tmp_path: Path) -> Iterator[Start]:
    """A store at a server that answers as it is told."""
    servers: list[ThreadingHTTPServer] = []
    write_new(tmp_path / "token", b"hvs.word")

    def start(answer: Answer, seconds: float = 1.0) -> TransitStore:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                answer(self)

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        return TransitStore(TransitAddress(url, "transit", "kbs", tmp_path / "token"), seconds)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def sends(status: int, body: bytes, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(200):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)
    except OSError:
        pass


def floods(handler: BaseHTTPRequestHandler, sent: list[int]) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        for _ in range(200):
            handler.wfile.write(b" " * (1 << 20))
            sent.append(1 << 20)
    except OSError:
        pass


BOX = Wrapped("transit:transit/kbs/v1", b"vault:v1:" + b"A" * 80)


@pytest.mark.parametrize("status", [429, 472, 473, 500, 502, 503, 302])
def test_a_status_that_passes_is_no_verdict_on_the_row(answered: Start, status: int) -> None:
    with pytest.raises(KeyStoreUnavailable, match=f"answers with status {status}"):
        answered(sends(status, b'{"errors": ["who knows"]}')).unwrap(BOX, b"")


def test_a_body_without_end_is_given_up_in_time(answered: Start) -> None:
    start = time.monotonic()
    with pytest.raises(KeyStoreUnavailable, match="did not answer in 1 s"):
        answered(drips).unwrap(BOX, b"")
    assert time.monotonic() - start < 5


def test_a_body_that_is_too_long_is_not_kept(answered: Start) -> None:
    sent: list[int] = []
    with pytest.raises(KeyStoreUnavailable, match="does not answer as a transit server does"):
        answered(partial(floods, sent=sent), seconds=60).unwrap(BOX, b"")
    assert sum(sent) < 100 << 20


def test_a_redirect_does_not_take_the_token_elsewhere(answered: Start) -> None:
    asked: list[str] = []

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        sends(200, b"{}")(handler)

    other = answered(elsewhere)
    with pytest.raises(KeyStoreUnavailable, match="status 307"):
        answered(sends(307, b"", location=f"{other._address.url}/v1/x")).unwrap(BOX, b"")
    assert asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"data": null}',
        b'{"data": []}',
        b"\xff",
        b'{"data": {}}',
        b'{"data": {"plaintext": 5}}',
    ],
)
def test_what_is_no_answer_of_transit_gives_no_key(answered: Start, body: bytes) -> None:
    store = answered(sends(200, body))
    for ask in (lambda: store.unwrap(BOX, b""), lambda: store.wrap(bytes(32), b""), store.keks):
        with pytest.raises(KeyStoreError):
            ask()


@pytest.mark.parametrize(
    "ciphertext",
    ["", "vault:v0:AAAA", "vault:vx:AAAA", "vault:v1:é", "v1", "vault:v1:AA", f"vault:v1:{'A' * 80}\n", 7],
)
def test_a_ciphertext_of_another_form_is_not_kept(answered: Start, ciphertext: object) -> None:
    body = json.dumps({"data": {"ciphertext": ciphertext}}).encode()
    with pytest.raises(KeyStoreError, match="does not answer as a transit server does"):
        answered(sends(200, body)).wrap(bytes(32), b"")


def test_a_data_key_has_thirty_two_bytes(answered: Start) -> None:
    for size in (0, 16, 31, 33, 64):
        plaintext = base64.b64encode(bytes(size)).decode()
        body = json.dumps({"data": {"plaintext": plaintext}}).encode()
        with pytest.raises(KeyStoreError, match=f"gave {size} bytes, a data key has 32"):
            KeyWrap(answered(sends(200, body))).unwrap(write(BOX), b"")


def test_a_server_that_gives_everybody_the_same_key_is_not_used(
    answered: Start,
) -> None:
    body = json.dumps(
        {"data": {"ciphertext": BOX.box.decode(), "plaintext": base64.b64encode(bytes(32)).decode()}}
    ).encode()
    with pytest.raises(KeyStoreError, match="does not give back what it was given"):
        KeyWrap(answered(sends(200, body))).prove()


def test_what_a_server_says_of_an_error_is_not_repeated(
    answered: Start,
) -> None:
    for status in (400, 403, 404, 500):
        with pytest.raises(KeyStoreError) as raised:
            answered(sends(status, b'{"errors": ["\x1b[31mpwned"]}')).unwrap(BOX, b"")
        assert "pwned" not in str(raised.value)
