"""A policy: read whole or not at all, named by the digest of what it effectively says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from attest.canonical import canonical
from attest.claims import instant
from attest.errors import Malformed, Problem
from attest.policy.compose import Composer
from attest.policy.defaults import replaces, wider
from attest.policy.floors import Floors
from attest.policy.identity import paravisor_pins
from attest.policy.kinds import utf16
from attest.policy.layers import MAX_FILES, files_named, gather
from attest.policy.model import PLATFORMS, Body, CanonicalText, Entry, Group, Rule
from attest.policy.nodes import MAX_FAULTS, Fault, Node, Place, Unreadable, from_json
from attest.policy.reader import Gaps
from attest.policy.yaml_text import MAX_BYTES, parse_yaml
from attest.problems import PROBLEMS
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.policy.plan import Step

_READ: Final = object()
SECTIONS_OF = {
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
    which no owner wrote and which releases nothing. floors: the floor data it was read with and judges with.
    extended: name of each file that it extends → digest of its bytes.
    """

    __slots__ = ("__dict__", "body", "extended", "file", "file_digest", "floors", "own", "where")

    body: Body
    extended: Mapping[str, str]
    file: str | None
    file_digest: str | None
    floors: Floors
    own: bool
    where: str

    def __init__(
        self, token: object, body: Body, tree: Mapping[str, CanonicalText], **origin: object
    ) -> None:
        if token is not _READ:
            raise TypeError("a policy is read: Policy.read, from_text, from_canonical or defaults")
        fields = {
            "body": body,
            "_tree": tree,
            "extended": {},
            "file": None,
            "file_digest": None,
            "own": True,
            **origin,
        }
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
    def read(
        cls, path: Path, *, parameters: Mapping[str, str] | None = None, floors: Floors | None = None
    ) -> Policy:
        """The policy in a file, and the files beside it that it extends.

        parameters: values by name. floors: None for those of the package. Raises Malformed with every error,
        each at `file:line:column`.
        """
        text = _bytes_of(Path(path), str(path))
        return cls._from_text(text, str(path), str(path), parameters, files_beside(Path(path), text), floors)

    @classmethod
    def from_text(
        cls,
        text: str | bytes,
        where: str = "policy",
        *,
        parameters: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        floors: Floors | None = None,
    ) -> Policy:
        """The policy in YAML text. where: stands in places for the file. files: name → bytes, for what it
        extends by file. floors: None for those of the package. Raises Malformed."""
        return cls._from_text(text, where, None, parameters, files or {}, floors)

    @classmethod
    def _from_text(
        cls,
        text: str | bytes,
        where: str,
        file: str | None,
        parameters: Mapping[str, str] | None,
        files: Mapping[str, bytes],
        floors: Floors | None,
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
            files,
            floors,
            wrong,
            effective=False,
            file=file,
            file_digest="sha384:" + hashlib.sha384(raw).hexdigest(),
        )

    @classmethod
    def from_canonical(
        cls,
        tree: object,
        where: str = "policy",
        *,
        parameters: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
        floors: Floors | None = None,
    ) -> Policy:
        """The policy of a JSON tree: an effective one, as `canonical` writes it, or what a file would say in YAML.

        Raises Malformed.
        """
        try:
            node = from_json(tree)
        except Unreadable as error:
            raise _malformed(error.faults, where) from None
        except RecursionError:
            raise _malformed([Fault(Place(), "nested too deeply")], where) from None
        return cls._from_node(node, where, parameters, files or {}, floors, effective=True)

    @classmethod
    def defaults(cls, floors: Floors | None = None) -> Policy:
        """The defaults of `policy: 1` alone, for every platform."""
        body = Body("defaults", frozenset(PLATFORMS), {})
        return cls(
            _READ, body, _canonical(body, {}), where="default", own=False, floors=floors or Floors.shipped()
        )

    @classmethod
    def _from_node(
        cls,
        node: Node,
        where: str,
        parameters: Mapping[str, str] | None,
        files: Mapping[str, bytes],
        floors: Floors | None,
        wrong: Sequence[Fault] = (),
        *,
        effective: bool,
        **origin: object,
    ) -> Policy:
        """wrong: what is wrong with the tree itself; every kind of error is told in one answer."""
        faults: list[Fault] = []
        floors = floors or Floors.shipped()
        try:
            layers = gather(node, where, files, faults)
            composer = Composer(layers, parameters or {}, floors, faults, effective=effective)
            composed = composer.compose()
        except Unreadable as error:
            raise _malformed([*wrong, *error.faults], where) from None
        body = composed.body
        # At the place of a fault of the text there is no value of the file's, so nothing follows from it.
        places = {fault.place for fault in wrong}
        faults = [
            *wrong,
            *(one for one in faults if one.file not in (None, where) or one.place not in places),
        ]
        faults += _loosened(body, composer.gaps)
        if not wrong:
            faults += _whole(body, composer.gaps, node.place)
        if faults:
            raise _malformed(faults, where, [layer.name for layer in layers])
        return cls(
            _READ,
            body,
            _canonical(body, composed.set_texts),
            where=where,
            floors=floors,
            extended={layer.name: layer.digest for layer in layers if layer.digest is not None},
            **origin,
        )

    def with_rules(self, sections: Mapping[str, tuple[Entry, ...]]) -> Policy:
        """A policy of its own that says the same but for its rules, for those who try what rules are good for. sections:
        as of a body. Raises Malformed where it would not load."""
        body = replace(self.body, sections={name: entries for name, entries in sections.items() if entries})
        faults = [*_loosened(body, Gaps()), *_whole(body, Gaps(), Place())]
        if faults:
            raise _malformed(faults, self.where)
        sets = cast("Mapping[str, Mapping[str, object]]", self._tree.get("references", {}))
        return Policy(_READ, body, _canonical(body, sets), where=self.where, floors=self.floors)

    @property
    def name(self) -> str:
        return self.body.name

    @property
    def platforms(self) -> frozenset[str]:
        return self.body.platforms

    @cached_property
    def plans(self) -> dict[tuple[object, ...], tuple[Step, ...]]:
        """Its entries made ready for appraisal, by section and kind of machine. Filled as machines come; says nothing
        that the body does not."""
        return {}

    def canonical(self) -> bytes:
        """RFC 8785 JSON of the effective policy: no defaults (the version names them), no why, no fix."""
        return canonical(self._tree)

    @cached_property
    def digest(self) -> str:
        return "sha384:" + hashlib.sha384(self.canonical()).hexdigest()


