"""Opening an offline bundle: who signed it, whether it is what it says, whether it is of this time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from attest.checks import CheckLog
from attest.claims import instant
from attest.dsse import Envelope, TrustedKeys, open_envelope
from attest.errors import Malformed, Problem, Rejected
from attest.memory import Memory
from attest.sources.offline import Bundle

CHECKS = ("bundle.signature", "bundle.content", "bundle.dates", "bundle.rollback")


@dataclass(frozen=True, slots=True)
class OpenedBundle:
    """A bundle of a trusted signer, at a time within its own. signers: their key ids. memory: the one given,
    with this bundle's serial; None where none was given."""

    bundle: Bundle
    signers: tuple[str, ...]
    memory: Memory | None = None


class BundleReader:
    """Opens the bundles of one verification, all at one time, and keeps what was checked.

    log: the checks of all bundles opened. memory: the newest serials seen, updated; None to keep none.
    """

    def __init__(self, keys: TrustedKeys, at: datetime, memory: Memory | None = None) -> None:
        self.keys = keys
        self.at = at
        self.memory = memory
        self.log = CheckLog()
        self.opened: list[OpenedBundle] = []

    def open(self, name: str, envelope: Envelope) -> Bundle:
        """Raises Rejected."""
        opened = open_bundle(
            envelope, keys=self.keys, at=self.at, memory=self.memory, log=self.log, where=name
        )
        self.memory = opened.memory
        self.opened.append(opened)
        return opened.bundle


def open_bundle(
    envelope: Envelope,
    *,
    keys: TrustedKeys,
    at: datetime,
    memory: Memory | None = None,
    log: CheckLog | None = None,
    where: str = "bundle",
) -> OpenedBundle:
    """Verify the signature first, then read the payload, then its time and its serial.

    keys: those for kind `endorsements` count. memory: highest serial seen of each signer; a lower one
    refuses, without a memory the check is not run. log: receives the checks; one of its own by default.
    Raises Rejected with all problems found, and the checks.
    """
    log = log or CheckLog()
    try:
        opened = open_envelope(envelope, "endorsements", keys)
    except Rejected as refusal:
        _absorb(log, refusal.problems, "bundle.signature", where)
        for check in CHECKS[1:]:
            log.not_run(check, "nobody trusted signed the bundle")
        log.reject_if_bad()
        raise AssertionError("a refusal has problems") from None
    log.passed("bundle.signature")
    try:
        bundle = Bundle.parse(opened.payload)
    except Malformed as error:
        _absorb(log, error.problems, "bundle.content", where)
        for check in CHECKS[2:]:
            log.not_run(check, "the bundle does not parse")
        log.reject_if_bad()
        raise AssertionError("a refusal has problems") from None
    log.passed("bundle.content")
    _check_dates(bundle, at, log, where)
    if memory is None:
        log.not_run("bundle.rollback", "no memory of earlier bundles was given")
    else:
        _check_serial(bundle, opened.signers, memory, log, where)
        memory = memory.with_bundle(opened.signers, bundle.serial)
    log.reject_if_bad()
    return OpenedBundle(bundle, opened.signers, memory)


def _check_dates(bundle: Bundle, at: datetime, log: CheckLog, where: str) -> None:
    if at < bundle.made:
        log.failed(
            "bundle.dates",
            "bundle.not-yet-valid",
            where=where,
            expected=f"from {instant(bundle.made)}",
            found=instant(at),
        )
    elif at > bundle.expires:
        log.failed(
            "bundle.dates",
            "bundle.expired",
            where=where,
            expected=f"until {instant(bundle.expires)}",
            found=instant(at),
        )
    else:
        log.passed("bundle.dates")


def _check_serial(
    bundle: Bundle, signers: tuple[str, ...], memory: Memory, log: CheckLog, where: str
) -> None:
    seen = max((memory.bundle_seen(signer) or 0 for signer in signers), default=0)
    log.require(
        "bundle.rollback",
        bundle.serial >= seen,
        "bundle.rollback",
        where=where,
        expected=f"serial {seen} or higher",
        found=bundle.serial,
    )


def _absorb(log: CheckLog, problems: tuple[Problem, ...], check: str, where: str) -> None:
    """The problems as they are, each with the file it is about."""
    placed = (replace(each, where=f"{where}: {each.where}" if each.where else where) for each in problems)
    log.absorb(Malformed(*placed), check)
