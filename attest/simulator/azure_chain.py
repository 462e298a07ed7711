"""Azure's certificates of virtual TPMs: root, intermediate, attestation key, and the root's list.

Names, key sizes and extensions are Azure's; only the root's organisation says SIMULATED and only the root
has the simulator's extension. Source: the certificates of Azure Trusted Launch and confidential VMs.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.simulator.certificates import (
    CertificatePlan,
    CrlPlan,
    Extension,
    authority_key_id,
    basic_constraints,
    key_usage,
    name,
    simulator_mark,
    subject_key_id,
)
from attest.simulator.keys import Keyring

ROOT = "rsa4096-pkcs1/azure-vtpm-root"
CA = "rsa2048-pkcs1/azure-vtpm-ca"
AK = "rsa2048-pkcs1/azure-ak"
EK = "rsa2048-pkcs1/azure-ek"
AK_NAME = "51d0e1a7ed00.ConfidentialVM.Azure.windows.net"
EXTENDED_KEY_USAGE = "2.5.29.37"
EK_PURPOSE, AIK_PURPOSE = "2.23.133.8.1", "2.23.133.8.3"
_LIFETIME_SIGNING = "1.3.6.1.4.1.311.10.3.12"


def extended_key_usage(*purposes: str) -> Extension:
    oids = [x509.ObjectIdentifier(purpose) for purpose in purposes]
    return Extension(EXTENDED_KEY_USAGE, x509.ExtendedKeyUsage(oids).public_bytes())


def root(keys: Keyring, made: datetime) -> CertificatePlan:
    own = name("C=US,O=SIMULATED Microsoft Corporation,CN=Azure Virtual TPM Root Certificate Authority 2023")
    return CertificatePlan(
        own,
        own,
        ROOT,
        ROOT,
        0x2023,
        made - timedelta(days=3 * 365),
        made + timedelta(days=22 * 365),
        [
            key_usage("digital_signature", "key_cert_sign", "crl_sign"),
            basic_constraints(True),
            subject_key_id(keys.identifier(ROOT)),
            simulator_mark("azure-vtpm"),
        ],
    )


def ca(keys: Keyring, issuer: CertificatePlan) -> CertificatePlan:
    """The intermediate, which Azure replaces every two years."""
    return CertificatePlan(
        name("CN=Global Virtual TPM CA - 99"),
        issuer.subject,
        CA,
        issuer.key,
        0x3300000099,
        issuer.not_before + timedelta(hours=1),
        issuer.not_after - timedelta(hours=1),
        [
            basic_constraints(True, 0),
            key_usage("key_cert_sign"),
            extended_key_usage(EK_PURPOSE, AIK_PURPOSE),
            subject_key_id(keys.identifier(CA)),
            authority_key_id(keys.identifier(issuer.key)),
        ],
    )


def ak(
    keys: Keyring,
    issuer: CertificatePlan,
    at: datetime,
    *,
    key: str = AK,
    public: rsa.RSAPublicKey | None = None,
) -> CertificatePlan:
    """The certificate of an attestation key: one year. public: of a key that the keyring does not hold."""
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if public else None
    identifier = x509.SubjectKeyIdentifier.from_public_key(public).digest if public else keys.identifier(key)
    return CertificatePlan(
        name(f"CN={AK_NAME}"),
        issuer.subject,
        key,
        issuer.key,
        0x64646464,
        at - timedelta(days=30),
        at + timedelta(days=335),
        [
            key_usage("digital_signature"),
            extended_key_usage(_LIFETIME_SIGNING, AIK_PURPOSE),
            subject_key_id(identifier),
            authority_key_id(keys.identifier(issuer.key)),
        ],
        spki,
    )


def root_crl(issuer: CertificatePlan, at: datetime) -> CrlPlan:
    return CrlPlan(issuer.subject, issuer.key, at - timedelta(days=5), at + timedelta(days=85), 7)
