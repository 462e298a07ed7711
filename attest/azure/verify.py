"""Is this an Azure confidential VM's evidence, all of one piece? The checks, in order.

The hardware's report carries the hash of the runtime data; the runtime data name the attestation key; that
key signed the TPM's quote; the quote covers the registers. Every link is checked on what is signed, never
on an unsigned copy. What is not checked here is whose paravisor it is: that is a policy's to pin.
Sources: Microsoft Learn, Azure confidential VM guest attestation; TCG TPM 2.0 Library, part 2.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256 as Sha256

from attest.anchors import Anchors
from attest.azure.ak import CHECK as AK_CHECK
from attest.azure.ak import CRL_CHECK, AkCertificate, check_ak_certificate
from attest.azure.evidence import AzureEvidence
from attest.azure.facts import AzurePart
from attest.azure.hcl import SHA256, HclReport
from attest.azure.td_report import HostTdReport
from attest.azure.tpm import SHA256 as TPM_SHA256
from attest.azure.tpm import TpmQuote
from attest.binding import LOCAL_TAG, SITE_TAG, equal
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.evidence import PartResult
from attest.memory import Memory
from attest.snp.report import VERSIONS, Report

HCL_VERSIONS = (1, 2)
_PCR_SIZE = 32
_SELECT_SIZE = 3
_TPM_CHECKS = ("azure.tpm.format", "azure.tpm.signature", "azure.tpm.pcrs")


def verify_azure(
    evidence: AzureEvidence,
    *,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> PartResult | None:
    """Run every check; outcomes and problems go into `log`. None when anything failed.

    The hardware's own checks run first and in full. The challenge is compared by `attest.azure.bind`.
    Never raises on evidence or endorsements.
    """
    before = len(log.problems)
    hcl = evidence.hcl
    _check_header(hcl, log)
    log.all_passed(("azure.hcl.format", "azure.runtime-data"))
    hardware, signed = _hardware(evidence, endorsements, anchors, at, log, cache, memory)
    if signed is None:
        log.not_run("azure.hcl.binding", "there is no signed report of the hardware")
    else:
        wanted = hcl.runtime.digest + bytes(32)
        log.require(
            "azure.hcl.binding",
            equal(wanted, signed),
            "azure.hcl.binding",
            where="report_data",
            expected=wanted,
            found=signed,
        )
    pcrs = _check_tpm(evidence.quote, hcl.runtime.ak, log)
    bound = _check_user_data(evidence, log)
    certificate = _check_certificate(evidence, endorsements, anchors, at, log, cache, memory)
    if len(log.problems) > before or hardware is None:
        return None
    part = AzurePart(hardware.part, hcl, evidence.version, evidence.quote, pcrs, bound, certificate)
    lists = {} if certificate is None else certificate.crls
    return PartResult(
        part,
        {**hardware.crls, **{issuer: crl.this_update for issuer, crl in lists.items()}},
        hardware.documents,
        hardware.crl_numbers,
        beneath=hardware.part,
    )


def _check_header(hcl: HclReport, log: CheckLog) -> None:
    check = "azure.hcl.header"
    for field, holds, expected, found in (
        ("version", hcl.version in HCL_VERSIONS, "1 or 2", hcl.version),
        ("status", hcl.status == 0, 0, hcl.status),
        ("data_version", hcl.data_version == 1, 1, hcl.data_version),
    ):
        if not holds:
            log.failed(check, "azure.hcl.header", where=f"hcl.{field}", expected=expected, found=found)
    if hcl.hash_type != SHA256:
        log.failed(
            check, "azure.hcl.hash", where="hcl.hash_type", expected="1 (SHA-256)", found=hcl.hash_type
        )
    if not hcl.zeros:
        log.failed(check, "azure.hcl.padding", where="hcl", expected="zeros")
    log.passed(check)


# -- the hardware beneath ---------------------------------------------------------------------------


def _hardware(
    evidence: AzureEvidence,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> tuple[PartResult | None, bytes | None]:
    """The verified part, and the report data in what the hardware signed."""
    check, hcl = "azure.hcl.kind", evidence.hcl
    host = HostTdReport.of(hcl.area)
    holds = "tdx" if host is not None else "snp" if _is_snp(hcl.area) else "neither"
    if not evidence.kind == hcl.kind == holds:
        log.failed(
            check,
            "azure.hcl.kind",
            where="hcl.report_type",
            expected=evidence.kind,
            found=f"type {hcl.kind}, report {holds}",
        )
        return None, None
    log.passed(check)
    if host is None:
        report = Report.parse(hcl.area)
        result = report.verify_with(
            endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
        )
        # Below VMPL 0 the guest's kernel asked, and its report data are whatever it likes.
        log.require(
            "azure.vmpl", report.vmpl == 0, "azure.vmpl", where="report.vmpl", expected=0, found=report.vmpl
        )
        log.not_run("azure.td-report", "the hardware is SNP")
        return result, report.report_data
    log.not_run("azure.vmpl", "the hardware is TDX")
    quote = evidence.td_quote
    if quote is None:
        log.failed("azure.td-report", "azure.td-quote.missing", where="td_quote", expected="a TD quote")
        return None, None
    quoted = quote.verify_with(
        endorsements=endorsements, anchors=anchors, at=at, log=log, cache=cache, memory=memory
    )
    for field, wanted, found in host.differences(quote.body):
        log.failed(
            "azure.td-report", "azure.td-report", where=f"td_report.{field}", expected=wanted, found=found
        )
    log.passed("azure.td-report")
    return quoted, quote.body.report_data


def _is_snp(area: bytes) -> bool:
    return int.from_bytes(area[:4], "little") in VERSIONS


# -- the TPM ----------------------------------------------------------------------------------------


def _check_tpm(quote: TpmQuote | None, ak: RSAPublicKey, log: CheckLog) -> dict[int, bytes] | None:
    """The registers by their index, where the quote covers them."""
    if quote is None:
        for check in _TPM_CHECKS:
            log.not_run(check, "no TPM quote was given: nothing is known of what the machine booted")
        return None
    log.passed("azure.tpm.format")
    log.require(
        "azure.tpm.signature",
        is_signed_by(quote, ak),
        "azure.tpm.signature",
        where="tpm.signature",
        expected="signed by HCLAkPub of the runtime data",
    )
    return _check_pcrs(quote, log)


def is_signed_by(quote: TpmQuote, ak: RSAPublicKey) -> bool:
    """RSASSA-PKCS1-v1_5 with SHA-256 over the message's bytes; scheme and hash are ours to choose."""
    try:
        ak.verify(quote.signature, quote.message, PKCS1v15(), Sha256())
    except InvalidSignature:
        return False
    return True


