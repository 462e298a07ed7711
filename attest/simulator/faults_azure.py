"""Faults of Azure confidential VMs, by the number of the check that must refuse each: document, HCL report,
hardware. Those of the TPM are in `faults_azure_tpm`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from attest.simulator.azure import AzurePlan, public
from attest.simulator.fault import FaultTable
from attest.simulator.paravisor import jwk, runtime_claims
from attest.simulator.snp import SnpPlan
from attest.simulator.tdx import TdxPlan

AZURE_FAULTS = FaultTable("azure")
_fault = AZURE_FAULTS
STRANGER = "rsa2048-pkcs1/stranger"


def flip(offset: int, mask: int = 1) -> Callable[[bytearray], None]:
    def edit(raw: bytearray) -> None:
        raw[offset] ^= mask

    return edit


# -- 1: the evidence document --------------------------------------------------------------------------------


@_fault("version-3", "8.1 version", "the document says version 3", "azure.container")
def _(plan: AzurePlan) -> None:
    plan.document = lambda document: document.update(version=3)


@_fault(
    "version-2-as-0", "8.1 version", "members of version 0 under the number 2", "azure.container", version=0
)
def _(plan: AzurePlan) -> None:
    plan.document = lambda document: document.update(version=2)


@_fault("member-more", "8.1 members", "a member that no version has", "azure.container")
def _(plan: AzurePlan) -> None:
    plan.document = lambda document: document.update(report_data="00")


@_fault(
    "version-1",
    "8.1 version",
    "version 1, which binds no user data",
    claims={"evidence-version": "1", "user-data-bound": "false"},
    version=1,
)
def _(plan: AzurePlan) -> None:
    pass


# -- 2: header and runtime data --------------------------------------------------------------------------------


@_fault("hcl-magic", "8.2 magic", "the report does not start with HCLA", "evidence.malformed")
def _(plan: AzurePlan) -> None:
    plan.hcl.signature = b"HCLB"


@_fault("hcl-size", "8.2 sizes", "the variable size is one more", "evidence.malformed")
def _(plan: AzurePlan) -> None:
    plan.hcl.edit = flip(1232)


@_fault("hcl-version", "8.2 header", "header version 3", "azure.hcl.header")
def _(plan: AzurePlan) -> None:
    plan.hcl.version = 3


@_fault("hcl-status", "8.2 status", "the status is not zero", "azure.hcl.header")
def _(plan: AzurePlan) -> None:
    plan.hcl.status = 1


@_fault("hcl-data-version", "8.2 header", "data version 2", "azure.hcl.header")
def _(plan: AzurePlan) -> None:
    plan.hcl.data_version = 2


@_fault("hcl-hash", "8.2 hash type", "the header says SHA-384", "azure.hcl.hash")
def _(plan: AzurePlan) -> None:
    plan.hcl.hash_type = 2


@_fault("hcl-reserved", "8.2 header", "a reserved byte is set", "azure.hcl.padding")
def _(plan: AzurePlan) -> None:
    plan.hcl.reserved = bytes(11) + b"\1"


@_fault("hcl-padding", "8.2 padding", "the last byte of the index is set", "azure.hcl.padding")
def _(plan: AzurePlan) -> None:
    plan.hcl.edit = flip(-1)


@_fault("hcl-report-type", "8.2 report type", "report type 1, VBS", "azure.hcl.report-type")
def _(plan: AzurePlan) -> None:
    plan.hcl.report_type = 1


@_fault("kind-header", "8.2 report type", "SNP under the report type of TDX", "azure.hcl.kind")
def _(plan: AzurePlan) -> None:
    plan.hcl.report_type = 4


@_fault("kind-area", "8.2 report type", "no TDREPORT in the hardware area", "azure.hcl.kind", kind="tdx")
def _(plan: AzurePlan) -> None:
    plan.host = flip(0, 0x80)


@_fault("ak-missing", "8.2 runtime data", "the runtime data name no attestation key", "azure.runtime-data")
def _(plan: AzurePlan) -> None:
    plan.claims["keys"] = plan.claims["keys"][1:]


@_fault("ak-twice", "8.2 runtime data", "a second HCLAkPub", "azure.runtime-data")
def _(plan: AzurePlan) -> None:
    plan.claims["keys"].append(jwk("HCLAkPub", public(plan.keys, STRANGER), "sign"))


@_fault("ak-exponent", "8.2 runtime data", "the attestation key has exponent 3", "azure.runtime-data")
def _(plan: AzurePlan) -> None:
    plan.claims["keys"][0]["e"] = "Aw"


@_fault("ak-short", "8.2 runtime data", "the attestation key has 1024 bits", "azure.runtime-data")
def _(plan: AzurePlan) -> None:
    plan.claims["keys"][0]["n"] = plan.claims["keys"][0]["n"][:171]


@_fault("keys-doubled", "8.2 runtime data", "the member `keys` stands twice", "evidence.malformed")
def _(plan: AzurePlan) -> None:
    text = json.dumps(plan.claims, separators=(",", ":"))
    other = runtime_claims(public(plan.keys, STRANGER), None, b"")
    plan.text = (text[:-1] + ',"keys":' + json.dumps(other["keys"]) + "}").encode()


@_fault("user-data-short", "8.2 runtime data", "63 bytes of user data", "azure.runtime-data")
def _(plan: AzurePlan) -> None:
    plan.claims["user-data"] = plan.claims["user-data"][:-2]


# -- 3: the hardware beneath -------------------------------------------------------------------------------------


@_fault("snp-signature", "8.3 hardware", "another key signed the report", "snp.signature.invalid")
def _(plan: AzurePlan) -> None:
    assert isinstance(plan.hardware, SnpPlan)
    plan.hardware.report_key = "p384/stranger"


@_fault("tdx-signature", "8.3 hardware", "another key signed the quote", "tdx.quote.signature", kind="tdx")
def _(plan: AzurePlan) -> None:
    assert isinstance(plan.hardware, TdxPlan)
    plan.hardware.quote_key = "p256/stranger"


@_fault("vmpl-2", "8.3 VMPL", "the guest's kernel asked for the report", "azure.vmpl", vmpl=2)
def _(plan: AzurePlan) -> None:
    pass


# -- 4: the hash of the runtime data -------------------------------------------------------------------------------


@_fault("runtime-data", "8.4 binding", "other runtime data than the hardware covers", "azure.hcl.binding")
def _(plan: AzurePlan) -> None:
    plan.bound_text = json.dumps(runtime_claims(public(plan.keys, STRANGER), None, b"")).encode()


@_fault("runtime-data-written-anew", "8.4 binding", "the same JSON, with spaces", "azure.hcl.binding")
def _(plan: AzurePlan) -> None:
    plan.bound_text = json.dumps(plan.claims).encode()


@_fault("report-data-tail", "8.4 binding", "the second half of the report data is set", "azure.hcl.binding")
def _(plan: AzurePlan) -> None:
    plan.bound_tail = bytes(31) + b"\1"


@_fault(
    "tdx-runtime-data",
    "8.4 binding",
    "other runtime data than the quote covers",
    "azure.hcl.binding",
    kind="tdx",
)
def _(plan: AzurePlan) -> None:
    plan.bound_text = b"{}"


# -- 5: TDREPORT and quote -----------------------------------------------------------------------------------------


def _td_report(field: str, offset: int) -> None:
    @_fault(
        f"td-report-{field}",
        "8.5 TDREPORT",
        f"{field} differs from the quote's",
        "azure.td-report",
        kind="tdx",
    )
    def _(plan: AzurePlan) -> None:
        plan.host = flip(offset)


for _field, _offset in (
    ("report-data", 128),
    ("attributes", 512),
    ("xfam", 520),
    ("mrtd", 528),
    ("mrconfigid", 576),
    ("mrowner", 624),
    ("mrownerconfig", 672),
    ("rtmr0", 720),
    ("rtmr3", 864),
):
    _td_report(_field, _offset)


@_fault("td-quote-of-another", "8.5 TDREPORT", "the TDREPORT is another TD's", "azure.td-report", kind="tdx")
def _(plan: AzurePlan) -> None:
    def host(area: bytearray) -> None:
        area[528:576] = hashlib.sha384(b"another TD").digest()

    plan.host = host
