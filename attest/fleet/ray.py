"""Workers that are actors of a Ray cluster. An actor that ends is replaced."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from attest.fleet.batch import CHUNK, run
from attest.fleet.items import Item
from attest.fleet.job import Job, Judge


class RayMissing(RuntimeError):
    """Ray is not installed."""


class Actors:
    """A pool of `size` actors, each with one processor. Ray must be initialised.

    Files of a folder are read where the actor runs, so every node needs them at the same path.
    Raises what `Judge` raises when the job cannot be begun.
    """

    def __init__(self, job: Job, size: int) -> None:
        if size < 1:
            raise ValueError("at least one worker")
        # Read here first: the error is then the job's own, not Ray's.
        Judge(job)
        self._ray = load_ray()
        self._job = self._ray.put(job)
        self._kind = self._ray.remote(num_cpus=1, max_restarts=0)(_Worker)
        self._actors: list[Any] = [self._kind.remote(self._job) for _ in range(size)]
        self._calls: dict[Any, int] = {}

    @property
    def size(self) -> int:
        return len(self._actors)

    def free(self) -> int | None:
        busy = set(self._calls.values())
        return next((n for n in range(len(self._actors)) if n not in busy), None)

    def send(self, worker: int, items: Sequence[Item]) -> None:
        self._calls[self._actors[worker].lines.remote(list(items))] = worker

    def receive(self) -> list[tuple[int, Sequence[bytes] | None]]:
        ready, _ = self._ray.wait(list(self._calls), num_returns=1)
        finished: list[tuple[int, Sequence[bytes] | None]] = []
        for call in ready:
            worker = self._calls.pop(call)
            try:
                finished.append((worker, self._ray.get(call)))
            except self._ray.exceptions.RayError:
                self._ray.kill(self._actors[worker])
                self._actors[worker] = self._kind.remote(self._job)
                finished.append((worker, None))
        return finished

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors = []


class _Worker:
    def __init__(self, job: Job) -> None:
        self._judge = Judge(job)

    def lines(self, items: Sequence[Item]) -> list[bytes]:
        return [self._judge.line(item) for item in items]


def load_ray() -> Any:
    """Raises RayMissing."""
    # Evidence is nobody else's business, and so is how much of it there is.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return import_module("ray")
    except ModuleNotFoundError:
        raise RayMissing("--ray needs Ray: pip install 'attest[ray]'") from None


def judge_all(
    items: Iterator[Item], job: Job, *, address: str | None, workers: int, chunk: int = CHUNK
) -> Iterator[bytes]:
    """`run` over a cluster. address: as `ray.init` takes it; None for a cluster of this machine alone."""
    ray = load_ray()
    ours = not ray.is_initialized()
    if ours:
        local: dict[str, Any] = {} if address else {"num_cpus": workers, "include_dashboard": False}
        ray.init(address=address, log_to_driver=False, **local)
    pool = Actors(job, workers)
    try:
        yield from run(items, pool, at=job.at, chunk=chunk)
    finally:
        pool.close()
        if ours:
            ray.shutdown()
