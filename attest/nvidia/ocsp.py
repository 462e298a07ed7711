"""What OCSP answers at hand say of one certificate: good, revoked, on hold, unknown, out of date, or nothing.

An answer counts when it names the certificate by serial and by hashes of its issuer's name and key, and is
signed by that issuer or by a responder to whom this very issuer gave the task. Of several, revoked in any
authentic one refuses, and the newest alone says the rest (T-OMIT).
Source: RFC 6960 §3.2, §4.2.2; RFC 5019 for answers made ahead; NVIDIA OCSP service (answers good for a day).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from attest.cache import Cache
from attest.checks import CheckLog
from attest.claims import instant
from attest.errors import Malformed
from attest.memory import Memory
from attest.nvidia.ocsp_answer import HASHES, Answer, Single, key_hash
from attest.x509 import Certificate

SKEW = timedelta(seconds=300)
"""How far the responder's clock and ours may differ, either way."""
WITHOUT_NEXT = timedelta(hours=1)
"""How long an answer is good that does not say."""
_NO_LATER = datetime.max.replace(tzinfo=UTC) - SKEW
_MAX_KEPT = 16 << 10
"""An answer of NVIDIA's has two thousand bytes: a cache is not to be filled with larger ones of anybody's."""
_UNDERSTOOD = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
)
_HASHES = frozenset({"sha256", "sha384", "sha512"})

State = Literal["good", "hold", "unknown", "stale", "revoked", "absent"]


@dataclass(frozen=True, slots=True)
class Status:
    """certificate: asked about. answer, single: the newest authentic ones, None where there are none.

    responders: certificates of all authentic answers' responders, for a look at their own revocation.
    """

    certificate: Certificate
    issuer: Certificate
    state: State
    answer: Answer | None = None
    single: Single | None = None
    responders: tuple[Certificate, ...] = ()

    @property
    def expires(self) -> datetime | None:
        """The last instant at which the answer is taken."""
        return None if self.single is None else _end(self.single)


def read_answers(blobs: Sequence[bytes], check: str, log: CheckLog, cache: Cache) -> tuple[Answer, ...]:
    """The answers among the endorsements; one that does not parse, or is not signed by the responder it brings
    along, is a problem, whosever it is: nobody makes such a thing in good faith."""
    answers = []
    for blob in blobs:
        key = cache.key("ocsp/answer", b"", [hashlib.sha256(blob).digest()])
        answer: Answer | None = cache.get(key)
        if answer is None:
            try:
                answer = Answer.parse(blob)
            except Malformed as error:
                log.absorb(error, check)
                continue
            if answer.responder is not None and not answer.holds(answer.responder.public_key):
                log.failed(
                    check,
                    "nvidia.ocsp.signature",
                    where="OCSP answer",
                    expected=f"by {answer.responder.common_name.shown}",
                )
                continue
            if len(blob) <= _MAX_KEPT:
                cache.put(key, answer)
        answers.append(answer)
    return tuple(answers)


def check_status(
    certificate: Certificate,
    issuer: Certificate,
    answers: Sequence[Answer],
    *,
    at: datetime,
    check: str,
    log: CheckLog,
    cache: Cache,
    memory: Memory | None,
) -> Status:
    """State of `certificate`, whose signature by `issuer` was checked.

    answers: as `read_answers` gives them; those about other certificates are passed over. Recorded in `log` as
    problems: revoked; an answer by somebody who may not give it; two statements about this certificate in one
    answer; a newest answer older than the memory's, or whose responder has expired. What hold, unknown, stale
    and absent mean is the caller's to say. Stale is what lies outside thisUpdate - 300 s ..
    nextUpdate + 300 s; without nextUpdate an answer is good for an hour.
    """
    authentic: list[tuple[Answer, Single]] = []
    for answer in answers:
        single = _authentic(answer, certificate, issuer, check, log, cache)
        if single is not None:
            authentic.append((answer, single))
    if not authentic:
        return Status(certificate, issuer, "absent")
    responders = tuple(answer.responder for answer, _ in authentic if answer.responder is not None)
    name = certificate.common_name.shown
    revoked = [single for _, single in authentic if single.said == "revoked"]
    for single in revoked:
        since = "" if single.since is None else f" since {instant(single.since)}"
        log.failed(
            check,
            "x509.revoked",
            where=name,
            found=f"serial {single.serial:#x}{since}, {single.reason or 'no reason'}, in the answer of "
            f"{instant(single.this_update)}",
        )
    # Of two made in the same second the worse one speaks.
    answer, newest = max(authentic, key=lambda pair: (pair[1].this_update, pair[1].said != "good"))
    if revoked:
        if newest.this_update <= at + SKEW:
            log.saw(Memory().updated({}, {memory_name(certificate, issuer): newest.this_update}))
        return Status(certificate, issuer, "revoked", answer, newest, responders)
    seen = None if memory is None else memory.document_seen(*memory_name(certificate, issuer))
    if seen is not None and newest.this_update < seen:
        log.failed(
            check,
            "nvidia.ocsp.rollback",
            where=name,
            expected=f"of {instant(seen)} or later",
            found=instant(newest.this_update),
        )
    state: State = newest.said
    if not newest.this_update <= at + SKEW or not _end(newest) > at:
        # An answer that holds a certificate back is no better for being old.
        state = "hold" if newest.said == "hold" else "stale"
    elif answer.responder is not None:
        _responder_in_time(answer.responder, at, check, log)
    return Status(certificate, issuer, state, answer, newest, responders)