def _whole(body: Body, gaps: Gaps, place: Place) -> list[Fault]:
    """Errors that only the whole policy shows, without those that may follow from an error already found."""
    faults: list[Fault] = []
    for platform in PLATFORMS:
        if platform not in body.platforms:
            continue
        for section in SECTIONS_OF[platform]:
            if not body.sections.get(section) and section not in gaps.sections:
                faults.append(
                    Fault(
                        place,
                        f'platform "{platform}" is listed without rules: section {section} is missing',
                        "policy.platform-without-rules",
                    )
                )
        pinned_in = "tdx" if platform == "azure-tdx" else "snp"
        if pinned_in in gaps.wrong_sections:
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


def _loosened(body: Body, gaps: Gaps) -> list[Fault]:
    """Rules that pass more than the default they replace and do not say why."""
    faults: list[Fault] = []
    for entries in body.sections.values():
        replacing: dict[str, list[Rule]] = {}
        for entry in entries:
            if isinstance(entry, Rule) and replaces(entry) and entry.place not in gaps.wrong_rules:
                replacing.setdefault(entry.name, []).append(entry)
        for name, rules in replacing.items():
            # All of them must pass: together they may be as narrow as the default.
            if not any(rule.override for rule in rules) and wider(*rules):
                last = rules[-1]
                faults.append(
                    Fault(
                        last.spot,
                        f'{name} passes more than its default does: say override: "reason"',
                        "policy.override-missing",
                        last.place.removesuffix(last.spot.within("")),
                    )
                )
    return faults


def _bytes_of(path: Path, where: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise _malformed([Fault(Place(), f"cannot be read: {reason}")], escape(where)) from None


def files_beside(path: Path, text: bytes) -> dict[str, bytes]:
    """What a policy's file extends by file, and those in turn. What is not there is told by who reads them."""
    found: dict[str, bytes] = {}
    waiting = [text]
    while waiting and len(found) < MAX_FILES:
        try:
            names = list(files_named(parse_yaml(waiting.pop())))
        except Unreadable:
            continue
        for name in names:
            beside = path.parent / name
            if name not in found and beside.is_file():
                found[name] = _bytes_of(beside, str(beside))
                waiting.append(found[name])
    return found


def _malformed(faults: list[Fault], where: str, order: list[str] | None = None) -> Malformed:
    """order: names of the files; a policy's own errors stand before those of what it extends."""
    files = {name: -index for index, name in enumerate(order or ())}
    problems = []
    for fault in sorted(faults, key=lambda fault: (files.get(fault.file or where, 0), fault.place))[
        :MAX_FAULTS
    ]:
        at = fault.place.within(fault.file or where)
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
    if body.accepted:
        tree["accept"] = [
            {
                "advisory": one.advisory,
                "because": one.because,
                "until": instant(one.until),
                **({"override": one.override} if one.override is not None else {}),
            }
            for one in body.accepted
        ]
    return tree


def _section(entries: tuple[Entry, ...]) -> dict[str, CanonicalText]:
    """A key of several files holds the list of what each says, parents first; of one file that alone."""
    found: dict[str, list[CanonicalText]] = {}
    for entry in entries:
        found.setdefault(entry.kind if isinstance(entry, Group) else entry.claim.name, []).append(
            _entry(entry)
        )
    return {name: texts[0] if len(texts) == 1 else texts for name, texts in found.items()}


def _entry(entry: Entry) -> CanonicalText:
    if isinstance(entry, Group):
        return [_section(branch) for branch in entry.branches]
    rule: dict[str, CanonicalText] = {operator.name: operator.text for operator in entry.operators}
    if entry.warn:
        rule["else"] = "warn"
    if entry.until is not None:
        rule["until"] = instant(entry.until)
    if entry.override is not None:
        rule["override"] = entry.override
    if entry.covers is not None:
        rule["covers"] = entry.covers
    return rule
