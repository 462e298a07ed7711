"""A broker that releases secret after secret, in processes that a test kills: see test_kill.

Says how many seconds a release takes. For each line with two numbers it forks a process, which releases the
secrets from the one number on to the other, writes a byte to a file for each answer, and after the first says
so. Started once, because starting Python takes longer than fifty releases.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Final

from attest import Anchors
from kbs.broker import Broker, Verification
from kbs.clock import Clock
from kbs.collateral import Epoch
from kbs.domain import ResourcePath
from kbs.keys.ring import KeyRing
from kbs.store.address import PostgresServer, SqliteFile
from kbs.store.database import Store

WARM: Final = 5
"""Secrets that are released before any process is killed: numbers 0 to 4."""


class Named:
    """Collateral that is not looked at: the guest attested already."""

    def __init__(self, name: str) -> None:
        self._name = name

    def current(self) -> Epoch:
        return Epoch(self._name)


def opened(place: dict[str, str]) -> tuple[Store, Broker]:
    if "file" in place:
        address: SqliteFile | PostgresServer = SqliteFile(Path(place["file"]))
    else:
        address = PostgresServer(place["host"], place["database"], "kbs")
    anchors = Anchors.production().with_simulator(Path(place["roots"]).read_bytes())
    keys = KeyRing.open(Path(place["keys"]))
    now, store = datetime.fromisoformat(place["now"]), Store.open(address)
    return store, Broker(store, keys, Verification(anchors, Named(place["epoch"])), clock=Clock(lambda: now))


def seconds_of_a_release(place: dict[str, str]) -> float:
    """The first ones are slow, and what they load is there for every process that is forked."""
    store, broker = opened(place)
    took = []
    for number in range(WARM):
        start = time.perf_counter()
        release(broker, place, number)
        took.append(time.perf_counter() - start)
    store.close()
    return min(took)


def release(broker: Broker, place: dict[str, str], number: int) -> None:
    assert broker.release(bytes.fromhex(place["session"]), ResourcePath.parse(f"acme/key/number-{number}"))


def release_on(place: dict[str, str], first: int, end: int) -> None:
    _, broker = opened(place)
    answers = os.open(place["answers"], os.O_WRONLY | os.O_APPEND)
    for number in range(first, end):
        release(broker, place, number)
        os.write(answers, b".")
        if number == first:
            os.write(1, b"releasing\n")
    signal.pause()


def main() -> None:
    place = json.loads(sys.argv[1])
    os.write(1, b"%f\n" % seconds_of_a_release(place))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            release_on(place, *map(int, line.split()))
        os.write(1, f"{child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    main()
