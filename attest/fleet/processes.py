"""Workers that are processes of this machine, each with a pipe. A process that ends is replaced."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from attest.fleet.items import Item
from attest.fleet.job import Job, Judge

SECONDS = 300.0
"""How long a chunk may take: hostile evidence has a bounded price, so more is an error."""
_START_SECONDS = 120.0
_CONTEXT = multiprocessing.get_context("spawn")


class Processes:
    """A pool of `size` processes. Raises what `Judge` raises when the job cannot be begun."""

    def __init__(self, job: Job, size: int) -> None:
        if size < 1:
            raise ValueError("at least one process")
        # Read here first: what is wrong with it is the caller's to hear, and no worker's.
        Judge(job)
        self._job = job
        self._workers: list[tuple[SpawnProcess, Connection]] = []
        self._deadlines: dict[int, float] = {}
        try:
            self._workers = [self._start() for _ in range(size)]
            for _, connection in self._workers:
                _begun(connection)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        return len(self._workers)

    def free(self) -> int | None:
        return next((n for n in range(len(self._workers)) if n not in self._deadlines), None)

    def send(self, worker: int, items: Sequence[Item]) -> None:
        self._deadlines[worker] = time.monotonic() + SECONDS
        with suppress(OSError):  # it has ended: `receive` finds the pipe closed
            self._workers[worker][1].send(items)

    def receive(self) -> list[tuple[int, Sequence[bytes] | None]]:
        places = {self._workers[worker][1]: worker for worker in self._deadlines}
        left = max(0.0, min(self._deadlines.values()) - time.monotonic())
        finished: list[tuple[int, Sequence[bytes] | None]] = []
        for connection in wait(list(places), left):
            assert isinstance(connection, Connection)
            finished.append((places[connection], _answer(connection)))
        now = time.monotonic()
        answered = {worker for worker, _ in finished}
        late = [worker for worker, end in self._deadlines.items() if end <= now and worker not in answered]
        finished += [(worker, None) for worker in late]
        for worker, lines in finished:
            del self._deadlines[worker]
            if lines is None:
                self._replace(worker)
        return finished

    def close(self) -> None:
        for process, connection in self._workers:
            connection.close()
            process.join(0.5)
            if process.is_alive():
                process.kill()
                process.join()
        self._workers = []

    def _start(self) -> tuple[SpawnProcess, Connection]:
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_work, args=(self._job, theirs), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    def _replace(self, worker: int) -> None:
        process, connection = self._workers[worker]
        connection.close()
        process.kill()
        process.join()
        self._workers[worker] = self._start()
        _begun(self._workers[worker][1])


def _begun(connection: Connection) -> None:
    """Raises RuntimeError when a process does not come up."""
    try:
        if connection.poll(_START_SECONDS) and connection.recv():
            return
    except (EOFError, OSError):
        pass
    raise RuntimeError("a worker process did not start")


def _answer(connection: Connection) -> Sequence[bytes] | None:
    try:
        lines: Sequence[bytes] = connection.recv()
    except (EOFError, OSError):
        return None
    return lines


def _work(job: Job, connection: Connection) -> None:
    """A worker's life: the job once, then chunks until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    judge = Judge(job)
    connection.send(True)
    while True:
        try:
            items: Sequence[Item] = connection.recv()
        except (EOFError, OSError):
            return
        connection.send([judge.line(item) for item in items])
