"""What an importer found: rules, what could not be mapped, and the policy text both make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from attest.claims import instant
from attest.policy.author import comment
from attest.policy.author_rules import quoted
from attest.policy.interchange.json_lines import wrong
from attest.policy.layout import lay_out
from attest.policy.model import PARTS
from attest.policy.nodes import Unreadable
from attest.untrusted import escape

_LONGEST = 120
"""Characters of a name or value that somebody else wrote, in what we write."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """line: in the file imported; None where what is absent there asks for it, or where the file has no lines and
    `path` leads to the field. what: the field. why: what makes it inexpressible here."""

    line: int | None
    what: str
    why: str
    path: str = ""

    @property
    def place(self) -> str:
        return self.path or at(self.line)

    def __str__(self) -> str:
        return f"{self.place}: {self.what}: not mapped: {self.why}"

    def as_dict(self) -> dict[str, str | int | None]:
        place: dict[str, str | int | None] = {"path": self.path} if self.path else {"line": self.line}
        return {**place, "what": self.what, "why": self.why}


def at(line: int | None) -> str:
    return "not in the file" if line is None else f"line {line}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule. operand: as it stands behind the colon; said: where it comes from. line: as of Unmapped."""

    section: str
    claim: str
    operand: str
    said: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Rules of one section of which one branch must pass whole."""

    section: str
    branches: tuple[tuple[Entry, ...], ...]
    said: str


@dataclass(frozen=True, slots=True)
class References:
    """A reference set. type: section.claim. values: text of each and a name for it, which may be empty. begins, ends
    and origin are the same for all."""

    name: str
    type: str
    values: tuple[tuple[str, str], ...]
    begins: datetime | None
    ends: datetime | None
    origin: str


@dataclass(slots=True)
class Draft:
    """The policy to be. notes: where ours asks for more than theirs, or checks it without a rule."""

    format: str
    platforms: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    references: list[References] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def lost(self, place: int | str | None, what: str, why: str) -> None:
        """place: a line, or the path to what has none."""
        line, path = (None, place) if isinstance(place, str) else (place, "")
        self.unmapped.append(Unmapped(line, escape(what, _LONGEST), why, path))

    def rule(self, section: str, claim: str, operand: str, line: int | None, what: str) -> None:
        self.entries.append(Entry(section, claim, operand, f"{at(line)}: {escape(what, _LONGEST)}", line))

    def note(self, line: int | None, text: str) -> None:
        self.notes.append(f"{at(line)}: {escape(text, 2 * _LONGEST)}")


def write(draft: Draft, *, name: str) -> str:
    """The commented policy, laid out. Unmapped parts stand in it as comments. Raises Malformed where it becomes
    larger than a policy may be."""
    try:
        return lay_out(text_of(draft, name=name))
    except Unreadable as error:
        raise wrong(None, f"what comes of the file is no policy: {error.faults[0].message}") from None


def text_of(draft: Draft, *, name: str) -> str:
    """The same, not laid out."""
    lines = [*comment("", f"Imported from {draft.format}. Rules of the same claim hold together.")]
    for note in draft.notes:
        lines += comment("", f"NOTE: {note}")
    for one in draft.unmapped:
        lines += comment("", f"NOT MAPPED, {one.place}: {one.what}: {one.why}")
    lines += ["policy: 1 # its default rules hold beside every line below", f"name: {name}"]
    lines.append(f"platforms: [{', '.join(draft.platforms)}]")
    if draft.params:
        lines.append("params:")
        lines += [f"  {key}: {{type: {kind}}}" for key, kind in draft.params.items()]
    if draft.references:
        lines.append("references:")
        for one_set in draft.references:
            lines += _references(one_set)
    lines.append("require:")
    for section in PARTS:
        lines += _section(section, draft)
    return "\n".join(lines) + "\n"


def _references(found: References) -> Iterator[str]:
    yield f"  {found.name}:"
    yield f"    type: {found.type}"
    yield "    values:"
    for value, name in found.values:
        known = {
            "value": quoted(value),
            "name": json.dumps(name, ensure_ascii=False) if name else None,
            "from": instant(found.begins) if found.begins else None,
            "until": instant(found.ends) if found.ends else None,
            "origin": json.dumps(found.origin, ensure_ascii=False),
        }
        said = ", ".join(f"{key}: {text}" for key, text in known.items() if text is not None)
        yield f"      - {{{said}}}"


def _section(section: str, draft: Draft) -> Iterator[str]:
    entries = [one for one in draft.entries if one.section == section]
    choices = [one for one in draft.choices if one.section == section]
    if not entries and not choices:
        return
    yield f"  {section}:"
    seen: set[str] = set()
    again: list[Entry] = []
    for one in entries:
        if one.claim in seen:
            again.append(one)
            continue
        seen.add(one.claim)
        yield from comment("    ", one.said)
        yield f"    {one.claim}: {one.operand}"
    if not again and not choices:
        return
    # A claim stands once in a map; a second rule of it, or a choice, is a member of `all`.
    yield "    all:"
    for one in again:
        yield from comment("      ", one.said)
        yield f"      - {one.claim}: {one.operand}"
    for choice in choices:
        yield from comment("      ", choice.said)
        yield "      - any:"
        for branch in choice.branches:
            yield from _branch(branch)


def _branch(entries: Sequence[Entry]) -> Iterator[str]:
    first: dict[str, Entry] = {}
    again = []
    for one in entries:
        if one.claim in first:
            again.append(one)
        else:
            first[one.claim] = one
    for index, one in enumerate(first.values()):
        yield f"          {'-' if index == 0 else ' '} {one.claim}: {one.operand}"
    if again:
        inner = ", ".join(f"{{{one.claim}: {one.operand}}}" for one in again)
        yield f"            all: [{inner}]"


def listed(values: Sequence[str]) -> str:
    """`is`, or `one-of` where there are several."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1:
        return quoted(distinct[0])
    return f"{{one-of: [{', '.join(map(quoted, distinct))}]}}"
