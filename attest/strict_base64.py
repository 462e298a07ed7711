"""Standard base64 with exactly one spelling for each value.

Python's decoder ignores the unused bits of the last digit, so several texts give the same bytes; whoever
compares or hashes texts would be misled.
"""

from __future__ import annotations

import base64
import binascii


def decode(text: str | bytes) -> bytes:
    """The bytes. Raises binascii.Error (a ValueError) unless `text` is their padded standard encoding."""
    if isinstance(text, str):
        try:
            text = text.encode("ascii")
        except UnicodeEncodeError:
            raise binascii.Error("not ASCII") from None
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw) != text:
        raise binascii.Error("unused bits of the last digit are not zero")
    return raw
