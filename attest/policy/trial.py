"""Run a suite: each test's verdict and reasons, and which rules no test ever made pass or made fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from attest.claims import instant
from attest.errors import AttestError, Malformed, Problem
from attest.policy.ablation import ablations
from attest.policy.document import Policy
from attest.policy.model import PARTS, Entry, Rule
from attest.policy.suggest import did_you_mean
from attest.policy.suite import Source, Suite, Test, told
from attest.policy.suppose import judge, members
from attest.verified import Verified

Verifier: TypeAlias = Callable[[Source, datetime], Verified]
"""Evidence verified at an instant. Raises Malformed and Rejected as `verify` does, Unfit where the suite is wrong."""

_INDEX = re.compile(r"\[[0-9]+\]")


class Unfit(Exception):
    """A test asks for evidence that cannot be made: the suite is wrong, not the policy."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test's result. verdict: conforms, conforms-with-warnings, refused, malformed. supposed: whether
    claims were changed after verification; `changes` says which."""

    name: str
    line: int
    at: str
    changes: tuple[str, ...]
    expected: str
    because: tuple[str, ...] | None
    verdict: str
    reasons: tuple[str, ...]
    releases: bool | None
    faults: tuple[str, ...]
    messages: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.faults

    def as_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "line": self.line,
            "passed": self.passed,
            "at": self.at,
            "changed-after-verification": list(self.changes),
            "expected": self.expected,
            "because": None if self.because is None else list(self.because),
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "release": self.releases,
            "faults": list(self.faults),
            "messages": list(self.messages),
        }


@dataclass(frozen=True, slots=True)
class Covered:
    """A rule and how the tests saw it. passed, failed: whether any test did; failed counts what cannot be told. noticed:
    whether some test would fail without it, and without each of its operators or branches; where
    `attest.policy.ablation` has none, that is not asked."""

    rule: str
    at: str
    passed: bool
    failed: bool
    noticed: bool = True

    @property
    def full(self) -> bool:
        return self.passed and self.failed and self.noticed

    @property
    def missing(self) -> str:
        if self.passed and self.failed:
            return "no test would notice that it, or a part of it, is gone"
        if self.passed:
            return "no test made it fail"
        return "no test made it pass" if self.failed else "no test judged it"


@dataclass
class Trial:
    """outcomes: in the suite's order. coverage: every rule of the policy in the order of results, defaults not."""

    outcomes: list[Outcome] = field(default_factory=list)
    coverage: list[Covered] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(outcome.passed for outcome in self.outcomes)

    @property
    def uncovered(self) -> list[Covered]:
        return [rule for rule in self.coverage if not rule.full]


def run(suite: Suite, policy: Policy, verify: Verifier, *, now: datetime) -> Trial:
    """Every test of `suite` against `policy`. now: the instant of tests that name none. Raises Unfit."""
    seen: dict[tuple[str, str], set[str]] = {}
    judged: list[_Judged] = []
    trial = Trial([_run(test, suite, policy, verify, now, seen, judged) for test in suite.tests])
    gone = ablations(policy)
    for rule, place in _rules(policy):
        results = seen.get((rule, place), set())
        failed = bool(results & {"F", "U"})
        noticed = not failed or all(
            any(one.notices(other) for one in judged) for other in gone.get((rule, place), ())
        )
        trial.coverage.append(Covered(rule, place, "P" in results, failed, noticed))
    return trial


@dataclass(frozen=True, slots=True)
class _Judged:
    """A test that the policy passes, with what it judged."""

    test: Test
    verified: Verified
    at: datetime

    def notices(self, policy: Policy) -> bool:
        """Whether the test fails of another policy."""
        judgement = judge(self.verified, policy, at=self.at, changes=self.test.changes)
        release = self.test.release
        return (release is not None and release != judgement.releases) or any(
            _faults(self.test, judgement.verdict, judgement.reasons)
        )


def _run(
    test: Test,
    suite: Suite,
    policy: Policy,
    verify: Verifier,
    now: datetime,
    seen: dict[tuple[str, str], set[str]],
    judged: list[_Judged],
) -> Outcome:
    at = test.at or test.source.at or suite.at or now
    changes = tuple(told(one) for one in test.changes)
    releases: bool | None = None
    problems: Sequence[Problem]
    verified: Verified | None = None
    try:
        verified = verify(test.source, test.source.at or at)
        judgement = judge(verified, policy, at=at, changes=test.changes)
    except AttestError as error:
        verdict = "malformed" if isinstance(error, Malformed) else "refused"
        reasons = tuple(dict.fromkeys(problem.code for problem in error.problems))
        problems, releases = error.problems, False
    except ValueError as error:
        raise Unfit(f"line {test.place.line}: {error}") from None
    else:
        verdict, reasons, releases = judgement.verdict, judgement.reasons, judgement.releases
        problems = judgement.problems or judgement.warnings
        if test.release is not None:
            problems = (*problems, *judgement.withheld)
        for key, results in judgement.seen.items():
            seen.setdefault(key, set()).update(results)
    faults = [*_faults(test, verdict, reasons)]
    if test.release is not None and test.release != releases:
        faults.append("a secret would go out" if releases else "no secret would go out")
    if verified is not None and not faults:
        judged.append(_Judged(test, verified, at))
    return Outcome(
        test.name,
        test.place.line,
        instant(at),
        changes,
        test.expect,
        test.because,
        verdict,
        reasons,
        releases,
        tuple(faults),
        tuple(dict.fromkeys(problem.message for problem in problems)),
    )


def _faults(test: Test, verdict: str, reasons: tuple[str, ...]) -> Iterator[str]:
    if verdict != test.expect:
        because = f" because of {', '.join(reasons)}" if reasons else ""
        yield f"expected {test.expect}, found {verdict}{because}"
        return
    if test.because is None:
        return
    for wanted in test.because:
        if not any(_meets(wanted, reason) for reason in reasons):
            yield f"{wanted} is no reason here; the reasons are {', '.join(reasons) or 'none'}{did_you_mean(wanted, reasons)}"
    for reason in reasons:
        if not any(_meets(wanted, reason) for wanted in test.because):
            yield f"{reason} is a reason that the test does not name"


def _meets(wanted: str, reason: str) -> bool:
    """`gpu.driver` stands for any device's, `gpu[0].driver` for that one's."""
    wanted = wanted.removeprefix("policy.")
    return wanted in (reason, _INDEX.sub("", reason))


def _rules(policy: Policy) -> Iterator[tuple[str, str]]:
    """(rule, place) of all that the policy asks for, members of any, all and none among them."""
    yield "platforms", policy.where
    sections: Mapping[str, tuple[Entry, ...]] = policy.body.sections
    for section in PARTS:
        entries = sections.get(section, ())
        if entries and section in ("gpu", "switch"):
            yield f"{section}.present", policy.where
        for entry in entries:
            yield entry.name, entry.place
            if not isinstance(entry, Rule):
                for rule in members((entry,)):
                    yield rule.name, rule.place
