"""Problem codes: Azure confidential VMs: HCL report, runtime data, TPM quote."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_HCL = "Microsoft Learn, confidential VM guest attestation, HCL report"
_CLAIMS = "Microsoft Learn, confidential VM guest attestation, runtime claims"
_TPM = "TCG TPM 2.0 Library, part 2, TPMS_ATTEST"
_CERTIFICATE = "Azure Virtual TPM certificates; TCG AIK credential profile"
_COLLECT = "collect HCL report, quote and registers again, together: attest collect --source azure"

PROBLEMS: dict[str, Meaning] = {
    "azure.container": Meaning(
        "The evidence document is not of the version it says",
        "CoCo az-snp-vtpm and az-tdx-vtpm evidence, versions 0 to 2",
        "write the members of that version and no others",
    ),
    "azure.hcl.report-type": Meaning(
        "The HCL report holds no SNP or TDX report",
        _HCL,
        "this is no confidential VM of a kind this verifier knows",
    ),
    "azure.hcl.header": Meaning("The HCL report's header is not as expected", _HCL, _COLLECT),
    "azure.hcl.hash": Meaning(
        "The HCL report hashes its runtime data otherwise than by SHA-256",
        _HCL,
        "a newer verifier may know this hash",
    ),
    "azure.hcl.padding": Meaning(
        "Bytes of the HCL report that are zero on every machine are not", _HCL, _COLLECT
    ),
    "azure.hcl.kind": Meaning(
        "Evidence, HCL report and the hardware's report in it are not of one kind",
        _HCL,
        "give SNP evidence as az-snp-vtpm, TDX evidence as az-tdx-vtpm",
    ),
    "azure.runtime-data": Meaning(
        "The runtime data do not name one usable attestation key",
        _CLAIMS,
        "collect the HCL report again; a newer verifier may know this form",
    ),
    "azure.hcl.binding": Meaning(
        "The hardware's report does not cover these runtime data",
        _HCL,
        "the runtime data, and the attestation key in them, are not of this machine",
    ),
    "azure.vmpl": Meaning(
        "The report was not asked for by a paravisor at VMPL 0",
        "AMD 56860, ATTESTATION_REPORT",
        "below VMPL 0 anybody in the guest can choose the report data; collect it through the paravisor",
    ),
    "azure.td-quote.missing": Meaning(
        "There is no TD quote: the TDREPORT in the HCL report proves nothing to another machine",
        "Intel TDX module ABI specification, TDREPORT_STRUCT",
        "give the quote that the instance metadata service makes of the TDREPORT",
    ),
    "azure.td-report": Meaning(
        "TD quote and HCL report are of different TDs, or of different states of one",
        "Intel TDX module ABI specification, TDREPORT_STRUCT",
        _COLLECT,
    ),
    "azure.tpm.magic": Meaning(
        "The signed structure was not made by a TPM",
        _TPM,
        "somebody had the key sign other data; this is no quote",
    ),
    "azure.tpm.type": Meaning("The signed structure is no quote", _TPM, "give the answer of TPM2_Quote"),
    "azure.tpm.signature": Meaning(
        "The TPM quote is not signed by the attestation key that the hardware's report names",
        "RFC 8017 §8.2, RSASSA-PKCS1-v1_5",
        "quote and HCL report are of different machines or boots; collect them together",
    ),
    "azure.tpm.selection": Meaning(
        "The TPM quote is not over one selection of SHA-256 registers",
        "TCG TPM 2.0 Library, part 2, TPML_PCR_SELECTION",
        "quote the registers 0 to 23 of the SHA-256 bank",
    ),
    "azure.tpm.pcr-count": Meaning(
        "There are not as many register values as the quote selects",
        "TCG TPM 2.0 Library, part 2, TPMS_QUOTE_INFO",
        "give the value of each selected register, in ascending order",
    ),
    "azure.tpm.pcr-size": Meaning(
        "A register value has another length than the bank's hash",
        "TCG TPM 2.0 Library, part 2, TPMS_QUOTE_INFO",
        "give 32 bytes for each selected register",
    ),
    "azure.tpm.pcr-digest": Meaning(
        "The register values are not those that were quoted",
        "TCG TPM 2.0 Library, part 2, TPMS_QUOTE_INFO",
        "a register changed between reading and quoting: collect them again",
    ),
    "azure.tpm.extra-data": Meaning(
        "The TPM quote answers another challenge",
        "TCG TPM 2.0 Library, part 2, TPMS_ATTEST extraData",
        "give what the guest was asked with, --nonce and --key or --tpm-nonce, or ask it again: this was made for another challenge or key",
    ),
    "azure.report-data": Meaning(
        "An Azure machine's report data are the paravisor's: no guest can put a value of its own there",
        "CoCo guest protocol 0.4, az-snp-vtpm and az-tdx-vtpm",
        "give --nonce and --key, or --tpm-nonce for a quote that was asked directly",
    ),
    "azure.user-data": Meaning(
        "The hardware's report was not made for the challenge that the TPM quote answers",
        "CoCo az-snp-vtpm and az-tdx-vtpm evidence, version 2",
        "write the challenge to NV index 0x01400002, wait, and read the HCL report again",
    ),
    "azure.ak-certificate.key": Meaning(
        "The certificate is of another attestation key than the hardware's report names",
        _CERTIFICATE,
        "read NV index 0x01C101D0 of the machine that made the quote",
    ),
    "azure.ak-certificate.name": Meaning(
        "The certificate is not that of an Azure confidential VM's attestation key",
        _CERTIFICATE,
        "a Trusted Launch VM has a TPM and no TEE; give the certificate of this machine",
    ),
    "azure.ak-certificate.purpose": Meaning(
        "The certificate is not that of an attestation key",
        _CERTIFICATE,
        "give the certificate of the attestation key, not of the endorsement key",
    ),
}
