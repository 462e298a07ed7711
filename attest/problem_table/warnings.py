"""Problem codes: warnings: true of evidence that is accepted."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_AMD_ABI = "AMD 56860, ATTESTATION_REPORT"
_TDX_ABI = "Intel TDX module ABI specification"
_DCAP = "Intel TDX DCAP quoting library API"
_PCS = "Intel PCS API v4"

PROBLEMS: dict[str, Meaning] = {
    "no-freshness": Meaning(
        "No expected nonce, key or report data was given: the evidence may be old or another's",
        "RFC 9334, freshness",
        "pass --nonce and --key, or --report-data; for devices without a CPU part --gpu-nonce",
    ),
    "revocation-unchecked": Meaning(
        "Revocation could not be checked for want of a list or an answer",
        "RFC 5280, CRL validation",
        "give the vendor's CRL or OCSP answer as a file, or --fetch",
    ),
    "collateral-memory-absent": Meaning(
        "No memory of earlier collateral was given, so an old list cannot be told from a new one",
        "memory of collateral",
        "name a file that keeps it: --memory FILE (--fetch keeps one beside its cache); in a program pass the memory that verify returned",
    ),
    "simulated": Meaning(
        "The evidence comes from the simulator: it proves nothing about hardware",
        "design: simulator",
        "use it for tests and demonstrations only; hardware needs no --simulator-root",
    ),
    "no-workload-identity": Meaning(
        "The policy does not pin what runs on the machine",
        "policy, workload identity",
        "pin the launch measurement (snp), or mrtd, rtmr1 and rtmr2 (tdx); attest measure computes them",
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
        "write a policy that pins the paravisor, and give it with --policy",
    ),
    "issuer.silent": Meaning(
        "The issuer of the token says nothing of a claim that is judged by default",
        "policy, defaults; attest.result.passport",
        "verify the machine yourself, or allow the warning and say why this issuer's word is enough",
    ),
    "issuer.warned": Meaning(
        "The issuer of the token warns of the machine",
        "draft-ietf-rats-ear, status warning",
        "read what its policy left open, and let a policy of yours judge the claims",
    ),
    "no-floors": Meaning(
        "No floor data is at hand: early collateral cannot be told from current",
        "policy, floors",
        "write tcb-evaluation: {at-least: N}",
    ),
    "floors-expired": Meaning(
        "The floor data has ended: what was found since is not in it",
        "policy, floors",
        "update the package, or run attest floors update",
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
    "nvidia.ocsp.hold": Meaning(
        "A certificate of the device or of its manifests is on hold",
        "RFC 6960, revocation reason certificateHold",
        "NVIDIA holds back firmware before release or withdrawn: install a released version",
    ),
    "nvidia.ocsp.unknown": Meaning(
        "The OCSP responder does not know a certificate of the device or of its manifests",
        "RFC 6960, certificate status unknown",
        "ask NVIDIA; a genuine certificate is known to its issuer's responder",
    ),
    "nvidia.ocsp.stale": Meaning(
        "An OCSP answer is out of date, so revocation is unknown",
        "RFC 6960, thisUpdate and nextUpdate",
        "give a current answer, or --fetch: NVIDIA's answers are good for a day",
    ),
    "nvidia.topology.incomplete": Meaning(
        "Not every GPU and switch of the node in protected PCIe mode is among the evidence",
        "NVIDIA protected PCIe, topology of HGX Hopper",
        "collect all eight GPUs and four switches; traffic between GPUs crosses the switches in clear",
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
        "fetch both at the same time: --fetch --renew",
    ),
    "nonce.public-sample": Meaning(
        "The evidence carries a nonce published in sample code",
        "nvidia-gpu samples",
        "ask for evidence with a fresh nonce, and give it: --gpu-nonce, or --nonce and --key",
    ),
}
