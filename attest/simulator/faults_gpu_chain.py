"""Faults of a device's certificates and firmware identity, by the number of the check that must refuse each."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from attest.simulator import der, gpu, nvidia
from attest.simulator.certificates import (
    Extension,
    authority_key_id,
    basic_constraints,
    key_usage,
    name,
    subject_key_id,
)
from attest.simulator.device import DevicePlan
from attest.simulator.faults_gpu import GPU_FAULTS

_fault = GPU_FAULTS
_DAY = timedelta(days=1)
_LEAF, _BROM, _PROVISIONER, _IDENTITY, _ROOT = range(5)


# -- 3: chain -------------------------------------------------------------------------------------------------------


@_fault("chain-missing", "15.3 chain", "no certificate is sent", "x509.missing")
def _(plan: DevicePlan) -> None:
    plan.sent = []


@_fault("chain-without-root", "15.3 chain", "four certificates, the root is cut off", "x509.depth")
def _(plan: DevicePlan) -> None:
    plan.sent = [_LEAF, _BROM, _PROVISIONER, _IDENTITY]


@_fault("chain-without-leaf", "15.3 chain", "the leaf is cut off; a CA comes first",
        "x509.depth x509.leaf-is-ca x509.key-usage x509.critical-extension nvidia.signature.invalid")  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.sent = [_BROM, _PROVISIONER, _IDENTITY, _ROOT]


@_fault("chain-six", "15.3 chain", "six certificates", "x509.depth")
def _(plan: DevicePlan) -> None:
    plan.sent = [_LEAF, _BROM, _PROVISIONER, _IDENTITY, _ROOT, _ROOT]


@_fault("chain-doubled", "15.3 chain", "one certificate stands twice", "x509.duplicate")
def _(plan: DevicePlan) -> None:
    plan.sent = [_LEAF, _BROM, _IDENTITY, _IDENTITY, _ROOT]


@_fault(
    "chain-swapped", "15.3 order", "certificates 1 and 2 changed places", "x509.signature x509.key-identifier"
)
def _(plan: DevicePlan) -> None:
    plan.sent = [_LEAF, _PROVISIONER, _BROM, _IDENTITY, _ROOT]


@_fault("self-made-chain", "15.3 root", "a root of one's own with NVIDIA's very names", "x509.anchor")
def _(plan: DevicePlan) -> None:
    root = plan.chain[_ROOT]
    root.subject = root.issuer = name("CN=NVIDIA Device Identity CA,O=NVIDIA")
    root.key = root.signer = plan.chain[_IDENTITY].signer = "p384/stranger-root"
    plan.chain[_IDENTITY].issuer = root.subject
    for certificate in (root, plan.chain[_IDENTITY]):
        certificate.put(authority_key_id(plan.keys.identifier(root.key)))
    root.put(subject_key_id(plan.keys.identifier(root.key)))


@_fault("root-swapped", "15.3 root", "another key's certificate is sent as the root", "x509.anchor")
def _(plan: DevicePlan) -> None:
    plan.chain[_ROOT].key = plan.chain[_ROOT].signer = "p384/stranger-root"


@_fault("leaf-signed-by-another", "15.3 signatures", "another key signed the leaf", "x509.signature")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].signer = "p384/stranger"


@_fault(
    "identity-signed-by-another", "15.3 signatures", "another key signed the identity CA", "x509.signature"
)
def _(plan: DevicePlan) -> None:
    plan.chain[_IDENTITY].signer = "p384/stranger"


@_fault("issuer-name", "15.3 names", "the leaf names another issuer", "x509.signature")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].issuer = plan.chain[_PROVISIONER].subject


@_fault("leaf-is-ca", "15.3 CA flags", "the leaf is a CA", "x509.leaf-is-ca")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].put(basic_constraints(True))


@_fault("leaf-may-not-sign", "15.3 CA flags", "the leaf's key has no digitalSignature", "x509.key-usage")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].put(key_usage("content_commitment"))


@_fault("brom-not-a-ca", "15.3 CA flags", "certificate 1 is not a CA", "x509.not-a-ca")
def _(plan: DevicePlan) -> None:
    plan.chain[_BROM].put(basic_constraints(False))


@_fault(
    "provisioner-may-not-sign", "15.3 CA flags", "certificate 2 may not sign certificates", "x509.key-usage"
)
def _(plan: DevicePlan) -> None:
    plan.chain[_PROVISIONER].put(key_usage("crl_sign"))


@_fault("path-length", "15.3 CA flags", "the identity CA may issue no CA", "x509.path-length")
def _(plan: DevicePlan) -> None:
    plan.chain[_IDENTITY].put(basic_constraints(True, 0))


@_fault("provisioner-expired", "15.3 validity", "certificate 2 ended yesterday", "x509.expired")
def _(plan: DevicePlan) -> None:
    plan.chain[_PROVISIONER].not_after = plan.at - _DAY


@_fault("leaf-not-yet-valid", "15.3 validity", "the leaf begins tomorrow", "x509.not-yet-valid")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].not_before = plan.at + _DAY


@_fault("key-identifier", "15.3 chain", "the leaf names another key of its issuer", "x509.key-identifier")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].put(authority_key_id(bytes(20)))


@_fault("critical-extension", "15.3 chain", "an unknown extension is critical", "x509.critical-extension")
def _(plan: DevicePlan) -> None:
    plan.chain[_BROM].put(Extension("1.3.6.1.4.1.5703.99", der.null(), True))


@_fault("device-curve", "15.3 keys", "certificate 3's key is on another 384-bit curve", "x509.key")
def _(plan: DevicePlan) -> None:
    identity, provisioner = plan.chain[_IDENTITY], plan.chain[_PROVISIONER]
    identity.key = provisioner.signer = "bp384/identity"
    identity.put(subject_key_id(plan.keys.identifier(identity.key)))
    provisioner.put(authority_key_id(plan.keys.identifier(identity.key)))


# -- 6: firmware identity and family ----------------------------------------------------------------------------


@_fault("fwid", "15.6 FWID", "other firmware made the report", "nvidia.fwid.mismatch")
def _(plan: DevicePlan) -> None:
    plan.set_opaque(gpu.FWID, hashlib.sha384(b"other firmware").digest())


@_fault("fwid-key", "15.6 SPKI in FWID", "the extension holds another device's key", "nvidia.fwid.key")
def _(plan: DevicePlan) -> None:
    fwid = dict(plan.opaque)[gpu.FWID]
    plan.chain[_LEAF].put(nvidia.fwid_extension(plan.keys.spki("p384/stranger"), fwid))


@_fault("fwid-missing", "15.6 FWID", "the leaf has no FWID extension", "nvidia.fwid.extension")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].drop(nvidia.FWID)


@_fault("fwid-both", "15.6 FWID", "the leaf has Blackwell's extension too", "nvidia.fwid.extension")
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].extensions.append(Extension(f"{nvidia.FWID}.1", der.sequence()))


@_fault(
    "fwid-not-der", "15.6 FWID", "the right digest ends an extension that is no DER", "nvidia.fwid.extension"
)
def _(plan: DevicePlan) -> None:
    plan.chain[_LEAF].put(Extension(nvidia.FWID, bytes(141) + dict(plan.opaque)[gpu.FWID]))


@_fault("arch", "15.6 family", "the JSON says Blackwell", "nvidia.device.architecture")
def _(plan: DevicePlan) -> None:
    plan.arch = "BLACKWELL"


@_fault("family", "15.6 family", "leaf and issuer name different chips", "nvidia.device.family")
def _(plan: DevicePlan) -> None:
    brom = plan.chain[_BROM]
    brom.subject = name("C=US,O=NVIDIA Corporation,CN=GB100 A01 GSP BROM")
    plan.chain[_LEAF].issuer = brom.subject
