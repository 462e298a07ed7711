"""The one HTTP client: fixed hosts, built paths, and a limit for everything.

An address comes from the configuration (`attest.sources.hosts`) and the path is built by the module that
knows the service; nothing found in evidence, in a certificate or in an answer is ever followed: no
redirect, no AIA, no CRL distribution point (T-SSRF). What comes back is bytes that prove nothing.
Source: RFC 9110 (HTTP), RFC 6585 (429), RFC 9110 §10.2.3 (Retry-After).
"""

from __future__ import annotations

import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from attest.sources.failure import FetchFailed, failed

if TYPE_CHECKING:
    import httpx

    from attest.sources.folder import Folder

ATTEMPTS = 4
CONNECT, READ = 5.0, 15.0
"""Seconds: to connect, and between two pieces of an answer."""
BUDGET = 60.0
"""Seconds for one answer, retries and waits for a rate limit included; more only where a caller says so."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_LONGEST_RETRY_AFTER = 3600.0
_TEMPORARY = frozenset({408, 500, 502, 503, 504})
MAX_HEADER = 64 << 10


@dataclass(frozen=True, slots=True)
class Request:
    """url: built from a configured base and checked parts. limit: most bytes of an answer. types: media
    types that may come; empty for any that is not a page. pace: seconds between two requests to this
    host, of all processes together. direct: never through a proxy. budget: seconds for all of it."""

    url: str
    limit: int
    method: str = "GET"
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    pace: float = 0.0
    direct: bool = False
    budget: float = BUDGET


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer of status 200. headers: names in lower case."""

    body: bytes
    headers: Mapping[str, str]


