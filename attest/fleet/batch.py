"""Items to workers and answers back: in order, with a bounded number under way, and none forgotten.

A pool is given chunks and gives back their lines, or says that the worker was lost; then each item of the chunk is
tried alone, so that one item that ends its process costs only its own answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Protocol

from attest.fleet.items import Item
from attest.fleet.job import Job, lost

CHUNK = 16
"""Items that a worker is given at once: messages cost as much as a small verification."""
WINDOW = 8
"""Chunks under way or waiting for an earlier answer, for each worker."""


class Pool(Protocol):
    """Workers of any kind."""

    @property
    def size(self) -> int: ...

    def free(self) -> int | None:
        """A worker with nothing to do."""

    def send(self, worker: int, items: Sequence[Item]) -> None: ...

    def receive(self) -> Sequence[tuple[int, Sequence[bytes] | None]]:
        """Workers that finished, with one line for each of their items; None where the worker was lost and
        has been replaced. Waits for one at least."""

    def close(self) -> None: ...


def run(items: Iterator[Item], pool: Pool, *, at: datetime, chunk: int = CHUNK) -> Iterator[bytes]:
    """One line for each item, in order. items: with indices from 0, without gaps; read as far as needed."""
    window = chunk * WINDOW * pool.size
    under_way: dict[int, Sequence[Item]] = {}
    alone: deque[Item] = deque()
    done: dict[int, bytes] = {}
    given = written = 0
    more = True
    while more or alone or under_way or done:
        while (worker := pool.free()) is not None:
            chosen: Sequence[Item] = [alone.popleft()] if alone else []
            if not chosen and more and given - written + chunk <= window:
                chosen = list(islice(items, chunk))
                given += len(chosen)
                more = bool(chosen)
            if not chosen:
                break
            pool.send(worker, chosen)
            under_way[worker] = chosen
        if under_way:
            for worker, lines in pool.receive():
                tried = under_way.pop(worker)
                if lines is not None:
                    done.update((item.index, line) for item, line in zip(tried, lines, strict=True))
                elif len(tried) == 1:
                    done[tried[0].index] = lost(tried[0], at)
                else:
                    alone.extend(tried)
        while written in done:
            yield done.pop(written)
            written += 1


def judge_all(items: Iterator[Item], job: Job, *, processes: int, chunk: int = CHUNK) -> Iterator[bytes]:
    """`run` over processes of this machine. Raises what `Judge` raises, and RuntimeError when none start."""
    from attest.fleet.processes import Processes

    pool = Processes(job, processes)
    try:
        yield from run(items, pool, at=job.at, chunk=chunk)
    finally:
        pool.close()
