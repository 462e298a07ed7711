"""Files that a command writes: never over one that it reads, known to be writable before work is done, and whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from attest.errors import Malformed
from attest.loader import STANDARD_INPUT
from attest.problems import problem
from attest.untrusted import escape


def check_outputs(written: Mapping[str, str | Path | None], read: Iterable[str | Path | None]) -> None:
    """Before anything is done: what is written is no file that somebody still needs, and can be written.

    written: option → file. read: every file that the command reads; None for an option that was not given. Raises
    Malformed (`usage`).
    """
    check_not_read(written.items(), read)
    for option, file in written.items():
        if file is not None and str(file) != STANDARD_INPUT:
            check_writable(option, file)


def check_not_read(
    written: Iterable[tuple[str, str | Path | None]], read: Iterable[str | Path | None]
) -> None:
    """As `check_outputs`, of files whose folder may still have to be made."""
    taken = {place for file in read if file is not None for place in _places(file)}
    for option, file in written:
        if file is None or str(file) == STANDARD_INPUT:
            continue
        places = _places(file)
        if places & taken:
            raise _usage(
                f"{option} {escape(str(file))} is one of the files that are read, or written already: name another"
            )
        taken |= places


def check_writable(option: str, file: str | Path) -> None:
    """Raises Malformed (`usage`) where a file of this name cannot be made."""
    path = Path(file)
    name = f"{option} {escape(str(file))} cannot be written"
    try:
        if path.is_dir():
            raise _usage(f"{name}: it is a folder")
        if not path.parent.is_dir():
            raise _usage(f"{name}: there is no folder {escape(str(path.parent))}")
        if not os.access(path.parent, os.W_OK | os.X_OK) and not _special(path):
            raise _usage(f"{name}: {escape(str(path.parent))} is no folder that you may write")
    except (OSError, ValueError) as error:
        raise _usage(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def write_file(option: str, file: str | Path, data: bytes, *, private: bool = False) -> None:
    """Whole or not at all. private: for its owner alone. Raises Malformed (`usage`) when it cannot be written.

    A link of this name is replaced, not followed: whoever guessed the name of a file in a shared folder would have
    root write through it.
    """
    import tempfile

    try:
        path = Path(file)
        if _special(path):
            path.write_bytes(data)
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.")  # 0600
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            if not private:
                os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _usage(f"{option} {escape(str(file))} cannot be written: {reason}") from None


def _special(path: Path) -> bool:
    """A pipe, a terminal, a device, or /dev/stdout wherever it leads: written to, never replaced."""
    return path.parent == Path("/dev") or (path.exists() and not path.is_file() and not path.is_dir())


def _places(file: str | Path) -> set[object]:
    """What makes two names one file: where they lead, and, where something is there, what it is."""
    found: set[object] = {os.path.realpath(file)}
    try:
        there = os.stat(file)
    except (OSError, ValueError):
        return found
    return {*found, (there.st_dev, there.st_ino)}


def _usage(message: str) -> Malformed:
    return Malformed(problem("usage", message=message))
