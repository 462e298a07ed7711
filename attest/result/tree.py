"""An answer as a tree for people: parts of the machine, and under each what was asked of it.

Terminal, JSON and HTML are made from this one tree, so that none of them knows more than the others. Every text
in it is what the answer holds: text of evidence is escaped there already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal, TypeAlias

from attest.errors import Problem
from attest.protects import protects
from attest.result.answer import Answer
from attest.untrusted import escape

State: TypeAlias = Literal["pass", "observed", "accepted", "grace", "deny", "not-judged"]
_WORST: tuple[State, ...] = ("deny", "grace", "accepted", "observed", "pass", "not-judged")
WORDS: Mapping[State, str] = {
    "pass": "met",
    "observed": "met, by a value only observed so far",
    "accepted": "not met, and accepted for a time",
    "grace": "not met, within its grace period",
    "deny": "not met",
    "not-judged": "not judged: nothing carries it",
}
_TITLES = {
    "": "Machine",
    "snp": "CPU",
    "tdx": "CPU",
    "azure": "Paravisor and TPM",
    "gpu": "GPU",
    "switch": "Switch",
    "evidence": "Evidence",
    "binding": "Binding",
    "boot": "Boot",
    "time": "Time",
}
_ABOUT = {
    "snp": "AMD SEV-SNP",
    "tdx": "Intel TDX",
    "azure": "as the paravisor says",
    "evidence": "who verified it",
    "binding": "this machine, this key, now",
    "boot": "from the event log",
    "time": "how old is what was judged",
}
_LONG_HEX = re.compile(r"[0-9a-fA-F]{24,}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One rule on one part.

    at: `file:line:column`, or `default`. sentence: of a denial, as `attest verify` prints it. protects: what the rule is there for; None for a
    group of rules. why, fix: the policy's own words before ours; empty where the rule is met.
    """

    rule: str
    claim: str
    at: str
    state: State
    expected: str
    found: str | None
    protects: str | None
    why: str | None
    fix: str | None
    until: str | None
    sentence: str | None

    @property
    def line(self) -> str:
        """`p.yaml:9`; `default` for a rule of no file."""
        head, _, column = self.at.rpartition(":")
        return head if column.isdigit() else self.at

    @property
    def good(self) -> bool:
        return self.state in ("pass", "not-judged")

    def as_dict(self) -> dict[str, str | None]:
        return {
            "rule": self.rule,
            "at": self.at,
            "outcome": self.state,
            "expected": self.expected,
            "found": self.found,
            "protects": self.protects,
            "why": self.why,
            "fix": self.fix,
            "until": self.until,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True)
class Branch:
    """One part of the machine. key: `snp`, `gpu[3]`, empty for what is of no part. device: its index."""

    key: str
    title: str
    about: str
    device: int | None
    leaves: tuple[Leaf, ...]

    @property
    def kind(self) -> str:
        """The section: `gpu` of `gpu[3]`."""
        return self.key.partition("[")[0]

    @property
    def state(self) -> State:
        found = {leaf.state for leaf in self.leaves}
        return next((state for state in _WORST if state in found), "not-judged")

    @property
    def good(self) -> bool:
        return all(leaf.good for leaf in self.leaves)

    def as_dict(self) -> dict[str, Any]:
        return {
            "part": self.key,
            "title": self.title,
            "about": self.about,
            "outcome": self.state,
            "rules": [leaf.as_dict() for leaf in self.leaves],
        }


@dataclass(frozen=True, slots=True)
class Tree:
    """headline: one sentence, the first thing to read. branches: empty where the policy was not run."""

    answer: Answer
    headline: str
    branches: tuple[Branch, ...]

    @property
    def leaves(self) -> Iterator[Leaf]:
        for branch in self.branches:
            yield from branch.leaves

    @property
    def denied(self) -> tuple[Leaf, ...]:
        return tuple(leaf for leaf in self.leaves if leaf.state == "deny")

    @property
    def allowed(self) -> frozenset[str]:
        """Codes of warnings in spite of which the owner releases."""
        return frozenset((self.answer.release or {}).get("allowed", ()))

    def as_dict(self) -> dict[str, Any]:
        """The answer of `attest verify`, and the tree as `explanation`."""
        return {
            **self.answer.as_dict(),
            "explanation": {
                "headline": self.headline,
                "parts": [branch.as_dict() for branch in self.branches],
            },
        }


