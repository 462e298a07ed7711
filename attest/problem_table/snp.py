"""Problem codes: AMD SEV-SNP."""

from __future__ import annotations

from attest.problem_table.meaning import Meaning

_AMD_ABI = "AMD 56860, ATTESTATION_REPORT"
_AMD_KDS = "AMD 57230, VCEK and VLEK certificates"

PROBLEMS: dict[str, Meaning] = {
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
        "give the certificate of this chip and TCB, or --fetch; if it still fails the report was altered",
    ),
    "snp.leaf.missing": Meaning(
        "No VCEK or VLEK certificate was given",
        _AMD_KDS,
        "give the VCEK of this chip and TCB as a file, or --fetch; a VLEK comes with the machine's evidence",
    ),
    "snp.leaf.several": Meaning(
        "Several VCEK or VLEK certificates were given and none signed this report",
        _AMD_KDS,
        "give the one of this chip and TCB, or none and --fetch",
    ),
    "snp.leaf.kind": Meaning(
        "The certificate is of another kind than the report's signing key",
        _AMD_KDS,
        "give the certificate of the key that the report names: --fetch gets a VCEK, a VLEK comes with the machine's evidence",
    ),
    "snp.leaf.extension": Meaning(
        "A VCEK or VLEK extension is missing, doubled or unreadable",
        _AMD_KDS,
        "give the certificate as AMD serves it, or --fetch",
    ),
    "snp.product.unknown": Meaning(
        "The processor family and model belong to no product with a pinned root",
        "AMD 57230, product names",
        "Milan, Genoa (Bergamo, Siena) and Turin are known",
    ),
    "snp.product.mismatch": Meaning(
        "Report, certificate and root speak of different products",
        "AMD 57230, product names",
        "give the certificate of this product, or --fetch",
    ),
    "snp.tcb.mismatch": Meaning(
        "The certificate was issued for another TCB than the report says",
        "AMD 57230, VCEK extensions",
        "give the VCEK of the reported TCB, or --fetch",
    ),
    "snp.tcb.order": Meaning(
        "The report's TCB versions contradict each other: reported ≤ committed ≤ current must hold",
        "AMD 56860, TCB versions",
        "the host's firmware state is inconsistent; update and commit the firmware",
    ),
    "snp.chip-id.mismatch": Meaning(
        "The certificate belongs to another chip",
        "AMD 57230, VCEK extensions",
        "give the VCEK of this chip, or --fetch",
    ),
    "snp.chip-id.masked": Meaning(
        "The chip id is masked, so nothing ties the VCEK to the chip",
        _AMD_ABI,
        "the host must clear MASK_CHIP_ID",
    ),
}
