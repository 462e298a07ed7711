"""kill -9 while a secret is released: the audit row and the head's count are both there or neither, and no
answer was given without its row."""

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

from kbs.domain import hashed
from kbs.store.address import SqliteFile
from kbs.store.repository import Repository
from tests.conftest import ROOT
from tests.counts import tenth
from tests.kbs.conftest import NOON, PATH, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture

KILLS = tenth(200)


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
        "path": PATH,
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


def count(tx: Repository) -> tuple[int, int]:
    """All rows, and those of releases. The head agrees with them, or this fails."""
    rows = list(tx.audit.rows())
    assert tx.audit.head().number == len(rows)
    assert tx.audit.head().hash == rows[-1].hash
    return len(rows), sum(row.content["event"] == "released" for row in rows)


def test_kill_during_release_leaves_row_and_count_both_or_neither(acme: Bench, tmp_path: Path) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    session = hashed(guest.http.cookies["kbs-session-id"])
    answers = tmp_path / "answers"
    answers.touch()
    chance = random.Random(2026)
    with releasing(acme, session, answers) as (process, seconds):
        assert process.stdin is not None
        assert process.stdout is not None
        # A write, so that it queues behind whatever a dead process had begun.
        before, released = acme.store.write(count)
        for _ in range(KILLS):
            told = answers.stat().st_size
            process.stdin.write(b"!")
            process.stdin.flush()
            lines = {process.stdout.readline() for _ in range(2)} - {b"releasing\n"}
            (child,) = map(int, lines)
            time.sleep(chance.uniform(0, 3 * seconds))
            os.kill(child, signal.SIGKILL)
            assert process.stdout.readline() == b"gone\n"
            rows, now = acme.store.write(count)
            assert rows - before == now - released, "a release leaves its row and nothing else"
            unanswered = (now - released) - (answers.stat().st_size - told)
            assert unanswered in (0, 1), "an answer without its row, or two rows for one"
            before, released = rows, now
    assert answers.stat().st_size > 0, "every one was killed before it had released"
    assert acme.administration.verify_audit()[1] == []
