"""The same batch over a Ray cluster of this machine, with two workers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attest.cli.main import main
from attest.errors import Malformed
from attest.fleet import Item, Job, folder_items, judge_all
from attest.fleet import ray as room
from attest.fleet.batch import run
from tests.conftest import Sample

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason="the extra attest[ray] is not installed")
    ray = room.load_ray()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def test_the_answers_are_those_of_processes(cluster: Any, fleet: Path, genoa: Sample) -> None:
    job = Job(genoa.at)
    on_ray = list(room.judge_all(folder_items(fleet), job, address=None, workers=2, chunk=2))
    assert on_ray == list(judge_all(folder_items(fleet), job, processes=1))
    assert cluster.is_initialized()


def test_an_actor_that_ends_costs_one_answer(cluster: Any, fleet: Path, genoa: Sample) -> None:
    """The actor ends when it is asked about one entry, as one that runs out of memory would."""

    class Deadly(room._Worker):
        def lines(self, items: Any) -> list[bytes]:
            if any(item.index == 3 for item in items):
                os._exit(1)
            return super().lines(items)

    pool = room.Actors(Job(genoa.at), 2)
    pool.close()
    pool._kind = cluster.remote(num_cpus=1, max_restarts=0)(Deadly)
    pool._actors = [pool._kind.remote(pool._job) for _ in range(2)]
    try:
        found = [json.loads(line) for line in run(folder_items(fleet), pool, at=genoa.at, chunk=3)]
    finally:
        pool.close()
    assert [answer["index"] for answer in found] == list(range(6))
    assert [answer["index"] for answer in found if answer["authentic"]] == [0, 1, 4]
    assert found[3]["problems"][0]["code"] == "fleet.worker-lost"


def test_an_actor_that_does_not_answer_costs_one_answer(
    cluster: Any, fleet: Path, genoa: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asleep(room._Worker):
        def lines(self, items: Any) -> list[bytes]:
            if any(item.index == 3 for item in items):
                time.sleep(600)
            return super().lines(items)

    pool = room.Actors(Job(genoa.at), 2)
    pool.close()
    pool._kind = cluster.remote(num_cpus=1, max_restarts=0)(Asleep)
    pool._actors = [pool._start() for _ in range(2)]
    monkeypatch.setattr(room, "SECONDS", 3.0)
    try:
        found = [json.loads(line) for line in run(folder_items(fleet), pool, at=genoa.at, chunk=3)]
    finally:
        pool.close()
    assert [answer["index"] for answer in found] == list(range(6))
    assert [answer["index"] for answer in found if answer["authentic"]] == [0, 1, 4]
    assert found[3]["problems"][0]["code"] == "fleet.worker-lost"


def test_more_workers_than_processors_are_said_to_be_too_many(
    cluster: Any, genoa: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was given to an actor that never starts would never be answered."""
    monkeypatch.setattr(room, "START_SECONDS", 2.0)
    with pytest.raises(RuntimeError, match="did not start"):
        room.Actors(Job(genoa.at), 3)
    monkeypatch.undo()
    room.Actors(Job(genoa.at), 2).close()


def test_a_job_that_cannot_be_begun_says_why(cluster: Any, genoa: Sample) -> None:
    with pytest.raises(Malformed):
        room.Actors(Job(genoa.at, (("x", b"no endorsement"),)), 1)
    with pytest.raises(ValueError, match="at least one"):
        room.Actors(Job(genoa.at), 0)


def test_the_command_on_ray(
    cluster: Any, fleet: Path, genoa: Sample, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["verify", "--batch", str(fleet), "--at", genoa.at.isoformat(), "--processes", "2", "--ray"]
    assert main(arguments) == 2
    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(6))


def test_without_ray_it_says_what_to_install(
    genoa: Sample, monkeypatch: pytest.MonkeyPatch, fleet: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(room, "import_module", missing)
    with pytest.raises(room.RayMissing):
        list(room.judge_all(iter([Item(0)]), Job(genoa.at), address=None, workers=1))
    assert main(["verify", "--batch", str(fleet), "--ray"]) == 2
    assert "attest[ray]" in capfd.readouterr().err
