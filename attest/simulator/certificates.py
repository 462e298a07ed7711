"""Certificates and revocation lists as plans: every field may be changed before it is signed.

A plan names keys of the keyring instead of holding them. Built twice, an unchanged plan gives the same
bytes, so a verifier's cache works on simulated chains as on real ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from attest.simulator import der
from attest.simulator.keys import Keyring, is_pkcs1
from attest.x509 import SIMULATOR_EXTENSION

BASIC_CONSTRAINTS = "2.5.29.19"
KEY_USAGE = "2.5.29.15"
SUBJECT_KEY_ID = "2.5.29.14"
AUTHORITY_KEY_ID = "2.5.29.35"
CRL_POINTS = "2.5.29.31"
CRL_NUMBER = "2.5.29.20"
OCSP_ACCESS = "1.3.6.1.5.5.7.1.1"

_SHA384 = der.sequence(der.oid("2.16.840.1.101.3.4.2.2"), der.null())
_PSS = der.sequence(
    der.oid("1.2.840.113549.1.1.10"),
    der.sequence(
        der.explicit(0, _SHA384),
        der.explicit(1, der.sequence(der.oid("1.2.840.113549.1.1.8"), _SHA384)),
        der.explicit(2, der.integer(48)),
    ),
)
_PKCS1 = der.sequence(der.oid("1.2.840.113549.1.1.11"), der.null())
_ECDSA = {
    256: der.sequence(der.oid("1.2.840.10045.4.3.2")),
    384: der.sequence(der.oid("1.2.840.10045.4.3.3")),
}

_NAME_PARTS = {
    "CN": NameOID.COMMON_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "L": NameOID.LOCALITY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "C": NameOID.COUNTRY_NAME,
    "SERIAL": NameOID.SERIAL_NUMBER,
}


def name(text: str) -> x509.Name:
    """`CN=…,O=…` in this order; no escapes, which no vendor's name needs."""
    parts = [part.split("=", 1) for part in text.split(",")]
    return x509.Name([x509.NameAttribute(_NAME_PARTS[kind], value) for kind, value in parts])


def day_of(at: datetime) -> datetime:
    """Midnight before: what is dated by the day keeps its bytes all day, as a vendor's documents do."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Extension:
    oid: str
    value: bytes
    critical: bool = False

    def encoded(self) -> bytes:
        critical = (der.boolean(True),) if self.critical else ()
        return der.sequence(der.oid(self.oid), *critical, der.octets(self.value))


def key_usage(*uses: str) -> Extension:
    """uses: `digital_signature`, `content_commitment`, `key_cert_sign`, `crl_sign`."""
    every = [
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ]
    return Extension(KEY_USAGE, x509.KeyUsage(*(use in uses for use in every)).public_bytes(), True)


def basic_constraints(ca: bool, path_length: int | None = None) -> Extension:
    return Extension(BASIC_CONSTRAINTS, x509.BasicConstraints(ca, path_length).public_bytes(), True)


def subject_key_id(identifier: bytes) -> Extension:
    return Extension(SUBJECT_KEY_ID, x509.SubjectKeyIdentifier(identifier).public_bytes())


def authority_key_id(identifier: bytes) -> Extension:
    return Extension(AUTHORITY_KEY_ID, x509.AuthorityKeyIdentifier(identifier, None, None).public_bytes())


def crl_point(url: str) -> Extension:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return Extension(CRL_POINTS, x509.CRLDistributionPoints([point]).public_bytes())


def ocsp_access(url: str) -> Extension:
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
    return Extension(OCSP_ACCESS, x509.AuthorityInformationAccess([access]).public_bytes())


def simulator_mark(role: str) -> Extension:
    """The critical extension that keeps a simulated root out of every production verifier."""
    return Extension(SIMULATOR_EXTENSION.dotted_string, der.utf8(role), True)


def _algorithm(keys: Keyring, signer: str) -> bytes:
    key = keys.private(signer)
    if is_pkcs1(signer):
        return _PKCS1
    return _PSS if isinstance(key, rsa.RSAPrivateKey) else _ECDSA[key.curve.key_size]


@dataclass
class CertificatePlan:
    """key, signer: names in the keyring, of the certified and of the signing key. spki: DER of another
    certified key, which the keyring does not hold."""

    subject: x509.Name
    issuer: x509.Name
    key: str
    signer: str
    serial: int
    not_before: datetime
    not_after: datetime
    extensions: list[Extension] = field(default_factory=list)
    spki: bytes | None = None

    def put(self, extension: Extension) -> None:
        """Set an extension, in place of the one with its OID where there is one."""
        for index, present in enumerate(self.extensions):
            if present.oid == extension.oid:
                self.extensions[index] = extension
                return
        self.extensions.append(extension)

    def drop(self, oid: str) -> None:
        self.extensions = [extension for extension in self.extensions if extension.oid != oid]

    def build(self, keys: Keyring) -> bytes:
        algorithm = _algorithm(keys, self.signer)
        extensions = (der.explicit(3, der.sequence(*(e.encoded() for e in self.extensions))),)
        signed = der.sequence(
            der.explicit(0, der.integer(2)),
            der.integer(self.serial),
            algorithm,
            self.issuer.public_bytes(),
            der.sequence(der.time(self.not_before), der.time(self.not_after)),
            self.subject.public_bytes(),
            self.spki or keys.spki(self.key),
            *(extensions if self.extensions else ()),
        )
        return der.sequence(signed, algorithm, der.bits(keys.sign_once(self.signer, signed)))


@dataclass
class CrlPlan:
    """number: None for a list without one. revoked: (serial, date, reason code or None)."""

    issuer: x509.Name
    signer: str
    this_update: datetime
    next_update: datetime | None
    number: int | None
    revoked: list[tuple[int, datetime, int | None]] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    corrupt: bool = False

    def build(self, keys: Keyring) -> bytes:
        algorithm = _algorithm(keys, self.signer)
        entries = [_entry(*entry) for entry in self.revoked]
        extensions = [
            authority_key_id(keys.identifier(self.signer)),
            *(() if self.number is None else (Extension(CRL_NUMBER, der.integer(self.number)),)),
            *self.extensions,
        ]
        signed = der.sequence(
            der.integer(1),
            algorithm,
            self.issuer.public_bytes(),
            der.time(self.this_update),
            *((der.time(self.next_update),) if self.next_update else ()),
            *((der.sequence(*entries),) if entries else ()),
            der.explicit(0, der.sequence(*(e.encoded() for e in extensions))),
        )
        signature = keys.sign_once(self.signer, signed)
        if self.corrupt:
            signature = keys.sign_once(self.signer, signed + b"another list")
        return der.sequence(signed, algorithm, der.bits(signature))


def _entry(serial: int, date: datetime, reason: int | None) -> bytes:
    because = () if reason is None else (
        der.sequence(Extension("2.5.29.21", der.enumerated(reason)).encoded()),
    )  # fmt: skip
    return der.sequence(der.integer(serial), der.time(date), *because)


def pem(certificate: bytes) -> bytes:
    """One PEM block with a line break at the end."""
    import base64

    text = base64.b64encode(certificate).decode()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()