@dataclass
class Client:
    """sleep, clock, jitter and now are arguments so that tests need not wait. folder: where processes
    agree about the pace; None for this client alone. tell: one line about a wait of some seconds."""

    folder: Folder | None = None
    proxy: str | None = None
    ca_file: str | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = random.random
    tell: Callable[[str], None] = lambda line: None
    attempts: int = ATTEMPTS
    connect: float = CONNECT
    read: float = READ
    _clients: dict[bool, Any] = field(default_factory=dict)
    _slots: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def send(self, request: Request) -> Answer:
        """One answer of status 200. Raises FetchFailed after the last attempt, or at once where asking
        again makes no sense."""
        end = self.clock() + request.budget
        pause = _FIRST_PAUSE
        for attempt in range(1, self.attempts + 1):
            self._wait_for_turn(request, end)
            try:
                return self._once(request, end)
            except FetchFailed as failure:
                # Full jitter: many who failed together must not come back together.
                wait = pause * (0.5 + self.jitter() / 2)
                if failure.reason.code == "sources.unreachable":
                    self._give_back(request)
                if failure.retry_at is not None:
                    asked = (failure.retry_at - self.now()).total_seconds()
                    self._postpone(request, asked)
                    wait = max(wait, asked)
                if not failure.temporary or attempt == self.attempts:
                    raise
                if self.clock() + wait >= end:
                    raise
                if wait > 2:
                    self.tell(
                        f"{_host(request.url)}: {failure.reason.message.lower()}; again in {wait:.0f} s"
                    )
                self.sleep(wait)
                pause = min(pause * 2, _LONGEST_PAUSE)
        raise AssertionError("unreachable")

    # -- one attempt -----------------------------------------------------------------------------------

    def _once(self, request: Request, end: float) -> Answer:
        import httpx

        where = shown(request.url)
        headers = {
            "user-agent": "attest",
            "accept": ", ".join(request.types) or "*/*",
            # Sizes are counted as they come: a compressed answer could unpack to anything.
            "accept-encoding": "identity",
            **request.headers,
        }
        client = self._client(request)
        watch = _Watch(end - self.clock())
        try:
            with client.stream(
                request.method,
                request.url,
                content=request.body,
                headers=headers,
                extensions={"trace": watch.trace},
            ) as response:
                self._check_head(request, response, where)
                body = self._body(request, response, end, where)
                if watch.late:
                    # Cut by us: where no length was announced it looks like the end.
                    raise failed("sources.slow", where=where)
                return Answer(body, dict(response.headers.items()))
        except (httpx.LocalProtocolError, UnicodeEncodeError):
            # Their words repeat the header, and the header may be a service key.
            raise failed(
                "sources.unreachable", where=where, found="a header that cannot be sent", temporary=False
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if watch.late or isinstance(error, httpx.TimeoutException):
                raise failed("sources.slow", where=where) from None
            if isinstance(error, httpx.RemoteProtocolError):
                raise failed("sources.cut-off", where=where, found=str(error)) from None
            raise failed(
                "sources.unreachable", where=where, found=str(error) or type(error).__name__
            ) from None
        finally:
            watch.stop()

    def _check_head(self, request: Request, response: httpx.Response, where: str) -> None:
        status = response.status_code
        if 300 <= status < 400:
            raise failed(
                "sources.redirect",
                where=where,
                expected="200",
                found=f"{status} to {response.headers.get('location', 'nowhere')}",
                temporary=False,
            )
        if status == 404:
            raise failed("sources.not-found", where=where, found=status, temporary=False)
        if status == 410:
            raise failed("sources.gone", where=where, found=status, temporary=False)
        if status == 429 or (status == 503 and "retry-after" in response.headers):
            asked = _retry_after(response.headers.get("retry-after"), self.now())
            wait = asked if asked is not None else max(request.pace, _FIRST_PAUSE)
            raise failed(
                "sources.rate-limited",
                where=where,
                found=f"{status}, wait {wait:.0f} s",
                retry_at=self.now() + timedelta(seconds=wait),
            )
        if status != 200:
            raise failed(
                "sources.status", where=where, expected=200, found=status, temporary=status in _TEMPORARY
            )
        if response.headers.get("content-encoding", "identity") != "identity":
            raise failed(
                "sources.content",
                where=where,
                expected="no content encoding",
                found=response.headers["content-encoding"],
                temporary=False,
            )
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml") or (
            request.types and kind and kind not in request.types
        ):
            # A captive portal or a proxy's page, with status 200.
            raise failed(
                "sources.content",
                where=where,
                expected=" or ".join(request.types) or "no page",
                found=kind,
                temporary=False,
            )

    def _body(self, request: Request, response: httpx.Response, end: float, where: str) -> bytes:
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:12]) > request.limit:
            raise _too_large(request, announced, where)
        pieces, size = [], 0
        # As they come: pieces of a fixed size would be waited for, however slowly they fill.
        for piece in response.iter_raw():
            size += len(piece)
            if size > request.limit:
                raise _too_large(request, f"more than {request.limit}", where)
            pieces.append(piece)
            if self.clock() > end:
                # A server that sends a byte now and then never lets the read time out.
                raise failed("sources.slow", where=where, found=f"{size} bytes in {request.budget:.0f} s")
        return b"".join(pieces)

    def _client(self, request: Request) -> httpx.Client:
        import httpx

        proxied = self.proxy is not None and not request.direct
        with self._lock:
            client: httpx.Client | None = self._clients.get(proxied)
            if client is None:
                verify: Any = True
                if self.ca_file is not None:
                    verify = httpx.create_ssl_context(trust_env=False)
                    try:
                        verify.load_verify_locations(cafile=self.ca_file)
                    except OSError as error:  # SSLError among them
                        raise failed(
                            "sources.unreachable", where=self.ca_file, found=str(error), temporary=False
                        ) from None
                try:
                    client = self._clients[proxied] = httpx.Client(
                        timeout=httpx.Timeout(self.read, connect=self.connect),
                        # A connection serves one request, so that its time can end it (`_Watch`).
                        limits=httpx.Limits(max_connections=16, max_keepalive_connections=0),
                        follow_redirects=False,
                        # Neither proxies nor netrc passwords of an environment that nobody looked at.
                        trust_env=False,
                        proxy=self.proxy if proxied else None,
                        verify=verify,
                    )
                except (ValueError, httpx.InvalidURL):
                    # Without its text: a proxy's address may hold a password.
                    raise failed(
                        "sources.unreachable",
                        where="the proxy",
                        expected="an address like http://proxy.example:3128",
                        temporary=False,
                    ) from None
            return client

    # -- pace ------------------------------------------------------------------------------------------

    def _wait_for_turn(self, request: Request, end: float) -> None:
        """Take the host's next free moment, also against other processes, and wait for it.

        Raises FetchFailed (`sources.rate-limited`) when it comes after `end`; the moment is not taken then.
        """
        if request.pace <= 0:
            return
        host = _host(request.url)
        with self._agreed(host) as slot:
            now = self.now().timestamp()
            # A moment further away than any wait was written by another clock, or by nobody of ours.
            free = slot.free if now < slot.free <= now + _LONGEST_RETRY_AFTER else now
            wait = free - now
            if self.clock() + wait > end:
                raise failed(
                    "sources.rate-limited",
                    where=shown(request.url),
                    found=f"next request to {host} in {wait:.0f} s",
                    retry_at=datetime.fromtimestamp(free, UTC),
                    temporary=False,
                )
            slot.free = free + request.pace
        if wait > 0:
            if wait > 2:
                self.tell(f"{host}: one request in {request.pace:.0f} s; waiting {wait:.0f} s")
            self.sleep(wait)

    def _give_back(self, request: Request) -> None:
        """A moment taken for a request that never reached the host."""
        if request.pace > 0:
            with self._agreed(_host(request.url)) as slot:
                slot.free -= request.pace

    def _postpone(self, request: Request, seconds: float) -> None:
        """What a 429 asks holds for every process, not only for the one that was told."""
        if request.pace > 0:
            with self._agreed(_host(request.url)) as slot:
                slot.free = max(slot.free, self.now().timestamp() + min(seconds, _LONGEST_RETRY_AFTER))

    def _agreed(self, host: str) -> _Slot:
        return _Slot(self, host)


