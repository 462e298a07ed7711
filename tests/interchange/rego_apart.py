"""rego-cpp in a process of its own: its native library and Ray's do not live in one (the second one loaded crashes)."""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from tests.conftest import ROOT


class Engine:
    """As `tests.interchange.rego_engine.Engine`, over there."""

    def __init__(self, text: str, *, at: datetime | None = None) -> None:
        self._of = {"text": text, "at": at and at.isoformat()}
        _say(self._of)  # what does not compile is told here

    def ask(self, name: str, document: Mapping[str, Any]) -> Any:
        """The value of `data.policy.NAME` for this input; None where it is undefined."""
        return _say({**self._of, "give": document, "answer": name})

    def give(self, document: Mapping[str, Any]) -> None:
        _say({**self._of, "give": document})

    def answer(self, name: str) -> Any:
        """As `ask`, for the input given last."""
        return _say({**self._of, "answer": name})


@cache
def _process() -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.interchange.rego_apart"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(child.kill)
    return child


def _say(message: Mapping[str, Any]) -> Any:
    child = _process()
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(message) + "\n")
    child.stdin.flush()
    for line in child.stdout:
        if line.startswith("="):  # the library prints errors of its own between
            answer = json.loads(line[1:])
            assert "error" not in answer, answer["error"]
            return answer["value"]
    raise AssertionError("the engine ended")


def _serve() -> None:
    from tests.interchange.rego_engine import Engine as Here

    @lru_cache(maxsize=8)  # each takes some megabytes
    def engine_of(text: str, at: str | None) -> Here:
        return Here(text, at=None if at is None else datetime.fromisoformat(at))

    for line in sys.stdin:
        message = json.loads(line)
        answer: dict[str, Any] = {"value": None}
        try:
            engine = engine_of(message["text"], message["at"])
            if "give" in message:
                engine.give(message["give"])
            if "answer" in message:
                answer["value"] = engine.answer(message["answer"])
        except Exception as error:  # noqa: BLE001 # told over there
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write("\n=" + json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
