"""A suite: what a policy must say of evidence, as data. Read as strictly as a policy, and as whole.

    policy: prod.yaml                  # beside the suite; NAME.test.yaml tests NAME.yaml where unsaid
    params: {ld: "9f2c…"}
    at: 2026-11-23T12:00:00Z
    evidence:
      genoa: {files: [report.bin, vcek.der], report-data: "…"}
      good: {simulate: {kind: machine, gpus: 1}}
    tests:
      - {evidence: good, set: {snp.debug: true}, expect: refused, because: [snp.debug]}

Reading is pure: files are named here and opened by the command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.policy.kinds import day_or_instant
from attest.policy.nodes import MAX_FAULTS, Fault, ListNode, MapNode, Node, Place, Scalar, Unreadable
from attest.policy.suggest import did_you_mean
from attest.policy.suppose import Change, change, removal
from attest.policy.yaml_text import parse_yaml

MAX_TESTS = 1000
VERDICTS = ("conforms", "conforms-with-warnings", "refused", "malformed")
EXPECTED = ("nonce", "key", "report-data", "gpu-nonce", "tpm-nonce", "origin")
"""What evidence in files was bound to, as the options of `attest verify`."""

_KEYS = ("suite", "policy", "params", "at", "simulator-root", "evidence", "tests")
_EVIDENCE = ("files", "simulate", "at", *EXPECTED)
_TEST = ("name", "evidence", "at", "set", "unset", "expect", "because", "release")
_NAME = re.compile(r"[a-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """Where evidence comes from. files: as written; simulate: keywords of the simulator, text or maps of
    text; one of the two. at: the instant of verification, None for that of the test. expected: option → text."""

    name: str
    files: tuple[str, ...]
    simulate: Mapping[str, Any] | None
    at: datetime | None
    expected: Mapping[str, str]
    place: Place


@dataclass(frozen=True, slots=True)
class Test:
    """One expectation. because: for `refused` exactly the rules or problem codes of the refusal; else exactly
    the warnings and marked rules, not compared where None. release: whether a secret would go out, None where
    not asked."""

    name: str
    source: Source
    at: datetime | None
    changes: tuple[Change, ...]
    expect: str
    because: tuple[str, ...] | None
    release: bool | None
    place: Place


@dataclass(frozen=True, slots=True)
class Suite:
    """policy: a path as written, None for the file that the suite stands beside."""

    policy: str | None
    parameters: Mapping[str, str]
    at: datetime | None
    simulator_root: str | None
    tests: tuple[Test, ...]


def read_suite(text: str | bytes) -> Suite:
    """The suite in YAML text. Raises Unreadable with every fault, each at its place."""
    reader = _Reader()
    suite = reader.read(parse_yaml(text))
    if reader.faults:
        raise Unreadable(sorted(reader.faults, key=lambda fault: fault.place))
    return suite


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._sources: dict[str, Source] = {}

    def read(self, node: Node) -> Suite:
        top = self._map(node, "a suite", _KEYS)
        if self._text(top.get("suite"), "suite") not in (None, "1"):
            self._fault(top["suite"].place, 'this version knows "suite: 1"')
        if "tests" not in top:
            self._fault(node.place, '"tests" is missing')
        sources = top.get("evidence")
        for key, child in self._entries(sources, "evidence"):
            if not _NAME.fullmatch(key.text):
                self._fault(key.place, "evidence is named by 1 to 64 of a-z, 0-9 and -")
            self._sources[key.text] = self._source(key, child)
        params = {
            key.text: self._text(child, key.text) or ""
            for key, child in self._entries(top.get("params"), "params")
        }
        tests = []
        for item in self._items(top.get("tests"), "tests"):
            test = self._test(item)
            if test is not None:
                tests.append(test)
        if len(tests) > MAX_TESTS:
            self._fault(top["tests"].place, f"more than {MAX_TESTS} tests")
        names: set[str] = set()
        for test in tests:
            if test.name in names:
                self._fault(test.place, f'two tests are called "{test.name}"; give them names')
            names.add(test.name)
        return Suite(
            self._text(top.get("policy"), "policy"),
            params,
            self._instant(top.get("at")),
            self._text(top.get("simulator-root"), "simulator-root"),
            tuple(tests),
        )

    # -- evidence

    def _source(self, key: Scalar, node: Node) -> Source:
        known = self._map(node, "evidence", _EVIDENCE)
        files = tuple(self._text(item, "files") or "" for item in self._one_or_more(known.get("files")))
        simulate = None
        if "simulate" in known:
            simulate = self._plain(known["simulate"])
            if not isinstance(simulate, dict) or not isinstance(simulate.get("kind"), str):
                self._fault(
                    known["simulate"].place, "simulate is a map with kind: snp, tdx, azure, gpu, machine …"
                )
                simulate = {}
        if ("files" in known) == ("simulate" in known):
            self._fault(node.place, "evidence has files or simulate, one of the two")
        expected = {name: self._text(known[name], name) or "" for name in EXPECTED if name in known}
        if expected and simulate is not None:
            self._fault(node.place, "what simulated evidence is bound to is chosen by the test itself")
        return Source(key.text, files, simulate, self._instant(known.get("at")), expected, key.place)

    def _plain(self, node: Node) -> Any:
        if isinstance(node, Scalar):
            return node.text
        if isinstance(node, MapNode):
            return {key.text: self._plain(child) for key, child in node.entries}
        self._fault(node.place, "a setting of the simulator is text or a map")
        return ""

    def _named(self, node: Node | None, place: Place) -> Source:
        """A name under `evidence`, or files right here."""
        if node is None:
            self._fault(place, 'a test has "evidence": a name, a file, or a list of files')
        if isinstance(node, Scalar) and node.text in self._sources:
            return self._sources[node.text]
        texts = tuple(self._text(item, "evidence") or "" for item in self._one_or_more(node))
        if len(texts) == 1 and _NAME.fullmatch(texts[0]) and node is not None:
            self._fault(
                node.place, f'no evidence is called "{texts[0]}"{did_you_mean(texts[0], self._sources)}'
            )
        return Source(" ".join(texts), texts, None, None, {}, node.place if node else place)

    # -- tests

    def _test(self, node: Node) -> Test | None:
        before = len(self.faults)
        known = self._map(node, "a test", _TEST)
        source = self._named(known.get("evidence"), node.place)
        changes: list[Change] = []
        for key, child in self._entries(known.get("set"), "set"):
            self._change(changes, key, lambda key=key, child=child: change(key.text, self._value(child)))
        for item in self._one_or_more(known.get("unset")):
            if isinstance(item, Scalar):
                self._change(changes, item, lambda item=item: removal(item.text))
            else:
                self._fault(item.place, "unset names claims, parts or devices")
        expect = self._text(known.get("expect"), "expect")
        if expect is None or expect not in VERDICTS:
            near = did_you_mean(expect, VERDICTS) if expect else ""
            self._fault(
                known["expect"].place if "expect" in known else node.place,
                f"expect is one of {', '.join(VERDICTS)}{near}",
            )
        because = None
        if "because" in known:
            because = tuple(self._text(item, "because") or "" for item in self._one_or_more(known["because"]))
            if len(set(because)) != len(because):
                self._fault(known["because"].place, "because names a reason twice")
        elif expect in ("refused", "malformed"):
            self._fault(
                node.place, f"expect: {expect} needs because: refused for another reason is no success"
            )
        release = self._text(known.get("release"), "release")
        if release not in (None, "true", "false"):
            self._fault(known["release"].place, "release is true or false")
        if len(self.faults) > before:
            return None
        at = self._instant(known.get("at"))
        name = self._text(known.get("name"), "name") or _described(source, changes, at, expect or "")
        return Test(
            name,
            source,
            at,
            tuple(changes),
            expect or "",
            because,
            None if release is None else release == "true",
            node.place,
        )

    def _change(self, changes: list[Change], node: Scalar, make: Any) -> None:
        try:
            made = make()
        except ValueError as error:
            self._fault(node.place, str(error))
            return
        if any(made.name == other.name for other in changes):
            self._fault(node.place, f"{made.name} is changed twice")
        changes.append(made)

    def _value(self, node: Node) -> Any:
        if isinstance(node, ListNode):
            return [item.text if isinstance(item, Scalar) else None for item in node.items]
        return self._plain(node)

    # -- pieces

    def _map(self, node: Node, what: str, keys: Iterable[str]) -> dict[str, Node]:
        keys = tuple(keys)
        known = {}
        for key, child in self._entries(node, what):
            if key.text not in keys:
                self._fault(key.place, f'unknown key "{key.text}" of {what}{did_you_mean(key.text, keys)}')
            known[key.text] = child
        return known

    def _entries(self, node: Node | None, what: str) -> tuple[tuple[Scalar, Node], ...]:
        if node is None or isinstance(node, MapNode):
            return node.entries if node is not None else ()
        self._fault(node.place, f"{what} is a map")
        return ()

    def _items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        if node is None or isinstance(node, ListNode):
            return node.items if node is not None else ()
        self._fault(node.place, f"{what} is a list")
        return ()

    def _one_or_more(self, node: Node | None) -> tuple[Node, ...]:
        if node is None:
            return ()
        return node.items if isinstance(node, ListNode) else (node,)

    def _text(self, node: Node | None, what: str) -> str | None:
        if node is None or isinstance(node, Scalar):
            return node.text if node is not None else None
        self._fault(node.place, f"{what} is text")
        return None

    def _instant(self, node: Node | None) -> datetime | None:
        text = self._text(node, "at")
        if node is None or text is None:
            return None
        try:
            return day_or_instant(text)
        except ValueError as error:
            self._fault(node.place, f"at wants {error}")
            return None

    def _fault(self, place: Place, message: str) -> None:
        self.faults.append(Fault(place, message))
        if len(self.faults) >= MAX_FAULTS:
            raise Unreadable(self.faults)


def _described(source: Source, changes: list[Change], at: datetime | None, expect: str) -> str:
    """A name for a test that has none of its own."""
    words = [source.name, *(told(one) for one in changes)]
    if at is not None:
        words.append(f"at {at:%Y-%m-%dT%H:%M:%SZ}")
    return f"{', '.join(words)}: {expect}"


def told(one: Change) -> str:
    """`snp.debug = true`, `gpu taken away`."""
    if one.value is None:
        return f"{one.name} taken away"
    value = one.value
    if isinstance(value, Mapping):
        value = ", ".join(f"{name} {number}" for name, number in value.items())
    return f"{one.name} = {', '.join(value) if isinstance(value, list) else value}"
