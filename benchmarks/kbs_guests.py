"""Simulated guests in the number wanted at once. Their own work, evidence above all, is done while no clock runs."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.kbs_cluster import PATH, Cluster, today
from tests.kbs.twin import TwinGuest, TwinKey


@dataclass
class Round:
    """Of `guests` whole releases. seconds: wall, while guests asked. processor, waited: of the brokers, in seconds.
    took: milliseconds of each request, by its kind."""

    guests: int
    seconds: float = 0.0
    processor: float = 0.0
    waited: float = 0.0
    took: dict[str, list[float]] = field(default_factory=lambda: {"auth": [], "attest": [], "resource": []})


@dataclass
class _Guest:
    twin: TwinGuest
    client: httpx.Client
    body: bytes = b""


def release(cluster: Cluster, guests: int, at_once: int) -> Round:
    """auth for all, then evidence, which does not count, then attest and resource for each."""
    made = Round(guests)
    simulator = today(cluster.simulator)

    def machine(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
        evidence = simulator.machine(gpus=1, nonce=base64.b64decode(nonce), key=key)
        document = json.loads(evidence.files["simulated-machine.json"])
        return document["primary_evidence"], document["additional_evidence"]

    urls = [one.url for one in cluster.workers]
    all_guests = [
        _Guest(TwinGuest(client, machine, key=TwinKey.elliptic()), client)
        for client in (
            httpx.Client(base_url=urls[number % len(urls)], trust_env=False, timeout=60)
            for number in range(guests)
        )
    ]
    lock = threading.Lock()

    def timed(kind: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        answer = call()
        took = (time.perf_counter() - started) * 1000
        with lock:
            made.took[kind].append(took)
        return answer

    def attest_and_ask(guest: _Guest) -> None:
        timed("attest", lambda: guest.client.post("/kbs/v0/attest", content=guest.body).raise_for_status())
        timed("resource", lambda: guest.client.get(f"/kbs/v0/resource/{PATH}").raise_for_status())

    _run(cluster, made, at_once, all_guests, lambda guest: timed("auth", guest.twin.auth))
    for guest in all_guests:
        guest.body = guest.twin.attestation()
    _run(cluster, made, at_once, all_guests, attest_and_ask)
    for guest in all_guests:
        guest.client.close()
    return made


def _run(
    cluster: Cluster, made: Round, at_once: int, guests: list[_Guest], act: Callable[[_Guest], Any]
) -> None:
    processor, waited = cluster.processor_seconds(), cluster.waited_seconds()
    started = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(act, guests))
    made.seconds += time.perf_counter() - started
    made.processor += cluster.processor_seconds() - processor
    made.waited += cluster.waited_seconds() - waited
