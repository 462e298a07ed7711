"""The server around the application: what it answers before any of our code is asked, and how it ends."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator
from contextlib import contextmanager
from threading import current_thread, main_thread
from time import monotonic
from types import FrameType

import h11
import uvicorn
from anyio import to_thread
from uvicorn.protocols.http.h11_impl import H11Protocol

from kbs.http.certificates import LOOK_SECONDS, Certificates
from kbs.readiness import Readiness
from kbs.refusals import Refusal


class ReadableProtocol(H11Protocol):
    """HTTP/1.1 by h11, which bounds the size of a request's head. What is no HTTP gets a body that guests
    can read, where uvicorn would send plain text."""

    def send_400_response(self, msg: str) -> None:
        body = json.dumps(Refusal(400, "InvalidRequest", "this is not HTTP that can be read").body()).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]
        events = (
            h11.Response(status_code=400, headers=headers),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Server(uvicorn.Server):
    """Ends in order: SIGTERM makes it unready at once, new requests are answered for `drain_seconds` still, and those
    that run may finish; then `run` returns, where uvicorn would let the signal kill the process before anything is closed.
    SIGINT, or a second SIGTERM, waits for no load balancer. SIGHUP takes up certificates now."""

    def __init__(
        self,
        config: uvicorn.Config,
        readiness: Readiness,
        drain_seconds: float = 0,
        certificates: Certificates | None = None,
    ) -> None:
        super().__init__(config)
        self._readiness = readiness
        self._drain_seconds = drain_seconds
        self._certificates = certificates
        self._ends: float | None = None
        self._looks = monotonic() + LOOK_SECONDS
        self._hung_up = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # In a signal handler: nothing that takes a lock, the log neither.
        self._readiness.drain()
        if sig != signal.SIGTERM:
            super().handle_exit(sig, frame)
        elif self._ends is None:
            self._ends = monotonic() + self._drain_seconds
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._ends is not None and monotonic() >= self._ends:
            self.should_exit = True
        if self._certificates is not None and (self._hung_up or monotonic() >= self._looks):
            self._hung_up, self._looks = False, monotonic() + LOOK_SECONDS
            await to_thread.run_sync(self._certificates.look)
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        with super().capture_signals():
            if current_thread() is not main_thread():
                yield
                return
            before = signal.signal(signal.SIGHUP, self._hang_up)
            try:
                yield
            finally:
                signal.signal(signal.SIGHUP, before)

    def _hang_up(self, _sig: int, _frame: FrameType | None) -> None:
        self._hung_up = True
