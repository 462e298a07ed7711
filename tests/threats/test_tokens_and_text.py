"""What a signature is looked up by, and what a stranger's text does to whoever reads it."""

from __future__ import annotations

import base64
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from attest.cli.main import main
from attest.simulator import Simulator
from attest.simulator import nras as nras_simulator
from attest.simulator.eventlog import Logged, td_boot
from attest.untrusted import Untrusted, escape
from tests.conftest import NOON

KEY_IN_HEADER: list[dict[str, Any]] = [
    {"jwk": {"kty": "EC", "crv": "P-384"}},
    {"jku": "https://example.com/keys.json"},
    {"x5u": "https://example.com/signer.pem"},
    {"x5c": [base64.b64encode(b"0\x00").decode()]},
    {"crit": ["exp"]},
    {"b64": False},
    {"zip": "DEF"},
    {"enc": "A256GCM"},
]


@pytest.mark.parametrize("members", KEY_IN_HEADER, ids=lambda members: next(iter(members)))
@pytest.mark.parametrize("which", ["overall", "device"])
def test_t_jwtalg_no_header_brings_a_key_an_address_or_an_extension(
    simulator: Simulator, members: dict[str, Any], which: str
) -> None:
    plan = nras_simulator.plan(simulator._keys, NOON, NOON)
    token = plan.overall if which == "overall" else next(iter(plan.devices.values()))
    token.header.update(members)
    opinion = plan.build().judged()
    assert not opinion.agrees
    assert "nras.header" in {problem.code for problem in opinion.problems}


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "HS256", "HS384", "RS256", "ES256", "PS384", "", 0]
)
def test_t_jwtalg_the_algorithm_is_the_keys_whatever_a_header_says(
    simulator: Simulator, algorithm: Any
) -> None:
    plan = nras_simulator.plan(simulator._keys, NOON, NOON)
    plan.overall.header["alg"] = algorithm
    opinion = plan.build().judged()
    assert not opinion.agrees
    assert {"nras.algorithm", "nras.local-token"} & {problem.code for problem in opinion.problems}


# -- text -------------------------------------------------------------------------------------------

HOSTILE = "root=/dev/vda\x1b[2J\x1b]0;owned\x07\u202e\u2066\u200b\u2028\x85\x9b31m\nverdict: conforms\r"


@pytest.mark.parametrize("form", [["verify"], ["show"], ["verify", "--json"], ["show", "--json"]])
def test_t_render_a_kernels_command_line_reaches_no_terminal_as_it_is(
    form: list[str], simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = simulator.tdx(event_log=True)
    log = td_boot()
    grub = 13  # EV_IPL: its data are the command line, as text
    log.events.append(Logged(3, grub, HOSTILE.encode(), HOSTILE.encode()))
    assert "simulated-ccel.bin" in made.files
    for name, content in {**made.files, "simulated-ccel.bin": log.encode()}.items():
        (tmp_path / name).write_bytes(content)
    main([form[0], *(str(file) for file in sorted(tmp_path.iterdir())), *form[1:]])
    captured = capsys.readouterr()
    shown = captured.out + captured.err
    assert captured.out
    bad = {char for char in shown if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")}
    assert not bad
    assert "\nverdict: conforms\r" not in shown
    if "--json" in form:
        json.loads(captured.out)


@pytest.mark.parametrize("char", [chr(point) for point in (*range(0x20), *range(0x7F, 0xA0))])
def test_t_render_no_control_character_is_shown(char: str) -> None:
    assert char not in escape(f"a{char}b")
    assert char not in Untrusted(f"a{char}b").shown


def test_t_render_bidi_and_invisible_characters_are_shown_as_escapes() -> None:
    for char in map(chr, range(0x110000)):
        if unicodedata.category(char) in ("Cf", "Cs", "Zl", "Zp"):
            assert char not in escape(f"a{char}b"), ascii(char)
    assert escape("\\x1b") != escape("\x1b"), "an escape cannot be forged"
