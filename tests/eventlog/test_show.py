"""`attest show` prints a log for a person: bounded, escaped, and saying what the digests are over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.eventlog.describe import MAX_SHOWN, describe
from attest.simulator.eventlog import EventLogPlan, Logged, separator, tied, variable
from tests.conftest import Vectors
from tests.eventlog.conftest import read

HOSTILE = b"grub_cmd: \x1b[2J\xe2\x80\xae evil\0"


def test_every_entry_says_register_type_digest_and_what_that_is_over(
    boot: EventLogPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log"
    file.write_bytes(boot.encode())
    assert main(["show", str(file), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["verified"] is False
    (log,) = shown["contents"]
    assert log["evidence"] == "ccel event log"
    entries = log["fields"]["entries"]
    assert len(entries) == len(boot.events)
    assert entries[2]["register"] == "RTMR0"
    assert entries[2]["type"] == "EV_EFI_VARIABLE_DRIVER_CONFIG"
    assert entries[2]["data"] == "SecureBoot = 01"
    assert entries[2]["digest_is_over"] == "data"
    assert "hint" in entries[8]["digest_is_over"]


def test_text_from_a_log_is_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = EventLogPlan(
        [tied(3, 0xD, HOSTILE), variable(1, "\u202eSecure\x1bBoot", b"x"), Logged(1, 9, b"\x1b]0;x\x07", b"")]
    )
    file = tmp_path / "log"
    file.write_bytes(plan.encode())
    assert main(["show", str(file)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\u202eSecure\\x1bBoot" in out


def test_a_long_log_is_shown_in_part() -> None:
    shown = describe(read(EventLogPlan([separator(1)] * (MAX_SHOWN + 7))))
    assert (len(shown["entries"]), shown["left_out"]) == (MAX_SHOWN, "7")
    long = describe(read(EventLogPlan([tied(1, 6, b"a" * 100_000), tied(1, 6, bytes(100_000))])))
    assert all(len(entry["data"]) < 300 for entry in long["entries"])


def test_real_logs_and_the_table_are_shown(vectors: Vectors, capsys: pytest.CaptureFixture[str]) -> None:
    for case, role in (
        ("ccel-gce-cos113-match", "event_log"),
        ("ccel-gce-cos113-match", "ccel_table"),
        ("tcg-log-ubuntu2404-snp-gce", "event_log"),
    ):
        assert main(["show", str(vectors.path(vectors.cases[case]["files"][role]))]) == 0
    out = capsys.readouterr().out
    assert "kernel_cmdline: /syslinux/vmlinuz.A" in out
    assert "PCR 14" in out
    assert "log_area_minimum_length" in out
