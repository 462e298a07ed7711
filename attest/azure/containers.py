"""JSON of the field that holds an Azure machine's evidence.

The version is read first and gives one strict shape: a document that says 2 and has the members of version 0
must not pass as version 0, which binds less (T-VERSION-DOWNGRADE).
Source: Confidential Containers, az-snp-vtpm and az-tdx-vtpm evidence, versions 0 to 2; Flashbots
attested-tls, Azure TDX attestation document.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from typing import Any

from attest import strict_base64
from attest.azure.ak import read_certificate
from attest.azure.evidence import AzureEvidence
from attest.azure.hcl import MAX_SIZE as MAX_HCL
from attest.azure.hcl import HclReport, Kind
from attest.azure.tpm import MAX_MESSAGE, MAX_PCRS, MAX_SIGNATURE, TpmQuote
from attest.errors import Malformed
from attest.problems import malformed
from attest.tdx.quote import MAX_SIZE as MAX_QUOTE
from attest.tdx.quote import Quote
from attest.x509 import Certificate, parse_certificates

TEES: Mapping[str, Kind] = {
    "az-snp-vtpm": "snp",
    "azsnpvtpm": "snp",
    "az-tdx-vtpm": "tdx",
    "aztdxvtpm": "tdx",
}
"""Names of these kinds; clients of key brokers spell them both ways."""

_SHAPES: Mapping[tuple[Kind, bool], frozenset[str]] = {
    ("snp", True): frozenset({"quote", "report", "vcek"}),
    ("tdx", True): frozenset({"tpm_quote", "hcl_report", "td_quote"}),
    ("snp", False): frozenset({"version", "tpm_quote", "hcl_report", "vcek"}),
    ("tdx", False): frozenset({"version", "tpm_quote", "hcl_report", "td_quote"}),
}
"""(kind, version 0) → members."""
_QUOTE = frozenset({"signature", "message", "pcrs"})
_FLASHBOTS = frozenset({"tdx_quote_base64", "hcl_report_base64", "tpm_attestation"})
_ATTESTATION = frozenset({"ak_certificate_pem", "quote", "event_log", "instance_info"})
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*\Z")
_MAX_VCEK = 16 << 10
_PCR = 32

# Either of these is in every version of either kind, and nowhere else.
_MARKS = ("hcl_report", "tpm_quote", "hcl_report_base64", "tpm_attestation")


def is_evidence(document: Mapping[str, Any]) -> bool:
    return any(mark in document for mark in _MARKS) or {"quote", "report", "vcek"} <= set(document)


def is_tpm_quote(document: Mapping[str, Any]) -> bool:
    """A quote alone: `{"signature", "message", "pcrs"}`."""
    return set(document) == _QUOTE


def read_evidence(
    document: Mapping[str, Any], *, where: str, kind: Kind | None = None
) -> tuple[AzureEvidence, tuple[Certificate, ...]]:
    """The evidence and the VCEK that came with it. kind: what was asked for, None to go by the members.

    Raises Malformed, also for members that the version does not have.
    """
    if "tpm_attestation" in document or "hcl_report_base64" in document:
        if kind not in (None, "tdx"):
            raise _container(where, "az-snp-vtpm evidence", document)
        return _flashbots(document, where), ()
    version = document.get("version", 0)
    # 2.0 and true equal numbers that they are not.
    if type(version) is not int or version not in (0, 1, 2):
        raise malformed(
            "Unknown version of the evidence document",
            where=f"{where} version",
            expected="0, 1 or 2",
            found=version,
            code="azure.container",
        )
    if kind is None:
        kind = "tdx" if "td_quote" in document else "snp"
    old = version == 0
    members = _SHAPES[kind, old]
    if set(document) - ({"version"} if old else set()) != members:
        raise _container(where, f"version {version}: {', '.join(sorted(members))}", document)
    hcl_name = "report" if old and kind == "snp" else "hcl_report"
    quote_name = "quote" if old and kind == "snp" else "tpm_quote"
    read = _integers if old else _base64url
    hcl = HclReport.parse(read(document[hcl_name], MAX_HCL, f"{where} {hcl_name}"))
    quote = read_tpm_quote(document[quote_name], where=f"{where} {quote_name}", integers=old)
    if kind == "tdx":
        td_quote = Quote.parse(read(document["td_quote"], MAX_QUOTE, f"{where} td_quote"))
        return AzureEvidence(kind, hcl, version, quote, td_quote), ()
    place = f"{where} vcek"
    if old:
        if not isinstance(document["vcek"], str):
            raise malformed("The VCEK is no text", where=place, code="azure.container")
        vcek = parse_certificates(document["vcek"].encode("utf-8", "replace").strip(), where=place)
    else:
        vcek = (Certificate(_base64url(document["vcek"], _MAX_VCEK, place), where=place),)
    return AzureEvidence(kind, hcl, version, quote), vcek


def _container(where: str, expected: str, document: Mapping[str, Any]) -> Malformed:
    return malformed(
        "The evidence document has not the members of its version",
        where=where,
        expected=expected,
        found=", ".join(sorted(map(str, document)))[:200],
        code="azure.container",
    )


def read_tpm_quote(document: Any, *, where: str, integers: bool | None = None) -> TpmQuote:
    """A quote of `{"signature", "message", "pcrs"}`. integers: as lists of integers, or as hex; None for
    whichever the message is. Raises Malformed."""
    if not isinstance(document, dict) or set(document) != _QUOTE:
        raise malformed(
            "A TPM quote has message, signature and pcrs",
            where=where,
            expected=", ".join(sorted(_QUOTE)),
            code="azure.container",
        )
    if integers is None:
        integers = isinstance(document["message"], list)
    read = _integers if integers else _hex
    values = document["pcrs"]
    if not isinstance(values, list) or len(values) > MAX_PCRS:
        raise malformed("The registers are a list of at most 24", where=f"{where} pcrs")
    return TpmQuote.parse(
        read(document["message"], MAX_MESSAGE, f"{where} message"),
        read(document["signature"], MAX_SIGNATURE, f"{where} signature"),
        tuple(read(value, 2 * _PCR, f"{where} pcrs[{index}]") for index, value in enumerate(values)),
    )


def _flashbots(document: Mapping[str, Any], where: str) -> AzureEvidence:
    """`event_log` and `instance_info` are not signed by anything and not read."""
    if set(document) != _FLASHBOTS:
        raise _container(where, ", ".join(sorted(_FLASHBOTS)), document)
    attestation = document["tpm_attestation"]
    if not isinstance(attestation, dict) or set(attestation) != _ATTESTATION:
        raise _container(
            f"{where} tpm_attestation",
            ", ".join(sorted(_ATTESTATION)),
            attestation if isinstance(attestation, dict) else {},
        )
    pem = attestation["ak_certificate_pem"]
    if not isinstance(pem, str):
        raise malformed("The certificate is no text", where=f"{where} ak_certificate_pem")
    return AzureEvidence(
        "tdx",
        HclReport.parse(_base64url(document["hcl_report_base64"], MAX_HCL, f"{where} hcl_report_base64")),
        None,
        read_tpm_quote(attestation["quote"], where=f"{where} quote", integers=True),
        Quote.parse(_base64url(document["tdx_quote_base64"], MAX_QUOTE, f"{where} tdx_quote_base64")),
        read_certificate(pem.encode("utf-8", "replace"), where=f"{where} ak_certificate_pem"),
    )


def _integers(value: Any, limit: int, where: str) -> bytes:
    """A list of 0..255; `true` is none of them."""
    if not isinstance(value, list) or len(value) > limit:
        raise malformed("Not a list of at most so many bytes", where=where, expected=f"≤ {limit}")
    if not all(type(byte) is int and 0 <= byte <= 255 for byte in value):
        raise malformed("Not a list of bytes", where=where, expected="integers of 0 to 255")
    return bytes(value)


def _hex(value: Any, limit: int, where: str) -> bytes:
    if not isinstance(value, str) or len(value) > 2 * limit or not _HEX.match(value):
        raise malformed("Not hex of at most so many bytes", where=where, expected=f"≤ {limit} bytes")
    return bytes.fromhex(value)


def _base64url(value: Any, limit: int, where: str) -> bytes:
    """base64url in its one spelling, with padding as these documents have it or without any."""
    if not isinstance(value, str) or len(value) > (limit + 2) // 3 * 4 or "+" in value or "/" in value:
        raise malformed("Not base64url of at most so many bytes", where=where, expected=f"≤ {limit} bytes")
    standard = value.replace("-", "+").replace("_", "/")
    if "=" not in standard:
        standard += "=" * (-len(standard) % 4)
    try:
        return strict_base64.decode(standard)
    except (binascii.Error, ValueError):
        raise malformed("Not base64url", where=where) from None
