"""Every stable problem code in one table: what it means, where the rule comes from, what to do.

Codes are dotted and never change their meaning. Tests compare codes, people read messages.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from attest.errors import Malformed, Problem
from attest.untrusted import Untrusted, escape


class Meaning(NamedTuple):
    message: str
    source: str
    remedy: str


_AMD_ABI = "AMD 56860, ATTESTATION_REPORT"
_AMD_KDS = "AMD 57230, VCEK and VLEK certificates"
_RFC5280 = "RFC 5280, certification path validation"

PROBLEMS: dict[str, Meaning] = {
    # -- input ------------------------------------------------------------------------------------
    "evidence.malformed": Meaning(
        "The bytes are not what they claim to be", "file format", "collect the evidence again"
    ),
    "evidence.too-large": Meaning(
        "The file is larger than any evidence", "size limits", "give the evidence file itself"
    ),
    "evidence.unreadable": Meaning("The file cannot be read", "input", "check the path and its permissions"),
    "evidence.unrecognised": Meaning(
        "The content is no evidence or endorsement this verifier knows",
        "file format",
        "give reports, quotes, certificates, CRLs, collateral, RIMs or a bundle",
    ),
    "evidence.missing": Meaning("No evidence was given", "input", "name a report, a quote or a bundle"),
    "evidence.several": Meaning(
        "More than one piece of CPU evidence was given",
        "input",
        "verify one machine at a time",
    ),
    "evidence.simulated": Meaning(
        "The evidence is simulated and no simulator root was named",
        "design: the simulator's root is accepted only where a caller names it",
        "pass --simulator-root with the root you made",
    ),
    "endorsement.malformed": Meaning(
        "An endorsement is not what it claims to be", "file format", "fetch the endorsement again"
    ),
    "usage": Meaning("Wrong use", "command line", "see --help"),
    # -- certification paths ----------------------------------------------------------------------
    "x509.malformed": Meaning("A certificate or CRL does not parse", "RFC 5280", "fetch it again"),
    "x509.missing": Meaning(
        "A certificate that the chain needs was not given", _RFC5280, "give the whole chain"
    ),
    "x509.depth": Meaning(
        "The chain has the wrong number of certificates", _RFC5280, "give the chain as issued"
    ),
    "x509.anchor": Meaning(
        "The chain does not end in a pinned root",
        "pinned roots",
        "only the vendor's own chain can be accepted",
    ),
    "x509.signature": Meaning(
        "A certificate is not signed by its issuer", _RFC5280, "fetch the chain from the vendor"
    ),
    "x509.name": Meaning(
        "A certificate carries another name than expected", _RFC5280, "fetch the right chain"
    ),
    "x509.not-a-ca": Meaning(
        "An issuing certificate is not a CA", _RFC5280, "fetch the chain from the vendor"
    ),
    "x509.leaf-is-ca": Meaning("The leaf certificate is a CA", _RFC5280, "fetch the chain from the vendor"),
    "x509.path-length": Meaning(
        "A CA issued more levels than it may", _RFC5280, "fetch the chain from the vendor"
    ),
    "x509.key-usage": Meaning(
        "A certificate's key is used for what it must not do", _RFC5280, "fetch the chain from the vendor"
    ),
    "x509.key-identifier": Meaning(
        "Authority and subject key identifiers do not meet", _RFC5280, "fetch the chain from the vendor"
    ),
    "x509.critical-extension": Meaning(
        "A certificate has a critical extension this verifier does not know",
        _RFC5280,
        "a newer verifier may know it",
    ),
    "x509.duplicate": Meaning(
        "A certificate stands twice in the chain", _RFC5280, "give each certificate once"
    ),
    "x509.key": Meaning(
        "A certificate has a key of the wrong kind", _RFC5280, "fetch the chain from the vendor"
    ),
    "x509.signature-algorithm": Meaning(
        "A certificate is signed with a weak hash", _RFC5280, "fetch the chain from the vendor"
    ),
    "x509.not-yet-valid": Meaning(
        "A certificate is not valid yet", _RFC5280, "check the time of verification"
    ),
    "x509.expired": Meaning("A certificate has expired", _RFC5280, "fetch a current certificate"),
    "x509.revoked": Meaning("A certificate is revoked", _RFC5280, "the vendor withdrew it: do not trust it"),
    "x509.crl.signature": Meaning(
        "A revocation list is not signed by its issuer", _RFC5280, "fetch the list from the vendor"
    ),
    "x509.crl.stale": Meaning("A revocation list is out of date", _RFC5280, "fetch a current list"),
    "x509.crl.missing": Meaning("A revocation list is missing", _RFC5280, "give the issuer's CRL"),
    "x509.crl.rollback": Meaning(
        "A revocation list is older than one already seen", "memory of collateral", "fetch a current list"
    ),
    # -- AMD SEV-SNP ------------------------------------------------------------------------------
    "snp.report.version": Meaning(
        "The report version is not one this verifier knows", _AMD_ABI, "versions 2 to 5 are understood"
    ),
    "snp.report.signature-algorithm": Meaning(
        "The report is not signed with ECDSA P-384 and SHA-384", _AMD_ABI, "collect a new report"
    ),
    "snp.report.signing-key": Meaning(
        "The report's signing key is neither VCEK nor VLEK", _AMD_ABI, "collect a new report"
    ),
    "snp.report.masked-key": Meaning(
        "The chip key is masked, so the report has no usable signature",
        _AMD_ABI,
        "the host must clear MASK_CHIP_KEY",
    ),
    "snp.report.reserved": Meaning(
        "Unsigned reserved bytes of the report are not zero", _AMD_ABI, "collect a new report"
    ),
    "snp.report.policy-bit": Meaning(
        "POLICY bit 17, which is always one, is zero", _AMD_ABI, "collect a new report"
    ),
    "snp.report.host-requested": Meaning(
        "The host asked for this report, not the guest", _AMD_ABI, "collect the report inside the guest"
    ),
    "snp.signature.invalid": Meaning(
        "The report is not signed by the key of the given VCEK or VLEK",
        _AMD_ABI,
        "fetch the certificate of this chip and TCB; if it still fails the report was altered",
    ),
    "snp.leaf.missing": Meaning(
        "No VCEK or VLEK certificate was given", _AMD_KDS, "give the VCEK of this chip and TCB"
    ),
    "snp.leaf.several": Meaning(
        "Several VCEK or VLEK certificates were given and none signed this report",
        _AMD_KDS,
        "give the one of this chip and TCB",
    ),
    "snp.leaf.kind": Meaning(
        "The certificate is of another kind than the report's signing key", _AMD_KDS, "VCEK and VLEK differ"
    ),
    "snp.leaf.extension": Meaning(
        "A VCEK or VLEK extension is missing, doubled or unreadable", _AMD_KDS, "fetch the certificate again"
    ),
    "snp.product.unknown": Meaning(
        "The processor family and model belong to no product with a pinned root",
        "AMD 57230, product names",
        "Milan, Genoa (Bergamo, Siena) and Turin are known",
    ),
    "snp.product.mismatch": Meaning(
        "Report, certificate and root speak of different products",
        "AMD 57230, product names",
        "fetch the certificate for this product",
    ),
    "snp.tcb.mismatch": Meaning(
        "The certificate was issued for another TCB than the report says",
        "AMD 57230, VCEK extensions",
        "fetch the VCEK for the reported TCB",
    ),
    "snp.tcb.order": Meaning(
        "The report's TCB versions contradict each other: reported ≤ committed ≤ current must hold",
        "AMD 56860, TCB versions",
        "the host's firmware state is inconsistent; update and commit the firmware",
    ),
    "snp.chip-id.mismatch": Meaning(
        "The certificate belongs to another chip",
        "AMD 57230, VCEK extensions",
        "fetch the VCEK of this chip",
    ),
    "snp.chip-id.masked": Meaning(
        "The chip id is masked, so nothing ties the VCEK to the chip",
        _AMD_ABI,
        "the host must clear MASK_CHIP_ID",
    ),
    # -- Intel TDX --------------------------------------------------------------------------------
    # -- NVIDIA -----------------------------------------------------------------------------------
    "nvidia.report.malformed": Meaning(
        "The device report is not laid out as SPDM MEASUREMENTS",
        "DMTF DSP0274 (SPDM 1.1), MEASUREMENTS response",
        "collect the device evidence again",
    ),
    "nvidia.opaque.malformed": Meaning(
        "A field of the report's opaque data cannot be what its name says",
        "NVIDIA attestation report, opaque data",
        "collect the device evidence again; newer firmware may need a newer verifier",
    ),
    "nvidia.no-devices": Meaning(
        "The device evidence lists no device",
        "NVIDIA attestation SDK, evidence list",
        "collect the evidence of every device; the collector failed",
    ),
    "nvidia.container": Meaning(
        "The device evidence document is not built as its kind is",
        "NVIDIA attestation SDK, evidence list; CoCo device evidence",
        "collect the device evidence again",
    ),
    "nvidia.signature.invalid": Meaning(
        "The device report is not signed by its leaf certificate's key",
        "DMTF DSP0274, MEASUREMENTS signature",
        "the report was altered or belongs to another chain; collect both again",
    ),
    "nvidia.device.family": Meaning(
        "The certificates name no chip family that this verifier knows for such a device",
        "NVIDIA device certificates, common names",
        "Hopper, Blackwell and LS10 are known",
    ),
    "nvidia.device.architecture": Meaning(
        "The architecture written beside the evidence is not that of the certificates",
        "NVIDIA attestation SDK, arch of an evidence entry",
        "collect the evidence again; entries may have been mixed up",
    ),
    "nvidia.fwid.extension": Meaning(
        "The leaf's firmware identity extension is missing, doubled or unreadable",
        "TCG DICE Attestation Architecture, FWID",
        "fetch the device certificate chain again",
    ),
    "nvidia.fwid.key": Meaning(
        "The leaf's firmware identity names another device key than its issuer's",
        "TCG DICE Attestation Architecture, FWID",
        "fetch the device certificate chain again",
    ),
    "nvidia.fwid.mismatch": Meaning(
        "The report was made by other firmware than its leaf certificate was issued for",
        "TCG DICE Attestation Architecture, FWID",
        "collect report and chain from the same boot of the same device",
    ),
    "nvidia.mode.contradiction": Meaning(
        "The report's mode fields contradict each other",
        "NVIDIA attestation report, feature flag and protected PCIe status",
        "reset the device and collect the evidence again",
    ),
    "nvidia.rim.malformed": Meaning(
        "A reference manifest is not built as one",
        "ISO/IEC 19770-2, TCG RIM information model",
        "fetch the manifest again from NVIDIA's RIM service",
    ),
    "nvidia.rim.dtd": Meaning(
        "A reference manifest has a DTD or entities",
        "W3C XML Signature, best practices",
        "no genuine manifest has one: fetch it again from NVIDIA's RIM service",
    ),
    "nvidia.rim.wrapping": Meaning(
        "A reference manifest does not carry exactly one signature over itself",
        "W3C XML Signature, best practices",
        "fetch the manifest again from NVIDIA's RIM service",
    ),
    "nvidia.rim.algorithm": Meaning(
        "A reference manifest is signed in another form than NVIDIA's",
        "W3C XML Signature 1.1",
        "fetch the manifest again from NVIDIA's RIM service",
    ),
    "nvidia.rim.digest": Meaning(
        "A reference manifest was altered: its digest is not the signed one",
        "W3C XML Signature 1.1, reference validation",
        "fetch the manifest again from NVIDIA's RIM service",
    ),
    "nvidia.rim.signature": Meaning(
        "A reference manifest is not signed by its signer's certificate",
        "W3C XML Signature 1.1, signature validation",
        "fetch the manifest again from NVIDIA's RIM service",
    ),
    "nvidia.rim.product": Meaning(
        "A reference manifest of this version is for another product",
        "TCG RIM information model, product and edition",
        "give the manifest of this device's chip",
    ),
    "nvidia.rim.role": Meaning(
        "One reference manifest cannot serve as driver and VBIOS manifest at once",
        "NVIDIA RIM service, one document an id",
        "give the driver manifest and the VBIOS manifest",
    ),
    "nvidia.rim.index-conflict": Meaning(
        "Driver and VBIOS manifest both claim the same measurement",
        "NVIDIA reference manifests, active entries",
        "fetch both manifests again",
    ),
    # -- binding ----------------------------------------------------------------------------------
    "binding.report-data": Meaning(
        "The report data is not what was expected",
        "RFC 9334, freshness and binding",
        "this evidence was made for another challenge or key; ask the guest again",
    ),
    "binding.gpu-nonce": Meaning(
        "A device's nonce is not what was expected",
        "DMTF DSP0274, GET_MEASUREMENTS nonce",
        "this evidence was made for another challenge; ask the guest again",
    ),
    "binding.no-evidence": Meaning(
        "A value was expected of evidence that is not there", "input", "give the evidence that carries it"
    ),
    "nonce.public-constant": Meaning(
        "The expected nonce is a constant published in sample code",
        "nvidia-gpu samples",
        "use 32 fresh random bytes",
    ),
    # -- set of parts -----------------------------------------------------------------------------
    "devices.duplicate": Meaning(
        "One device was presented twice", "set checks", "each device must present its own evidence"
    ),
    # -- warnings ---------------------------------------------------------------------------------
    "no-freshness": Meaning(
        "No expected nonce, key or report data was given: the evidence may be old or another's",
        "RFC 9334, freshness",
        "pass --nonce and --key, or --report-data",
    ),
    "revocation-unchecked": Meaning(
        "Revocation could not be checked for want of a list or an answer",
        "RFC 5280, CRL validation",
        "give the vendor's CRL or OCSP answer",
    ),
    "collateral-memory-absent": Meaning(
        "No memory of earlier collateral was given, so an old list cannot be told from a new one",
        "memory of collateral",
        "keep the memory that verify returns and pass it next time",
    ),
    "simulated": Meaning(
        "The evidence comes from the simulator: it proves nothing about hardware",
        "design: simulator",
        "use it for tests and demonstrations only",
    ),
    "snp.reserved-bits": Meaning(
        "Signed reserved bits of the report are not zero: newer firmware than this verifier knows",
        _AMD_ABI,
        "a newer verifier may know them",
    ),
    "nvidia.trailing-bytes": Meaning(
        "Zero bytes followed the device report's signature and were dropped",
        "DMTF DSP0274, MEASUREMENTS length fields",
        "the collector added them; nothing was read from them",
    ),
    "nvidia.opaque.unknown": Meaning(
        "The report carries opaque fields this verifier does not know",
        "NVIDIA attestation report, opaque data",
        "a newer verifier may know them",
    ),
    "nonce.public-sample": Meaning(
        "The evidence carries a nonce published in sample code",
        "nvidia-gpu samples",
        "ask for evidence with a fresh nonce",
    ),
}


def show(value: object) -> str | None:
    """A short, safe text for expected and found."""
    if value is None:
        return None
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Untrusted):
        return value.shown
    return escape(str(value), 600)


def problem(
    code: str,
    *,
    expected: object = None,
    found: object = None,
    where: str | None = None,
    message: str | None = None,
) -> Problem:
    """A Problem with the table's sentence, source and remedy. Raises KeyError for a code not in the table."""
    if expected is None and found is None and where is None and message is None:
        return _plain(code)
    meaning = PROBLEMS[code]
    return Problem(
        code=code,
        message=message or meaning.message,
        expected=show(expected),
        found=show(found),
        where=escape(where) if where else None,
        source=meaning.source,
        remedy=meaning.remedy,
    )


@cache
def _plain(code: str) -> Problem:
    meaning = PROBLEMS[code]
    return Problem(code, meaning.message, source=meaning.source, remedy=meaning.remedy)


def malformed(
    message: str,
    *,
    where: str,
    expected: object = None,
    found: object = None,
    code: str = "evidence.malformed",
) -> Malformed:
    """The error for bytes that do not parse; `where` names structure and offset."""
    return Malformed(problem(code, message=message, where=where, expected=expected, found=found))
