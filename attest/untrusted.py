"""Text that an attester chose: driver versions, certificate names, command lines.

It is kept as it came and escaped wherever it is shown (T-RENDER): terminal controls, line breaks and
bidirectional controls appear as \\xNN or \\uNNNN, as does what is drawn as nothing or over the lines around it, and no
more than LIMIT characters are shown.
"""

from __future__ import annotations

import unicodedata

LIMIT = 200
MAX_MARKS = 4
"""Combining marks in a row: more are of no language's spelling, and cover what stands above and below."""
_INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
    | {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
)
"""Letters, marks and symbols without a shape: two texts that differ in them look the same. Unicode's
Default_Ignorable_Code_Point without what has a category of its own, and the blank of Braille."""


class Untrusted(str):
    """Text from evidence. Show it with `shown`, never as it is."""

    __slots__ = ()

    @property
    def shown(self) -> str:
        return escape(self)


def escape(text: str, limit: int = LIMIT) -> str:
    """`text` with every control, format, surrogate, separator, invisible and piled up character written as an escape."""
    if len(text) <= limit and text.isascii() and text.isprintable() and "\\" not in text:
        return str(text)  # nothing to escape, as almost always
    out = []
    marks = 0
    for char in text[:limit]:
        kind, point = unicodedata.category(char), ord(char)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if char == "\\":
            out.append("\\\\")
        elif (char != " " and kind[0] in "CZ") or marks > MAX_MARKS or point in _INVISIBLE:
            out.append(f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}")
        else:
            out.append(char)
    return "".join(out) + ("…" if len(text) > limit else "")


def reshown(text: str, limit: int = LIMIT) -> str:
    """The same for text that may hold escapes already, of whoever wrote it down: their backslashes stay as they are."""
    return escape(text, limit).replace("\\\\", "\\")
