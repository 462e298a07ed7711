"""Revocation of a device: OCSP answers and NVIDIA's CRLs at hand, over the device's chain and its manifests'.

Asked about are certificates 1, 2 and 3 of the device and 0, 1 and 2 of each manifest used. A CRL in date stands
in for an answer where NVIDIA publishes one (it does not for certificate 1 of Hopper). Revoked refuses here; hold,
unknown and absent are the claim `cert`, which policies judge.
Source: RFC 6960; RFC 5280 §6.3; NVIDIA OCSP service and CRLs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from attest.cache import Cache
from attest.checks import CheckLog
from attest.claims import instant
from attest.endorsements import Endorsements
from attest.memory import Memory
from attest.nvidia.family import Section
from attest.nvidia.ocsp import SKEW, Status, check_status, memory_name, read_answers
from attest.nvidia.ocsp_answer import Answer
from attest.nvidia.ocsp_request import Pair, device_pairs, rim_pairs
from attest.path import Path
from attest.revocation import State, check_crls
from attest.x509 import Certificate, Crl

# Worst first. An answer out of date is no answer, but it was brought as one: unknown, which defaults refuse.
_CLAIMS = {"revoked": "revoked", "hold": "hold", "unknown": "unknown", "stale": "unknown", "absent": "absent"}
_WARNINGS = {"hold": "nvidia.ocsp.hold", "unknown": "nvidia.ocsp.unknown", "stale": "nvidia.ocsp.stale"}


@dataclass(frozen=True, slots=True)
class Revocation:
    """cert: the claim, the worst of all chains asked about. statuses: one a certificate. crls, answers: dates
    for the memory. expires: when the first answer or list that counted ends; oldest: thisUpdate of the oldest
    one. Both None without any."""

    cert: str
    statuses: tuple[Status, ...] = ()
    crls: dict[bytes, datetime] = field(default_factory=dict)
    answers: dict[tuple[str, str, int], datetime] = field(default_factory=dict)
    expires: datetime | None = None
    oldest: datetime | None = None

    def raw(self) -> list[dict[str, Any]]:
        return [_raw(status) for status in self.statuses]


class RevocationCheck:
    """Asks about one device's chains, one after the other, and concludes once."""

    def __init__(
        self,
        section: Section,
        endorsements: Endorsements,
        *,
        at: datetime,
        log: CheckLog,
        cache: Cache,
        memory: Memory | None,
    ) -> None:
        self._check = f"{section}.revocation"
        self._crl_check = f"{section}.crl"
        self._crls: Sequence[Crl] = endorsements.crls
        self._at, self._log, self._cache, self._memory = at, log, cache, memory
        self._answers: tuple[Answer, ...] = read_answers(endorsements.ocsp, self._check, log, cache)
        self._statuses: dict[bytes, Status] = {}
        self._lists: dict[bytes, Crl] = {}
        self._in_date: dict[bytes, Crl] = {}
        self._stale: list[str] = []

    def device(self, path: Path) -> None:
        self._ask(path, device_pairs(path.certificates))

    def manifest(self, path: Path) -> None:
        self._ask(path, rim_pairs(path.certificates))

    def _ask(self, path: Path, pairs: Sequence[Pair]) -> None:
        asked = {certificate.fingerprint for certificate, _ in pairs}
        for certificate, issuer in pairwise(path.certificates):
            if certificate.fingerprint in self._statuses:
                continue  # manifests share their intermediates
            status = None
            if certificate.fingerprint in asked:
                status = check_status(
                    certificate,
                    issuer,
                    self._answers,
                    at=self._at,
                    check=self._check,
                    log=self._log,
                    cache=self._cache,
                    memory=self._memory,
                )
            listed = self._look_up(certificate, issuer, () if status is None else status.responders)
            if status is not None:
                if listed == "fresh" and status.state in ("absent", "stale"):
                    status = replace(status, state="good", answer=None, single=None)
                self._statuses[certificate.fingerprint] = status

    def _look_up(
        self, certificate: Certificate, issuer: Certificate, responders: Sequence[Certificate]
    ) -> State:
        """What the issuer's lists say of a certificate, and of those who answered for it."""
        if not self._crls:
            return "absent"
        state, newest = check_crls(
            issuer,
            [certificate, *responders],
            self._crls,
            at=self._at,
            check=self._crl_check,
            log=self._log,
            cache=self._cache,
            memory=self._memory,
        )
        if newest is not None:
            self._lists[issuer.spki_sha256] = newest
        if state == "fresh" and newest is not None:
            self._in_date[issuer.spki_sha256] = newest
        if state == "stale" and issuer.common_name.shown not in self._stale:
            self._stale.append(issuer.common_name.shown)
        return state

    def conclude(self) -> Revocation:
        """Record the outcome of both checks, warn of what policies must judge, and sum up."""
        statuses = tuple(self._statuses.values())
        self._conclude_lists()
        self._conclude_answers(statuses)
        states = {status.state for status in statuses}
        # Nobody asked about is nobody found good.
        best = "good" if statuses else "absent"
        cert = next((claim for state, claim in _CLAIMS.items() if state in states), best)
        # What is out of date ends nothing: it counted for nothing.
        counted = [
            one
            for one in statuses
            if one.state != "stale" and one.expires is not None and one.expires > self._at
        ]
        ends = [status.expires for status in counted if status.expires is not None]
        ends += [crl.next_update for crl in self._in_date.values() if crl.next_update is not None]
        begun = [status.single.this_update for status in counted if status.single is not None]
        begun += [crl.this_update for crl in self._in_date.values()]
        return Revocation(
            cert,
            statuses,
            {spki: crl.this_update for spki, crl in self._lists.items()},
            {
                memory_name(status.certificate, status.issuer): status.single.this_update
                for status in statuses
                # What is dated ahead must not raise the bar for honest answers (T-MEMORY).
                if status.single is not None and status.single.this_update <= self._at + SKEW
            },
            min(ends, default=None),
            min(begun, default=None),
        )

    def _conclude_lists(self) -> None:
        if self._stale:
            self._log.not_run(self._crl_check, f"out of date: the list of {' and of '.join(self._stale)}")
        elif self._lists:
            self._log.passed(self._crl_check)
        else:
            self._log.not_run(self._crl_check, "no list of a CA in these chains was given")

    def _conclude_answers(self, statuses: Sequence[Status]) -> None:
        for one in statuses:
            if one.state in _WARNINGS:
                self._log.warn(
                    _WARNINGS[one.state],
                    where=one.certificate.common_name.shown,
                    found=window(one),
                )
        missing = _names(statuses, "absent")
        stale = _names(statuses, "stale")
        if missing:
            self._log.warn("revocation-unchecked")
        whys = [
            f"no OCSP answer about {', '.join(missing)}" if missing else "",
            f"the answer about {', '.join(stale)} is out of date" if stale else "",
        ]
        if missing or stale:
            self._log.not_run(self._check, "; ".join(why for why in whys if why))
        else:
            self._log.passed(self._check)


def _names(statuses: Sequence[Status], state: str) -> list[str]:
    """Each once: the signers of several manifests may have one name."""
    return list(dict.fromkeys(one.certificate.common_name.shown for one in statuses if one.state == state))


def window(status: Status) -> str | None:
    """From when to when the answer that counts speaks, in words; None without one."""
    if status.single is None:
        return None
    until = status.single.next_update
    return f"{instant(status.single.this_update)} to {'no end' if until is None else instant(until)}"


def _raw(status: Status) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "certificate": status.certificate.common_name,
        "serial": f"{status.certificate.serial:x}",
        "status": status.state,
    }
    if status.answer is None or status.single is None:
        return raw
    answer, single = status.answer, status.single
    raw["this_update"] = instant(single.this_update)
    raw["produced_at"] = instant(answer.produced_at)
    if single.next_update is not None:
        raw["next_update"] = instant(single.next_update)
    if answer.responder is not None:
        raw["responder"] = answer.responder.common_name
    # Whether it is ours only who asked can tell; here it is recorded.
    raw["nonce"] = "absent" if answer.nonce is None else answer.nonce.hex()
    return raw
