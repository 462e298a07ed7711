"""What ends, ends though no guest comes."""

from __future__ import annotations

from threading import Event

from kbs.housekeeping import Housekeeping
from kbs.store.failures import Unavailable
from tests.kbs.conftest import PATH, Bench


def test_what_was_kept_ends_without_another_guest(acme: Bench) -> None:
    acme.guest().boot(PATH)
    assert acme.sql("SELECT count(*) FROM kept_sessions")[0][0] == 1
    acme.clock.pass_seconds(400 * 86_400)
    acme.broker.end()
    for table in ("sessions", "releases", "kept_sessions"):
        assert acme.sql(f"SELECT count(*) FROM {table}")[0][0] == 0, table
    assert len(acme.rows("kept-ended")) == 1
    acme.replica().end()
    assert len(acme.rows("kept-ended")) == 1, "a replica that does it too leaves no second row"


def test_it_goes_on_after_a_database_that_did_not_serve() -> None:
    answers, done = iter([Unavailable("gone"), ValueError("odd")]), Event()

    def act() -> None:
        for error in answers:
            raise error
        done.set()

    keeping = Housekeeping(act, 0.001)
    keeping.start()
    assert done.wait(10)
    keeping.stop()
