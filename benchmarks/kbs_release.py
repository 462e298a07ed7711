"""How far is the broker from the least that a release costs, and how long do guests wait?

Real servers as `kbs serve` starts them, a real database that syncs to the disk, simulated machines of one CPU and one GPU under
chains that are known, each with auth, attest and resource on one connection. value: processor time of the brokers and what
their commits wait, a release; the guests' share is not in it. floor: see `benchmarks.kbs_floor`. The ratio is the floor's part of the
value, so that 1 is the limit. Not in it: what SQLite does when its last connection closes, and PostgreSQL's own processes.

    KBS_RELEASES=100000 python -m benchmarks kbs_release      memory over that many releases too
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attest.simulator import Simulator
from benchmarks import kbs_floor
from benchmarks.kbs_cluster import Cluster, cluster
from benchmarks.kbs_guests import Round, release
from benchmarks.timing import Result

_GUESTS = 240
_AT_ONCE = (1, 4, 16)


def run() -> Iterator[Result]:
    simulator = Simulator.create(datetime.now(UTC).replace(microsecond=0))
    with tempfile.TemporaryDirectory(prefix="kbs-bench-") as folder:
        for kind in ("sqlite", "postgresql"):
            for workers in (1, 2):
                with cluster(kind, workers, Path(folder) / f"{kind}-{workers}", simulator) as running:
                    yield from _ask(running)
                    if (kind, workers) == ("sqlite", 1):
                        _remember(running, int(os.environ.get("KBS_RELEASES", "2000")))


def _ask(running: Cluster) -> Iterator[Result]:
    release(running, 48, 4)  # what is loaded and cached once
    parts = kbs_floor.handshake(), kbs_floor.commits(running), kbs_floor.requests(running)
    name = f"kbs_{running.kind[:2]}{len(running.workers)}"
    print(
        f"  {name}: floor {sum(parts):.2f} ms: cryptography {parts[0]:.2f}, commits {parts[1]:.2f}, requests {parts[2]:.2f}"
    )
    for at_once in _AT_ONCE:
        made = release(running, _GUESTS, at_once)
        cost = (made.processor + made.waited) / made.guests * 1000
        print(
            f"  {name}, {at_once} at once: {made.guests / made.seconds:.0f} releases/s; processor"
            f" {made.processor / made.guests * 1000:.2f} ms, commits wait {made.waited / made.guests * 1000:.2f} ms a release;"
            f" p99 {_said(made)}"
        )
        yield Result(f"{name}_at{at_once}", cost, sum(parts), share=0.6)


def _said(made: Round) -> str:
    return ", ".join(f"{kind} {_p99(took):.0f} ms" for kind, took in made.took.items())


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def _remember(running: Cluster, releases: int) -> None:
    """A worker's memory as releases go by."""
    (worker,) = running.workers
    done, marks = 0, [releases * part // 10 for part in range(1, 11)]
    sizes = [worker.megabytes()]
    for mark in marks:
        while done < mark:
            some = min(500, mark - done)
            release(running, some, 4)
            done += some
        sizes.append(worker.megabytes())
    print(f"  memory of a worker over {releases} releases, MB: {', '.join(f'{size:.0f}' for size in sizes)}")
