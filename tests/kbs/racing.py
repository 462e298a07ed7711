"""Two replicas at once: one releases as often as it can while another takes away what it rests on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from kbs.administration import Administration
from kbs.clock import Clock
from kbs.domain import ResourcePath, hashed
from kbs.refusals import Refusal
from kbs.store.database import Store
from tests.kbs.conftest import PATH, Bench


@contextmanager
def releasing(bench: Bench) -> Iterator[Administration]:
    """Releases to one session, from two threads, until the block ends. The administration is of another replica."""
    guest = bench.guest()
    guest.boot(PATH)
    session, path = hashed(guest.http.cookies["kbs-session-id"]), ResourcePath.parse(PATH)
    store = Store.open(bench.address)
    bench.opened.append(store)
    begun, ended = Event(), Event()

    def release() -> None:
        while not ended.is_set():
            with suppress(Refusal):
                bench.broker.release(session, path)
            begun.set()

    threads = [Thread(target=release) for _ in range(2)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    try:
        yield Administration(store, bench.keys, Clock(bench.clock))
    finally:
        ended.set()
        for thread in threads:
            thread.join()
