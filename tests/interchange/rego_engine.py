"""rego-cpp, asked about an exported policy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from regopy import Interpreter

_CLOCK = "time.now_ns()"


class Engine:
    """A policy compiled once. at: what the engine's clock says; None leaves it running.

    An engine has no other way to be told the time, so the one place where the module asks for it is written over.
    """

    def __init__(self, text: str, *, at: datetime | None = None) -> None:
        if at is not None:
            assert text.count(_CLOCK) == 1
            text = text.replace(_CLOCK, str(int(at.timestamp()) * 1_000_000_000))
        self._interpreter = Interpreter()
        self._interpreter.add_module("policy", text)
        names = ("accept", "verdict", "deny", "warnings", "trust_claims", "tree")
        self._bundle = self._interpreter.build(None, [f"policy/{name}" for name in names])

    def ask(self, name: str, document: Mapping[str, Any]) -> Any:
        """The value of `data.policy.NAME` for this input; None where it is undefined."""
        self.give(document)
        return self.answer(name)

    def give(self, document: Mapping[str, Any]) -> None:
        # `set_input` leaves quotes and backslashes bare, and then they equal no literal.
        self._interpreter.set_input_term(json.dumps(document, ensure_ascii=False))

    def answer(self, name: str) -> Any:
        """As `ask`, for the input given last."""
        text = str(self._interpreter.query_bundle_entrypoint(self._bundle, f"policy/{name}"))
        return None if text == "undefined" else json.loads(text)["expressions"][0]
