"""How much faster are two processes than one, over ten thousand machines, and does memory stay flat?

value: milliseconds for a machine with one process, floor: with two; the ratio is the gain.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from attest.fleet import Item, Job, judge_all
from attest.loader import read_file
from benchmarks.samples import AT, files
from benchmarks.timing import Result

MACHINES = int(os.environ.get("BATCH_MACHINES", "10000"))


def run() -> Iterator[Result]:
    """batch_10k: a real SNP report, its endorsements given once for all."""
    print(f"  two processes that only hash gain {_bare():.2f} on this machine now")
    with tempfile.TemporaryDirectory() as folder:
        report = next(file for file in files("snp-genoa") if file.stat().st_size == 1184)
        entry = Path(folder) / report.name
        shutil.copy(report, entry)
        shared = tuple((file.name, read_file(file)) for file in files("snp-genoa") if file != report)
        job = Job(AT["snp-genoa"], shared)
        one, two = _once(entry, job, 1), _once(entry, job, 2)
    yield Result("batch_10k", one, two, least=1.8)


def _bare() -> float:
    """What a second process is worth at best: near 2 where nothing else runs."""
    context = multiprocessing.get_context("spawn")
    seconds = []
    for count in (1, 2):
        with context.Pool(count) as pool:
            pool.map(_hash, [1] * count)
            started = time.perf_counter()
            pool.map(_hash, [100_000 // count] * count, chunksize=1)
            seconds.append(time.perf_counter() - started)
    return seconds[0] / seconds[1]


def _hash(rounds: int) -> None:
    for _ in range(rounds):
        hashlib.sha256(bytes(10_000)).digest()


def _once(entry: Path, job: Job, processes: int) -> float:
    """Milliseconds a machine. Prints peak memory after a tenth and at the end: flat means equal."""
    started = early = 0.0
    for count, _ in enumerate(
        judge_all((Item(n, path=str(entry)) for n in range(MACHINES)), job, processes=processes)
    ):
        if count == 0:
            started = time.perf_counter()
        if count == MACHINES // 10:
            early = _resident()
    spent = time.perf_counter() - started
    late = _resident()
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"  {processes} process{'es' if processes > 1 else ''}: {MACHINES / spent:.0f}/s, "
        f"parent {early:.0f} MiB after a tenth, {late:.0f} at the end, largest worker {workers:.0f} MiB"
    )
    assert not multiprocessing.active_children()
    return spent * 1000 / MACHINES


def _resident() -> float:
    """MiB that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
