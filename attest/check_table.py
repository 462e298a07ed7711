"""Names of all checks, each with the document it comes from. Order is the order of verification."""

from __future__ import annotations

_ABI = "AMD 56860, ATTESTATION_REPORT"
_KDS = "AMD 57230, VCEK and VLEK certificates"

_DICE = "TCG DICE Attestation Architecture, FWID"
_RIM = "W3C XML Signature 1.1, RFC 5280 under the pinned RIM root"
_DEVICE: dict[str, str] = {
    # the same walk for a GPU and a switch
    "chain": "RFC 5280 under the pinned NVIDIA Device Identity CA",
    "family": "NVIDIA device certificates, common names",
    "architecture": "NVIDIA attestation SDK, arch of an evidence entry",
    "fwid.extension": _DICE,
    "crl": "RFC 5280, NVIDIA's lists for device and manifest certificates",
    "signature": "DMTF DSP0274, MEASUREMENTS signature",
    "opaque": "NVIDIA attestation report, opaque data",
    "fwid": _DICE,
    "revocation": "RFC 6960, NVIDIA OCSP",
    "rim.documents": "ISO/IEC 19770-2, TCG RIM information model",
    "measurements.compared": "DMTF DSP0274 measurement blocks compared with NVIDIA reference manifests",
}

CHECKS: dict[str, str] = {
    # AMD SEV-SNP
    "snp.report.version": _ABI,
    "snp.report.signature-algorithm": _ABI,
    "snp.report.signing-key": _ABI,
    "snp.report.reserved": _ABI,
    "snp.policy.bit-17": "AMD 56860, guest policy",
    "snp.vmpl.host": _ABI,
    "snp.chain": "RFC 5280 under the pinned ARK, AMD 57230",
    "snp.crl": "RFC 5280, AMD 57230: CRL of the ARK",
    "snp.leaf": _KDS,
    "snp.product": "AMD 57230, product names",
    "snp.signature": _ABI,
    "snp.tcb.certificate": "AMD 57230, SPL extensions",
    "snp.chip-id": "AMD 57230, hwID extension",
    "snp.tcb.order": "AMD 56860, TCB versions",
    # Intel TDX
    "tdx.quote.format": "Intel TDX DCAP quoting library API, quote v4 and v5",
    "tdx.quote.qe-vendor": "Intel TDX DCAP quoting library API, quote header",
    "tdx.quote.certification-data": "Intel TDX DCAP quoting library API, certification data",
    "tdx.pck.chain": "RFC 5280 under the pinned Intel SGX Root CA",
    "tdx.pck.extension": "Intel SGX PCK certificate and CRL profile",
    "tdx.tcb-signing.chain": "RFC 5280 under the pinned Intel SGX Root CA",
    "tdx.tcb-info.signature": "Intel PCS API v4, TCB info",
    "tdx.tcb-info.content": "Intel PCS API v4, TCB info v3",
    "tdx.tcb-info.platform": "Intel PCS API v4, TCB info: fmspc and pceId",
    "tdx.tcb-info.dates": "Intel PCS API v4, issueDate and nextUpdate",
    "tdx.qe-identity.signature": "Intel PCS API v4, QE identity",
    "tdx.qe-identity.content": "Intel PCS API v4, QE identity v2",
    "tdx.qe-identity.dates": "Intel PCS API v4, issueDate and nextUpdate",
    "tdx.collateral.rollback": "RFC 9334, freshness of endorsements",
    "tdx.crl.root": "RFC 5280: CRL of the Intel SGX Root CA",
    "tdx.crl.pck": "RFC 5280: CRL of the PCK CA",
    "tdx.qe-report.signature": "Intel TDX DCAP quoting library API, QE report signature",
    "tdx.qe-report.binding": "Intel TDX DCAP quoting library API, QE report data",
    "tdx.qe-report.identity": "Intel PCS API v4, QE identity v2",
    "tdx.qe-report.svn": "Intel PCS API v4, QE identity TCB levels",
    "tdx.attestation-key": "SEC 1, elliptic curve points",
    "tdx.quote.signature": "Intel TDX DCAP quoting library API, quote signature",
    "tdx.xfam": "Intel TDX module ABI specification, XFAM",
    "tdx.module.signer": "Intel TDX module ABI specification, MRSIGNERSEAM; PCS API v4, tdxModule",
    "tdx.module.attributes": "Intel TDX module ABI specification, SEAMATTRIBUTES; PCS API v4, tdxModule",
    "tdx.module.svn": "Intel PCS API v4, tdxModuleIdentities",
    "tdx.tcb.level": "Intel PCS API v4, TCB level comparison",
    "tdx.tcb.relaunch": "Intel TDX DCAP quote verification library, TD relaunch",
    "tdx.tcb.status": "Intel PCS API v4, tcbStatus",
    "tdx.event-log": "TCG PC Client Platform Firmware Profile, event logging",
    # NVIDIA
    **{f"gpu.{name}": source for name, source in _DEVICE.items()},
    "gpu.mode": "NVIDIA attestation report, feature flag and protected PCIe status",
    "gpu.driver-rim": _RIM,
    "gpu.vbios-rim": _RIM,
    **{f"switch.{name}": source for name, source in _DEVICE.items()},
    "switch.bios-rim": _RIM,
    # binding and set
    "binding.domain": "report data domains: broker, site, local evidence API",
    "binding.origin": "site evidence, origins",
    "binding.epoch": "site evidence, epoch-time",
    "binding.site-key": "site evidence, tee-pubkey",
    "binding.report-data": "RFC 9334, freshness and binding",
    "binding.gpu-nonce": "DMTF DSP0274, GET_MEASUREMENTS nonce",
    "binding.gpu-to-cpu": "CoCo guest protocol 0.4, report data",
    "devices.distinct": "one device, one piece of evidence",
    "devices.nonce": "one challenge for all devices of a machine",
}
