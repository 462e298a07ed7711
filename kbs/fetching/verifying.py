"""Verify with what is at hand; where that does not do for want of endorsements, with those of the vendors too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from attest import Anchors, Endorsements, Evidence, Rejected, Verified
from attest.errors import Problem
from attest.memory import Memory
from attest.sources.needs import needs
from kbs.fetching.fetcher import Fetch

_MISSING: Final = frozenset(
    {
        "snp.chip-id.mismatch",
        "snp.leaf.kind",
        "snp.leaf.missing",
        "snp.leaf.several",
        "snp.tcb.mismatch",
        "tdx.collateral.evaluation",
        "tdx.collateral.mixed",
        "tdx.collateral.rollback",
        "tdx.module.unknown",
        "tdx.qe-identity.expired",
        "tdx.qe-identity.missing",
        "tdx.quote.certification-data",
        "tdx.tcb-info.expired",
        "tdx.tcb-info.fmspc",
        "tdx.tcb-info.missing",
        "tdx.tcb-info.pce-id",
        "nvidia.ocsp.rollback",
        "nvidia.ocsp.stale",
        "x509.crl.missing",
        "x509.crl.rollback",
        "x509.crl.stale",
        "x509.crl.stranger",
        "x509.expired",
        "x509.missing",
    }
)
"""What other endorsements may cure. Evidence with any other fault makes nobody be asked."""

UNASKED: Final = frozenset({"kbs.fetch.busy", "kbs.fetch.budget"})
"""Of a refusal: the broker itself did not ask, so the same evidence may be good soon."""


def verify_fetching(
    ask: Callable[[Endorsements, Memory], Verified],
    evidence: Evidence,
    held: Endorsements,
    memory: Memory,
    fetch: Fetch | None,
    *,
    anchors: Anchors,
    at: datetime,
) -> Verified:
    """What `ask` says with `held`, or with what was fetched besides.

    The CPU's endorsements come first: while its evidence does not hold, nothing is asked about devices. Raises Malformed,
    and Rejected with what could not be had among its problems.
    """
    outcome = _tried(ask, held, memory)
    missed: list[Problem] = []
    for part in (replace(evidence, devices=()), evidence):
        if fetch is None or not _wants(outcome, part, held, anchors, at):
            continue
        if part.devices and not _reached_devices(outcome):
            break
        fetched = fetch(part, held)
        held += fetched.endorsements
        missed += [one for one in fetched.problems if one not in missed]
        number = fetched.own_evaluation(anchors, at)
        if number is not None:
            memory = memory.raised(number)
        outcome = _tried(ask, held, memory)
    if isinstance(outcome, Rejected):
        raise _with(outcome, missed)
    return outcome


def _tried(
    ask: Callable[[Endorsements, Memory], Verified], held: Endorsements, memory: Memory
) -> Verified | Rejected:
    try:
        return ask(held, memory)
    except Rejected as refusal:
        return refusal


def _wants(
    outcome: Verified | Rejected, part: Evidence, held: Endorsements, anchors: Anchors, at: datetime
) -> bool:
    """Whether endorsements of this part may better the outcome."""
    if isinstance(outcome, Rejected):
        return outcome.codes <= _MISSING
    # The needs cost time to find, and a machine whose checks all ran has none.
    unrun = any(check.outcome == "not-run" for check in outcome.checks)
    return unrun and not all(need.met for need in needs(part, held, at=at, anchors=anchors))


def _reached_devices(outcome: Verified | Rejected) -> bool:
    """The cheapest comes first: where a device was looked at, the CPU's evidence holds."""
    return isinstance(outcome, Verified) or any(
        check.name.startswith(("gpu", "switch")) for check in outcome.checks
    )


def _with(refusal: Rejected, missed: list[Problem]) -> Rejected:
    if not missed:
        return refusal
    return Rejected(
        (*refusal.problems, *missed), checks=refusal.checks, warnings=refusal.warnings, seen=refusal.seen
    )