def tree_of(answer: Answer) -> Tree:
    """The tree of any answer, of a refusal before the policy as well."""
    sentences = iter(answer.problems)
    leaves = [_leaf(record, sentences) for record in answer.rules]
    branches = []
    for key, group in groupby(leaves, key=lambda leaf: leaf.rule.rpartition(".")[0]):
        branches.append(_branch(key, tuple(group), answer.claims))
    return Tree(answer, _headline(answer, leaves), tuple(branches))


def _leaf(record: Mapping[str, str | None], sentences: Iterator[Problem]) -> Leaf:
    """The denials of an answer stand in the order of its records."""
    rule, outcome = record["rule"] or "", record["outcome"]
    part, _, claim = rule.rpartition(".")
    state: State = outcome if outcome in WORDS else "deny"  # type: ignore[assignment]  # narrowed by the table
    if state == "pass" and record["found"] is None and record["at"] == "default":
        # A default that asks only what is there; nothing was.
        state = "not-judged"
    denial = next(sentences, None) if state == "deny" else None
    good = state in ("pass", "not-judged", "observed")
    return Leaf(
        rule=rule,
        claim=claim,
        at=record["at"] or "",
        state=state,
        expected=record["expected"] or "",
        found=record["found"],
        protects=protects(part.partition("[")[0], claim),
        why=None if good else record["why"],
        fix=None if good else record["fix"],
        until=record["until"],
        sentence=denial.message if denial is not None else None,
    )


def _branch(key: str, leaves: tuple[Leaf, ...], claims: Mapping[str, Any]) -> Branch:
    section, _, rest = key.partition("[")
    title, about = _TITLES.get(section, section), _ABOUT.get(section, "")
    device: int | None = None
    if rest:
        device = int(rest.rstrip("]"))
        listed = claims.get(section, ())
        title = f"{title} {device} of {len(listed)}"
        about = _device(listed[device]) if device < len(listed) else ""
    elif section in ("gpu", "switch"):
        title = {"gpu": "GPUs", "switch": "Switches"}[section]
        about = "all of them"
    elif section == "snp":
        product = claims.get("snp", {}).get("product")
        if isinstance(product, str):
            about += f", {escape(product).capitalize()}"
    return Branch(key, title, about, device, leaves)


def _device(claims: Mapping[str, Any]) -> str:
    said = [escape(str(claims[name])) for name in ("model", "architecture") if claims.get(name)]
    identity = escape(str(claims.get("id", ""))).upper()
    said += [identity if len(identity) <= 12 else f"{identity[:4]}…{identity[-4:]}"] if identity else []
    return ", ".join(said)


def _headline(answer: Answer, leaves: list[Leaf]) -> str:
    """A denial's own sentence; for what conforms a sentence that says how much was asked."""
    if answer.problems:
        return str(answer.problems[0])
    name = answer.policy.get("name") or "the policy"
    met = sum(leaf.state in ("pass", "observed") for leaf in leaves)
    text = f"This machine conforms to {escape(str(name))}: {met} rules are met"
    waiting = sum(leaf.state in ("grace", "accepted") for leaf in leaves)
    if waiting:
        text += f", {waiting} {'is' if waiting == 1 else 'are'} not and {'is' if waiting == 1 else 'are'} tolerated for a time"
    warned = len(answer.warnings)
    if warned:
        text += f"; {warned} {'warning' if warned == 1 else 'warnings'} to read"
    return text + "."


def short(text: str | None, limit: int = 90) -> str:
    """Long hex as `41d0…9c`, and no more than `limit` characters."""
    if text is None:
        return "nothing"
    text = _LONG_HEX.sub(lambda match: f"{match[0][:8]}…{match[0][-4:]}", text)
    return text if len(text) <= limit else f"{text[: limit - 9]}…{text[-8:]}"
