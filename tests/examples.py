"""The example lines of the help texts and the README, as a person would type them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

_TYPED = r"((?:[A-Z_]+=\S+ )*(?:attest|kbs|openssl|collector) \S.*)$"
_IN_HELP, _IN_BLOCK = re.compile(f"^ {{2}}{_TYPED}"), re.compile(f"^{_TYPED}")


def of_help(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Of a command and of all below it, each once where it stands; without the words behind them."""
    yield from _lines(f"{parser.description or ''}\n{parser.epilog or ''}", _IN_HELP)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from of_help(below)


def blocks(markdown: str, heading: str | None = None) -> list[str]:
    """The fenced blocks of shell commands of a page, or of the section under `## heading`."""
    if heading is not None:
        (markdown,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", markdown, re.M | re.S)
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", markdown, re.M | re.S)
    return [text for language, text in fenced if language in ("", "sh")]


def of_blocks(texts: list[str]) -> Iterator[str]:
    for text in texts:
        yield from _lines(text, _IN_BLOCK)


def _lines(text: str, command: re.Pattern[str]) -> Iterator[str]:
    joined = re.sub(r" \\\n +", " ", text)
    for line in joined.splitlines():
        found = command.match(line)
        if found:
            yield re.split(r" {2,}", found[1].strip())[0]
