"""Text on its way into a page (T-RENDER). Every expression of every template comes through here, and autoescape after it.

What cannot be seen, or draws over its surroundings, is written as an escape, as in all renderers of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from markupsafe import Markup

from attest.untrusted import reshown

LONGEST: Final = 2000
"""Characters of one value: as many as a row of the trail holds."""

_FORMULA: Final = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")


def shown(value: object) -> object:
    """For templates, as Jinja's `finalize`."""
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(str(value))


def visible(text: str) -> str:
    return reshown(text, LONGEST)  # rows hold text of evidence that was escaped when it was written


def lines(text: str) -> list[str]:
    """Each for itself: a line break is the only control that a page keeps."""
    return [visible(line) for line in text.split("\n")]


def carried(text: str) -> Markup | None:
    """`text` unchanged, for a field that sends it back; None where it holds what a page could not show as it is."""
    if any(visible(line) != line for line in text.replace("\t", " ").split("\n")):
        return None
    return Markup.escape(text)


def address(path: str, /, *parts: str, **query: Any) -> str:
    """A place in this console: `parts` fill the `{}` of `path`. What is None is left out of the query."""
    filled = path.format(*(quote(part, safe="") for part in parts))
    asked = {name: value for name, value in query.items() if value is not None}
    return f"{filled}?{urlencode(asked)}" if asked else filled


def cell(value: object) -> str:
    """For a spreadsheet, which runs what begins like a formula."""
    text = visible("" if value is None else str(value))
    return f"'{text}" if text.lstrip(" ")[:1] in _FORMULA else text


def hidden(members: Mapping[str, str]) -> list[tuple[str, Markup]] | None:
    """Members for fields of a form that are not shown; None where one cannot be carried."""
    found = [(name, carried(value)) for name, value in members.items()]
    kept = [(name, value) for name, value in found if value is not None]
    return kept if len(kept) == len(found) else None
