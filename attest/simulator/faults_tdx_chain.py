"""Faults of the PCK chain and of Intel's lists, by the number of the check that must refuse each."""

from __future__ import annotations

from datetime import timedelta

from attest.simulator import der, intel
from attest.simulator.certificates import (
    Extension,
    authority_key_id,
    basic_constraints,
    key_usage,
    name,
    subject_key_id,
)
from attest.simulator.faults_tdx import TDX_FAULTS
from attest.simulator.tdx import TdxPlan

_fault = TDX_FAULTS
_DAY = timedelta(days=1)


# -- 2: PCK chain -----------------------------------------------------------------------------------------------


@_fault("chain-cut", "12.2 chain", "the root is missing in the quote", "x509.depth")
def _(plan: TdxPlan) -> None:
    plan.sent = ("pck", "ca")


@_fault("chain-doubled", "12.2 chain", "the CA stands twice, the root is missing", "x509.anchor")
def _(plan: TdxPlan) -> None:
    plan.sent = ("pck", "ca", "ca")


@_fault("self-made-chain", "12.2 root", "a root of one's own with Intel's very names", "x509.anchor")
def _(plan: TdxPlan) -> None:
    plan.root.subject = plan.root.issuer = name(
        "CN=Intel SGX Root CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"
    )
    plan.root.key = plan.root.signer = plan.ca.signer = "p256/stranger-root"
    plan.ca.issuer = plan.root.subject
    for certificate in (plan.root, plan.ca):
        certificate.put(authority_key_id(plan.keys.identifier(plan.root.key)))
    plan.root.put(subject_key_id(plan.keys.identifier(plan.root.key)))


@_fault(
    "pck-signed-by-another", "12.2 signatures", "another key signed the PCK certificate", "x509.signature"
)
def _(plan: TdxPlan) -> None:
    plan.pck.signer = "p256/stranger"


@_fault("ca-signed-by-another", "12.2 signatures", "another key signed the Platform CA", "x509.signature")
def _(plan: TdxPlan) -> None:
    plan.ca.signer = "p256/stranger"


@_fault("pck-expired", "12.2 validity", "the PCK certificate ended yesterday", "x509.expired")
def _(plan: TdxPlan) -> None:
    plan.pck.not_after = plan.at - _DAY


@_fault("pck-not-yet-valid", "12.2 validity", "the PCK certificate begins tomorrow", "x509.not-yet-valid")
def _(plan: TdxPlan) -> None:
    plan.pck.not_before = plan.at + _DAY


@_fault("ca-expired", "12.2 validity", "the Platform CA ended yesterday", "x509.expired")
def _(plan: TdxPlan) -> None:
    plan.ca.not_after = plan.at - _DAY


@_fault("ca-not-a-ca", "12.2 CA flags", "the Platform CA is no CA", "x509.not-a-ca")
def _(plan: TdxPlan) -> None:
    plan.ca.put(basic_constraints(False))


@_fault("ca-may-not-sign", "12.2 CA flags", "the Platform CA may not sign certificates", "x509.key-usage")
def _(plan: TdxPlan) -> None:
    plan.ca.put(key_usage("crl_sign"))


@_fault("pck-is-ca", "12.2 CA flags", "the PCK certificate is a CA", "x509.leaf-is-ca")
def _(plan: TdxPlan) -> None:
    plan.pck.put(basic_constraints(True))


@_fault("ca-name", "12.2 names", "the CA is neither Platform nor Processor CA", "x509.name")
def _(plan: TdxPlan) -> None:
    plan.ca.subject = plan.pck.issuer = name(
        "CN=Intel SGX PCK Somewhere CA,O=Intel Corporation,L=Santa Clara,ST=CA,C=US"
    )
    if plan.pck_crl is not None:
        plan.pck_crl.issuer = plan.ca.subject


@_fault("pck-name", "12.2 names", "the leaf is called otherwise", "x509.name")
def _(plan: TdxPlan) -> None:
    plan.pck.subject = name("CN=Intel SGX Attestation,O=Intel Corporation,L=Santa Clara,ST=CA,C=US")


@_fault("pck-curve", "12.2 keys", "the PCK key is on another 256-bit curve", "x509.key")
def _(plan: TdxPlan) -> None:
    plan.pck.key = "bp256/pck"
    plan.pck.put(subject_key_id(plan.keys.identifier(plan.pck.key)))


@_fault("critical-extension", "12.2 chain", "an unknown extension is critical", "x509.critical-extension")
def _(plan: TdxPlan) -> None:
    plan.pck.put(Extension("1.2.840.113741.1.13.99", der.null(), True))


