"""Standard output that is full, closed or gone; standard input in the place of a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attest.cli.main import _COMMANDS
from kbs.cli.main import COMMANDS
from tests.conftest import EVIDENCE

SNP = EVIDENCE / "snp-genoa"
REPORT, VCEK = str(SNP / "report.bin"), str(SNP / "vcek.der")
AT = ("--at", "2025-09-06T17:21:41Z")
FULL = Path("/dev/full")
PRINTING = [
    ("attest", "verify", REPORT, VCEK, *AT),
    ("attest", "verify", REPORT, VCEK, *AT, "--json"),
    ("attest", "verify", "--batch", str(EVIDENCE / "snp-genoa"), *AT),
    ("attest", "show", REPORT),
    ("attest", "policy", "schema"),
    ("attest", "policy", "explain", "defaults", REPORT, VCEK, *AT),
    ("attest", "floors", "show"),
    ("attest", "endorsements", "verify", VCEK, *AT),
    ("attest", "simulate", "--list-faults"),
    ("attest", "--version"),
    ("kbs", "--version"),
    *(("attest", command, "--help") for command in _COMMANDS),
    *(("kbs", command, "--help") for command in COMMANDS),
]


def run(*words: str, stdout: object, **more: object) -> subprocess.CompletedProcess[str]:
    tool, *arguments = words
    command = [sys.executable, "-m", f"{tool}.cli.main", *arguments]
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False, **more
    )


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    ("words", "unbuffered"), [*((words, "") for words in PRINTING), *((words, "1") for words in PRINTING[:5])]
)
def test_a_full_disk_is_a_sentence_and_status_2(words: tuple[str, ...], unbuffered: str) -> None:
    """What is printed fails at once, or when it has gathered."""
    with FULL.open("w") as full:
        done = run(*words, stdout=full, env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    lines = [line for line in done.stderr.splitlines() if "done (" not in line]
    assert lines == [f"{words[0]}: standard output cannot be written: No space left on device"]
    assert done.returncode == 2


def test_a_reader_who_left_is_told_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    done = run("attest", "policy", "schema", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (2, "")


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_standard_error_is_no_verdict(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "attest.cli.main", "verify", REPORT, VCEK, *AT, "--memory"]
    with FULL.open("w") as full:
        for error, status in ((full, 2), (subprocess.DEVNULL, 0)):
            memory = str(tmp_path / f"memory-{status}.json")  # new, which is said
            done = subprocess.run(
                [*words, memory], stdout=subprocess.PIPE, stderr=error, timeout=60, check=False
            )
            assert done.returncode == status


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_leaves_the_status(closed: str) -> None:
    command = [sys.executable, "-m", "attest.cli.main", "verify", REPORT, VCEK, *AT]
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
    done = subprocess.run(shell, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["verify", "show"])
def test_evidence_from_standard_input(command: str) -> None:
    more = (VCEK, *AT) if command == "verify" else ()
    for source in (subprocess.PIPE, Path(REPORT)):
        if isinstance(source, Path):
            with source.open("rb") as stream:
                done = run("attest", command, "-", *more, stdout=subprocess.PIPE, stdin=stream)
        else:
            words = [sys.executable, "-m", "attest.cli.main", command, "-", *more]
            piped = subprocess.run(
                words, input=Path(REPORT).read_bytes(), capture_output=True, timeout=60, check=False
            )
            assert piped.returncode == 0, piped.stderr
            continue
        assert done.returncode == 0, done.stderr
    nothing = run("attest", command, "-", *more, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert nothing.returncode == 2
