"""Which failed rules an owner lives with: each advisory behind them is accepted, to a date.

A module or a quoting enclave can be out of date with no advisory to its name, so the lists are asked part by part
and an empty one accepts nothing. Source: policy format, accepted advisories.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

from attest.policy.compare import Finding
from attest.policy.model import Accepted, Entry, Rule

INCURABLE = frozenset(
    {
        "ConfigurationNeeded",
        "ConfigurationAndSWHardeningNeeded",
        "OutOfDateConfigurationNeeded",
        "TDRelaunchAdvised",
        "TDRelaunchAdvisedConfigurationNeeded",
    }
)
"""Statuses that no advisory stands for: only a tcb-status rule that names one lets it pass."""

_PARTS = ("platform", "module", "qe")
CURED = frozenset({"tcb-status", "tcb-lag", "advisories"})
"""Claims of tdx whose failed rules accepted advisories cure."""


def in_force(accepted: Iterable[Accepted], now: datetime) -> Mapping[str, datetime]:
    """Advisory → until when it is accepted. Where several files accept it, all must still do so."""
    now = now.replace(microsecond=0)
    ends: dict[str, datetime] = {}
    for one in accepted:
        ends[one.advisory] = min(one.until, ends.get(one.advisory, one.until))
    return {advisory: end for advisory, end in ends.items() if now <= end}


def cured(
    rule: Rule,
    finding: Finding,
    accepted: Mapping[str, datetime],
    claims: Mapping[str, object],
    tcb: object,
    entries: Sequence[Entry],
) -> datetime | None:
    """The earliest end of the acceptances that cure this failed rule; None where they do not.

    accepted: those in force. claims: of section tdx. tcb: `raw.tdx.tcb`, each part's own status and list.
    entries: the policy's rules of tdx.
    """
    if (
        finding.result != "F"
        or not accepted
        or rule.section != "tdx"
        or rule.claim.name not in CURED
        or not isinstance(tcb, Mapping)
    ):
        return None
    status = claims.get("tcb-status")
    parts = [part for name in _PARTS if (part := tcb.get(name)) is not None]
    if not isinstance(status, str) or "platform" not in tcb or "qe" not in tcb:
        return None
    if not all(isinstance(part, Mapping) for part in parts):
        return None
    behind = [part for part in parts if part.get("status") != "UpToDate"]
    statuses = [status, *(part.get("status") for part in behind)]
    if "Revoked" in statuses or any(one in INCURABLE and not named(one, entries) for one in statuses):
        return None
    used: set[str] = set()
    for part in behind:
        advisories = _texts(part.get("advisories"))
        if not advisories:
            return None
        used |= advisories
    if rule.claim.name == "advisories":
        # A list that nobody is behind for is met by accepting just what the rule objects to.
        used |= _objected(rule, claims.get("advisories"))
    # With nobody behind and nothing objected to there is nothing to accept.
    if not used or not used <= set(accepted):
        return None
    return min(accepted[advisory] for advisory in used)


def named(status: object, entries: Sequence[Entry]) -> bool:
    """Whether a deny rule on tcb-status, standing in its section, names this status as one that passes."""
    for entry in entries:
        if not isinstance(entry, Rule) or entry.claim.name != "tcb-status" or entry.warn:
            continue
        operator = entry.operator("is", "one-of")
        if operator is not None:
            operand = operator.operand
            if status in (operand if isinstance(operand, tuple) else (operand,)):
                return True
    return False


def _objected(rule: Rule, raw: object) -> set[str]:
    """The advisories of the claim that make the rule fail; all of them where that is not for single ones to say."""
    found = _texts(raw)
    objected: set[str] = set()
    for operator in rule.operators:
        if operator.name == "none-of":
            objected |= found & {one.upper() for one in cast("frozenset[str]", operator.operand)}
        elif operator.name == "subset-of":
            objected |= found - {one.upper() for one in cast("frozenset[str]", operator.operand)}
        else:
            objected |= found
    return objected


def _texts(value: object) -> set[str]:
    items = [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
    return {str(item).upper() for item in items}
