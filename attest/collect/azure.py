"""Azure confidential VMs: the paravisor's virtual TPM, and the host's metadata service for what it lacks.

The hardware report binds the paravisor's attestation key; own data goes into an NV index, from which the
paravisor makes a new report after a while, and into the qualifying data of a TPM quote.
Source: Microsoft, Confidential VM guest attestation design; TCG TPM 2.0 Library; the guest protocol's evidence
of version 2 for az-snp-vtpm and az-tdx-vtpm
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from attest.azure.hcl import MAGIC, HclReport
from attest.azure.tpm import Attest
from attest.binding import equal
from attest.collect.errors import CollectError, failure
from attest.collect.metadata import Metadata
from attest.collect.tpm2 import Quoted, Tpm
from attest.collect.tsm import report_data_of
from attest.errors import Malformed
from attest.x509 import parse_certificates

HCL_REPORT, USER_DATA, AK_CERTIFICATE = 0x01400001, 0x01400002, 0x01C101D0
AK = 0x81000003
USER_DATA_SIZE = 64
PCRS = tuple(range(24))
QUALIFYING = 48
"""A TPM's qualifying data are at most as long as its longest digest: the hash alone, without a domain's tag."""

WAIT_SECONDS = 3.0
"""How long the paravisor may take for a new report."""
_TRIES = 4
_TD_REPORT_SIZE = 1024


@dataclass(frozen=True, slots=True)
class AzureEvidence:
    """tee: snp or tdx, below the paravisor. document: evidence of version 2 as guests send it, JSON.
    certificates: DER, VCEK first; of SNP. ak_certificate: DER, where the TPM holds one."""

    tee: str
    document: bytes
    certificates: tuple[bytes, ...] = ()
    ak_certificate: bytes | None = None


def is_azure(tpm: Tpm) -> bool:
    """Whether this TPM is a paravisor's: its NV index holds an HCL report. Raises CollectError."""
    try:
        return tpm.nv_read(HCL_REPORT)[:4] == MAGIC
    except CollectError as error:
        if error.code == "collect.unsupported":
            return False
        raise


def collect_azure(
    tpm: Tpm,
    metadata: Metadata,
    report_data: bytes,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> AzureEvidence:
    """Evidence for these 64 bytes of a layout.

    All of them become the user data that the hardware's report is bound to; their first 48, the digest, are
    the qualifying data of the TPM quote. Raises CollectError.
    """
    if len(report_data) != USER_DATA_SIZE:
        raise failure(
            "collect.bad-request",
            where="user data",
            expected=f"{USER_DATA_SIZE} bytes",
            found=len(report_data),
        )
    report = _fresh_report(tpm, report_data, sleep)
    quoted, values = _quote(tpm, report_data[:QUALIFYING])
    document: dict[str, object] = {
        "version": 2,
        "tpm_quote": {
            "signature": quoted.signature.hex(),
            "message": quoted.message.hex(),
            "pcrs": [value.hex() for value in values],
        },
        "hcl_report": base64.urlsafe_b64encode(report.raw).decode(),
    }
    certificates: tuple[bytes, ...] = ()
    if report.kind == "snp":
        certificates = _amd_certificates(metadata)
        document["vcek"] = base64.urlsafe_b64encode(certificates[0]).decode()
    else:
        quote = _td_quote(metadata, report.area[:_TD_REPORT_SIZE])
        document["td_quote"] = base64.urlsafe_b64encode(quote).decode()
    return AzureEvidence(
        report.kind, json.dumps(document, separators=(",", ":")).encode(), certificates, _ak_certificate(tpm)
    )


def _fresh_report(tpm: Tpm, user_data: bytes, sleep: Callable[[float], None]) -> HclReport:
    """Write the user data, wait, read the report again until it carries them: the index is shared."""
    for _ in range(_TRIES):
        _write_user_data(tpm, user_data)
        sleep(WAIT_SECONDS)
        hcl = tpm.nv_read(HCL_REPORT)
        report = _parsed(hcl)
        carried = report.runtime.user_data or b""
        if equal(carried, user_data):
            return report
    raise failure(
        "collect.race",
        message="The paravisor's report does not take up our user data",
        where=f"NV {HCL_REPORT:#x} user-data",
        expected=user_data,
        found=carried,
        remedy="find who else writes the index, or wait: the paravisor may be slow",
    )


def _write_user_data(tpm: Tpm, user_data: bytes) -> None:
    try:
        size = tpm.nv_public(USER_DATA).size
    except CollectError as error:
        if error.code != "collect.unsupported":
            raise
        size = 0
    if size and size != USER_DATA_SIZE:
        tpm.nv_undefine(USER_DATA)
        size = 0
    if not size:
        tpm.nv_define(USER_DATA, USER_DATA_SIZE)
    tpm.nv_write(USER_DATA, user_data)


def _parsed(hcl: bytes) -> HclReport:
    try:
        return HclReport.parse(hcl)
    except Malformed as error:
        told = error.problems[0]
        raise failure(
            "collect.inconsistent",
            message=told.message,
            where=f"NV {HCL_REPORT:#x} {told.where}",
            expected=told.expected,
            found=told.found,
        ) from None


def _quote(tpm: Tpm, digest: bytes) -> tuple[Quoted, list[bytes]]:
    """A quote and the values it is over; once again if a PCR changed in between."""
    for last in (False, True):
        quoted = tpm.quote(AK, digest, PCRS)
        values = tpm.pcr_read(PCRS)
        listed = [values[pcr] for pcr in PCRS]
        attested = _attested(quoted.message)
        carried, over = attested.extra_data, attested.pcr_digest
        if not equal(carried, digest):
            raise failure("collect.inconsistent", where="TPM quote extraData", expected=digest, found=carried)
        if equal(over, hashlib.sha256(b"".join(listed)).digest()):
            return quoted, listed
        if last:
            break
    raise failure("collect.race", where="TPM quote", expected="the digest of the PCRs read", found=over)


def _attested(message: bytes) -> Attest:
    try:
        return Attest.parse(message)
    except Malformed as error:
        raise failure("collect.inconsistent", where="TPM quote", found=error.problems[0].message) from None


def _amd_certificates(metadata: Metadata) -> tuple[bytes, ...]:
    """DER, the chip's own first."""
    leaf, chain = metadata.amd_certificates()
    try:
        return tuple(
            certificate.der
            for text, where in ((leaf, "vcekCert"), (chain, "certificateChain"))
            for certificate in parse_certificates(text.encode("utf-8", "replace").strip(), where=where)
        )
    except Malformed as error:
        raise failure(
            "collect.metadata", where=error.problems[0].where, found=error.problems[0].message
        ) from None


def _td_quote(metadata: Metadata, td_report: bytes) -> bytes:
    quote = metadata.td_quote(td_report)
    carried = report_data_of("tdx", quote)
    if not equal(carried, td_report[128:192]):
        raise failure(
            "collect.inconsistent", where="td_quote report_data", expected=td_report[128:192], found=carried
        )
    return quote


def _ak_certificate(tpm: Tpm) -> bytes | None:
    """The certificate of the attestation key, cut from its zero-padded index; None where there is none."""
    try:
        padded = tpm.nv_read(AK_CERTIFICATE)
    except CollectError as error:
        if error.code == "collect.unsupported":
            return None
        raise
    if padded[:2] != b"\x30\x82":
        return None
    size = 4 + int.from_bytes(padded[2:4], "big")
    return padded[:size] if size <= len(padded) else None
