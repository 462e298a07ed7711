"""Problem codes: NVIDIA GPUs and switches."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

PROBLEMS: dict[str, Meaning] = {
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
        "collect the device's certificate chain again, with its report",
    ),
    "nvidia.fwid.key": Meaning(
        "The leaf's firmware identity names another device key than its issuer's",
        "TCG DICE Attestation Architecture, FWID",
        "collect the device's certificate chain again, with its report",
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
        "fetch the manifest again from NVIDIA's RIM service: --fetch --renew",
    ),
    "nvidia.rim.dtd": Meaning(
        "A reference manifest has a DTD or entities",
        "W3C XML Signature, best practices",
        "no genuine manifest has one: fetch it again from NVIDIA's RIM service, --fetch --renew",
    ),
    "nvidia.rim.wrapping": Meaning(
        "A reference manifest does not carry exactly one signature over itself",
        "W3C XML Signature, best practices",
        "fetch the manifest again from NVIDIA's RIM service: --fetch --renew",
    ),
    "nvidia.rim.algorithm": Meaning(
        "A reference manifest is signed in another form than NVIDIA's",
        "W3C XML Signature 1.1",
        "fetch the manifest again from NVIDIA's RIM service: --fetch --renew",
    ),
    "nvidia.rim.digest": Meaning(
        "A reference manifest was altered: its digest is not the signed one",
        "W3C XML Signature 1.1, reference validation",
        "fetch the manifest again from NVIDIA's RIM service: --fetch --renew",
    ),
    "nvidia.rim.signature": Meaning(
        "A reference manifest is not signed by its signer's certificate",
        "W3C XML Signature 1.1, signature validation",
        "fetch the manifest again from NVIDIA's RIM service: --fetch --renew",
    ),
    "nvidia.rim.product": Meaning(
        "A reference manifest of this version is for another product",
        "TCG RIM information model, product and edition",
        "give the manifest of this device's chip, or --fetch",
    ),
    "nvidia.rim.role": Meaning(
        "One reference manifest cannot serve as driver and VBIOS manifest at once",
        "NVIDIA RIM service, one document an id",
        "give the driver manifest and the VBIOS manifest, or --fetch",
    ),
    "nvidia.rim.index-conflict": Meaning(
        "Driver and VBIOS manifest both claim the same measurement",
        "NVIDIA reference manifests, active entries",
        "fetch both manifests again: --fetch --renew",
    ),
    "nvidia.ocsp.malformed": Meaning(
        "An OCSP answer is not built as one",
        "RFC 6960, BasicOCSPResponse",
        "ask the responder again: --fetch --renew",
    ),
    "nvidia.ocsp.unsuccessful": Meaning(
        "The OCSP responder gave no answer, and what it sent says nothing of any certificate",
        "RFC 6960, OCSPResponseStatus",
        "ask the responder again: --fetch --renew",
    ),
    "nvidia.ocsp.signature": Meaning(
        "An OCSP answer is not signed by its responder",
        "RFC 6960, BasicOCSPResponse",
        "the answer was altered: ask the responder again, --fetch --renew",
    ),
    "nvidia.ocsp.responder": Meaning(
        "An OCSP answer comes from a responder that may not answer for this certificate",
        "RFC 6960, authorized responders",
        "ask the responder that the certificate's issuer named: --fetch",
    ),
    "nvidia.ocsp.ambiguous": Meaning(
        "An OCSP answer speaks of one certificate twice",
        "RFC 6960, SingleResponse",
        "ask the responder again: --fetch --renew",
    ),
    "nvidia.ocsp.rollback": Meaning(
        "An OCSP answer is older than one already seen",
        "memory of collateral",
        "ask the responder again, --fetch --renew; what --memory keeps has seen a newer answer, so this one may have been replayed",
    ),
}
