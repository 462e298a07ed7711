"""Text that an attester chose: driver versions, certificate names, command lines.

It is kept as it came and escaped wherever it is shown (T-RENDER): terminal controls, line breaks and
bidirectional controls appear as \\xNN or \\uNNNN, and no more than LIMIT characters are shown.
"""

from __future__ import annotations

import unicodedata

LIMIT = 200


class Untrusted(str):
    """Text from evidence. Show it with `shown`, never as it is."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        return escape(self)


def escape(text: str, limit: int = LIMIT) -> str:
    """`text` with every control, format, surrogate and separator character written as an escape."""
    if len(text) <= limit and text.isascii() and text.isprintable() and "\\" not in text:
        return str(text)  # nothing to escape, as almost always
    out = []
    for char in text[:limit]:
        if char == "\\":
            out.append("\\\\")
        elif char != " " and unicodedata.category(char)[0] in "CZ":
            point = ord(char)
            out.append(f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}")
        else:
            out.append(char)
    return "".join(out) + ("…" if len(text) > limit else "")
