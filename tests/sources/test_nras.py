"""NVIDIA's remote service, asked over a local port, and what `attest verify --second-opinion nvidia` makes of it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from attest.cli.main import main
from attest.errors import AttestError, Malformed
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.nras import second_opinion
from attest.nvidia.second_opinion.question import Question, question_of
from attest.simulator import Simulated, Simulator
from attest.simulator.nras import SimulatedNras
from attest.sources.client import Client
from attest.sources.failure import FetchFailed
from attest.sources.hosts import Hosts
from attest.sources.nras import Nras
from attest.x509 import pem_blocks
from tests.conftest import NOON

NONCE = bytes(range(32))


@dataclass
class Service:
    """The remote service: answers by path. posted: (path, headers, JSON) of each request with evidence."""

    base: str = ""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    posted: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    keys_asked: int = 0

    def serve(self, made: SimulatedNras) -> None:
        self.answers = {
            "/v4/attest/gpu": (200, made.answer),
            "/v3/attest/gpu": (200, made.answer),
            "/.well-known/jwks.json": (200, made.jwks),
        }

    def nras(self, **keywords: Any) -> Nras:
        return Nras(Client(sleep=lambda seconds: None, attempts=2), Hosts(nras=self.base), **keywords)


@pytest.fixture
def service() -> Iterator[Service]:
    state = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.keys_asked += 1
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            state.posted.append((self.path, headers, json.loads(body)))
            self._answer()

        def _answer(self) -> None:
            status, body = state.answers.get(self.path, (404, b"{}"))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.base = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def gpu(simulator: Simulator) -> Simulated:
    return simulator.gpu(nonce=NONCE)


def questions(made: Simulated) -> list[Question]:
    devices = [device for device in made.evidence.devices if isinstance(device, DeviceEvidence)]
    return [question_of(device, made.endorsements, nonce=NONCE, at=NOON) for device in devices]


# -- asking --------------------------------------------------------------------------------------------------------


def test_the_evidence_is_sent_as_the_service_reads_it(
    service: Service, simulator: Simulator, gpu: Simulated
) -> None:
    service.serve(simulator.nras(nonce=NONCE))
    service.nras(service_key="licence").attest(questions(gpu), NONCE)
    ((path, headers, body),) = service.posted
    assert path == "/v4/attest/gpu"
    assert headers["authorization"] == "Bearer licence"
    assert {name: body[name] for name in ("nonce", "arch", "claims_version")} == {
        "nonce": NONCE.hex(), "arch": "HOPPER", "claims_version": "3.0",
    }  # fmt: skip
    (entry,) = body["evidence_list"]
    assert base64.b64decode(entry["evidence"]) == gpu.raw
    chain = pem_blocks(base64.b64decode(entry["certificate"]), where="sent")
    assert [der for _, der in chain] == list(gpu.certificates)


def test_an_answer_with_the_keys_of_its_host_is_judged(
    service: Service, simulator: Simulator, gpu: Simulated
) -> None:
    made = simulator.nras(nonce=NONCE)
    service.serve(made)
    nras = service.nras(version="v3")
    answers = nras.attest(questions(gpu), NONCE)
    opinion = second_opinion(
        answers, keys=nras.keys_for(answers), nonce=NONCE, devices=made.asked, at=NOON, simulated=True
    )
    assert opinion.agrees


def test_keys_are_kept_and_fetched_again_once_for_a_key_they_lack(
    service: Service, simulator: Simulator, gpu: Simulated
) -> None:
    made = simulator.nras(nonce=NONCE)
    service.serve(made)
    nras = service.nras()
    answers = nras.attest(questions(gpu), NONCE)
    for _ in range(3):
        nras.keys_for(answers)
    assert service.keys_asked == 1
    (key,) = json.loads(made.jwks)["keys"]
    old = json.dumps({"keys": [{**key, "kid": "of-last-year"}]}).encode()
    service.answers["/.well-known/jwks.json"] = (200, old)
    again = service.nras()
    assert set(again.keys_for([]).keys) == {"of-last-year"}
    assert set(again.keys_for(answers).keys) == {"of-last-year"}, "asked once more, and no further"
    assert service.keys_asked == 3
    service.serve(made)
    assert again.keys_for(answers).key(key["kid"]) is not None
    assert service.keys_asked == 4


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_service_that_does_not_answer_is_said_so(service: Service, gpu: Simulated, status: int) -> None:
    service.answers["/v4/attest/gpu"] = (status, b'{"error": "no"}')
    with pytest.raises(FetchFailed):
        service.nras().attest(questions(gpu), NONCE)


def test_what_the_service_sends_instead_of_tokens_is_malformed(service: Service, gpu: Simulated) -> None:
    service.answers["/v4/attest/gpu"] = (200, b'{"eat": "x"}')
    with pytest.raises(Malformed) as error:
        service.nras().attest(questions(gpu), NONCE)
    assert error.value.codes == {"nras.malformed"}
    service.answers["/.well-known/jwks.json"] = (200, b"[]")
    with pytest.raises(AttestError) as keys:
        service.nras().keys_for([])
    assert keys.value.codes == {"nras.keys"}


def test_only_known_versions_are_asked(service: Service) -> None:
    with pytest.raises(ValueError, match="v3 or v4"):
        service.nras(version="v1/../x")


# -- the command -----------------------------------------------------------------------------------------------------


@dataclass
class Command:
    """`attest verify` about one simulated GPU, with files of the remote service beside it."""

    folder: Path
    simulator: Simulator
    capture: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        made = self.simulator.gpu(nonce=NONCE)
        self.files = []
        for name, data in {**made.files, "root.pem": self.simulator.roots_pem}.items():
            (self.folder / name).write_bytes(data)
            if name != "root.pem":
                self.files.append(str(self.folder / name))

    def token(self, **keywords: Any) -> list[str]:
        made = self.simulator.nras(nonce=NONCE, **keywords)
        (self.folder / "token.json").write_bytes(made.answer)
        (self.folder / "jwks.json").write_bytes(made.jwks)
        return [
            "--nras-token",
            str(self.folder / "token.json"),
            "--nras-jwks",
            str(self.folder / "jwks.json"),
        ]

    def run(self, *more: str, nonce: str | None = NONCE.hex()) -> tuple[int, dict[str, Any]]:
        line = ["verify", *self.files, "--simulator-root", str(self.folder / "root.pem"), "--json"]
        line += ["--at", NOON.isoformat(), *(["--gpu-nonce", nonce] if nonce else [])]
        status = main([*line, *more])
        answer: dict[str, Any] = json.loads(self.capture.readouterr().out)
        return status, answer


@pytest.fixture
def command(
    tmp_path: Path,
    simulator: Simulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    monkeypatch.delenv("ATTEST_NVIDIA_PYTHON", raising=False)
    return Command(tmp_path, simulator, capsys)


def codes(answer: dict[str, Any]) -> set[str]:
    return {problem["code"] for problem in answer["problems"]}


def outcome(answer: dict[str, Any], check: str) -> str:
    return next(str(record["outcome"]) for record in answer["checks"] if record["name"] == check)


def test_a_token_that_agrees_changes_no_verdict(command: Command) -> None:
    plain, without = command.run()
    status, answer = command.run("--second-opinion", "nvidia", *command.token())
    assert (status, answer["verdict"]) == (plain, without["verdict"]) == (0, "conforms-with-warnings")
    (opinion,) = answer["second_opinions"]
    assert (opinion["agrees"], opinion["simulated"]) == (True, True)
    assert "second_opinions" not in without
    assert outcome(answer, "nras.signature") == "passed"


def test_t_nras_a_token_that_does_not_agree_refuses(command: Command) -> None:
    status, answer = command.run("--second-opinion", "nvidia", *command.token(fault="nras-overall-false"))
    assert (status, answer["verdict"], answer["authentic"], answer["conforms"]) == (1, "refused", True, False)
    assert codes(answer) == {"nras.verdict"}


def test_what_does_not_agree_withholds_the_release_and_refuses_under_the_shadow_too(
    command: Command, tmp_path: Path
) -> None:
    policy = tmp_path / "p.yaml"
    warnings = ("simulated", "no-freshness", "collateral-memory-absent")
    allowed = ", ".join(f"{code}: a test" for code in warnings)
    policy.write_text(
        f"policy: 1\nname: t\nplatforms: [none]\nallow-warnings: {{{allowed}}}\nrequire: {{gpu: {{count: 1}}}}\n"
    )
    both = ("--policy", str(policy), "--shadow", str(policy))
    _, answer = command.run(*both)
    assert (answer["conforms"], answer["shadow"]["agrees"]) == (True, True)
    assert "release" in answer
    assert "release" in answer["shadow"]
    refusing = ("--second-opinion", "nvidia", *command.token(fault="nras-overall-false"))
    status, answer = command.run(*both, *refusing)
    assert (status, answer["verdict"]) == (1, "refused")
    assert "release" not in answer
    shadow = answer["shadow"]
    assert (shadow["verdict"], shadow["conforms"], shadow["agrees"], "release" in shadow) == (
        "refused",
        False,
        True,
        False,
    )


def test_a_token_that_agrees_admits_nothing_that_was_refused(command: Command) -> None:
    """The token is right and for this challenge; the evidence is for another."""
    status, answer = command.run("--second-opinion", "nvidia", *command.token(), nonce="5a" * 32)
    assert (status, codes(answer)) == (1, {"binding.gpu-nonce"})
    assert outcome(answer, "second-opinion.nvidia") == "not-run"
    assert "second_opinions" not in answer


def test_a_token_needs_a_challenge_of_ours(command: Command) -> None:
    status, answer = command.run("--second-opinion", "nvidia", *command.token(), nonce=None)
    assert (status, codes(answer)) == (2, {"second-opinion.no-nonce"})


def test_a_token_file_that_is_none_is_malformed(command: Command) -> None:
    token = command.token()
    Path(token[1]).write_text("[]")
    status, answer = command.run("--second-opinion", "nvidia", *token)
    assert (status, answer["verdict"], codes(answer)) == (2, "malformed", {"nras.malformed"})


def test_the_service_is_asked_only_when_it_is_named(
    command: Command, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTEST_NRAS_URL", service.base)
    service.serve(command.simulator.nras(nonce=NONCE))
    command.run("--second-opinion", "nvidia", *command.token())
    assert service.posted == []
    cache = ["--cache", str(command.folder / "cache")]
    status, answer = command.run("--second-opinion", "nvidia", "--nras", *cache)
    assert (status, len(service.posted)) == (0, 1)
    assert answer["second_opinions"][0]["agrees"]
    service.answers["/v4/attest/gpu"] = (403, b"{}")
    status, answer = command.run("--second-opinion", "nvidia", "--nras", *cache)
    assert (status, codes(answer)) == (1, {"sources.status"})
    assert outcome(answer, "second-opinion.nvidia") == "not-run"


def test_a_local_verifier_that_cannot_be_run_refuses(command: Command) -> None:
    status, answer = command.run("--second-opinion", "nvidia", "--nvidia-python", "/nonexistent/python")
    assert (status, codes(answer)) == (1, {"second-opinion.unavailable"})
    assert "make peers" in answer["problems"][0]["remedy"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--second-opinion", "nvidia"], "make peers"),
        (["--nras"], "--second-opinion nvidia"),
        (["--second-opinion", "nvidia", "--nras-token", "t"], "go together"),
        (["--second-opinion", "nvidia", "--nras-jwks", "t"], "go together"),
    ],
)
def test_wrong_use_says_what_to_give(command: Command, options: list[str], word: str) -> None:
    status, answer = command.run(*options)
    assert (status, codes(answer)) == (2, {"usage"})
    assert word in answer["problems"][0]["message"]


def test_a_second_opinion_needs_a_device(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = simulator.snp()
    files = []
    for name, data in made.files.items():
        (tmp_path / name).write_bytes(data)
        files.append(str(tmp_path / name))
    (tmp_path / "root").write_bytes(simulator.roots_pem)
    line = ["verify", *files, "--simulator-root", str(tmp_path / "root"), "--at", NOON.isoformat(), "--json"]
    assert main([*line, "--second-opinion", "nvidia", "--nvidia-python", "/nonexistent"]) == 2
    assert codes(json.loads(capsys.readouterr().out)) == {"second-opinion.nothing-to-ask"}
