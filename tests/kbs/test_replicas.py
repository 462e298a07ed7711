"""Two replicas on one database, each a process that `kbs serve` started: equal, and one to a nonce."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest

from attest.simulator import Simulator
from tests.counts import tenth
from tests.kbs.conftest import PATH, SECRET, SNP_POLICY
from tests.kbs.databases import KINDS, Postgres, url_of
from tests.kbs.test_cli import kbs
from tests.kbs.test_release import NEWER_FIRMWARE
from tests.kbs.twin import TwinGuest, TwinKey, TwinRefused

TRIES = tenth(1000)
pytestmark = pytest.mark.xdist_group("replicas")  # whose servers start once


class Replica:
    """One process of the broker."""

    def __init__(self, config: Path) -> None:
        command = [sys.executable, "-m", "kbs.cli.main", "serve", "--config", str(config)]
        self._log = config.with_suffix(".log").open("w")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log, text=True)

    def url(self) -> str:
        assert self.process.stdout is not None
        found = re.match(r"serving (http://127\.0\.0\.1:\d+)", self.process.stdout.readline())
        assert found, Path(self._log.name).read_text()
        return found[1]

    def stop(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


def give_cookie(http: httpx.Client, cookie: str) -> None:
    http.cookies.set("kbs-session-id", cookie, domain="127.0.0.1", path="/kbs/v0")


class Cluster:
    def __init__(self, config: Path, simulator: Simulator, key: str) -> None:
        self._config, self._simulator, self._key = config, simulator, key
        self.replicas = [Replica(config), Replica(config)]
        self.urls = [replica.url() for replica in self.replicas]

    def kill_and_start(self, number: int) -> None:
        self.replicas[number].stop(signal.SIGKILL)
        self.replicas[number] = Replica(self._config)
        self.urls[number] = self.replicas[number].url()

    def stop(self) -> None:
        for replica in self.replicas:
            replica.stop()

    def admin(self, number: int, method: str, path: str, **request: Any) -> Any:
        headers = {"authorization": f"Bearer {self._key}"}
        answer = httpx.request(
            method, f"{self.urls[number]}/admin/v1/{path}", headers=headers, trust_env=False, **request
        )
        assert answer.is_success, answer.text
        return answer.json()

    def put_policy(self, number: int, policy: str) -> None:
        self.admin(number, "PUT", "rules", json={"owner": "acme", "path": "acme/*", "policy": policy})

    def guest(self, number: int, *, gpus: int = 1) -> TwinGuest:
        def machine(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
            now = self._simulator.moved_to(datetime.now(UTC))
            made = now.machine(gpus=gpus, nonce=base64.b64decode(nonce), key=key)
            document = json.loads(made.files["simulated-machine.json"])
            return document["primary_evidence"], document["additional_evidence"]

        return TwinGuest(self.client(number), machine)

    def client(self, number: int) -> httpx.Client:
        return httpx.Client(base_url=self.urls[number], trust_env=False, timeout=60)

    def moved(self, guest: TwinGuest, number: int) -> TwinGuest:
        """The same guest, at a replica it did not ask before."""
        http = self.client(number)
        give_cookie(http, guest.http.cookies["kbs-session-id"])
        return TwinGuest(http, guest.machine, key=guest.key, nonce=guest.nonce)


@pytest.fixture(scope="module", params=KINDS)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, simulator: Simulator
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "state").mkdir()
    (folder / "endorsements").mkdir()
    today = simulator.moved_to(datetime.now(UTC))
    for name, content in today.machine(nonce=bytes(range(32))).files.items():
        if name != "simulated-machine.json":
            (folder / "endorsements" / name).write_bytes(content)
    (folder / "root.pem").write_bytes(simulator.roots_pem)
    config = folder / "kbs.yaml"
    text = "state: state\nendorsements: endorsements\nsimulator-root: root.pem\nlisten: {port: 0}\n"
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        text += f"database: {{url: '{url_of(server.make())}', connections: 4}}\n"
    config.write_text(text)
    made = kbs("init", "--config", str(config), "--admin-key-file", str(folder / "admin.key"))
    assert made.returncode == 0, made.stderr
    running = Cluster(config, simulator, (folder / "admin.key").read_text().strip())
    running.admin(0, "POST", "owners", json={"name": "acme"})
    running.put_policy(1, SNP_POLICY)
    value = base64.b64encode(SECRET).decode()
    running.admin(0, "PUT", f"secrets/{PATH}", json={"owners": ["acme"], "value": value})
    yield running
    running.stop()


def test_t_replay_of_two_attestations_at_two_replicas_one_wins(cluster: Cluster) -> None:
    """Two keys with genuine evidence over one nonce, sent at the same moment."""
    both = Barrier(2)

    def attest(guest: TwinGuest, body: bytes) -> int:
        both.wait(60)
        return guest.http.post("/kbs/v0/attest", content=body).status_code

    before = cluster.admin(0, "GET", "audit/verify")["rows"]
    winners = [0, 0]
    with ThreadPoolExecutor(2) as pool, cluster.client(0) as one, cluster.client(1) as two:
        for _ in range(TRIES):
            first = cluster.guest(0, gpus=0)
            first.http = one
            one.cookies.clear()
            first.auth()
            second = TwinGuest(two, first.machine, key=TwinKey.elliptic(), nonce=first.nonce)
            two.cookies.clear()
            give_cookie(two, one.cookies["kbs-session-id"])
            guests = (first, second)
            bodies = [guest.attestation() for guest in guests]
            assert bodies[0] != bodies[1]
            statuses = list(pool.map(attest, guests, bodies))
            assert sorted(statuses) == [200, 401]
            winners[statuses.index(200)] += 1
    verdict = cluster.admin(1, "GET", "audit/verify")
    assert verdict["faults"] == []
    assert verdict["rows"] - before == TRIES, "one row for each nonce"
    assert min(winners) > 0, "one replica was always first: nothing was tried"


def test_guest_changes_the_replica_at_every_step(cluster: Cluster) -> None:
    guest = cluster.guest(0)
    guest.auth()
    guest = cluster.moved(guest, 1)
    token = guest.attest()
    assert cluster.moved(guest, 0).resource(PATH) == SECRET
    bearer = {"authorization": f"Bearer {token}"}
    answer = cluster.client(0).get(f"/kbs/v0/resource/{PATH}", headers=bearer)
    assert guest.key.open(answer.content) == SECRET


def test_t_toctou_policy_tightened_at_one_replica_refuses_at_the_other(cluster: Cluster) -> None:
    guest = cluster.guest(0)
    guest.auth()
    guest.attest()
    cluster.put_policy(1, NEWER_FIRMWARE)
    try:
        with pytest.raises(TwinRefused) as refusal:
            guest.resource(PATH)
        assert (refusal.value.status, refusal.value.kind) == (403, "PolicyDeny")
    finally:
        cluster.put_policy(1, SNP_POLICY)
    assert guest.resource(PATH) == SECRET


def test_replica_that_is_killed_and_started_again_strands_nobody(cluster: Cluster) -> None:
    waiting, served = cluster.guest(0), cluster.guest(0)
    waiting.auth()
    served.auth()
    served.attest()
    cluster.kill_and_start(0)
    waiting, served = cluster.moved(waiting, 0), cluster.moved(served, 0)
    waiting.attest()
    assert waiting.resource(PATH) == SECRET
    assert served.resource(PATH) == SECRET
