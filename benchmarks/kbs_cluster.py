"""Brokers that run, of one database: their processor time, what their commits wait, their memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from attest.simulator import Simulator
from tests.kbs.conftest import SNP_POLICY
from tests.kbs.databases import Postgres, url_of

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
PATH = "acme/key/model"


class Worker:
    """One process of `kbs serve`."""

    def __init__(self, config: Path, number: int) -> None:
        self._waits = config.with_name(f"waits-{number}")
        command = [
            sys.executable,
            "-m",
            "benchmarks.kbs_served",
            str(self._waits),
            "serve",
            "--config",
            str(config),
        ]
        log = config.with_name(f"log-{number}").open("w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert self.process.stdout is not None
        found = re.match(r"serving (http://127\.0\.0\.1:\d+)", self.process.stdout.readline())
        assert found, config.with_name(f"log-{number}").read_text()
        self.url = found[1]

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def waited_seconds(self) -> float:
        time.sleep(0.25)
        return float(self._waits.read_text())

    def megabytes(self) -> float:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * _PAGE / 1e6


@dataclass
class Cluster:
    kind: str
    folder: Path
    workers: list[Worker]
    simulator: Simulator
    postgres: Postgres | None

    def processor_seconds(self) -> float:
        return sum(one.processor_seconds() for one in self.workers)

    def waited_seconds(self) -> float:
        return sum(one.waited_seconds() for one in self.workers)


@contextmanager
def cluster(kind: str, workers: int, folder: Path, simulator: Simulator) -> Iterator[Cluster]:
    """kind: `sqlite` or `postgresql`, whose server syncs to the disk as it does by default."""
    folder.mkdir()
    (folder / "state").mkdir()
    (folder / "endorsements").mkdir()
    for name, content in simulator.machine(nonce=bytes(range(32))).files.items():
        if name != "simulated-machine.json":
            (folder / "endorsements" / name).write_bytes(content)
    (folder / "root.pem").write_bytes(simulator.roots_pem)
    text = (
        "state: state\nendorsements: endorsements\nsimulator-root: root.pem\nlisten: {port: 0}\n"
        "guests: {requests-an-address-a-minute: 1000000, requests-a-session-a-minute: 1000000}\n"
    )
    postgres = None
    if kind == "postgresql":
        postgres = Postgres(fsync="on", full_page_writes="on")
        text += f"database: {{url: '{url_of(postgres.make())}', connections: 8}}\n"
    config = folder / "kbs.yaml"
    config.write_text(text)
    init = [sys.executable, "-m", "kbs.cli.main", "init", "--config", str(config), "--admin-key-file"]
    subprocess.run([*init, str(folder / "admin.key")], check=True, capture_output=True)
    running: list[Worker] = []
    try:
        running.extend(Worker(config, number) for number in range(workers))
        _fill(running[0].url, (folder / "admin.key").read_text().strip())
        yield Cluster(kind, folder, running, simulator, postgres)
    finally:
        for one in running:
            one.process.terminate()
            one.process.wait(30)
        if postgres is not None:
            postgres.stop()


def _fill(url: str, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{url}/admin/v1", headers=headers, trust_env=False, timeout=60) as http:
        for method, path, body in (
            ("POST", "owners", {"name": "acme"}),
            ("PUT", "rules", {"owner": "acme", "path": "acme/*", "policy": SNP_POLICY}),
            ("PUT", f"secrets/{PATH}", {"owners": ["acme"], "generate": 32}),
        ):
            http.request(method, path, json=body).raise_for_status()


def today(simulator: Simulator) -> Simulator:
    return simulator.moved_to(datetime.now(UTC))
