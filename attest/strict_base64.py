"""Standard base64 with exactly one spelling for each value.

Python's decoder ignores the unused bits of the last digit, so several texts give the same bytes; whoever
compares or hashes texts would be misled.
"""

from __future__ import annotations

import binascii


def decode(text: str | bytes) -> bytes:
    """The bytes. Raises binascii.Error (a ValueError) unless `text` is their padded standard encoding."""
    if isinstance(text, str):
        try:
            text = text.encode("ascii")
        except UnicodeEncodeError:
            raise binascii.Error("not ASCII") from None
    raw = binascii.a2b_base64(text)
    # The decoder is lenient; this alone tells whether `text` is the one spelling of what it made of it.
    if binascii.b2a_base64(raw, newline=False) != text:
        raise binascii.Error(
            "not the padded standard encoding, or unused bits of the last digit are not zero"
        )
    return raw
