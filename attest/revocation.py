"""Certificate revocation lists: which are authentic, what they revoke, how fresh the newest is.

Of several authentic lists of one issuer, revoked in any of them refuses and the newest alone decides
freshness (T-OMIT). A list that names an issuer but is not signed by it refuses outright.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from cryptography.x509 import KeyUsage

from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.claims import instant
from attest.memory import Memory
from attest.x509 import Certificate, Crl

State = Literal["fresh", "stale", "revoked", "absent"]


def check_crls(
    issuer: Certificate,
    subjects: Sequence[Certificate],
    crls: Sequence[Crl],
    *,
    at: datetime,
    check: str,
    log: CheckLog,
    cache: Cache | None = None,
    memory: Memory | None = None,
    counted: bool = False,
) -> tuple[State, Crl | None]:
    """State of `issuer`'s lists for `subjects`, and the newest authentic list.

    crls: any lists; those of other issuers are passed over. A revoked subject, a list with a bad
    signature and a list older than the memory are recorded in `log` as problems; what absent and stale
    mean is the caller's to say. counted: whether this issuer gives each list a higher number (AMD does,
    Intel's is 1 for ever), so that a lower one than the memory's is a rollback as well. Both ends of thisUpdate..nextUpdate belong to the period; a list without
    nextUpdate is stale.
    """
    own = [crl for crl in crls if crl.issuer_der == issuer.subject_der]
    if not own:
        return "absent", None
    authentic = []
    for crl in own:
        bad = _refusal(crl, issuer, cache)
        if bad is not None:
            log.failed(check, bad, where=issuer.common_name.shown, found=instant(crl.this_update))
        elif crl.unknown_critical:
            log.failed(check, "x509.critical-extension", where=f"CRL of {issuer.common_name.shown}")
        else:
            authentic.append(crl)
    if not authentic:
        return "absent", None
    revoked = False
    for crl in authentic:
        for subject in subjects:
            if crl.revokes(subject.serial):
                revoked = True
                log.failed(
                    check,
                    "x509.revoked",
                    where=subject.common_name.shown,
                    found=f"serial {subject.serial:#x} in the list of {instant(crl.this_update)}",
                )
    newest = max(authentic, key=lambda crl: crl.this_update)
    if memory is not None:
        seen = memory.crl_seen(issuer.spki_sha256)
        if seen is not None and newest.this_update < seen:
            log.failed(
                check,
                "x509.crl.rollback",
                where=issuer.common_name.shown,
                expected=f"of {instant(seen)} or later",
                found=instant(newest.this_update),
            )
        if counted:
            _check_number(newest, issuer, memory, check, log)
    if revoked:
        if newest.this_update <= at:  # what is dated ahead raises no bar (T-MEMORY)
            number = newest.number if counted else None
            spki = issuer.spki_sha256.hex()
            log.saw(Memory({spki: newest.this_update}, crl_numbers={} if number is None else {spki: number}))
        return "revoked", newest
    fresh = newest.next_update is not None and newest.this_update <= at <= newest.next_update
    return ("fresh" if fresh else "stale"), newest


def stranger(crls: Sequence[Crl], known: Iterable[Certificate]) -> Crl | None:
    """A list whose issuer is none of `known`. Beside a chain without its list it may be that very list, with a
    name that somebody changed so that it is passed over (T-OMIT)."""
    names = {certificate.subject_der for certificate in known}
    return next((crl for crl in crls if crl.issuer_der not in names), None)


def _check_number(newest: Crl, issuer: Certificate, memory: Memory, check: str, log: CheckLog) -> None:
    """RFC 5280 §5.2.3: numbers of one issuer's lists only grow."""
    seen = memory.crl_number_seen(issuer.spki_sha256)
    if seen is not None and (newest.number is None or newest.number < seen):
        log.failed(
            check,
            "x509.crl.rollback",
            where=f"{issuer.common_name.shown}, CRL number",
            expected=f"{seen} or higher",
            found="none" if newest.number is None else newest.number,
        )


def _refusal(crl: Crl, issuer: Certificate, cache: Cache | None) -> str | None:
    """The code of what keeps this list from being the issuer's: RFC 5280 §6.3.3 (f), (g)."""
    key: Key = ()
    if cache is not None:
        key = cache.key("crl", b"", [crl.fingerprint, issuer.fingerprint])
        if cache.get(key) is not None:
            return None
    usage = issuer.extension(KeyUsage)
    if usage is not None and not usage.crl_sign:
        return "x509.key-usage"
    if not crl.signed_by(issuer):
        return "x509.crl.signature"
    if cache is not None:
        cache.put(key, True)
    return None
