"""A policy: read whole or not at all, named by the digest of what it effectively says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from attest.canonical import canonical
from attest.claims import instant
from attest.errors import Malformed, Problem
from attest.policy.defaults import replaces, wider
from attest.policy.identity import paravisor_pins
from attest.policy.kinds import utf16
from attest.policy.model import PLATFORMS, Body, CanonicalText, Entry, Rule
from attest.policy.nodes import MAX_FAULTS, Fault, Node, Place, Unreadable, from_json
from attest.policy.reader import Reader
from attest.policy.yaml_text import MAX_BYTES, parse_yaml
from attest.problems import PROBLEMS
from attest.untrusted import escape

_READ: Final = object()
_SECTIONS_OF = {
    "snp": ("snp",),
    "tdx": ("tdx",),
    "azure-snp": ("snp", "azure"),
    "azure-tdx": ("tdx", "azure"),
    "none": (),
}


class Policy:
    """An owner's rules, or the defaults alone. Does not change; made by the classmethods only.

    name: the policy's own. platforms: CPU platforms it accepts. file: where it was read from, None where
    it came otherwise. digest: `sha384:` and hex over the canonical form. own: False for `defaults()`,
    which no owner wrote and which releases nothing.
    """

    __slots__ = ("__dict__", "body", "file", "file_digest", "own", "where")

    body: Body
    file: str | None
    file_digest: str | None
    own: bool
    where: str

    def __init__(
        self, token: object, body: Body, tree: Mapping[str, CanonicalText], **origin: str | bool | None
    ) -> None:
        if token is not _READ:
            raise TypeError("a policy is read: Policy.read, from_text, from_canonical or defaults")
        fields = {"body": body, "_tree": tree, "file": None, "file_digest": None, "own": True, **origin}
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    _tree: Mapping[str, CanonicalText]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Policy does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Policy does not change")

    def __repr__(self) -> str:
        return f"<Policy {self.name} {self.digest}>"

    @classmethod
    def read(cls, path: Path, *, parameters: Mapping[str, str] | None = None) -> Policy:
        """The policy in a file. Raises Malformed with every error, each at `file:line:column`."""
        try:
            with Path(path).open("rb") as stream:
                text = stream.read(MAX_BYTES + 1)
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise _malformed([Fault(Place(), f"cannot be read: {reason}")], escape(str(path))) from None
        return cls._from_text(text, str(path), str(path), parameters)

    @classmethod
    def from_text(
        cls, text: str | bytes, where: str = "policy", *, parameters: Mapping[str, str] | None = None
    ) -> Policy:
        """The policy in YAML text; `where` stands in places for the file. Raises Malformed."""
        return cls._from_text(text, where, None, parameters)

    @classmethod
    def _from_text(
        cls, text: str | bytes, where: str, file: str | None, parameters: Mapping[str, str] | None
    ) -> Policy:
        where = escape(where)
        wrong: list[Fault] = []
        try:
            node = parse_yaml(text)
        except Unreadable as error:
            if error.node is None:
                raise _malformed(error.faults, where) from None
            node, wrong = error.node, error.faults
        raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        return cls._from_node(
            node,
            where,
            parameters,
            wrong,
            file=file,
            file_digest="sha384:" + hashlib.sha384(raw).hexdigest(),
        )

    @classmethod
    def from_canonical(cls, tree: object, where: str = "policy") -> Policy:
        """The policy of a canonical JSON tree, as `canonical` writes it. Raises Malformed."""
        try:
            node = from_json(tree)
        except Unreadable as error:
            raise _malformed(error.faults, where) from None
        except RecursionError:
            raise _malformed([Fault(Place(), "nested too deeply")], where) from None
        return cls._from_node(node, where, None)

    @classmethod
    def defaults(cls) -> Policy:
        """The defaults of `policy: 1` alone, for every platform."""
        body = Body("defaults", frozenset(PLATFORMS), {})
        return cls(_READ, body, _canonical(body, {}), where="default", own=False)

    @classmethod
    def _from_node(
        cls,
        node: Node,
        where: str,
        parameters: Mapping[str, str] | None,
        wrong: Sequence[Fault] = (),
        **origin: str | bool | None,
    ) -> Policy:
        """wrong: what is wrong with the tree itself; every kind of error is told in one answer."""
        reader = Reader(where, parameters)
        try:
            body = reader.read(node)
        except Unreadable as error:
            raise _malformed([*wrong, *error.faults], where) from None
        # At the place of a fault of the text there is no value of the file's, so nothing follows from it.
        places = {fault.place for fault in wrong}
        faults = [*wrong, *(fault for fault in reader.faults if fault.place not in places)]
        faults += _loosened(body, reader)
        if not wrong:
            faults += _whole(body, reader, node.place)
        if faults:
            raise _malformed(faults, where)
        return cls(_READ, body, _canonical(body, reader.set_texts), where=where, **origin)

    @property
    def name(self) -> str:
        return self.body.name

    @property
    def platforms(self) -> frozenset[str]:
        return self.body.platforms

    def canonical(self) -> bytes:
        """RFC 8785 JSON of the effective policy: no defaults (the version names them), no why, no fix."""
        return canonical(self._tree)

    @cached_property
    def digest(self) -> str:
        return "sha384:" + hashlib.sha384(self.canonical()).hexdigest()


def _whole(body: Body, reader: Reader, place: Place) -> list[Fault]:
    """Errors that only the whole policy shows, without those that may follow from an error already found."""
    faults: list[Fault] = []
    for platform in PLATFORMS:
        if platform not in body.platforms:
            continue
        for section in _SECTIONS_OF[platform]:
            if not body.sections.get(section) and section not in reader.sections:
                faults.append(
                    Fault(
                        place,
                        f'platform "{platform}" is listed without rules: section {section} is missing',
                        "policy.platform-without-rules",
                    )
                )
        pinned_in = "tdx" if platform == "azure-tdx" else "snp"
        if pinned_in in reader.wrong_sections:
            continue
        if platform.startswith("azure") and not paravisor_pins(body, platform):
            wanted = (
                "tdx.mrtd"
                if platform == "azure-tdx"
                else "snp.measurement, or snp.id-key with guest-svn at-least"
            )
            faults.append(
                Fault(
                    place,
                    f'platform "{platform}" does not pin the paravisor: write {wanted}, as deny rules outside any and none',
                    "policy.paravisor-unpinned",
                )
            )
    return faults


def _loosened(body: Body, reader: Reader) -> list[Fault]:
    """Rules that pass more than the default they replace and do not say why."""
    faults: list[Fault] = []
    for entries in body.sections.values():
        for entry in entries:
            if isinstance(entry, Rule) and entry.spot in reader.wrong_rules:
                continue
            if isinstance(entry, Rule) and replaces(entry) and not entry.override and wider(entry):
                faults.append(
                    Fault(
                        entry.spot,
                        f'{entry.name} passes more than its default does: say override: "reason"',
                        "policy.override-missing",
                    )
                )
    return faults


def _malformed(faults: list[Fault], where: str) -> Malformed:
    problems = []
    for fault in sorted(faults, key=lambda fault: fault.place)[:MAX_FAULTS]:
        at = fault.place.within(where)
        meaning = PROBLEMS[fault.code]
        problems.append(
            Problem(
                code=fault.code,
                message=f"{at}: {escape(fault.message, 400)}",
                where=at,
                source=meaning.source,
                remedy=meaning.remedy,
            )
        )
    return Malformed(*problems)


# -- canonical form ---------------------------------------------------------------------------------


def _canonical(body: Body, sets: Mapping[str, Mapping[str, object]]) -> dict[str, CanonicalText]:
    tree: dict[str, CanonicalText] = {
        "policy": "1",
        "name": body.name,
        "platforms": [*sorted(body.platforms, key=utf16)],
        "require": {section: _section(entries) for section, entries in body.sections.items()},
    }
    if sets:
        tree["references"] = {name: dict(found) for name, found in sets.items()}  # type: ignore[arg-type]  # text throughout
    if body.allow_warnings:
        tree["allow-warnings"] = dict(body.allow_warnings)
    return tree


def _section(entries: tuple[Entry, ...]) -> dict[str, CanonicalText]:
    section: dict[str, CanonicalText] = {}
    for entry in entries:
        if not isinstance(entry, Rule):
            section[entry.kind] = [_section(branch) for branch in entry.branches]
            continue
        rule: dict[str, CanonicalText] = {operator.name: operator.text for operator in entry.operators}
        if entry.warn:
            rule["else"] = "warn"
        if entry.until is not None:
            rule["until"] = instant(entry.until)
        if entry.override is not None:
            rule["override"] = entry.override
        if entry.covers is not None:
            rule["covers"] = entry.covers
        section[entry.claim.name] = rule
    return section
