"""Faults of Azure confidential VMs above the hardware: quote, registers, the key's certificate, the paravisor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta

from attest.simulator import azure_chain
from attest.simulator.azure import AzurePlan, QuotePlan, public
from attest.simulator.certificates import key_usage, name
from attest.simulator.faults_azure import AZURE_FAULTS, STRANGER, flip
from attest.simulator.paravisor import jwk

_fault = AZURE_FAULTS
_OTHER = hashlib.sha256(b"another challenge").digest()
_DAY = timedelta(days=1)


def _quote(plan: AzurePlan) -> QuotePlan:
    if plan.quote is None:
        raise ValueError("this machine sends no TPM quote")
    return plan.quote


# -- 6: the TPM quote ----------------------------------------------------------------------------------------------


@_fault("tpm-magic", "8.6 magic", "data that the key signed, and no TPM made", "azure.tpm.magic")
def _(plan: AzurePlan) -> None:
    _quote(plan).magic = bytes.fromhex("ff544346")


@_fault("tpm-type", "8.6 type", "a TPM2_Certify in place of a quote", "azure.tpm.type")
def _(plan: AzurePlan) -> None:
    _quote(plan).type = 0x8017


@_fault("tpm-trailing", "8.6 format", "a byte follows the structure", "evidence.malformed")
def _(plan: AzurePlan) -> None:
    _quote(plan).trailing = b"\0"


@_fault("tpm-other-key", "8.6 signature", "the quote is by another key than HCLAkPub", "azure.tpm.signature")
def _(plan: AzurePlan) -> None:
    _quote(plan).key = STRANGER


@_fault("tpm-altered", "8.6 signature", "one bit of the clock changed afterwards", "azure.tpm.signature")
def _(plan: AzurePlan) -> None:
    quote = _quote(plan)
    quote.edit = flip(4 + 2 + 2 + len(quote.signer) + 2 + len(quote.extra_data))


# -- 7: freshness --------------------------------------------------------------------------------------------------


@_fault(
    "extra-data", "8.7 extraData", "the quote answers another challenge", "azure.tpm.extra-data", version=1
)
def _(plan: AzurePlan) -> None:
    _quote(plan).extra_data = _OTHER


@_fault("extra-data-padded", "8.7 extraData", "two zero bytes follow the challenge", "azure.tpm.extra-data")
def _(plan: AzurePlan) -> None:
    _quote(plan).extra_data += b"\0\0"


@_fault(
    "extra-data-cut",
    "8.7 extraData",
    "the first 32 bytes of the challenge",
    "azure.tpm.extra-data",
    version=1,
)
def _(plan: AzurePlan) -> None:
    _quote(plan).extra_data = _quote(plan).extra_data[:32]


@_fault(
    "user-data", "8.7 user data", "the hardware's report was made for another challenge", "azure.user-data"
)
def _(plan: AzurePlan) -> None:
    plan.claims["user-data"] = _OTHER.ljust(64, b"\0").hex()


@_fault("user-data-tail", "8.7 user data", "the last byte of the user data is set", "azure.user-data")
def _(plan: AzurePlan) -> None:
    plan.claims["user-data"] = plan.claims["user-data"][:-2] + "01"


@_fault("user-data-unset", "8.7 user data", "version 2, and nobody wrote user data", "azure.user-data")
def _(plan: AzurePlan) -> None:
    plan.claims["user-data"] = bytes(64).hex()


# -- 8: registers ----------------------------------------------------------------------------------------------------


@_fault("pcr-value", "8.8 digest", "the value of PCR 4 is not the quoted one", "azure.tpm.pcr-digest")
def _(plan: AzurePlan) -> None:
    quote = _quote(plan)
    quote.sent = quote.values()
    quote.sent[4] = hashlib.sha256(b"another loader").digest()


@_fault("pcr-moved", "8.8 values", "a byte of PCR 4 stands at the head of PCR 5", "azure.tpm.pcr-size")
def _(plan: AzurePlan) -> None:
    quote = _quote(plan)
    quote.sent = quote.values()
    quote.sent[5] = quote.sent[4][-1:] + quote.sent[5]
    quote.sent[4] = quote.sent[4][:-1]


@_fault("pcr-missing", "8.8 list", "the last value is missing", "azure.tpm.pcr-count")
def _(plan: AzurePlan) -> None:
    _quote(plan).sent = _quote(plan).values()[:-1]


@_fault("pcr-bank", "8.8 selection", "the bank is SHA-1", "azure.tpm.selection")
def _(plan: AzurePlan) -> None:
    _quote(plan).selections = [(0x0004, list(range(24)), 3)]


@_fault("pcr-two-banks", "8.8 selection", "two selections", "azure.tpm.selection")
def _(plan: AzurePlan) -> None:
    _quote(plan).selections = [(0x000B, list(range(8)), 3), (0x000B, list(range(8, 24)), 3)]


@_fault("pcr-none", "8.8 selection", "no register is selected", "azure.tpm.selection")
def _(plan: AzurePlan) -> None:
    _quote(plan).selections = [(0x000B, [], 3)]


@_fault(
    "pcr-some",
    "8.8 selection",
    "PCR 0 to 7 and 14: the ninth value is PCR 14's",
    claims={"pcr8": None, "pcr14": hashlib.sha256(b"simulated pcr 14").hexdigest()},
)
def _(plan: AzurePlan) -> None:
    _quote(plan).selections = [(0x000B, [*range(8), 14], 3)]


# -- 9: the certificate of the key -------------------------------------------------------------------------------------


def _certificate(fault: str, breaks: str, codes: str) -> Callable[[Callable[[AzurePlan], None]], None]:
    def register(apply: Callable[[AzurePlan], None]) -> None:
        _fault(f"ak-certificate-{fault}", "8.9 AK certificate", breaks, codes)(apply)

    return register


@_certificate("key", "the certificate is of another key", "azure.ak-certificate.key")
def _(plan: AzurePlan) -> None:
    plan.certificate = azure_chain.ak(plan.keys, plan.intermediate, plan.at, key=STRANGER)


@_certificate("name", "a Trusted Launch VM's certificate", "azure.ak-certificate.name")
def _(plan: AzurePlan) -> None:
    assert plan.certificate is not None
    plan.certificate.subject = name("CN=51d0e1a7ed00.TrustedVM.Azure.windows.net")


@_certificate("purpose", "the certificate is for an endorsement key", "azure.ak-certificate.purpose")
def _(plan: AzurePlan) -> None:
    assert plan.certificate is not None
    plan.certificate.put(azure_chain.extended_key_usage(azure_chain.EK_PURPOSE))


@_certificate("key-usage", "the key may not sign", "x509.key-usage")
def _(plan: AzurePlan) -> None:
    assert plan.certificate is not None
    plan.certificate.put(key_usage("content_commitment"))


@_certificate("expired", "the certificate ended yesterday", "x509.expired")
def _(plan: AzurePlan) -> None:
    assert plan.certificate is not None
    plan.certificate.not_after = plan.at - _DAY


@_certificate("early", "the certificate begins tomorrow", "x509.not-yet-valid")
def _(plan: AzurePlan) -> None:
    assert plan.certificate is not None
    plan.certificate.not_before = plan.at + _DAY


@_certificate("signature", "another key signed under the intermediate's name", "x509.signature")
def _(plan: AzurePlan) -> None:
    assert plan.certificate is not None
    plan.certificate.signer = STRANGER


@_certificate("issuer-missing", "the intermediate was not given", "x509.missing")
def _(plan: AzurePlan) -> None:
    plan.intermediate = azure_chain.ca(plan.keys, plan.root)
    plan.intermediate.subject = name("CN=Global Virtual TPM CA - 98")


@_certificate("self-made", "a chain to a root of the attester's own", "x509.anchor")
def _(plan: AzurePlan) -> None:
    own = name("C=US,O=Elsewhere,CN=Azure Virtual TPM Root Certificate Authority 2023")
    plan.intermediate.issuer = own
    plan.intermediate.signer = STRANGER


@_certificate("ca-revoked", "the intermediate is on the root's list", "x509.revoked")
def _(plan: AzurePlan) -> None:
    assert plan.crl is not None
    plan.crl.revoked.append((plan.intermediate.serial, plan.at - _DAY, 1))


@_certificate("padding", "something other than zeros follows the certificate", "evidence.unrecognised")
def _(plan: AzurePlan) -> None:
    plan.nv_certificate = lambda der: der.ljust(4095, b"\0") + b"\1"


@_fault(
    "ak-certificate-crl-missing", "8.9 AK certificate", "no list of the root was given",
    claims={"ak-cert": "azure"}, warnings="revocation-unchecked",
)  # fmt: skip
def _(plan: AzurePlan) -> None:
    plan.crl = None


@_fault(
    "ak-certificate-missing", "8.9 AK certificate", "no certificate of the key", claims={"ak-cert": "absent"}
)
def _(plan: AzurePlan) -> None:
    plan.certificate = None


# -- 10: whose paravisor ---------------------------------------------------------------------------------------------------


@_fault(
    "forged-paravisor", "8.10 paravisor",
    "an ordinary guest wrote runtime data, key and registers itself; every link is good",
    claims={"secure-boot": "true", "user-data-bound": "true", "ak-cert": "absent"},
    warnings="simulated",
    measurement=hashlib.sha384(b"an ordinary guest").digest(), id_key_digest=bytes(48), guest_svn=0,
)  # fmt: skip
def _(plan: AzurePlan) -> None:
    """Nothing about it is broken: only the measurement tells, so only a policy that pins it refuses."""
    own = jwk("HCLAkPub", public(plan.keys, STRANGER), "sign")
    plan.claims["keys"] = [own]
    plan.certificate = None
    _quote(plan).key = STRANGER
