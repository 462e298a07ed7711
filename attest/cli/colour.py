"""Whether and how wide a terminal wants its text."""

from __future__ import annotations

import os
import shutil
import sys


def coloured() -> bool:
    """Colours for a terminal alone, and for none that asks otherwise (NO_COLOR, TERM=dumb)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def columns_wide() -> int:
    """COLUMNS, or the terminal's own; 100 where the output is no terminal."""
    return shutil.get_terminal_size((100, 24)).columns
