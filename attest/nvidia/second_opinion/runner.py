"""Ask NVIDIA's local verifier, which lives in an environment of its own, through a child process.

Its packages pin libraries that clash with ours, so another interpreter runs `peer.py`. The child gets a fixed
environment, a folder of its own and no network; what it answers is text to be compared, never a verdict.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn, cast

from attest.errors import AttestError
from attest.nvidia.second_opinion.question import Question
from attest.problems import problem

PEER = Path(__file__).with_name("peer.py")
PYTHON_VARIABLE = "ATTEST_NVIDIA_PYTHON"
TIMEOUT = 60.0
MAX_ANSWER = 1 << 20
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

Outcome = Literal["passed", "failed", "not-run"]


class Unavailable(AttestError):
    """NVIDIA's verifier could not be asked, or did not answer: `second-opinion.unavailable`."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of theirs found, and why where it did not pass. why: untrusted text."""

    outcome: Outcome
    why: str


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """steps: parsed, chain, fwid, nonce, signature, driver-rim and vbios-rim or bios-rim, measurements, and
    revocation, which is never asked: it needs the network.
    seconds: what theirs took, without starting and without passing bytes about."""

    steps: Mapping[str, Step]
    seconds: float

    @property
    def accepts(self) -> bool:
        """Every step passed: what their own `attest` calls a success, OCSP aside."""
        return all(step.outcome == "passed" for name, step in self.steps.items() if name != "revocation")


class Peer:
    """A conversation with one child process; it starts with the first question and may be asked many.

    python: the interpreter that has nv-attestation-sdk. timeout: seconds for one answer, starting included;
    a child that does not answer is ended, and the next question starts another. A context manager.
    """

    def __init__(self, python: str | Path, *, timeout: float = TIMEOUT) -> None:
        self.python = Path(python)
        self.version = ""
        self._timeout = timeout
        self._child: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, question: Question) -> PeerAnswer:
        """What theirs finds. Raises Unavailable when it cannot be run, hangs, dies or answers nonsense."""
        late = threading.Event()

        def end() -> None:
            late.set()
            if self._child is not None:
                self._child.kill()

        watch = threading.Timer(self._timeout, end)
        watch.daemon = True
        watch.start()
        try:
            if self._child is None:
                self._start()
            document = self._say(question.as_dict())
        except (OSError, ValueError) as error:
            self.close()
            reason = f"no answer in {self._timeout:.0f} s" if late.is_set() else str(error)
            _unavailable(self.python, reason)
        finally:
            watch.cancel()
        if "error" in document:
            _unavailable(self.python, str(document["error"]))
        try:
            return _read(document)
        except (KeyError, TypeError, ValueError):
            _unavailable(self.python, "an answer of another form")

    def close(self) -> None:
        """End the child and remove its folder."""
        child, self._child = self._child, None
        if child is not None:
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            child.kill()
            child.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _start(self) -> None:
        """Raises OSError, ValueError."""
        if not self.python.is_absolute():
            raise ValueError("name the interpreter by its whole path")
        # Theirs write log files where they stand.
        self._folder = tempfile.TemporaryDirectory(prefix="attest-nvidia-")
        self._child = subprocess.Popen(  # noqa: S603  (the operator names the interpreter; no shell)
            [str(self.python), "-I", "-B", str(PEER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env={**_ENVIRONMENT, "HOME": self._folder.name},
            close_fds=True,
        )
        greeting = self._hear()
        if "ready" not in greeting:
            raise ValueError(str(greeting.get("error")))
        self.version = str(greeting["ready"])[:200]

    def _say(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._child is not None
        stdin = self._child.stdin
        assert stdin is not None
        # A child that has ended says so better than its broken pipe does.
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(question).encode() + b"\n")
            stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._child is not None
        stdout = self._child.stdout
        assert stdout is not None
        line = stdout.readline(MAX_ANSWER)
        if not line.endswith(b"\n"):
            status = self._child.poll()
            raise ValueError("it ended" + ("" if status is None else f" with status {status}"))
        document = json.loads(line)
        if not isinstance(document, dict) or not document.keys() & {"ready", "steps", "error"}:
            raise ValueError("an answer of another form")
        return document


def ask(questions: Iterable[Question], *, python: str | Path, timeout: float = TIMEOUT) -> list[PeerAnswer]:
    """Ask about several devices in one conversation. Raises Unavailable."""
    with Peer(python, timeout=timeout) as peer:
        return [peer.ask(question) for question in questions]


def interpreter(named: str | None) -> Path | None:
    """The interpreter that has NVIDIA's packages: the one named, or that of ATTEST_NVIDIA_PYTHON; or None.

    Nothing is looked for in the current folder: what stands there may be anybody's.
    """
    chosen = named or os.environ.get(PYTHON_VARIABLE)
    return Path(chosen).absolute() if chosen else None


def _read(document: Mapping[str, Any]) -> PeerAnswer:
    steps = {}
    for name, step in document["steps"].items():
        outcome = step["outcome"]
        if outcome not in ("passed", "failed", "not-run"):
            raise ValueError(outcome)
        steps[str(name)] = Step(cast(Outcome, outcome), str(step["why"])[:300])
    return PeerAnswer(steps, float(document["seconds"]))


def _unavailable(python: Path, reason: str) -> NoReturn:
    raise Unavailable(problem("second-opinion.unavailable", where=str(python), found=reason[:300])) from None
