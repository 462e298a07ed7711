"""What a stranger wrote into a certificate or a file name reaches the terminal escaped (T-RENDER)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.untrusted import escape
from tests.ca import Authority
from tests.conftest import EVIDENCE

HOSTILE = "SEV-VCEK\x1b[31m\u202e\nverdict: conforms"


@pytest.mark.parametrize("command", ["show", "verify"])
def test_t_render_names_in_certificates_and_of_files_are_escaped(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a\x1b[2J.der"
    file.write_bytes(Authority(HOSTILE).certificate.der)
    main([command, str(EVIDENCE / "snp-genoa" / "report.bin"), str(file)])
    shown = capsys.readouterr().out
    assert shown
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "\nverdict: conforms" not in shown
    if command == "show":
        assert "SEV-VCEK\\x1b[31m\\u202e\\x0averdict: conforms" in shown


def test_t_render_what_has_no_shape_and_what_is_piled_up_is_escaped() -> None:
    """The one makes two names look the same, the other covers the lines around it."""
    for hidden in ("\u3164", "\uffa0", "\ufe0f", "\u034f", "\u2800", "\U000e0100"):
        assert hidden not in escape(f"GH100{hidden}")
    piled = escape("a" + "\u0336" * 60)
    assert piled.count("\u0336") == 4
    assert piled.count("\\u0336") == 56
    for spelling in (
        "Zu\u0308rich",
        "Vie\u0323\u0302t",
        "\u0e17\u0e35\u0e48",
        "\u05e9\u05c1\u05b8",
        "\u5c71",
        "H\u0332",
    ):
        assert escape(spelling) == spelling


@pytest.mark.parametrize(
    "arguments", [["verify", "--x\x1b[2J\u202e"], ["\x1b[2J"], ["verify", "a", "--at", "\x1b[2J"]]
)
def test_t_render_wrong_use_is_told_without_controls(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A file may be called like an option, and a shell's * names it."""
    with pytest.raises(SystemExit):
        main(arguments)
    shown = capsys.readouterr().err
    assert "x1b[2J" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


def test_t_render_the_brokers_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    from kbs.cli.main import main as kbs

    with pytest.raises(SystemExit):
        kbs(["init", "--state", "s", "--x\x1b[2J\u202e"])
    shown = capsys.readouterr().err
    assert "--x\\x1b[2J\\u202e" in shown
    assert not {"\x1b", "\u202e"} & set(shown)


@pytest.mark.parametrize("command", ["verify", "show"])
def test_t_render_a_terminal_of_few_characters_gets_escapes(command: str, tmp_path: Path) -> None:
    """Ours and a stranger's alike: what the terminal's encoding lacks ended the command with a trace and status 1."""
    file = tmp_path / "other.der"
    file.write_bytes(Authority("\u5c71").certificate.der)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "attest.cli.main",
            command,
            str(EVIDENCE / "snp-genoa" / "report.bin"),
            str(file),
        ]
        + (["--at", "2025-09-06T17:21:41Z"] if command == "verify" else []),
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        cwd=tmp_path,
    )
    assert done.returncode == (1 if command == "verify" else 0)
    assert done.stderr == b""
    assert (b"\\u2718 REFUSED" if command == "verify" else b"\\u5c71") in done.stdout
