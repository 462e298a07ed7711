"""The answer of `attest verify`: one JSON shape for every exit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from attest.checks import CheckRecord
from attest.claims import instant, thaw
from attest.errors import AttestError, Problem, Rejected
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.policy import Appraisal

Verdict = Literal["conforms", "conforms-with-warnings", "refused", "invalid", "malformed"]
EXIT: dict[str, int] = {
    "conforms": 0,
    "conforms-with-warnings": 0,
    "refused": 1,
    "invalid": 2,
    "malformed": 2,
}

_NO_POLICY: dict[str, Any] = {"name": None, "digest": None, "file": None, "floors": None}


@dataclass(frozen=True)
class Answer:
    """expires: from when on this says nothing, the earliest end of the endorsements; None unless the evidence is
    authentic. claims: empty unless it is; nothing unverified is ever in it. second_opinions: what
    others said, where they were asked (`SecondOpinion.as_dict`). release: where an owner's policy judged and did not refuse, what a
    release of a secret would meet: `allowed`, the warnings here that `allow-warnings` lists, and `withheld`, problems.
    not_used: given files that an accepted verification had no use for. shadow: what another policy would have said, where one
    was asked; it decides nothing.
    """

    verdict: Verdict
    authentic: bool
    at: datetime
    expires: datetime | None = None
    simulated: bool = False
    policy: dict[str, Any] = field(default_factory=lambda: dict(_NO_POLICY))
    claims: dict[str, Any] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    rules: tuple[dict[str, Any], ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    second_opinions: tuple[dict[str, Any], ...] = ()
    release: dict[str, Any] | None = None
    not_used: tuple[str, ...] = ()
    shadow: dict[str, Any] | None = None

    @property
    def conforms(self) -> bool:
        return self.verdict in ("conforms", "conforms-with-warnings")

    @property
    def exit_status(self) -> int:
        return EXIT[self.verdict]

    def as_dict(self) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "verdict": self.verdict,
            "authentic": self.authentic,
            "conforms": self.conforms,
            "at": instant(self.at),
            "expires": instant(self.expires) if self.expires is not None else None,
            "simulated": self.simulated,
            "policy": self.policy,
            "claims": self.claims,
            "problems": _dicts(self.problems),
            "warnings": _dicts(self.warnings),
            "rules": list(self.rules),
            "checks": [record.as_dict() for record in self.checks],
        }
        if self.second_opinions:
            # Only where one was asked for: everybody else reads the members above.
            answer["second_opinions"] = list(self.second_opinions)
        if self.release is not None:
            answer["release"] = self.release
        if self.shadow is not None:
            answer["shadow"] = self.shadow
        if self.not_used:
            answer["not_used"] = [escape(name) for name in self.not_used]
        return answer


def _dicts(problems: Iterable[Problem]) -> list[dict[str, str | None]]:
    return [problem.as_dict() for problem in problems]


def of_appraisal(appraisal: Appraisal) -> Answer:
    """The answer for authentic evidence, whatever the policy said."""
    verified = appraisal.verified
    return Answer(
        verdict=appraisal.verdict,
        authentic=True,
        at=appraisal.at,
        expires=verified.expires,
        simulated=verified.simulated,
        policy=dict(appraisal.policy),
        claims=thaw(appraisal.claims),
        problems=tuple(appraisal.problems),
        warnings=tuple(appraisal.warnings),
        rules=tuple(dict(rule) for rule in appraisal.rules),
        checks=verified.checks,
        release=release_of(appraisal),
    )


def shadow_of(appraisal: Appraisal, verdict: str) -> dict[str, Any]:
    """What a policy that does not decide would have said. verdict: of the one that does."""
    said = of_appraisal(appraisal)
    return {
        "policy": said.policy,
        "verdict": said.verdict,
        "conforms": said.conforms,
        "agrees": said.verdict == verdict,
        "problems": _dicts(said.problems),
        "warnings": _dicts(said.warnings),
        "rules": list(said.rules),
        **({"release": said.release} if said.release is not None else {}),
    }


_ORDER: tuple[Verdict, ...] = ("conforms", "conforms-with-warnings", "refused")


def judged_beside(
    answer: Answer, at_best: Verdict, *, problems: Iterable[Problem] = (), warnings: Iterable[Problem] = ()
) -> Answer:
    """The answer where something beside any policy lets it be `at_best` at best: another verifier that does not agree,
    or what could not be fetched. It counts for the shadow as well, and nothing is released on a refusal."""
    verdict = _no_better(answer.verdict, at_best)
    shadow, release = answer.shadow, answer.release
    if shadow is not None:
        said = _no_better(shadow["verdict"], at_best)
        shadow = {**shadow, "verdict": said, "conforms": said != "refused", "agrees": said == verdict}
    if at_best == "refused":
        release = None
        if shadow is not None:
            shadow.pop("release", None)
    return replace(
        answer,
        verdict=verdict,
        problems=(*answer.problems, *problems),
        warnings=(*answer.warnings, *warnings),
        release=release,
        shadow=shadow,
    )


def _no_better(verdict: Verdict, at_best: Verdict) -> Verdict:
    return max(verdict, at_best, key=_ORDER.index) if verdict in _ORDER else verdict


def release_of(appraisal: Appraisal) -> dict[str, Any] | None:
    """What a release on this appraisal would meet; None where it is refused, and for the defaults alone, on which
    nobody releases."""
    if not appraisal.own or not appraisal.conforms:
        return None
    present = dict.fromkeys(warning.code for warning in appraisal.warnings)
    return {
        "allowed": [code for code in present if code in appraisal.allowed],
        "withheld": _dicts(appraisal.release_problems()),
    }


def of_refusal(error: AttestError, at: datetime, *, invalid_policy: bool = False) -> Answer:
    """The answer for evidence that is malformed or not genuine, or a policy that cannot be read."""
    if isinstance(error, Rejected):
        return Answer(
            "refused", False, at, problems=error.problems, warnings=error.warnings, checks=error.checks
        )
    return Answer("invalid" if invalid_policy else "malformed", False, at, problems=error.problems)
