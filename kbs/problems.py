"""The broker's own problem codes, beside those of `attest.problems`: what owners find in audit rows."""

from __future__ import annotations

from typing import Final

from attest.errors import Problem

_PROTOCOL = "guest protocol 0.4, runtime data and init-data"
_ORDER = "order of work: a fetch for an unknown machine has budgets"
_RELEASE = "key release: every owner of a secret must agree"

PROBLEMS: Final[dict[str, tuple[str, str, str]]] = {
    "kbs.nonce.mismatch": (
        "The guest answers another challenge than the one of its session",
        _PROTOCOL,
        "ask for a challenge and answer that one",
    ),
    "kbs.endorsements.ended": (
        "What the evidence rests on ends at this moment",
        _PROTOCOL,
        "give the broker newer endorsements",
    ),
    "kbs.evidence.version": (
        "The evidence document is of an older version than this broker takes",
        _PROTOCOL,
        "update the guest's components, or let the broker take older Azure evidence, which binds less",
    ),
    "kbs.init-data.unbound": (
        "The hardware does not carry the digest of the init-data that was sent",
        _PROTOCOL,
        "launch the guest with this init-data in HOST_DATA or MRCONFIGID",
    ),
    "kbs.fetch.busy": (
        "An endorsement is missing, and vendors are being asked for too many other guests",
        _ORDER,
        "let the guest try again soon; put endorsements into the broker's folder, or let it ask for more at once",
    ),
    "kbs.fetch.budget": (
        "An endorsement is missing, and the budget of questions to vendors is spent",
        _ORDER,
        "let the guest try again later; put endorsements into the broker's folder, or raise the budget in sources",
    ),
    "kbs.owner.none": (
        "No owner has an enabled rule for this path",
        _RELEASE,
        "put the secret, and a policy for each of its owners",
    ),
    "kbs.owner.no-rule": (
        "An owner of the secret has no enabled rule for this path",
        _RELEASE,
        "the owner puts a policy for this path, or enables the one that is there",
    ),
    "kbs.owner.disabled": (
        "An owner of the secret is disabled, so nothing of it is released",
        _RELEASE,
        "enable the owner",
    ),
}
"""code → (message, source, remedy)"""


def problem(
    code: str, where: str | None = None, *, expected: str | None = None, found: str | None = None
) -> Problem:
    """Raises KeyError for a code not in the table."""
    message, source, remedy = PROBLEMS[code]
    return Problem(code, message, where=where, expected=expected, found=found, source=source, remedy=remedy)
