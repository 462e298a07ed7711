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
_DCAP = "Intel TDX DCAP quoting library API"
_PCK = "Intel SGX PCK certificate and CRL profile"
_PCS = "Intel PCS API v4"
_TDX_ABI = "Intel TDX module ABI specification"

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
    "tdx.sgx-quote": Meaning(
        "This is the quote of an SGX enclave, not of a TD", _DCAP, "collect the quote inside the TD"
    ),
    "tdx.quote.version": Meaning(
        "The quote version is not one this verifier knows", _DCAP, "versions 4 and 5 are understood"
    ),
    "tdx.quote.key-type": Meaning(
        "The attestation key is not ECDSA P-256", _DCAP, "collect the quote with the ECDSA quoting enclave"
    ),
    "tdx.quote.qe-vendor": Meaning(
        "The quoting enclave is not Intel's", _DCAP, "only quotes of Intel's quoting enclave are understood"
    ),
    "tdx.quote.certification-data": Meaning(
        "The quote carries no PCK chain and none that fits was given",
        _DCAP,
        "give the PCK chain of this platform, as PEM or in the collateral",
    ),
    "tdx.quote.signature": Meaning(
        "The quote is not signed by its attestation key", _DCAP, "the quote was altered: collect it again"
    ),
    "tdx.attestation-key": Meaning(
        "The attestation key is not a point of the curve", _DCAP, "the quote was altered: collect it again"
    ),
    "tdx.pck.extension": Meaning(
        "The SGX extension of the PCK certificate is missing or not as specified",
        _PCK,
        "fetch the PCK certificate again",
    ),
    "tdx.qe-report.signature": Meaning(
        "The quoting enclave's report is not signed by the PCK certificate",
        _DCAP,
        "the quote was altered, or the PCK chain is another platform's",
    ),
    "tdx.qe-report.binding": Meaning(
        "The quoting enclave's report does not vouch for the attestation key",
        _DCAP,
        "the attestation key was exchanged: do not trust this quote",
    ),
    "tdx.qe-report.identity": Meaning(
        "The quoting enclave is not the one Intel names",
        f"{_PCS}, QE identity",
        "the host runs another quoting enclave: use Intel's",
    ),
    "tdx.qe-report.svn": Meaning(
        "The quoting enclave is older than any version Intel lists",
        f"{_PCS}, QE identity",
        "the host must update the quoting enclave",
    ),
    "tdx.tcb-info.missing": Meaning(
        "No TCB info was given", _PCS, "give the TCB info of this platform family"
    ),
    "tdx.tcb-info.signature": Meaning(
        "The TCB info is not signed by its signer", _PCS, "fetch it from Intel again, unaltered"
    ),
    "tdx.tcb-info.fmspc": Meaning(
        "The TCB info is of another platform family", _PCS, "fetch the TCB info of this FMSPC"
    ),
    "tdx.tcb-info.pce-id": Meaning(
        "The TCB info is of another provisioning enclave", _PCS, "fetch the TCB info of this platform"
    ),
    "tdx.tcb-info.not-yet-valid": Meaning(
        "The TCB info was issued later", _PCS, "check the time of verification"
    ),
    "tdx.tcb-info.expired": Meaning("The TCB info is out of date", _PCS, "fetch the current TCB info"),
    "tdx.qe-identity.missing": Meaning(
        "No QE identity was given", _PCS, "give the identity of the TD quoting enclave"
    ),
    "tdx.qe-identity.signature": Meaning(
        "The QE identity is not signed by its signer", _PCS, "fetch it from Intel again, unaltered"
    ),
    "tdx.qe-identity.not-yet-valid": Meaning(
        "The QE identity was issued later", _PCS, "check the time of verification"
    ),
    "tdx.qe-identity.expired": Meaning(
        "The QE identity is out of date", _PCS, "fetch the current QE identity"
    ),
    "tdx.collateral.rollback": Meaning(
        "Collateral is older than one already seen", "memory of collateral", "fetch the current collateral"
    ),
    "tdx.collateral.evaluation": Meaning(
        "The collateral's evaluation number is below the minimum",
        "memory of collateral",
        "fetch collateral with the current evaluation number: an old one may hide findings",
    ),
    "tdx.xfam": Meaning(
        "XFAM lacks the x87 and SSE bits that every TD has", _TDX_ABI, "collect the quote again"
    ),
    "tdx.module.signer": Meaning(
        "The TDX module is not signed by Intel",
        f"{_TDX_ABI}, MRSIGNERSEAM",
        "the host must load Intel's module",
    ),
    "tdx.module.attributes": Meaning(
        "The TDX module is a debug module or has unknown attributes",
        f"{_TDX_ABI}, SEAMATTRIBUTES",
        "the host must load Intel's production module",
    ),
    "tdx.module.unknown": Meaning(
        "The TCB info knows no TDX module of this version",
        f"{_PCS}, tdxModuleIdentities",
        "fetch newer collateral, or update the TDX module",
    ),
    "tdx.tcb.no-level": Meaning(
        "The platform is below every TCB level that Intel lists",
        f"{_PCS}, TCB level comparison",
        "the host must update BIOS, microcode and TDX module",
    ),
    "tdx.tcb.unknown-status": Meaning(
        "A TCB level has a status this verifier does not know",
        f"{_PCS}, tcbStatus",
        "a newer verifier may know it",
    ),
    "tdx.tcb.revoked": Meaning(
        "Intel revoked the TCB of this platform",
        f"{_PCS}, tcbStatus",
        "do not trust it; the host must update and be provisioned anew",
    ),
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
    # -- policy -----------------------------------------------------------------------------------
    # A denial has the code policy.SECTION.CLAIM of its rule; the codes here are of policies themselves.
    "policy.invalid": Meaning("The policy cannot be read", "policy format", "correct the place named"),
    "policy.not-supported-yet": Meaning(
        "The policy uses what this version does not know",
        "policy format",
        "leave it out, or write the rule itself",
    ),
    "policy.parameter-missing": Meaning(
        "A parameter has neither a default nor a value", "policy format", "give the parameter a value"
    ),
    "policy.platform-without-rules": Meaning(
        "A platform is listed without rules", "policy format", "write its section, or do not list it"
    ),
    "policy.paravisor-unpinned": Meaning(
        "An Azure platform is listed and its paravisor is not pinned",
        "policy format: anyone can write Azure's runtime data on a machine of his own",
        "pin snp.measurement, or snp.id-key with guest-svn; for azure-tdx tdx.mrtd",
    ),
    "policy.override-missing": Meaning(
        "A rule passes more than the default it replaces, and does not say why",
        "policy format, defaults",
        'add override: "reason" to the rule, or narrow it',
    ),
    "policy.platforms": Meaning(
        "The machine is of a platform that the policy does not list",
        "policy, platforms",
        "use a listed platform",
    ),
    "policy.expired": Meaning(
        "The evidence was verified with endorsements that have ended since",
        "validity of endorsements",
        "attest again",
    ),
    "policy.release": Meaning(
        "The verdict does not admit the release of a secret",
        "policy, release",
        "see the warnings; the owner may list them under allow-warnings",
    ),
    # -- set of parts -----------------------------------------------------------------------------
    "devices.duplicate": Meaning(
        "One device was presented twice", "set checks", "each device must present its own evidence"
    ),
    "devices.nonce": Meaning(
        "The devices of one machine answer different challenges",
        "set checks",
        "ask all devices with one nonce, at one time",
    ),
    # -- warnings ---------------------------------------------------------------------------------
    "no-freshness": Meaning(
        "No expected nonce, key or report data was given: the evidence may be old or another's",
        "RFC 9334, freshness",
        "pass --nonce and --key, or --report-data; for devices without a CPU part --gpu-nonce",
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
    "no-workload-identity": Meaning(
        "The policy does not pin what runs on the machine",
        "policy, workload identity",
        "pin the launch measurement (snp), or mrtd, rtmr1 and rtmr2 (tdx)",
    ),
    "os-unmeasured": Meaning(
        "The pinned measurement covers the firmware, or does not say what it covers",
        "policy, workload identity",
        "say covers: image where the measurement covers the operating system",
    ),
    "unappraised": Meaning(
        "A part of the machine has no section in the policy: only the defaults judged it",
        "policy, parts",
        "write a section for this part",
    ),
    "gpu-mode-unknown": Meaning(
        "The device's report is too old to say in which mode it runs",
        "NVIDIA opaque data, FEATURE_FLAG",
        "update the driver",
    ),
    "paravisor-unknown": Meaning(
        "Without a policy nothing says which paravisor speaks for the machine: Azure's claims are unknown",
        "policy, paravisor",
        "write a policy that pins the paravisor",
    ),
    "no-floors": Meaning(
        "No floor data is at hand: early collateral cannot be told from current",
        "policy, floors",
        "write tcb-evaluation: {at-least: N}",
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
    "tdx.trailing-bytes": Meaning(
        "Bytes that are not zero follow the quote; they are not signed and were left out",
        _DCAP,
        "collect the quote without them",
    ),
    "tdx.perfmon": Meaning(
        "The TD may use performance monitoring (TDATTRIBUTES bit 63)",
        _TDX_ABI,
        "launch the TD without PERFMON unless it is needed",
    ),
    "tdx.collateral.mixed": Meaning(
        "TCB info and QE identity are of different evaluation numbers",
        f"{_PCS}, tcbEvaluationDataNumber",
        "fetch both at the same time",
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