@_fault("sgx-extension-missing", "12.2 SGX extension", "the leaf has none", "tdx.pck.extension")
def _(plan: TdxPlan) -> None:
    plan.sgx_extension = False


def _sgx(name_: str, breaks: str, tail: str, value: bytes | None) -> None:
    @_fault(name_, "12.2 SGX extension", breaks, "tdx.pck.extension")
    def _(plan: TdxPlan) -> None:
        plan.sgx.edit[tail] = value


_sgx("component-missing", "component 5 is missing", "2.5", None)
_sgx("component-too-large", "component 1 is 264", "2.1", der.integer(264))
_sgx("fmspc-missing", "FMSPC is missing", "4", None)
_sgx("fmspc-short", "FMSPC has five bytes", "4", der.octets(bytes(5)))
_sgx("sgx-type", "the SGX type is an INTEGER", "5", der.integer(1))


@_fault("cpusvn", "12.2 SGX extension", "CPUSVN is not the bytes of the components", "tdx.pck.extension")
def _(plan: TdxPlan) -> None:
    plan.sgx.cpusvn = b"\xff" * 16


# -- 2: revocation ----------------------------------------------------------------------------------------------


@_fault("ca-may-not-sign-lists", "12.2 CRL", "the Platform CA's key may not sign lists", "x509.key-usage")
def _(plan: TdxPlan) -> None:
    plan.ca.put(key_usage("key_cert_sign"))


@_fault("root-crl-missing", "12.2 CRL", "the root's list is missing", "x509.crl.missing")
def _(plan: TdxPlan) -> None:
    plan.root_crl = None


@_fault("pck-crl-missing", "12.2 CRL", "the Platform CA's list is missing", "x509.crl.missing")
def _(plan: TdxPlan) -> None:
    plan.pck_crl = None


@_fault("pck-crl-of-another-ca", "12.2 CRL", "only the Processor CA's list is given", "x509.crl.missing")
def _(plan: TdxPlan) -> None:
    plan.pck_crl = intel.pck_crl(intel.pck_ca(plan.keys, plan.root, "processor"), plan.at)


@_fault("root-crl-stale", "12.2 CRL", "the root's list ended yesterday", "x509.crl.stale")
def _(plan: TdxPlan) -> None:
    assert plan.root_crl is not None
    plan.root_crl.next_update = plan.at - _DAY


@_fault("pck-crl-stale", "12.2 CRL", "the Platform CA's list ended yesterday", "x509.crl.stale")
def _(plan: TdxPlan) -> None:
    assert plan.pck_crl is not None
    plan.pck_crl.next_update = plan.at - _DAY


@_fault("pck-crl-from-tomorrow", "12.2 CRL", "the Platform CA's list begins tomorrow", "x509.crl.stale")
def _(plan: TdxPlan) -> None:
    assert plan.pck_crl is not None
    plan.pck_crl.this_update = plan.at + _DAY


@_fault("root-crl-bad-signature", "12.2 CRL", "another list's signature", "x509.crl.signature")
def _(plan: TdxPlan) -> None:
    assert plan.root_crl is not None
    plan.root_crl.corrupt = True


@_fault("pck-crl-bad-signature", "12.2 CRL", "another list's signature", "x509.crl.signature")
def _(plan: TdxPlan) -> None:
    assert plan.pck_crl is not None
    plan.pck_crl.corrupt = True


@_fault("pck-revoked", "12.2 CRL", "the Platform CA's list names the leaf", "x509.revoked")
def _(plan: TdxPlan) -> None:
    assert plan.pck_crl is not None
    plan.pck_crl.revoked.append((plan.pck.serial, plan.pck_crl.this_update, 1))


@_fault("pck-revoked-earlier", "12.2 CRL", "an older authentic list names the leaf", "x509.revoked")
def _(plan: TdxPlan) -> None:
    older = intel.pck_crl(plan.ca, plan.at - 20 * _DAY)
    older.revoked.append((plan.pck.serial, older.this_update, 1))
    plan.more_crls = (older,)


@_fault("ca-revoked", "12.2 CRL", "the root's list names the Platform CA", "x509.revoked")
def _(plan: TdxPlan) -> None:
    assert plan.root_crl is not None
    plan.root_crl.revoked.append((plan.ca.serial, plan.root_crl.this_update, 1))


@_fault("tcb-signer-revoked", "12.2 CRL", "the root's list names the TCB signer", "x509.revoked")
def _(plan: TdxPlan) -> None:
    assert plan.root_crl is not None
    plan.root_crl.revoked.append((plan.tcb_signer.serial, plan.root_crl.this_update, 1))