def memory_name(certificate: Certificate, issuer: Certificate) -> tuple[str, str, int]:
    """Under which name the memory keeps the date of the newest answer about this certificate."""
    return "ocsp", issuer.spki_sha256.hex(), certificate.serial


def _end(single: Single) -> datetime:
    end = single.next_update
    if end is None:
        end = min(single.this_update, _NO_LATER - WITHOUT_NEXT) + WITHOUT_NEXT
    return min(end, _NO_LATER) + SKEW


def _authentic(
    answer: Answer, certificate: Certificate, issuer: Certificate, check: str, log: CheckLog, cache: Cache
) -> Single | None:
    """What `answer` says of `certificate`, when it may; None when it is about others, or after recording why.

    A fact about bytes alone, so it may be cached: validity in time is asked elsewhere, each time.
    """
    named = [single for single in answer.singles if single.serial == certificate.serial]
    if not named:
        return None
    key = cache.key("ocsp", b"", [answer.fingerprint, certificate.fingerprint, issuer.fingerprint])
    kept: Single | None = cache.get(key)
    if kept is not None:
        return kept
    own = [single for single in named if names_issuer(single, issuer)]
    if not own:
        return None
    if len(own) > 1:
        log.failed(
            check,
            "nvidia.ocsp.ambiguous",
            where=certificate.common_name.shown,
            expected="one statement",
            found=len(own),
        )
        return None
    refused = refusal(answer, issuer)
    if refused is not None:
        code, expected, found = refused
        log.failed(
            check,
            code,
            where=f"answer about {certificate.common_name.shown}",
            expected=expected,
            found=found,
        )
        return None
    cache.put(key, own[0])
    return own[0]


def names_issuer(single: Single, issuer: Certificate) -> bool:
    """Whether CertID names this issuer: both its hashes, recomputed (RFC 6960 §4.1.1)."""
    name = HASHES[single.hash_name](issuer.subject_der).digest()
    return name == single.issuer_name_hash and key_hash(single.hash_name, issuer) == single.issuer_key_hash


def refusal(answer: Answer, issuer: Certificate) -> tuple[str, str, str] | None:
    """Code, expected and found of what keeps this answer from being the issuer's word: RFC 6960 §4.2.2.2."""
    responder = answer.responder
    if responder is None or responder.spki_sha256 == issuer.spki_sha256:
        if not answer.names(issuer):
            return "nvidia.ocsp.responder", f"named: {issuer.common_name.shown}", "another responder"
        if not answer.holds(issuer.public_key):
            return "nvidia.ocsp.signature", f"by {issuer.common_name.shown}", "another signature"
        return None
    found = responder.common_name.shown
    if not responder.issued_by(issuer):
        issued = f"issued by {issuer.common_name.shown}"
        return "nvidia.ocsp.responder", issued, f"{found}, issued by {responder.issuer_common_name.shown}"
    purposes = responder.extension(x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        return "nvidia.ocsp.responder", "extended key usage OCSPSigning", f"{found} without it"
    usage = responder.extension(x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        return "x509.key-usage", "digitalSignature", found
    if responder.hash_name not in _HASHES:
        return "x509.signature-algorithm", "SHA-256 or longer", f"{found}, {responder.hash_name}"
    unknown = [one.oid for one in responder.extensions or () if one.critical and one.oid not in _UNDERSTOOD]
    if unknown:
        return "x509.critical-extension", "none that is unknown", f"{found}, {unknown[0].dotted_string}"
    if not responder.not_before <= answer.produced_at <= responder.not_after:
        return (
            "nvidia.ocsp.responder",
            f"a responder valid at {instant(answer.produced_at)}, when it answered",
            f"{found}, valid {instant(responder.not_before)} to {instant(responder.not_after)}",
        )
    return None


def _responder_in_time(responder: Certificate, at: datetime, check: str, log: CheckLog) -> None:
    where = responder.common_name.shown
    if at < responder.not_before:
        log.failed(
            check, "x509.not-yet-valid", where=where,
            expected=f"from {instant(responder.not_before)}", found=instant(at),
        )  # fmt: skip
    elif at > responder.not_after:
        log.failed(
            check, "x509.expired", where=where,
            expected=f"until {instant(responder.not_after)}", found=instant(at),
        )  # fmt: skip
