"""NVIDIA's local verifier beside ours: how it is run, and how the two are compared.

The process is tested with stand-ins; what NVIDIA's own packages say is tested where `make peers` has
installed them.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest.checks import CheckRecord
from attest.cli.main import main
from attest.loader import load
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.second_opinion import runner
from attest.nvidia.second_opinion.compare import compare
from attest.nvidia.second_opinion.opinion import SecondOpinion
from attest.nvidia.second_opinion.question import Question, question_of
from attest.nvidia.second_opinion.runner import Outcome, Peer, PeerAnswer, Step, Unavailable
from attest.simulator import Simulator
from tests.conftest import ROOT, Sample, Vectors

QUESTION = Question("gpu", "hopper", b"r", (b"c",), None, datetime(2026, 1, 1, tzinfo=UTC))
READY = 'print(json.dumps({"ready": "stand-in 1"}), flush=True)\n'
ANSWER = '{"seconds": 0.5, "steps": {"parsed": {"outcome": "passed", "why": ""}}}'


@pytest.fixture
def stand_in(tmp_path: Path) -> Any:
    """An interpreter's stand-in: a program that gets the same arguments and speaks for itself."""

    def make(body: str, ready: str = READY) -> Path:
        file = tmp_path / "python"
        file.write_text(f"#!{sys.executable} -I\nimport json, os, sys, time\n{ready}{body}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return file

    return make


def reason(python: Path, **keywords: Any) -> str:
    with Peer(python, **keywords) as peer, pytest.raises(Unavailable) as error:
        peer.ask(QUESTION)
    assert error.value.codes == {"second-opinion.unavailable"}
    return str(error.value.problems[0].found)


# -- the process -----------------------------------------------------------------------------------------------


def test_one_process_answers_many_questions(stand_in: Any) -> None:
    python = stand_in(f"for line in sys.stdin: print({ANSWER!r}, flush=True)")
    with Peer(python) as peer:
        answers = [peer.ask(QUESTION) for _ in range(5)]
        assert peer.version == "stand-in 1"
    assert {answer.seconds for answer in answers} == {0.5}
    assert runner.ask([QUESTION] * 2, python=python)[1].steps["parsed"] == Step("passed", "")


def test_the_child_has_a_fixed_environment_and_a_folder_of_its_own(
    stand_in: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    body = (
        "sys.stdin.readline()\n"
        "open('verifier.log', 'w').close()\n"
        "why = json.dumps([sorted(os.environ), os.getcwd(), sys.argv[1:]])\n"
        "print(json.dumps({'seconds': 0, 'steps': {'parsed': {'outcome': 'failed', 'why': why}}}), flush=True)"
    )
    with Peer(stand_in(body)) as peer:
        names, folder, arguments = eval(peer.ask(QUESTION).steps["parsed"].why)
        assert Path(folder).exists()
    assert set(names) <= {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TZ"}
    assert arguments == ["-I", "-B", str(runner.PEER)]
    assert not Path(folder).exists(), "what theirs wrote is removed"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("time.sleep(60)", "no answer in"),
        ("sys.exit(3)", "it ended"),
        ("sys.stdin.readline(); print('hello', flush=True)", ""),
        ("sys.stdin.readline(); print('[]', flush=True); time.sleep(9)", "another form"),
        ("sys.stdin.readline(); print('{}', flush=True); time.sleep(9)", "another form"),
        ("sys.stdin.readline(); print('{\"error\": \"no such step\"}', flush=True); time.sleep(9)", "no such step"),
        (
            "sys.stdin.readline(); print('{\"seconds\": 1, \"steps\": {\"a\": {\"outcome\": \"ok\", \"why\": 1}}}', flush=True); time.sleep(9)",
            "another form",
        ),
        ("sys.stdin.readline(); print('x' * (2 << 20), flush=True); time.sleep(9)", ""),
    ],
)  # fmt: skip
def test_a_child_that_does_not_answer_is_no_agreement(stand_in: Any, body: str, said: str) -> None:
    assert said in reason(stand_in(body), timeout=2.0)


def test_a_child_that_does_not_even_start_is_no_agreement(stand_in: Any, tmp_path: Path) -> None:
    assert "No such file" in reason(tmp_path / "absent")
    assert "no module" in reason(stand_in("", ready='print(\'{"error": "no module"}\', flush=True)\n'))
    assert "whole path" in reason(Path("python3"))


def test_after_a_failure_the_next_question_starts_anew(stand_in: Any, tmp_path: Path) -> None:
    mark = tmp_path / "once"
    body = (
        f"mark = {str(mark)!r}\n"
        "sys.stdin.readline()\n"
        "if not os.path.exists(mark):\n"
        "    open(mark, 'w').close(); sys.exit(1)\n"
        f"print({ANSWER!r}, flush=True)"
    )
    with Peer(stand_in(body)) as peer:
        with pytest.raises(Unavailable):
            peer.ask(QUESTION)
        assert peer.ask(QUESTION).steps


def test_the_interpreter_is_named_never_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(runner.PYTHON_VARIABLE, raising=False)
    assert runner.interpreter(None) is None
    monkeypatch.setenv(runner.PYTHON_VARIABLE, "/opt/nv/bin/python")
    assert runner.interpreter(None) == Path("/opt/nv/bin/python")
    assert runner.interpreter("/other/python") == Path("/other/python")


def test_the_childs_script_needs_nothing_of_ours() -> None:
    text = runner.PEER.read_text()
    assert "import attest" not in text
    assert "from attest" not in text


# -- the comparison ----------------------------------------------------------------------------------------------

STEPS = ("parsed", "chain", "fwid", "nonce", "signature", "driver-rim", "vbios-rim", "measurements")
OURS = {"parsed": "opaque"}


def compared(ours: dict[str, Outcome], theirs: dict[str, Outcome], nonce: bool = True) -> SecondOpinion:
    checks = [
        CheckRecord("binding.gpu-nonce" if name == "nonce" else f"gpu[0].{OURS.get(name, name)}", outcome, "")
        for name, outcome in ours.items()
        if name != "measurements"
    ]
    measured = {"passed": "match", "failed": "mismatch", "not-run": "no-rim"}[ours["measurements"]]
    steps = {
        name: Step(outcome, "because" if outcome == "failed" else "") for name, outcome in theirs.items()
    }
    return compare(
        "theirs",
        {"gpu[0]": PeerAnswer(steps, 0.0)},
        checks=checks,
        measurements={"gpu[0]": measured},
        nonce_expected=nonce,
    )


def all_of(outcome: Outcome, **other: Outcome) -> dict[str, Outcome]:
    return {name: other.get(name.replace("-", "_"), outcome) for name in STEPS}


def test_where_both_find_the_same_they_agree() -> None:
    opinion = compared(all_of("passed"), all_of("passed"))
    assert opinion.agrees
    assert [record.outcome for record in opinion.checks] == ["passed"]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_there_refuses_here(step: str) -> None:
    theirs = all_of("passed") | {step: "failed"}
    cases: list[tuple[Outcome, str]] = [
        ("passed", "disagrees"),
        ("not-run", "refuses"),
        ("failed", "refuses"),
    ]
    for mine, code in cases:
        opinion = compared(all_of("passed") | {step: mine}, theirs)
        assert [problem.code for problem in opinion.problems] == [f"second-opinion.{code}"]
        assert opinion.problems[0].where == f"gpu[0].{step}"
        assert not opinion.devices[0].agrees
        assert opinion.devices[0].said[step] == "failed (because)"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_decides_here_and_did_not_run_there_is_no_agreement(step: str) -> None:
    opinion = compared(all_of("passed"), all_of("passed") | {step: "not-run"})
    assert {problem.code for problem in opinion.problems} == {"second-opinion.refuses"}


def test_what_neither_ran_is_no_disagreement() -> None:
    for step in ("fwid", "driver-rim", "vbios-rim", "measurements"):
        same: dict[str, Outcome] = all_of("passed") | {step: "not-run"}
        assert compared(same, same).agrees
    unasked: dict[str, Outcome] = all_of("passed", nonce="not-run")
    assert compared(unasked, unasked, nonce=False).agrees
    assert not compared(unasked, unasked, nonce=True).agrees


def test_a_mismatch_that_only_this_verifier_finds_is_a_disagreement() -> None:
    opinion = compared(all_of("passed", measurements="failed"), all_of("passed"))
    assert {problem.code for problem in opinion.problems} == {"second-opinion.disagrees"}


def test_an_answer_that_leaves_steps_out_is_no_agreement() -> None:
    assert not compared(all_of("passed"), {"measurements": "passed"}).agrees
    nobody = compare("theirs", {}, checks=[], measurements={}, nonce_expected=False)
    assert {problem.code for problem in nobody.problems} == {"second-opinion.nothing-to-ask"}


def test_an_opinion_cannot_contradict_itself() -> None:
    with pytest.raises(ValueError, match="exactly when"):
        SecondOpinion("theirs", False, (), (), ())


# -- what NVIDIA's own verifier says ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    python = runner.interpreter(None) or ROOT / "build" / "peers" / "nvidia" / "bin" / "python"
    if not os.access(python, os.X_OK):
        pytest.skip("NVIDIA's own verifiers are not installed: make peers")
    with Peer(python) as peer:
        yield peer


def asked(sample: Sample, **changes: Any) -> Question:
    device = sample.evidence.devices[0]
    assert isinstance(device, DeviceEvidence)
    question = question_of(device, sample.endorsements, nonce=device.report.request_nonce, at=sample.at)
    return replace(question, **changes)


def outcomes(answer: PeerAnswer) -> dict[str, str]:
    return {name: step.outcome for name, step in answer.steps.items()}


def test_theirs_accepts_a_real_h100(peer: Peer, h100: Sample) -> None:
    answer = peer.ask(asked(h100))
    assert answer.accepts, answer.steps
    assert answer.steps["revocation"].outcome == "not-run"
    assert "nv-local-gpu-verifier 2.7.3" in peer.version


def test_theirs_is_asked_at_our_time_and_not_at_the_clocks(peer: Peer, h100: Sample) -> None:
    early = outcomes(peer.ask(asked(h100, at=datetime(2023, 11, 14, tzinfo=UTC))))
    late = outcomes(peer.ask(asked(h100, at=datetime(2030, 1, 1, tzinfo=UTC))))
    for found in (early, late):
        assert (found["chain"], found["signature"]) == ("passed", "passed")
        assert (found["driver-rim"], found["vbios-rim"]) == ("failed", "failed")
    assert peer.ask(asked(h100)).accepts, "nothing of one question is left for the next"


def test_theirs_refuses_what_ours_refuses(peer: Peer, h100: Sample) -> None:
    good = asked(h100)
    changed: dict[str, dict[str, Any]] = {
        "nonce": {"nonce": bytes(32)},
        "signature": {"report": good.report[:-1] + bytes([good.report[-1] ^ 1])},
        "chain": {"certificates": good.certificates[:1] * 2 + good.certificates[2:]},
        "driver-rim": {"rims": {**good.rims, "driver": good.rims["vbios"]}},
        "vbios-rim": {"rims": {**good.rims, "vbios": good.rims["vbios"].replace(b'size="48"', b'size="49"')}},
    }
    for name, changes in changed.items():
        found = outcomes(peer.ask(replace(good, **changes)))
        assert found[name] == "failed", name
    without = outcomes(peer.ask(replace(good, rims={})))
    assert (without["driver-rim"], without["measurements"]) == ("not-run", "not-run")


def test_theirs_and_ours_agree_about_every_shared_vector(peer: Peer, vectors: Vectors) -> None:
    """Signature, chain, firmware identity and manifests: no step of theirs finds otherwise than ours."""
    from attest import verify
    from attest.errors import AttestError, Rejected

    compared = 0
    for case in vectors.cases.values():
        if case["kind"] not in ("nvidia-gpu", "nvidia-switch"):
            continue
        roles = {role: file for role, file in case["files"].items() if role not in ("root", "rim_root")}
        roles.pop("expected_claims_trustee_json", None)
        try:
            evidence, endorsements = load(*map(vectors.path, roles.values()))
        except AttestError:
            continue
        at = datetime.fromisoformat(case["verify_at"])
        try:
            records = verify(evidence, endorsements=endorsements, at=at).checks
        except Rejected as refusal:
            records = refusal.checks
        ours = {record.name: record.outcome for record in records}
        for index, device in enumerate(evidence.devices):
            assert isinstance(device, DeviceEvidence)
            answer = peer.ask(question_of(device, endorsements, nonce=None, at=at))
            for name in ("chain", "signature", "fwid", "driver-rim", "vbios-rim", "bios-rim"):
                mine = ours.get(f"{device.section}[{index}].{name}")
                # Where our chain is broken we read no FWID; theirs compares it all the same.
                if name in answer.steps and mine != "not-run":
                    assert answer.steps[name].outcome == mine, f"{case['id']} {index} {name}"
                    compared += 1
    assert compared > 80


# -- the command ------------------------------------------------------------------------------------------------


def command(peer: Peer, *line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    status = main(
        ["verify", *line, "--json", "--second-opinion", "nvidia", "--nvidia-python", str(peer.python)]
    )
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, answer


def test_the_command_asks_theirs_about_real_evidence(
    peer: Peer, h100: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(file) for file in h100.files]
    status, answer = command(peer, *files, "--at", h100.at.isoformat(), capsys=capsys)
    assert (status, answer["verdict"]) == (0, "conforms-with-warnings")
    (opinion,) = answer["second_opinions"]
    assert opinion["agrees"]
    assert opinion["devices"][0]["said"]["measurements"] == "passed"


def test_theirs_knows_no_simulator_so_the_command_refuses(
    peer: Peer, simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours was told of the simulator's root and accepts; theirs has NVIDIA's alone. The disagreement is shown."""
    made = simulator.gpu()
    for name, data in {**made.files, "root.pem": simulator.roots_pem}.items():
        (tmp_path / name).write_bytes(data)
    files = [str(tmp_path / name) for name in made.files]
    at, root = simulator.at.isoformat(), str(tmp_path / "root.pem")
    assert main(["verify", *files, "--simulator-root", root, "--at", at]) == 0
    capsys.readouterr()
    status, answer = command(peer, *files, "--simulator-root", root, "--at", at, capsys=capsys)
    assert (status, answer["verdict"], answer["authentic"]) == (1, "refused", True)
    found = {problem["where"]: problem["code"] for problem in answer["problems"]}
    assert found["gpu[0].chain"] == "second-opinion.disagrees"
    assert "gpu[0].signature" not in found