class _Watch:
    """Ends the connection of one request when its time is over, wherever it stands.

    A server that sends its headers, its interim answers or its trailers a byte now and then never lets a read
    time out, and nothing of it reaches `Client._body`.
    """

    def __init__(self, seconds: float) -> None:
        self.late = False
        self._ended = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(seconds, 0.0), self._cut)
        self._timer.daemon = True
        self._timer.start()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpcore's trace of a request: told of the connection, it keeps a second descriptor of it."""
        if event != "connection.connect_tcp.complete":
            return
        made: socket.socket = info["return_value"].get_extra_info("socket")
        with self._lock, suppress(OSError):
            # Of its own: TLS takes the first one over.
            self._sockets.append(socket.socket(fileno=os.dup(made.fileno())))
            if self.late:
                self._sockets[-1].shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            for each in self._sockets:
                each.close()

    def _cut(self) -> None:
        with self._lock:
            if self._ended:
                return
            self.late = True
            for each in self._sockets:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)


class _Slot:
    """The next free moment of a host, under the lock that all processes share."""

    def __init__(self, client: Client, host: str) -> None:
        self._client = client
        self._name = "pace-" + hashlib.sha256(host.encode()).hexdigest()[:32]
        self._lock: Any = None
        self.free = 0.0

    def __enter__(self) -> _Slot:
        folder = self._client.folder
        if folder is None:
            self._client._lock.acquire()
            self.free = self._client._slots.get(self._name, 0.0)
            return self
        self._lock = folder.locked(self._name, patience=5.0)
        self._lock.__enter__()
        data = folder.read(self._name, 64) or b""
        try:
            self.free = float(data)
        except ValueError:
            self.free = 0.0
        if not 0 <= self.free < 1e11:
            self.free = 0.0
        return self

    def __exit__(self, *error: object) -> None:
        folder = self._client.folder
        if folder is None:
            self._client._slots[self._name] = self.free
            self._client._lock.release()
            return
        try:
            if error[0] is None:
                folder.write(self._name, f"{self.free:.3f}".encode())
        finally:
            self._lock.__exit__(None, None, None)


def percent_decoded(text: str, *, where: str) -> bytes:
    """A percent-encoded header, as Intel's issuer chains are; `+` is itself (base64). Raises FetchFailed."""
    if len(text) > MAX_HEADER:
        raise failed("sources.content", where=where, expected=f"≤ {MAX_HEADER} characters", found=len(text))
    return unquote_to_bytes(text)


def shown(url: str) -> str:
    """A URL for messages: without user, password and query's tail."""
    parts = urlsplit(url)
    query = f"?{parts.query[:80]}" if parts.query else ""
    return f"{parts.scheme}://{_host(url)}{parts.path}{query}"


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.hostname + (f":{parts.port}" if parts.port else "") if parts.hostname else ""


def _too_large(request: Request, found: object, where: str) -> FetchFailed:
    return failed(
        "sources.too-large", where=where, expected=f"≤ {request.limit} bytes", found=found, temporary=False
    )


def _retry_after(text: str | None, now: datetime) -> float | None:
    """Seconds, or an HTTP date; None when neither. At most an hour is believed."""
    if text is None:
        return None
    text = text.strip()
    if text.isdecimal() and len(text) <= 9:
        return min(float(text), _LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0.0, (date - now).total_seconds()), _LONGEST_RETRY_AFTER)
