"""No command writes over a file that it reads: every output of every command is tried with every input."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import attest.cli.main
import kbs.cli.main
from attest.errors import Malformed
from attest.outputs import check_outputs, write_file
from attest.simulator import Simulator
from attest.simulator.site import site_key

WRITTEN = {"output", "html", "ear_jwks", "id_block", "id_auth"}
"""Names of what is written, new each time, over what was there."""
ELSEWHERE = {
    "attest policy init": "-o is never over a file",
    "attest policy import": "-o is never over a file",
    "attest policy export": "-o is never over a file",
    "kbs backup": "-o is never over a file",
    "kbs audit export": "-o is never over a file",
    "kbs audit checkpoint": "-o is never over a file",
    "kbs audit checkpoint-key": "-o is never over a file",
    "kbs audit replay": "-o is never over a file",
    "kbs consent prepare": "-o is never over a file",
    "kbs consent keys": "-o is never over a file",
    "kbs consent owners": "-o is never over a file",
    "attest simulate": "-o is a folder: test_simulated_files_take_no_place_of_what_was_read",
}
KEPT = {"memory", "state", "cache", "admin_key_file"}
"""Read before they are written: what is not theirs is refused by what stands in it."""
FILES = {"FILE", "PEM", "KEY", "JWK", "STATE", "EVIDENCE", "POLICY", "SUITE", "BUNDLE"}
NEEDED = {
    "attest verify": ["--ear", "ietf", "--ear-key", "other.key"],
    "attest collect": [],
    "attest measure snp": ["--vcpus", "4", "--vcpu-type", "EPYC-Milan"],
    "kbs guest get": ["--path", "a/b/c"],
}
"""What a command wants beside its files to get as far as looking at them."""


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for one in action.choices.values():
            yield from leaves(one)


PARSERS = {
    parser.prog: parser
    for whole in (attest.cli.main.build_parser(), kbs.cli.main.build_parser())
    for parser in leaves(whole)
}


def named(action: argparse.Action) -> bool:
    shown = action.metavar or action.dest
    return bool(set(shown if isinstance(shown, tuple) else str(shown).split("|")) & FILES)


def inputs(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    others = (
        WRITTEN | KEPT | ({"shared"} if parser.prog == "attest verify" else set())
    )  # of a batch, which writes nothing
    return [one for one in parser._actions if named(one) and one.dest not in others]


CASES = [
    (prog, written, read)
    for prog, parser in PARSERS.items()
    if prog not in ELSEWHERE
    for written in parser._actions
    if written.dest in WRITTEN
    for read in inputs(parser)
]


def test_every_command_that_writes_is_among_them() -> None:
    assert {prog for prog, _, _ in CASES} == {
        "attest verify", "attest collect", "attest endorsements bundle", "attest endorsements fetch",
        "attest endorsements rims", "attest measure snp", "attest policy explain", "kbs guest get",
    }  # fmt: skip
    unknown = {
        (prog, action.dest)
        for prog, parser in PARSERS.items()
        for action in parser._actions
        if "writ" in (action.help or "") and named(action) and action.dest not in WRITTEN | KEPT
    }
    # The second is what `kbs backup` wrote, and is read here.
    assert unknown == {("attest policy sign", "policy"), ("kbs restore", "file")}, (
        "test_a_signature_takes_no_keys_place"
    )


def given(action: argparse.Action, file: str) -> list[str]:
    count = action.nargs if isinstance(action.nargs, int) else 1
    return [*action.option_strings[-1:], *[file] * count]


@pytest.mark.parametrize(
    ("prog", "written", "read"), CASES, ids=lambda one: one if isinstance(one, str) else one.dest
)
def test_an_output_is_none_of_the_inputs(
    prog: str,
    written: argparse.Action,
    read: argparse.Action,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("needed")
    file.write_text("still needed")
    file.chmod(0o600)
    parser = PARSERS[prog]
    words = [*NEEDED.get(prog, ())]
    if read.option_strings and set(read.option_strings) & set(words):
        words = (
            words[: words.index(read.option_strings[0])] + words[words.index(read.option_strings[0]) + 2 :]
        )
    for action in parser._actions:
        demanded = action.required or (not action.option_strings and action.nargs != "?")
        if action not in (read, written) and named(action) and demanded:
            words += given(action, "other")
    if written.dest in ("id_block", "ear_jwks"):
        words += given(next(one for one in parser._actions if one.dest in ("id_auth", "output")), "another")
    positional = [] if read.option_strings else given(read, "needed")
    words += [*given(written, "needed"), *(given(read, "needed") if read.option_strings else ())]
    tool, *verbs = prog.split()
    main = attest.cli.main.main if tool == "attest" else kbs.cli.main.main
    try:
        status = main([*verbs, *positional, *words])
    except SystemExit as left:
        status = int(str(left.code))
    out, err = capsys.readouterr()
    assert status == 2, out + err
    assert "is one of the files that are read" in " ".join((out + err).split())
    assert file.read_text() == "still needed"


def test_a_name_that_leads_there_is_that_file(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k")
    (tmp_path / "link").symlink_to(key)
    os.link(key, tmp_path / "twin")
    for name in ("link", "twin", "./key", "../" + tmp_path.name + "/key"):
        with pytest.raises(Malformed, match="one of the files that are read"):
            check_outputs({"-o": tmp_path / name}, [key])
    check_outputs({"-o": tmp_path / "new", "--html": None}, [key, None, "-"])


def test_two_outputs_are_two_files(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match=r"--ear-jwks .* or written already"):
        check_outputs({"-o": tmp_path / "x", "--ear-jwks": tmp_path / "x"}, [])


@pytest.mark.parametrize(
    ("place", "why"),
    [("none/x", "there is no folder"), (".", "it is a folder"), ("file/x", "there is no folder")],
)
def test_a_place_that_cannot_be_written_is_told_at_once(tmp_path: Path, place: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Malformed, match=f"-o .* cannot be written: {why}"):
        check_outputs({"-o": tmp_path / place}, [])


def test_a_policy_that_another_extends_is_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    parent = "policy: 1\nname: base\nplatforms: [snp]\nrequire: {snp: {debug: false}}\n"
    Path("base.yaml").write_text(parent)
    Path("p.yaml").write_text(
        "policy: 1\nname: p\nplatforms: [snp]\nextends: [{file: base.yaml, digest: x}]\nrequire: {snp: {vmpl: 0}}\n"
    )
    for needed in ("base.yaml", "p.yaml.dsse"):
        Path(needed).touch()
        words = ["policy", "explain", "p.yaml", "report.bin", "--html", needed]
        assert attest.cli.main.main(words) == 2
        assert "is one of the files that are read" in " ".join(capsys.readouterr().out.split())
    assert Path("base.yaml").read_text() == parent


def test_a_signature_takes_no_keys_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy, key = tmp_path / "p.yaml", tmp_path / "p.yaml.dsse"
    policy.write_text("policy: 1\n")
    key.write_text("key")
    assert attest.cli.main.main(["policy", "sign", str(policy), "--key", str(key)]) == 2
    assert "is one of the files that are read" in capsys.readouterr().err
    assert key.read_text() == "key"


def test_simulated_files_take_no_place_of_what_was_read(
    tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    state, key = tmp_path / "state.json", tmp_path / "simulator-root.pem"
    simulator.save(state)
    key.write_text(json.dumps(site_key()))
    words = ["simulate", "site", "-o", str(tmp_path), "--state", str(state), "--key", str(key)]
    assert attest.cli.main.main(words) == 2
    assert "is one of the files that are read" in capsys.readouterr().err
    assert key.read_text() == json.dumps(site_key())


def test_what_is_no_regular_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_file("-o", pipe, b"through")
    assert os.read(reader, 16) == b"through"
    os.close(reader)
    assert pipe.is_fifo()
    write_file("-o", "/dev/null", b"nowhere")
    assert Path("/dev/null").is_char_device()


def test_it_is_whole_or_as_it_was_and_private_where_asked(tmp_path: Path) -> None:
    for private, mode in ((True, 0o600), (False, 0o644)):
        file = tmp_path / f"{private}"
        write_file("-o", file, b"whole", private=private)
        assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"whole", mode)
    with pytest.raises(Malformed, match="cannot be written"):
        write_file("-o", tmp_path / "none" / "x", b"")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["False", "True"]
