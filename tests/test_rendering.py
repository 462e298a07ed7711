"""What a stranger wrote into a certificate or a file name reaches the terminal escaped (T-RENDER)."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.errors import Malformed, Problem
from attest.result.answer import of_refusal
from attest.result.page import render_page
from attest.result.text import render
from attest.result.tree import tree_of
from attest.result.tree_text import render_tree
from attest.untrusted import Untrusted, escape, reshown
from tests.ca import Authority
from tests.conftest import EVIDENCE
from tests.hostile import HOSTILE as CORPUS
from tests.hostile import plain, require_harmless

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


@pytest.mark.parametrize(
    "command", [["show"], ["verify"], ["verify", "--json"], ["show", "--json"]], ids=" ".join
)
def test_t_render_the_whole_corpus_in_certificates_reaches_no_terminal(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [text.encode()[:64].decode(errors="ignore") for text in CORPUS.values()]
    for number, text in enumerate(names):
        (tmp_path / f"{number}.der").write_bytes(Authority(text).certificate.der)
    files = sorted(map(str, tmp_path.iterdir()))
    main([*command, str(EVIDENCE / "snp-genoa" / "report.bin"), *files])
    shown = capsys.readouterr().out
    assert len(shown) > 500
    assert plain(shown), [char for char in shown if not plain(char)]
    if command == ["show"]:
        assert all(escape(text)[:20] in shown for text in names)


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_t_render_the_page_that_stands_alone_shows_no_harm(name: str) -> None:
    """Whatever a problem holds: for the page what comes escaped, and what a caller forgot to escape."""
    text = CORPUS[name]
    for said in (text, escape(text), Untrusted(text).shown):
        problem = Problem("evidence.malformed", said, said, said, said, said, said)
        answer = of_refusal(Malformed(problem), datetime(2026, 1, 1, tzinfo=UTC))
        require_harmless(render_page(tree_of(answer)))
        if said != text:
            assert plain(render(answer))
            assert plain(render_tree(tree_of(answer)))


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_t_render_escaping_leaves_nothing_and_escapes_nothing_twice(name: str) -> None:
    text = CORPUS[name]
    assert plain(escape(text, 10**6), "")
    once = reshown(text, 10**6)
    assert plain(once, "")
    assert reshown(once, 10**6) == once
