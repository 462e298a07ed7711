"""Progress is lines, whoever prints at the same time."""

from __future__ import annotations

import io

import pytest

from attest.cli.fetching import tell
from attest.cli.progress import say


class Pieces(io.StringIO):
    """Keeps what was written at once."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return super().write(text)


def test_each_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that print in two pieces each, text and end, make one line of two."""
    stream = Pieces()
    monkeypatch.setattr("sys.stderr", stream)
    tell("asking AMD")
    say("GET /vcek 200")
    assert stream.pieces == ["· asking AMD\n", "GET /vcek 200\n"]
