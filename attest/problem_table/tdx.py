"""Problem codes: intel TDX."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_TDX_ABI = "Intel TDX module ABI specification"
_DCAP = "Intel TDX DCAP quoting library API"
_PCK = "Intel SGX PCK certificate and CRL profile"
_PCS = "Intel PCS API v4"

PROBLEMS: dict[str, Meaning] = {
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
        "give the PCK chain of this platform as PEM or in the collateral, or --fetch",
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
        "give the PCK certificate as Intel serves it, or --fetch",
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
        "No TCB info was given", _PCS, "give the TCB info of this platform family as a file, or --fetch"
    ),
    "tdx.tcb-info.signature": Meaning(
        "The TCB info is not signed by its signer", _PCS, "give it as Intel serves it, unaltered, or --fetch"
    ),
    "tdx.tcb-info.fmspc": Meaning(
        "The TCB info is of another platform family", _PCS, "give the TCB info of this FMSPC, or --fetch"
    ),
    "tdx.tcb-info.pce-id": Meaning(
        "The TCB info is of another provisioning enclave",
        _PCS,
        "give the TCB info of this platform, or --fetch",
    ),
    "tdx.tcb-info.not-yet-valid": Meaning(
        "The TCB info was issued later", _PCS, "check the clock, or give the right time with --at"
    ),
    "tdx.tcb-info.expired": Meaning(
        "The TCB info is out of date",
        _PCS,
        "give the current TCB info, or --fetch; --at judges old evidence at its own time",
    ),
    "tdx.qe-identity.missing": Meaning(
        "No QE identity was given", _PCS, "give the identity of the TD quoting enclave as a file, or --fetch"
    ),
    "tdx.qe-identity.signature": Meaning(
        "The QE identity is not signed by its signer",
        _PCS,
        "give it as Intel serves it, unaltered, or --fetch",
    ),
    "tdx.qe-identity.not-yet-valid": Meaning(
        "The QE identity was issued later", _PCS, "check the clock, or give the right time with --at"
    ),
    "tdx.qe-identity.expired": Meaning(
        "The QE identity is out of date",
        _PCS,
        "give the current QE identity, or --fetch; --at judges old evidence at its own time",
    ),
    "tdx.collateral.rollback": Meaning(
        "Collateral is older than one already seen",
        "memory of collateral",
        "give the current collateral, or --fetch; what --memory keeps has seen newer",
    ),
    "tdx.collateral.evaluation": Meaning(
        "The collateral's evaluation number is below the minimum",
        "memory of collateral",
        "give collateral with the current evaluation number, or --fetch: an old one may hide findings, and what --memory keeps has seen newer",
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
        "give newer collateral, or --fetch; or update the TDX module",
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
}
