"""Faults of AMD's certificates and of their list, by the number of the check that must refuse each."""

from __future__ import annotations

from datetime import timedelta

from attest.simulator import amd, der
from attest.simulator.certificates import Extension, authority_key_id, basic_constraints, key_usage, name
from attest.simulator.faults_snp import SNP_FAULTS
from attest.simulator.snp import SnpPlan, chip

_fault = SNP_FAULTS
_UNKNOWN_OID = "1.3.6.1.4.1.3704.1.99"
_DAY = timedelta(days=1)


# -- 2: chain and revocation ----------------------------------------------------------------------------------


@_fault("leaf-missing", "12.2 chain", "no VCEK is given", "snp.leaf.missing")
def _(plan: SnpPlan) -> None:
    plan.give = ("intermediate", "root")


@_fault("chain-cut", "12.2 chain", "the ASK is not given; AMD's own has its name", "x509.signature")
def _(plan: SnpPlan) -> None:
    plan.give = ("leaf", "root")


@_fault(
    "leaf-signed-by-another", "12.2 chain", "the VCEK names the ASK, another key signed it", "x509.signature"
)
def _(plan: SnpPlan) -> None:
    plan.leaf.signer = "rsa4096/asvk"


@_fault(
    "ask-signed-by-another", "12.2 chain", "the ASK names the ARK, another key signed it", "x509.signature"
)
def _(plan: SnpPlan) -> None:
    plan.intermediate.signer = "rsa4096/asvk"
    plan.intermediate.put(authority_key_id(plan.keys.identifier(plan.root.key)))


@_fault("self-made-chain", "12.2 root", "a root of one's own with AMD's very names", "x509.signature")
def _(plan: SnpPlan) -> None:
    title = plan.product.title
    plan.root.subject = plan.root.issuer = name(
        f"OU=Engineering,C=US,L=Santa Clara,ST=CA,O=Advanced Micro Devices,CN=ARK-{title}"
    )
    plan.root.key = plan.root.signer = plan.intermediate.signer = "rsa4096/stranger-ark"
    plan.intermediate.issuer = plan.root.subject
    plan.intermediate.put(authority_key_id(plan.keys.identifier(plan.root.key)))
    plan.crl = None


@_fault("leaf-expired", "12.2 validity", "the VCEK ended yesterday", "x509.expired")
def _(plan: SnpPlan) -> None:
    plan.leaf.not_after = plan.at - _DAY


@_fault("leaf-not-yet-valid", "12.2 validity", "the VCEK begins tomorrow", "x509.not-yet-valid")
def _(plan: SnpPlan) -> None:
    plan.leaf.not_before = plan.at + _DAY


@_fault("ask-expired", "12.2 validity", "the ASK ended yesterday", "x509.expired")
def _(plan: SnpPlan) -> None:
    plan.intermediate.not_after = plan.at - _DAY


@_fault("leaf-is-ca", "12.2 CA flags", "the VCEK is a CA", "x509.leaf-is-ca")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(basic_constraints(True))


@_fault("ask-not-a-ca", "12.2 CA flags", "the ASK is not a CA", "x509.not-a-ca")
def _(plan: SnpPlan) -> None:
    plan.intermediate.put(basic_constraints(False))


@_fault("ask-may-not-sign", "12.2 CA flags", "the ASK's key may not sign certificates", "x509.key-usage")
def _(plan: SnpPlan) -> None:
    plan.intermediate.put(key_usage("crl_sign"))


@_fault("ask-name", "12.2 names", "leaf and intermediate call the ASK by another name", "snp.leaf.missing")
def _(plan: SnpPlan) -> None:
    other = name("OU=Engineering,C=US,L=Santa Clara,ST=CA,O=Advanced Micro Devices,CN=SEV-Somewhere")
    plan.intermediate.subject = plan.leaf.issuer = other


@_fault("key-identifier", "12.2 chain", "the ASK names another key of the ARK", "x509.key-identifier")
def _(plan: SnpPlan) -> None:
    plan.intermediate.put(authority_key_id(bytes(20)))


@_fault("critical-extension", "12.2 chain", "an unknown extension is critical", "x509.critical-extension")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(_UNKNOWN_OID, der.null(), True))


@_fault("crl-bad-signature", "12.2 CRL", "another list's signature", "x509.crl.signature")
def _(plan: SnpPlan) -> None:
    assert plan.crl is not None
    plan.crl.corrupt = True


