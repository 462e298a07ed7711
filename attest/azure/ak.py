"""The certificate of the attestation key: that Azure issued this key.

It is a second link and never a replacement of the first, the hash of the runtime data in the hardware's
report: it says who issued the key, nothing about what holds it.
Source: Azure Virtual TPM root certificate authority 2023; RFC 5280; TCG EK and AIK credential profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ExtendedKeyUsage, ObjectIdentifier

from attest.anchors import Anchors
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.memory import Memory
from attest.path import Path, PathRule, check_path
from attest.problems import malformed
from attest.revocation import check_crls
from attest.x509 import Certificate, Crl, pem_blocks

CHECK = "azure.ak-certificate"
CRL_CHECK = "azure.ak-certificate.crl"
NAME_SUFFIX = ".ConfidentialVM.Azure.windows.net"
AIK = ObjectIdentifier("2.23.133.8.3")
MAX_NV = 4096
"""Size of the NV index that holds the certificate, with zeros behind it."""
_MAX_ISSUERS = 8
_RULE = PathRule("ak", (None, None, None), ("RSA-2048", "RSA-2048", "RSA-4096"), check=CHECK)


@dataclass(frozen=True, slots=True)
class AkCertificate:
    """A certificate that holds. crls: the fresh lists that were used, issuer key → list."""

    path: Path
    crls: dict[bytes, Crl]


def is_padded(data: bytes) -> bool:
    """Whether these are the bytes of the NV index: one DER certificate and zeros."""
    return data[:2] == b"\x30\x82" and _length(data) < len(data) <= MAX_NV and not any(data[_length(data) :])


def _length(data: bytes) -> int:
    return 4 + int.from_bytes(data[2:4], "big")


def read_certificate(data: bytes, *, where: str) -> Certificate:
    """PEM or DER; zeros behind the DER, as they stand in the NV index, are cut off. Raises Malformed."""
    if data.lstrip().startswith(b"-----BEGIN"):
        blocks = pem_blocks(data.strip(), where=where)
        if len(blocks) != 1 or blocks[0][0] != "CERTIFICATE":
            raise malformed("Not one certificate", where=where, code="x509.malformed")
        data = blocks[0][1]
    return Certificate(data[: _length(data)] if is_padded(data) else data, where=where)


def check_ak_certificate(
    certificate: Certificate,
    ak: RSAPublicKey,
    *,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> AkCertificate | None:
    """Key, name, purpose, chain, dates and lists; None when anything was refused.

    ak: the key that the hardware's report data names.
    """
    before = len(log.problems)
    where = certificate.common_name.shown
    if not _same_key(certificate, ak):
        log.failed(CHECK, "azure.ak-certificate.key", where=where, expected="HCLAkPub")
    if not certificate.common_name.endswith(NAME_SUFFIX):
        log.failed(
            CHECK,
            "azure.ak-certificate.name",
            where="ak-certificate",
            expected=f"…{NAME_SUFFIX}",
            found=certificate.common_name,
        )
    usage = certificate.extension(ExtendedKeyUsage)
    if usage is None or AIK not in list(usage):
        # The same authorities certify endorsement keys, which decrypt and must not sign.
        log.failed(
            CHECK, "azure.ak-certificate.purpose", where=where, expected=f"{AIK.dotted_string}, tcg-kp-AIK"
        )
    issuer = _issuer(certificate, endorsements, anchors)
    if issuer is None:
        log.failed(CHECK, "x509.missing", where=where, expected=certificate.issuer_common_name.shown)
        log.not_run(CRL_CHECK, "no issuer's certificate")
        return None
    path = check_path(
        (certificate, issuer), anchors=anchors, anchor_role="azure-vtpm", rule=_RULE, log=log, cache=cache
    )
    if path is None:
        log.not_run(CRL_CHECK, "no verified chain")
        return None
    path.in_time(at, log)
    crls = _check_lists(path, endorsements, at, log, cache, memory)
    if len(log.problems) > before:
        return None
    log.passed(CHECK)
    return AkCertificate(path, crls)


def _same_key(certificate: Certificate, ak: RSAPublicKey) -> bool:
    key = certificate.public_key
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return isinstance(key, RSAPublicKey) and key.public_bytes(*form) == ak.public_bytes(*form)


def _issuer(certificate: Certificate, endorsements: Endorsements, anchors: Anchors) -> Certificate | None:
    """Azure replaces its intermediates every two years: any counts that leads to the pinned root."""
    named = [
        other
        for other in (*endorsements.certificates, *anchors.intermediates)
        if other.subject_der == certificate.issuer_der and other.fingerprint != certificate.fingerprint
    ][:_MAX_ISSUERS]
    return next((other for other in named if certificate.issued_by(other)), next(iter(named), None))


def _check_lists(
    path: Path,
    endorsements: Endorsements,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> dict[bytes, Crl]:
    """The root's list against the intermediate, and the intermediate's against the key's certificate.

    Azure names a list of the root's only. Without a fresh one the result warns.
    """
    leaf, ca, root = path.certificates
    fresh: dict[bytes, Crl] = {}
    unchecked = "no list of the root was given"
    for issuer, subject in ((root, ca), (ca, leaf)):
        state, crl = check_crls(
            issuer,
            (subject,),
            endorsements.crls,
            at=at,
            check=CRL_CHECK,
            log=log,
            cache=cache,
            memory=memory,
        )
        if state == "fresh" and crl is not None:
            fresh[issuer.spki_sha256] = crl
        elif state == "stale":
            unchecked = "the list is out of date"
    if root.spki_sha256 in fresh:
        log.passed(CRL_CHECK)
    else:
        log.not_run(CRL_CHECK, unchecked)
        log.warn("revocation-unchecked", where="azure.ak-certificate")
    return fresh
