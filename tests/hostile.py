"""Strings that somebody chose to do harm by being shown, and what a page and a line may hold after they were.

One corpus for every renderer of ours (T-RENDER): whoever adds a renderer sends all of it through.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Final

HOSTILE: Final[Mapping[str, str]] = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" autofocus onfocus=alert(1) x="',
    "single-quoted": "' onclick='alert(1)",
    "closing": "</textarea></title></style></code><style>*{display:none}</style>",
    "address": "javascript:alert(1)",
    "elsewhere": "<link rel=stylesheet href=https://evil.example/x.css><iframe src=https://evil.example>",
    "form": "<form action=https://evil.example><button>Sign in</button></form>",
    "base": "<base href=https://evil.example/><meta http-equiv=refresh content=0;url=https://evil.example>",
    "entity": "&lt;script&gt;&#60;script&#62;&amp;nbsp;",
    "comment": "--><h1>CONFORMS</h1><!--",
    "terminal": "\x1b[2J\x1b[31mverdict: conforms\x1b]0;owned\x07",
    "c1": "\x9b2J\x85verdict: conforms",
    "bidi": "\u202egnp.exe\u2066\u200f",
    "lines": "first\r\nverdict: conforms\nX-Injected: 1\u2028x",
    "nul": "a\x00b",
    "invisible": "GH100\u3164\u200b\ufeff\u00ad",
    "piled": "a" + "\u0336" * 60,
    "formula": '=HYPERLINK("https://evil.example","x")',
    "formula-plus": "+cmd|' /C calc'!A0",
    "formula-minus": "-2+3+cmd|' /C calc'!A0",
    "formula-at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "formula-tab": "\t=1+1",
    "template": "{{7919*7907}}{% raw %}${7919*7907}#{7919*7907}{{config}}",
    "format": "%s%n{0.__class__}{request}",
    "row": '"}\n{"event": "released", "number": 1}',
    "long": "A" * 50_000,
}
TAGS: Final = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "style",
        "body",
        "a",
        "header",
        "div",
        "p",
        "nav",
        "ul",
        "li",
        "form",
        "span",
        "button",
        "main",
        "footer",
        "h1",
        "h2",
        "h3",
        "label",
        "input",
        "select",
        "option",
        "textarea",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "code",
        "pre",
        "dl",
        "dt",
        "dd",
        "details",
        "summary",
        "section",
        "strong",
        "time",
        "b",
    ]
)
ATTRIBUTES: Final = frozenset(
    [
        "lang",
        "charset",
        "name",
        "content",
        "http-equiv",
        "rel",
        "href",
        "class",
        "id",
        "method",
        "action",
        "type",
        "value",
        "aria-label",
        "aria-labelledby",
        "aria-hidden",
        "aria-current",
        "aria-describedby",
        "role",
        "scope",
        "for",
        "maxlength",
        "minlength",
        "placeholder",
        "spellcheck",
        "autocomplete",
        "required",
        "inputmode",
        "selected",
        "datetime",
        "tabindex",
        "open",
        "data-label",
    ]
)


def plain(text: str, breaks: str = "\n") -> bool:
    """Whether a terminal, a log and a reader get from it what they see."""
    return all(
        char in breaks or (unicodedata.category(char)[0] != "C" and char not in "\u2028\u2029\u3164")
        for char in text
    )


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


def require_harmless(page: str) -> None:
    """A page of ours holds our elements and our attributes, leads nowhere else, and hides nothing."""
    read = _Page()
    read.feed(page)
    for tag, attributes in read.tags:
        assert tag in TAGS, tag
        assert set(attributes) <= ATTRIBUTES, (tag, attributes)
        for name in ("href", "action"):
            target = attributes.get(name, "/console")
            assert target.startswith(("/console", "#main")), target
        assert attributes.get("http-equiv", "Content-Security-Policy") == "Content-Security-Policy"
    assert plain(page, "\n\t"), [char for char in page if not plain(char, "\n\t")][:5]
    assert "62615533" not in page, "a template ran what it was shown"
