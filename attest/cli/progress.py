"""What a person who waits is told, on standard error."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """One line in one piece: threads say things at once, and two halves would stand in one line."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