@_fault("ask-revoked", "12.2 CRL", "the ARK's list names the ASK", "x509.revoked")
def _(plan: SnpPlan) -> None:
    assert plan.crl is not None
    plan.crl.revoked.append((plan.intermediate.serial, plan.at - _DAY, None))


@_fault("crl-partial", "12.2 CRL", "a delta list, not the complete one", "x509.critical-extension")
def _(plan: SnpPlan) -> None:
    assert plan.crl is not None
    plan.crl.extensions.append(Extension("2.5.29.27", der.integer(1), True))


@_fault("crl-stale", "12.2 CRL", "the list ended yesterday", claims={"crl": "stale"})
def _(plan: SnpPlan) -> None:
    assert plan.crl is not None
    plan.crl.next_update = plan.at - _DAY


@_fault("crl-stranger", "12.2 CRL", "the issuer's name in the list was changed", "x509.crl.stranger")
def _(plan: SnpPlan) -> None:
    assert plan.crl is not None
    plan.crl.issuer = name("CN=ARK-Elsewhere")


@_fault("crl-missing", "12.2 CRL", "no list is given", claims={"crl": "absent"})
def _(plan: SnpPlan) -> None:
    plan.crl = None


# -- 3: kind and product of the leaf ------------------------------------------------------------------------------


@_fault("leaf-kind", "12.3 signing key", "the report says VLEK, the leaf is a VCEK", "snp.leaf.kind")
def _(plan: SnpPlan) -> None:
    plan.fields["key_info"] = 1 << 2


@_fault("vcek-under-asvk", "12.3 issuer", "the ASVK issued the VCEK", "x509.name")
def _(plan: SnpPlan) -> None:
    plan.intermediate = amd.intermediate(plan.keys, plan.product, "vlek", plan.root)
    plan.leaf.issuer, plan.leaf.signer = plan.intermediate.subject, plan.intermediate.key


@_fault("vcek-with-csp", "12.3 leaf kind", "a VCEK with CSP_ID", "snp.leaf.kind")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(amd.CSP_ID, der.ia5("CN=simulated.example.com")))


@_fault("vlek-without-csp", "12.3 leaf kind", "a VLEK without CSP_ID", "snp.leaf.kind", signing_key="vlek")
def _(plan: SnpPlan) -> None:
    plan.leaf.drop(amd.CSP_ID)


@_fault("vlek-with-hwid", "12.3 leaf kind", "a VLEK with hwID", "snp.leaf.extension", signing_key="vlek")
def _(plan: SnpPlan) -> None:
    plan.fields["chip_id"] = chip(0, plan.product)
    plan.leaf.put(Extension(amd.HWID, chip(0, plan.product)[: plan.product.hwid_size]))


@_fault("struct-version", "12.3 structVersion", "structVersion is Turin's", "snp.product.mismatch")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(amd.STRUCT_VERSION, der.integer(1)))


@_fault("product-name", "12.3 productName", "productName is Milan-B0 on Genoa", "snp.product.mismatch")
def _(plan: SnpPlan) -> None:
    plan.leaf.put(Extension(amd.PRODUCT_NAME, der.ia5("Milan-B0")))


@_fault("cpuid-of-another-product", "12.3 product", "CPUID is Milan's", "snp.product.mismatch")
def _(plan: SnpPlan) -> None:
    plan.fields["cpuid_mod_id"] = 0x01


@_fault("cpuid-unknown", "12.3 product", "CPUID is of a product without a root", "snp.product.unknown")
def _(plan: SnpPlan) -> None:
    plan.fields["cpuid_fam_id"], plan.fields["cpuid_mod_id"] = 0x1A, 0x50


@_fault("chain-of-another-product", "12.3 product", "chain and leaf are Milan's", "snp.product.mismatch")
def _(plan: SnpPlan) -> None:
    milan = amd.PRODUCTS["milan"]
    plan.root = amd.ark(plan.keys, milan, plan.root.not_before + timedelta(days=4 * 365))
    plan.intermediate = amd.intermediate(plan.keys, milan, "vcek", plan.root)
    plan.leaf = amd.leaf(milan, "vcek", plan.intermediate, plan.product.tcb, chip(0, plan.product), plan.at)
    plan.crl = amd.crl(milan, plan.root, plan.at)


@_fault("leaf-curve", "12.3 leaf key", "the leaf's key is on another 384-bit curve", "x509.key")
def _(plan: SnpPlan) -> None:
    plan.leaf.key = "bp384/vcek"
