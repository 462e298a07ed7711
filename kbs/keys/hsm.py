"""The processes that speak to a PKCS#11 token, and how long each may take."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from multiprocessing import Pipe
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import Any, Final

from kbs.keys import KeyStoreError, KeyStoreUnavailable
from kbs.keys.hsm_worker import TokenAddress

AT_ONCE: Final = 2
"""Processes, each with a session of its own. A token does one thing at a time anyway."""
_Stamp = tuple[int, int, int]


class Hsm:
    """Asks the token, and answers in time whatever the token does. Safe for threads."""

    def __init__(self, address: TokenAddress, seconds: float) -> None:
        self._address = address
        self._seconds = seconds
        self._turns = BoundedSemaphore(AT_ONCE)
        self._lock = Lock()
        self._idle: list[_Process] = []
        self._refused: tuple[_Stamp, str] | None = None

    def ask(self, **request: str) -> Any:
        """Raises KeyStoreUnavailable when the token is gone, slow or closed to us, KeyStoreError for what
        cannot be had of a token that is well.

        A process that served before and finds the token gone is followed by a new one: sessions end when a
        token restarts, and that is nobody's failure.
        """
        end = monotonic() + self._seconds
        if not self._turns.acquire(timeout=self._seconds):
            raise self._slow()
        try:
            while True:
                process, served_before = self._take()
                answer = process.ask(request, end)
                if "gone" in answer or "refused" in answer or not answer:
                    process.end()
                else:
                    with self._lock:
                        self._idle.append(process)
                if "gone" in answer and served_before:
                    continue
                return self._read(answer)
        finally:
            self._turns.release()

    def _take(self) -> tuple[_Process, bool]:
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
            # A wrong PIN is tried once: some tokens lock for ever after three.
            if self._refused is not None and self._refused[0] == self._stamp():
                raise KeyStoreUnavailable(f"{self._refused[1]}; it is not tried again until the file changes")
        return _Process(self._address), False

    def _read(self, answer: dict[str, Any]) -> Any:
        if "done" in answer:
            return answer["done"]
        if "wrong" in answer:
            raise KeyStoreError(answer["wrong"])
        if "refused" in answer:
            self._refused = (self._stamp(), answer["refused"])
            raise KeyStoreUnavailable(answer["refused"])
        if "gone" in answer:
            raise KeyStoreUnavailable(answer["gone"])
        raise self._slow()

    def _slow(self) -> KeyStoreUnavailable:
        return KeyStoreUnavailable(f"the token {self._address.token} did not answer in {self._seconds:g} s")

    def _stamp(self) -> _Stamp:
        try:
            status = self._address.pin.stat()
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()


class _Process:
    def __init__(self, address: TokenAddress) -> None:
        self._pipe, theirs = Pipe()
        arguments = (
            str(address.module),
            address.token,
            address.label,
            str(address.pin),
            str(theirs.fileno()),
        )
        self._process = subprocess.Popen(  # noqa: S603 (our own module; the arguments are configuration)
            [sys.executable, "-m", "kbs.keys.hsm_worker", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # an interrupt at the terminal is the broker's to handle
        )
        theirs.close()

    def ask(self, request: dict[str, str], end: float) -> dict[str, Any]:
        """The answer, {} where none came in time."""
        try:
            self._pipe.send_bytes(json.dumps(request).encode())
            if not self._pipe.poll(max(0.0, end - monotonic())):
                return {}
            answer: dict[str, Any] = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError):
            return {"gone": "the PKCS#11 module ended its process"}
        return answer

    def end(self) -> None:
        self._pipe.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