def _check_pcrs(quote: TpmQuote, log: CheckLog) -> dict[int, bytes] | None:
    check = "azure.tpm.pcrs"
    selections = quote.attest.selections
    good = len(selections) == 1 and selections[0].algorithm == TPM_SHA256
    if not good or selections[0].bytes != _SELECT_SIZE or not selections[0].indices:
        found = ", ".join(f"{one.algorithm:#06x} of {len(one.indices)} registers" for one in selections)
        log.failed(
            check,
            "azure.tpm.selection",
            where="tpm.message.pcrSelect",
            expected="one bank, SHA-256 (0x000b), at least one register of 24",
            found=found or "none",
        )
        return None
    indices = selections[0].indices
    if quote.pcrs is None:
        log.not_run(check, "the values of the registers were not given")
        return None
    if len(quote.pcrs) != len(indices):
        log.failed(
            check, "azure.tpm.pcr-count", where="tpm.pcrs", expected=len(indices), found=len(quote.pcrs)
        )
        return None
    for index, value in zip(indices, quote.pcrs, strict=True):
        # The digest is over the plain concatenation: bytes moved between neighbours would keep it.
        if len(value) != _PCR_SIZE:
            log.failed(
                check, "azure.tpm.pcr-size", where=f"tpm.pcrs[{index}]", expected=_PCR_SIZE, found=len(value)
            )
            return None
    digest = hashlib.sha256(b"".join(quote.pcrs)).digest()
    same = hmac.compare_digest(digest, quote.attest.pcr_digest)
    log.require(
        check,
        same,
        "azure.tpm.pcr-digest",
        where="tpm.message.pcrDigest",
        expected=quote.attest.pcr_digest,
        found=digest,
    )
    return dict(zip(indices, quote.pcrs, strict=True)) if same else None


def _check_user_data(evidence: AzureEvidence, log: CheckLog) -> bool | None:
    """Whether the hardware's report was made for the same challenge as the quote; None without a quote.

    Evidence of version 2 must; earlier versions let the report be as old as the boot.
    """
    check = "azure.user-data"
    if evidence.quote is None:
        log.not_run(check, "no TPM quote was given")
        return None
    extra, user_data = evidence.quote.attest.extra_data, evidence.hcl.runtime.user_data
    # Zeros are what stands there when nobody wrote anything: unset, never equal to zeros.
    bound = user_data is not None and any(user_data) and carries(user_data, extra)
    if evidence.version == 2:
        log.require(
            check,
            bound,
            "azure.user-data",
            where="hcl.runtime_data.user-data",
            expected=extra.ljust(64, b"\0"),
            found=user_data,
        )
    elif bound:
        log.passed(check)
    else:
        version = "without a version" if evidence.version is None else f"of version {evidence.version}"
        log.not_run(check, f"evidence {version} does not bind the hardware's report to the challenge")
    return bound


def carries(user_data: bytes, extra_data: bytes) -> bool:
    """Whether 64 bytes of user data are the quote's challenge, with zeros on the right.

    48 bytes of a site's or the local API's evidence may have their tag behind them, which extraData, 50
    bytes at most, has no room for.
    """
    if not 1 <= len(extra_data) <= 64:
        return False
    tails = (b"", SITE_TAG, LOCAL_TAG) if len(extra_data) == 48 else (b"",)
    return any(equal(user_data, (extra_data + tail).ljust(64, b"\0")) for tail in tails)


def _check_certificate(
    evidence: AzureEvidence,
    endorsements: Endorsements,
    anchors: Anchors,
    at: datetime,
    log: CheckLog,
    cache: Cache | None,
    memory: Memory | None,
) -> AkCertificate | None:
    if evidence.certificate is None:
        for check in (AK_CHECK, CRL_CHECK):
            log.not_run(check, "no certificate of the attestation key was given")
        return None
    return check_ak_certificate(
        evidence.certificate,
        evidence.hcl.runtime.ak,
        endorsements=endorsements,
        anchors=anchors,
        at=at,
        log=log,
        cache=cache,
        memory=memory,
    )
