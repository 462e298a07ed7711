"""HTTP around a shelf: read-only, bounded in size, time and number, one line of log a request.

The standard library's server is enough here: it listens on this machine unless told otherwise, hands out
public bytes, keeps no state, and answers one question a connection.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from attest.claims import instant
from attest.sources.asked import MAX_REQUEST, Refusal, Reply
from attest.untrusted import escape

MAX_CONNECTIONS = 64
SILENCE = 5.0
"""Seconds a connection may say nothing."""
DEADLINE = 20.0
"""Seconds a connection may last, however busy it is."""
MAX_HEAD = 16 << 10
"""Bytes of all header lines together. The library bounds each line and their number: six megabytes a connection,
and several times that while they are read."""

Ask = Callable[[str, str, str, bytes], Reply]


class EndorsementServer(ThreadingHTTPServer):
    """ask: method, target, content type and body → reply. log: receives a line a request, escaped.

    Beyond MAX_CONNECTIONS at once a connection is closed with 503. Port 0 takes a free one.
    """

    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, address: tuple[str, int], ask: Ask, log: Callable[[str], None]) -> None:
        self.ask = ask
        self.log = log
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        shown = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{shown}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.log(f"{instant(datetime.now(UTC))} {escape(str(client_address[0]))} - - 503 0")
            with contextlib.suppress(OSError):
                request.settimeout(0.2)
                request.sendall(b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(DEADLINE, _cut, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off is the client's affair; no trace goes to the log."""


def _cut(request: Any) -> None:
    with contextlib.suppress(OSError):
        request.shutdown(socket.SHUT_RDWR)


class _Head:
    """The header lines of one request, up to MAX_HEAD bytes of them."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = MAX_HEAD

    def readline(self, limit: int) -> bytes:
        """Raises what the library answers with 431."""
        line: bytes = self._stream.readline(min(limit, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise http.client.LineTooLong("head")
        return line


class _Handler(BaseHTTPRequestHandler):
    server: EndorsementServer
    protocol_version = "HTTP/1.1"
    server_version = "attest"
    sys_version = ""
    timeout = SILENCE

    def parse_request(self) -> bool:
        stream = self.rfile
        self.rfile = cast(Any, _Head(stream))
        try:
            return super().parse_request()
        finally:
            self.rfile = stream

    def _answer(self) -> None:
        try:
            body = self._body()
            reply = self.server.ask(self.command, self.path, self.headers.get("Content-Type", ""), body)
        except Refusal as refusal:
            reply = refusal.reply
        self._send(reply)

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _answer

    def _body(self) -> bytes:
        """The body of a request, of a length that was said before. Raises Refusal."""
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Transfer-Encoding") is not None or len(lengths) > 1:
            raise Refusal(411, "one Content-Length is wanted")
        if not lengths:
            return b""
        if not (lengths[0].isascii() and lengths[0].isdigit() and len(lengths[0]) <= 9):
            raise Refusal(400, "Content-Length is a number")
        size = int(lengths[0])
        if size > MAX_REQUEST:
            raise Refusal(413, f"at most {MAX_REQUEST} bytes")
        body = self.rfile.read(size)
        if len(body) != size:
            raise Refusal(400, "the body is cut short")
        return body

    def _send(self, reply: Reply) -> None:
        self.close_connection = True
        self._log(reply.status, len(reply.body))
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses by itself: a request line or headers that are none."""
        self.command = getattr(self, "command", None) or "-"
        self.path = getattr(self, "path", None) or "-"
        self.request_version = "HTTP/1.1"
        self._send(Reply(code, "text/plain; charset=utf-8", b"not a request this service takes\n"))

    def _log(self, status: int, size: int) -> None:
        # Target and method are the client's text: one line, no control characters, not without end.
        asked = f"{escape(self.command, 16)} {escape(self.path, 300)}"
        client = escape(str(self.client_address[0]))
        line = f"{instant(datetime.now(UTC))} {client} {asked} {status} {size}"
        self.server.log(line.encode("ascii", "backslashreplace").decode())

    def log_message(self, *_: object) -> None:
        """Nothing beside the line of `_log`."""

    def version_string(self) -> str:
        return self.server_version
