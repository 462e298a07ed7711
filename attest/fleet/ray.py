"""Workers that are actors of a Ray cluster. An actor that ends is replaced."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from attest.fleet.batch import CHUNK, run
from attest.fleet.items import Item
from attest.fleet.job import Job, Judge
from attest.fleet.processes import SECONDS

START_SECONDS = 300.0
"""How long an actor may take to come up: a cluster may have to start a node for it."""


class RayMissing(RuntimeError):
    """Ray is not installed."""


class Actors:
    """A pool of `size` actors, each with one processor. Ray must be initialised.

    Files of a folder are read where the actor runs, so every node needs them at the same path.
    Raises what `Judge` raises when the job cannot be begun, and RuntimeError when an actor does not come up.
    """

    def __init__(self, job: Job, size: int) -> None:
        if size < 1:
            raise ValueError("at least one worker")
        # Read here first: the error is then the job's own, not Ray's.
        Judge(job)
        self._ray = load_ray()
        self._job = self._ray.put(job)
        self._kind = self._ray.remote(num_cpus=1, max_restarts=0)(_Worker)
        self._actors: list[Any] = []
        self._calls: dict[Any, tuple[int, float]] = {}
        try:
            # All at once: each comes up while others do.
            self._actors += [self._kind.remote(self._job) for _ in range(size)]
            self._begun(self._actors)
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        return len(self._actors)

    def free(self) -> int | None:
        busy = {worker for worker, _ in self._calls.values()}
        return next((n for n in range(len(self._actors)) if n not in busy), None)

    def send(self, worker: int, items: Sequence[Item]) -> None:
        call = self._actors[worker].lines.remote(list(items))
        self._calls[call] = worker, time.monotonic() + SECONDS

    def receive(self) -> list[tuple[int, Sequence[bytes] | None]]:
        left = max(0.0, min(end for _, end in self._calls.values()) - time.monotonic())
        ready, waiting = self._ray.wait(list(self._calls), num_returns=1, timeout=left)
        now = time.monotonic()
        late = [call for call in waiting if self._calls[call][1] <= now]
        finished: list[tuple[int, Sequence[bytes] | None]] = []
        for call in (*ready, *late):
            worker, _ = self._calls.pop(call)
            lines: Sequence[bytes] | None = None
            if call in ready:
                with suppress(self._ray.exceptions.RayError):
                    lines = self._ray.get(call)
            if lines is None:
                self._ray.kill(self._actors[worker])
                self._actors[worker] = self._start()
            finished.append((worker, lines))
        return finished

    def _start(self) -> Any:
        actor = self._kind.remote(self._job)
        self._begun([actor])
        return actor

    def _begun(self, actors: Sequence[Any]) -> None:
        """Raises RuntimeError: what is given to an actor that no processor is free for is never answered."""
        try:
            self._ray.get([actor.lines.remote([]) for actor in actors], timeout=START_SECONDS)
        except self._ray.exceptions.RayError:
            raise RuntimeError(
                f"a Ray worker did not start: has the cluster a free processor for each of {self.size}?"
            ) from None

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
    try:
        pool = Actors(job, workers)
        try:
            yield from run(items, pool, at=job.at, chunk=chunk)
        finally:
            pool.close()
    finally:
        if ours:
            ray.shutdown()
