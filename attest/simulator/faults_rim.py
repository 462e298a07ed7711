"""Faults of reference manifests, by the number of the check that must refuse each."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from attest.simulator import rim
from attest.simulator.certificates import authority_key_id, basic_constraints, name, subject_key_id
from attest.simulator.device import DevicePlan
from attest.simulator.faults_gpu import GPU_FAULTS
from attest.simulator.rim import RimPlan

_fault = GPU_FAULTS
_DAY = timedelta(days=1)
_MALFORMED = "nvidia.rim.malformed"
_SIGNER, _THIRD, _AUTHORITY, _ROOT = range(4)


def _driver(plan: DevicePlan) -> RimPlan:
    return plan.rims["driver"]


def _replace(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(text: bytes) -> bytes:
        if old not in text:
            raise RuntimeError(f"the manifest has no {old!r}")
        return text.replace(old, new, 1)

    return edit


# -- 9: documents -------------------------------------------------------------------------------------------------


@_fault("rim-missing", "15.9 manifest", "no manifest is given", claims={
    "measurements": "no-rim", "driver-rim": "absent", "vbios-rim": "absent"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    plan.rims = {}


@_fault("driver-rim-missing", "15.9 manifest", "no driver manifest is given", claims={
    "measurements": "no-rim", "driver-rim": "absent", "vbios-rim": "valid"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    del plan.rims["driver"]


@_fault("vbios-rim-missing", "15.9 manifest", "no VBIOS manifest is given", claims={
    "measurements": "no-rim", "driver-rim": "valid", "vbios-rim": "absent"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    del plan.rims["vbios"]


@_fault("rim-of-another-version", "15.9 version", "the driver manifest is another version's", claims={
    "measurements": "no-rim", "driver-rim": "absent"})  # fmt: skip
def _(plan: DevicePlan) -> None:
    _driver(plan).version = "550.90.08"


@_fault("rim-of-another-product", "15.9 product", "the driver manifest is LS10's", "nvidia.rim.product")
def _(plan: DevicePlan) -> None:
    _driver(plan).product = "LS10"


@_fault("rim-edition", "15.9 product", "the driver manifest is a switch's", "nvidia.rim.product")
def _(plan: DevicePlan) -> None:
    _driver(plan).edition = "SWITCH"


@_fault("rim-in-both-roles", "15.9 role", "one document as driver and VBIOS manifest",
        "nvidia.rim.role nvidia.rim.index-conflict", driver="96.00.9F.00.01")  # fmt: skip
def _(plan: DevicePlan) -> None:
    del plan.rims["driver"]


@_fault("rim-tampered", "15.9 digest", "a golden value changed after signing", "nvidia.rim.digest")
def _(plan: DevicePlan) -> None:
    _driver(plan).edit = _replace(rim.golden(7).hex().encode(), rim.alternative(7).hex().encode())


@_fault(
    "vbios-rim-tampered", "15.9 digest", "a golden VBIOS value changed after signing", "nvidia.rim.digest"
)
def _(plan: DevicePlan) -> None:
    plan.rims["vbios"].edit = _replace(rim.golden(9).hex().encode(), rim.alternative(9).hex().encode())


@_fault("rim-signature", "15.9 signature", "the signature value changed", "nvidia.rim.signature")
def _(plan: DevicePlan) -> None:
    def edit(text: bytes) -> bytes:
        return re.sub(
            rb"(SignatureValue>)(.)", lambda m: m[1] + (b"B" if m[2] == b"A" else b"A"), text, count=1
        )

    _driver(plan).edit = edit


@_fault("rim-signed-by-another", "15.9 signature", "another key signed the manifest", "nvidia.rim.signature")
def _(plan: DevicePlan) -> None:
    _driver(plan).signing_key = "p384/stranger"


@_fault("rim-dtd", "15.9 parser", "the manifest has a DTD", "nvidia.rim.dtd")
def _(plan: DevicePlan) -> None:
    _driver(plan).prologue = '<!DOCTYPE SoftwareIdentity [<!ENTITY a "b">]>\n'


@_fault("rim-two-signatures", "15.9 one signature", "the signature stands twice", "nvidia.rim.wrapping")
def _(plan: DevicePlan) -> None:
    def edit(text: bytes) -> bytes:
        start, end = text.index(b"<ds:Signature "), text.index(b"</ds:Signature>") + len(b"</ds:Signature>")
        return text[:end] + text[start:end] + text[end:]

    _driver(plan).edit = edit


@_fault("rim-wrapped", "15.9 one signature", "the signature stands inside the payload", "nvidia.rim.wrapping")
def _(plan: DevicePlan) -> None:
    def edit(text: bytes) -> bytes:
        start, end = text.index(b"<ds:Signature "), text.index(b"</ds:Signature>") + len(b"</ds:Signature>")
        signature, rest = text[start:end], text[:start] + text[end:]
        return rest.replace(b"</ns0:Payload>", signature + b"</ns0:Payload>", 1)

    _driver(plan).edit = edit


@_fault("rim-algorithm", "15.9 algorithms", "ECDSA with SHA-256", "nvidia.rim.algorithm")
def _(plan: DevicePlan) -> None:
    _driver(plan).signature_algorithm = "ecdsa-sha256"


@_fault(
    "rim-digest-algorithm", "15.9 algorithms", "the reference's digest is SHA-256", "nvidia.rim.algorithm"
)
def _(plan: DevicePlan) -> None:
    _driver(plan).digest_algorithm = "sha256"


@_fault(
    "rim-reference", "15.9 algorithms", "the reference names a part of the document", "nvidia.rim.algorithm"
)
def _(plan: DevicePlan) -> None:
    _driver(plan).edit = _replace(b'URI=""', b'URI="#part"')


# -- 9: the signers' chain ------------------------------------------------------------------------------------------


@_fault("rim-expired", "15.9 validity", "the manifest's signer ended yesterday", "x509.expired")
def _(plan: DevicePlan) -> None:
    _driver(plan).chain[_SIGNER].not_after = plan.at - _DAY


@_fault("rim-not-yet-valid", "15.9 validity", "the manifest's signer begins tomorrow", "x509.not-yet-valid")
def _(plan: DevicePlan) -> None:
    _driver(plan).chain[_SIGNER].not_before = plan.at + _DAY


@_fault("rim-chain-cut", "15.9 chain", "the manifest's chain has three certificates", "x509.depth")
def _(plan: DevicePlan) -> None:
    _driver(plan).chain = _driver(plan).chain[:_ROOT]


@_fault("rim-foreign-root", "15.9 root", "a RIM root of one's own with NVIDIA's names", "x509.anchor")
def _(plan: DevicePlan) -> None:
    chain = _driver(plan).chain
    root, authority = chain[_ROOT], chain[_AUTHORITY]
    root.subject = root.issuer = name("C=US,O=NVIDIA,CN=NVIDIA CoRIM signing Root CA")
    root.key = root.signer = authority.signer = "p384/stranger-root"
    authority.issuer = root.subject
    for certificate in (root, authority):
        certificate.put(authority_key_id(plan.keys.identifier(root.key)))
    root.put(subject_key_id(plan.keys.identifier(root.key)))


@_fault("rim-under-device-root", "15.9 root", "the device root's certificate ends the chain", "x509.anchor")
def _(plan: DevicePlan) -> None:
    chain = _driver(plan).chain
    device_root, authority = plan.chain[-1], chain[_AUTHORITY]
    authority.issuer, authority.signer = device_root.subject, device_root.key
    authority.put(authority_key_id(plan.keys.identifier(device_root.key)))
    chain[_ROOT] = device_root


@_fault("rim-third-not-a-ca", "15.9 chain", "the third-level certificate is no CA", "x509.not-a-ca")
def _(plan: DevicePlan) -> None:
    _driver(plan).chain[_THIRD].put(basic_constraints(False))


@_fault("rim-signer-is-ca", "15.9 chain", "the signer's certificate is a CA", "x509.leaf-is-ca")
def _(plan: DevicePlan) -> None:
    _driver(plan).chain[_SIGNER].put(basic_constraints(True))


# -- 9: schema, well signed -----------------------------------------------------------------------------------------


@_fault("rim-none-active", "15.10 vacuous", "no entry of the driver manifest is active", _MALFORMED)
def _(plan: DevicePlan) -> None:
    for entry in _driver(plan).entries:
        entry.active = "False"


@_fault("rim-active-word", "15.9 schema", "an entry is active=true, in lower case", _MALFORMED)
def _(plan: DevicePlan) -> None:
    _driver(plan).entries[7].active = "true"


@_fault("rim-index-doubled", "15.9 schema", "an index stands twice", _MALFORMED)
def _(plan: DevicePlan) -> None:
    _driver(plan).entries[63].index = 7


@_fault("rim-index-64", "15.9 schema", "an index is 64", _MALFORMED)
def _(plan: DevicePlan) -> None:
    _driver(plan).entries[63].index = 64


@_fault("rim-alternatives", "15.9 schema", "more alternatives than hashes", _MALFORMED)
def _(plan: DevicePlan) -> None:
    _driver(plan).entries[7].alternatives = 2


@_fault("rim-size", "15.9 schema", "an entry of 32 bytes", _MALFORMED)
def _(plan: DevicePlan) -> None:
    _driver(plan).entries[7].size = 32


@_fault("rim-empty", "15.9 schema", "the payload has no entry", _MALFORMED)
def _(plan: DevicePlan) -> None:
    _driver(plan).entries = []
