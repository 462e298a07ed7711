"""What a policy would say of a machine that nobody has: for comparing policies, never for trusting one.

A Hypothesis has no signature behind it, so it is no Verified, and a Trial is no Appraisal: it cannot be required,
released on, or handed to anything that asks for either. The judgement itself is the appraiser's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, cast

from attest.checks import CheckRecord
from attest.claims import freeze
from attest.errors import Problem
from attest.policy.appraisal import RuleRecord, Verdict
from attest.policy.appraise import appraise
from attest.policy.document import Policy
from attest.verified import Verified

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Hypothesis:
    """A claim tree as `Verified.claims` has it, which nobody proved.

    warnings: what verification would have said. Of a Verified it has the attributes that the appraiser reads, and
    nothing else.
    """

    tree: Mapping[str, Any]
    at: datetime
    warnings: tuple[Problem, ...] = ()
    simulated: bool = False
    checks: tuple[CheckRecord, ...] = ()

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        frozen: Mapping[str, Any] = freeze(self.tree)
        return frozen

    @property
    def expires(self) -> datetime:
        return self.at + _DAY

    @property
    def silent(self) -> frozenset[str]:
        return frozenset()

    @property
    def paravisor_claims(self) -> Mapping[str, Mapping[str, Any]]:
        said = self.claims.get("raw", {}).get("azure", {}).get("paravisor_says", {})
        return cast("Mapping[str, Mapping[str, Any]]", said)


@dataclass(frozen=True, slots=True)
class Trial:
    """What a policy says of a hypothesis.

    withheld: what would stand between a conforming verdict and a release.
    """

    verdict: Verdict
    rules: tuple[RuleRecord, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    withheld: tuple[Problem, ...]

    @property
    def accepted(self) -> bool:
        return self.verdict != "refused"

    @property
    def released(self) -> bool:
        return self.accepted and not self.withheld


def attempt(policy: Policy, hypothesis: Hypothesis) -> Trial:
    """Judge `hypothesis` by `policy` at the hypothesis' instant, by the appraiser that judges real machines."""
    # The one place where what nobody proved goes where a Verified is asked for; what comes out is no Appraisal.
    said = appraise(cast(Verified, hypothesis), policy, at=hypothesis.at)
    return Trial(said.verdict, said.rules, said.problems, said.warnings, said.release_problems())
