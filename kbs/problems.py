"""The broker's own problem codes, beside those of `attest.problems`: what owners find in audit rows."""

from __future__ import annotations

from typing import Final

from attest.errors import Problem

_PROTOCOL = "guest protocol 0.4, runtime data and init-data"
_ORDER = "order of work: a fetch for an unknown machine has budgets"
_TERMS = "key release: terms of a version, or of a consent"
_CONSENT = "key release: consent signed by M of N keys of an owner"
_RECORD = "audit trail: checkpoints kept outside"
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
    "kbs.revoked": (
        "Something that this release rests on is revoked",
        _RELEASE,
        "see kbs revoke list; nobody gets it until that is lifted, or until another machine, version or session asks",
    ),
    "kbs.stopped": (
        "Releases are stopped",
        _RELEASE,
        "see the reason; kbs stop lift ends it",
    ),
    "kbs.secret.disabled": (
        "The version of the secret is disabled",
        _RELEASE,
        "enable it, kbs secret enable, or put another",
    ),
    "kbs.terms.early": (
        "The secret is not released yet",
        _TERMS,
        "ask again then, or put a version with other terms",
    ),
    "kbs.terms.late": (
        "The secret is not released any more",
        _TERMS,
        "put a version, or sign a consent, with other dates",
    ),
    "kbs.terms.count": (
        "The secret was released as often as it may be",
        _TERMS,
        "put a version, or sign a consent, with a higher count",
    ),
    "kbs.terms.box": (
        "The time after the first release is over",
        _TERMS,
        "put another version of the secret",
    ),
    "kbs.lease.ended": (
        "The lease that this session or token has for the secret has ended",
        _TERMS,
        "the guest attests again: what was attested before renews nothing",
    ),
    "kbs.consent.missing": (
        "An owner's signed consent is needed, and there is none",
        _CONSENT,
        "kbs consent prepare, sign and put",
    ),
    "kbs.consent.mismatch": (
        "An owner's consent is for something else than what is in force now",
        _CONSENT,
        "kbs consent prepare again: it shows what would be signed",
    ),
    "kbs.consent.sequence": (
        "An owner's consent is not the one that was put last, or older than the owner's keys",
        _CONSENT,
        "kbs consent prepare again, sign and put",
    ),
    "kbs.consent.threshold": (
        "Too few keys signed an owner's consent",
        _CONSENT,
        "let another of the owner's people sign the same document",
    ),
    "kbs.consent.malformed": (
        "What was signed is no consent as the broker reads them",
        _CONSENT,
        "make it with kbs consent prepare",
    ),
    "kbs.checkpoint.malformed": (
        "What was signed is no checkpoint as the broker writes them",
        _RECORD,
        "give a file that the broker left, or kbs audit checkpoint wrote",
    ),
    "kbs.export.malformed": (
        "The file is no export of an audit trail",
        _RECORD,
        "make it with kbs audit export",
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
    "kbs.owner.quota": (
        "An owner's releases of this hour are used up",
        _RELEASE,
        "wait until the hour is over; where that many are right, kbs owner quota",
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
