"""Standard output that cannot take what a command says: a sentence and status 2, never half an answer with success."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

UNWRITTEN = 2
"""Exit status where the answer did not arrive, whatever it was."""


class Undelivered(Exception):
    """No OSError, which commands take for that of a file of theirs."""


def delivered(command: str, act: Callable[[], int]) -> int:
    """The status of `act`, once all that it printed has left this process. command: its name, for the sentence."""
    before = sys.stdout, sys.stderr
    sys.stdout = cast(Any, _Watched(sys.stdout, "standard output"))
    sys.stderr = cast(Any, _Watched(sys.stderr, "standard error"))
    try:
        try:
            return act()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has gone: there is nobody to tell.
        _drop(before)
        return UNWRITTEN
    except Undelivered as error:
        with suppress(Undelivered):
            sys.stderr.write(f"{command}: {error}\n")
        _drop(before)
        return UNWRITTEN
    finally:
        sys.stdout, sys.stderr = before


class _Watched:
    """A stream, text or bytes, whose failures are told from those of files."""

    def __init__(self, stream: Any, name: str) -> None:
        # None where the process was started with it closed: nobody reads it, and the status says what it can.
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: SIM115
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def buffer(self) -> Any:
        return _Watched(self._stream.buffer, self._name)

    def write(self, data: Any) -> Any:
        return self._done(self._stream.write, data)

    def flush(self) -> None:
        self._done(self._stream.flush)

    def _done(self, act: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return act(*arguments)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise Undelivered(f"{self._name} cannot be written: {error.strerror or error}") from None


def _drop(streams: tuple[Any, ...]) -> None:
    """Let what waits go nowhere, so that the interpreter does not try once more as it ends."""
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            with suppress(OSError, ValueError, AttributeError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
                stream.flush()
