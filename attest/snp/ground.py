"""What vouches for a report: the leaf with its facts, the path to the pinned ARK, and the ARK's list.

A hit in the cache saves parsing, structure and signatures of exactly these endorsements under exactly these
anchors. Dates, revocation and the memory of lists are asked at every verification; where any of them has a
complaint the long way is gone again, and words it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attest.anchors import Anchors
from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.memory import Memory
from attest.path import Path
from attest.revocation import State, check_crls, stranger
from attest.snp.chain import Candidate, check_chain, leaves, with_issuer
from attest.snp.leaf import LeafFacts, read_leaf
from attest.snp.report import Report
from attest.snp.signature import is_signed_by
from attest.untrusted import escape
from attest.x509 import Crl

_PASSED = ("snp.chain", "snp.crl")
"""The checks that a complaint-free ground answers for."""


@dataclass(frozen=True, slots=True)
class Ground:
    """candidate: leaf and issuer. path, leaf: None where they were refused. crl: newest authentic list."""

    candidate: Candidate
    path: Path | None
    leaf: LeafFacts | None
    crl_state: State
    crl: Crl | None

    def stands(self, at: datetime, memory: Memory | None) -> bool:
        """Whether everything is there, and dates, revocation and memory have nothing against it at `at`."""
        path, crl = self.path, self.crl
        if path is None or crl is None or crl.next_update is None:
            return False
        return (
            path.not_before <= at <= path.not_after
            and crl.this_update <= at <= crl.next_update
            and not crl.revokes(path.certificates[1].serial)
            and (memory is None or _agrees(memory, path.root.spki_sha256, crl))
        )


def _agrees(memory: Memory, root: bytes, crl: Crl) -> bool:
    seen, number = memory.crl_seen(root), memory.crl_number_seen(root)
    return (seen is None or crl.this_update >= seen) and (
        number is None or (crl.number is not None and crl.number >= number)
    )


def find_ground(
    report: Report,
    *,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> Ground | None:
    """Follow leaf and list to the pinned ARK and judge them at `at`; None without any leaf."""
    key: Key = ()
    if cache is not None:
        key = cache.key("snp-ground", anchors.digest, (endorsements.signed_digest,))
        known: Ground | None = cache.get(key)
        if known is not None and known.stands(at, memory):
            log.all_passed(_PASSED)
            return known
    found = leaves(endorsements)
    if not found:
        log.failed("snp.leaf", "snp.leaf.missing", expected="SEV-VCEK or SEV-VLEK")
        return None
    first = found[0]
    if len(found) > 1:
        # Of several the one whose key signed the report.
        signer = next((leaf for leaf in found if is_signed_by(report, leaf.certificate)), None)
        if signer is None:
            log.failed("snp.leaf", "snp.leaf.several", found=len(found))
        first = signer or first
    chosen = with_issuer(first, endorsements, anchors, cache)
    before = len(log.problems)
    path = check_chain(chosen, anchors=anchors, log=log, cache=cache)
    if path is not None and path.in_time(at, log):
        log.passed("snp.chain")
    state, crl = _check_revocation(path, endorsements, anchors, at, log, cache, memory)
    ground = Ground(chosen, path, _read_leaf(chosen, log), state, crl)
    lists = [one.issuer_der for one in endorsements.crls]
    if (
        cache is not None
        and len(found) == 1
        and len(log.problems) == before
        and path is not None
        and state == "fresh"  # at another instant one out of date, or of tomorrow, may be in date
        and lists.count(path.root.subject_der) == 1  # of several the instant decides, so nothing is kept
    ):
        cache.put(key, ground)
    return ground


def _read_leaf(candidate: Candidate, log: CheckLog) -> LeafFacts | None:
    try:
        return read_leaf(candidate.leaf, candidate.kind, candidate.product)
    except Malformed as error:
        log.absorb(error, "snp.leaf")
        return None


def _check_revocation(
    path: Path | None,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> tuple[State, Crl | None]:
    """The ARK's list, against ASK or ASVK. Leaves all have serial 0 and cannot be listed."""
    if path is None:
        log.not_run("snp.crl", "no verified chain")
        return "absent", None
    state, crl = check_crls(
        path.root,
        path.certificates[1:2],
        endorsements.crls,
        at=at,
        check="snp.crl",
        log=log,
        cache=cache,
        memory=memory,
        counted=True,
    )
    if state == "fresh":
        log.passed("snp.crl")
    elif state == "stale":
        # The default policy refuses a stale list; an owner may lift that by name.
        log.not_run("snp.crl", "the list is out of date: policies decide")
    elif state == "absent":
        roots = (anchor.certificate for anchor in anchors.roots)
        other = stranger(endorsements.crls, (*endorsements.certificates, *anchors.intermediates, *roots))
        if other is not None:
            log.failed(
                "snp.crl",
                "x509.crl.stranger",
                expected=f"a list of {path.root.common_name.shown}",
                found=f"one of {escape(other.issuer_text)}",
            )
        else:
            log.not_run("snp.crl", "no list of the ARK was given")
    return state, crl
