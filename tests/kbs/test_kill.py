"""kill -9 while a secret is released: its audit row and its count are both there or neither, and no answer was
given without them."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import func, select

from kbs.audit import Head
from kbs.domain import hashed
from kbs.store.address import SqliteFile
from kbs.store.repository import Repository
from kbs.store.tables import releases
from tests.conftest import ROOT
from tests.counts import tenth
from tests.kbs.conftest import NOON, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.releasing import WARM

KILLS = tenth(200)
AHEAD = 20
"""Secrets that are there to be released next: more than a process gets to."""


@contextmanager
def releasing(bench: Bench, session: bytes, answers: Path) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    roots = bench.folder / "roots.pem"
    roots.write_bytes(bench.simulator.roots_pem)
    place = {
        "roots": str(roots),
        "keys": str(bench.folder / "keys"),
        "now": NOON.isoformat(),
        "epoch": bench.collateral.epoch.name,
        "session": session.hex(),
        "answers": str(answers),
    }
    if isinstance(bench.address, SqliteFile):
        place["file"] = str(bench.address.path)
    else:
        place |= {"host": bench.address.host, "database": bench.address.database}
    command = [sys.executable, "-m", "tests.kbs.releasing", json.dumps(place)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        yield process, float(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()


def counts(tx: Repository) -> tuple[int, int]:
    """Releases by the trail, and by the table that counts them; the trail's head agrees with its rows."""
    rows = list(tx.audit.rows())
    assert tx.audit.head() == Head(len(rows), rows[-1].hash)
    counted = tx.releases._connection.execute(select(func.count()).select_from(releases)).scalar_one()
    return sum(row.content["event"] == "released" for row in rows), counted


def test_kill_during_release_leaves_row_and_count_both_or_neither(acme: Bench, tmp_path: Path) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    session = hashed(guest.http.cookies["kbs-session-id"])
    answers = tmp_path / "answers"
    answers.touch()
    chance = random.Random(2026)
    for number in range(WARM + AHEAD):
        acme.secret("acme", path=f"acme/key/number-{number}")
    there, released = WARM + AHEAD, WARM
    with releasing(acme, session, answers) as (process, seconds):
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(KILLS):
            told = answers.stat().st_size
            process.stdin.write(f"{released} {there}\n".encode())
            process.stdin.flush()
            lines = {process.stdout.readline() for _ in range(2)} - {b"releasing\n"}
            (child,) = map(int, lines)
            time.sleep(chance.uniform(0, 2 * seconds))
            os.kill(child, signal.SIGKILL)
            assert process.stdout.readline() == b"gone\n"
            # A write, so that it queues behind whatever the dead process had begun.
            rows, counted = acme.store.write(counts)
            assert rows == counted, "a row without its count, or a count without its row"
            unanswered = (rows - released) - (answers.stat().st_size - told)
            assert unanswered in (0, 1), "an answer without its row"
            for number in range(there, there + rows - released):
                acme.secret("acme", path=f"acme/key/number-{number}")
            there, released = there + rows - released, rows
    assert answers.stat().st_size >= KILLS
    assert acme.administration.record.proof(()).faults == ()
