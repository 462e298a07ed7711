"""What a problem code says to a person."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """message: a sentence. source: the document the rule comes from. remedy: what to do next."""

    message: str
    source: str
    remedy: str
