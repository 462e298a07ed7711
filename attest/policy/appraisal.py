"""Appraisal: a verdict with its reasons. Only `attest.appraise` makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from attest.errors import Denied, Problem
from attest.policy.model import Body
from attest.problems import problem
from attest.verified import Vouched

Verdict: TypeAlias = Literal["conforms", "conforms-with-warnings", "refused"]
RuleRecord: TypeAlias = Mapping[str, str | None]

_MINT: Final = object()

_RELEASE_CLAIMS = {
    "snp": {"crl": "fresh"},
    "tdx": {"crl": "fresh"},
    "gpu": {"cert": "good", "driver-rim": "valid", "vbios-rim": "valid"},
    "switch": {"cert": "good", "bios-rim": "valid"},
}


class Appraisal:
    """What a policy says of verified evidence at one instant.

    verdict: conforms, conforms-with-warnings or refused. problems: the denials, one a rule and device,
    with codes `policy.SECTION.CLAIM`. warnings: verification's and the policy's. rules: a record a rule
    and device, in order: rule, at, result, outcome, expected, found, code, why, fix, until. policy: name,
    digest, file, floors. at: the caller's instant. claims: of `verified`, and those that the policy makes known
    by pinning an Azure machine's paravisor.

    Frozen, and not constructible from outside.
    """

    __slots__ = (
        "_allowed",
        "_own",
        "_platforms",
        "_read",
        "_records",
        "at",
        "claims",
        "policy",
        "problems",
        "verdict",
        "verified",
        "warnings",
    )

    verdict: Verdict
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    _read: tuple[RuleRecord, ...] | None
    _records: Callable[[], tuple[RuleRecord, ...]]
    policy: Mapping[str, Any]
    at: datetime
    verified: Vouched
    claims: Mapping[str, Any]
    _allowed: frozenset[str]
    _own: bool
    _platforms: frozenset[str]

    def __init__(self, mint: object, **fields: Any) -> None:
        if mint is not _MINT:
            raise TypeError("only attest.appraise makes an Appraisal")
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Appraisal does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an Appraisal does not change")

    def __repr__(self) -> str:
        return f"<Appraisal {self.verdict} by {self.policy['name']}>"

    @property
    def rules(self) -> tuple[RuleRecord, ...]:
        """Put together when first read: who wants the verdict alone does not pay for the words."""
        if self._read is None:
            object.__setattr__(self, "_read", self._records())
        read = self._read
        assert read is not None
        return read

    @property
    def own(self) -> bool:
        """Whether an owner's policy judged, and not the defaults alone, which release nothing."""
        return self._own

    @property
    def allowed(self) -> frozenset[str]:
        """Codes under the policy's `allow-warnings`: warnings in spite of which a secret goes out. They change no
        verdict."""
        return self._allowed

    @property
    def conforms(self) -> bool:
        return self.verdict != "refused"

    def require(self) -> None:
        """Return if the evidence conforms, with or without warnings. Raises Denied with all denials."""
        if not self.conforms:
            raise Denied(*self.problems)

    def require_release(self) -> None:
        """Return if a secret may go out on this appraisal. Raises Denied with every reason why not.

        A release needs an owner's policy for a CPU platform; the verdict `conforms`, or each warning
        listed in that policy's own `allow-warnings`; and for every part a fresh CRL or good certificate
        status, and valid RIMs. Only what is absent, never what is stale, on hold or unknown, is covered
        by allowing `revocation-unchecked`.
        """
        reasons = [*self.problems, *self.release_problems()]
        if reasons:
            raise Denied(*reasons)

    def release_problems(self) -> tuple[Problem, ...]:
        """What stands between a conforming verdict and a release."""
        reasons: list[Problem] = []
        if not self._own:
            reasons.append(_withheld("No owner's policy: the defaults alone release nothing"))
        if "none" in self._platforms:
            reasons.append(
                _withheld("The policy lists platform none: devices without a CPU part get no secret")
            )
        for warning in self.warnings:
            if warning.code == "floors-expired":
                # Whether the machine is still up to date is not known, and no reason makes it so.
                reasons.append(_withheld(warning.message, where=warning.where, found=warning.code))
            elif warning.code not in self._allowed:
                reasons.append(
                    _withheld(
                        f"The owner does not allow the warning {warning.code}: {warning.message}",
                        where=warning.where,
                        found=warning.code,
                        expected="the code under allow-warnings",
                    )
                )
        reasons += self._unproved_parts()
        return tuple(reasons)

    def _unproved_parts(self) -> list[Problem]:
        reasons: list[Problem] = []
        claims = self.verified.claims
        for section, wanted in _RELEASE_CLAIMS.items():
            found = claims.get(section)
            parts = found if isinstance(found, (list, tuple)) else [found] if found is not None else []
            for index, part in enumerate(parts):
                name = f"{section}[{index}]" if section in ("gpu", "switch") else section
                for claim, good in wanted.items():
                    state = part.get(claim) if isinstance(part, Mapping) else None
                    unchecked = claim in ("crl", "cert") and state == "absent"
                    if state != good and not (unchecked and "revocation-unchecked" in self._allowed):
                        reasons.append(
                            _withheld(
                                f"A release needs {name}.{claim} {good}",
                                where=f"{name}.{claim}",
                                expected=good,
                                found=state if isinstance(state, str) else None,
                            )
                        )
        return reasons


def _withheld(message: str, **fields: str | None) -> Problem:
    return problem("policy.release", message=message, **fields)


def mint(*, body: Body, own: bool, records: Callable[[], tuple[RuleRecord, ...]], **fields: Any) -> Appraisal:
    """For `attest.policy.appraise` alone."""
    return Appraisal(
        _MINT,
        _allowed=frozenset(body.allow_warnings),
        _own=own,
        _platforms=body.platforms,
        _read=None,
        _records=records,
        **fields,
    )
