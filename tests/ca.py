"""A certificate authority of a few lines, for tests that need a chain with one thing wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from attest.anchors import Anchor, Anchors, Role
from attest.x509 import Certificate, Crl

BORN, DIES = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Authority:
    """One key and the certificate that carries it."""

    def __init__(
        self,
        common_name: str,
        issuer: Authority | None = None,
        *,
        ca: bool = True,
        path_length: int | None = None,
        constraints: bool = True,
        usage: bool | None = None,
        digital_signature: bool = False,
        not_before: datetime = BORN,
        not_after: datetime = DIES,
        curve: ec.EllipticCurve | None = None,
        hash_algorithm: Any = None,
        identifier: bytes | None = None,
        extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
        serial: int = 7,
        signed_by: Authority | None = None,
    ) -> None:
        self.name = name(common_name)
        self.key = ec.generate_private_key(curve or ec.SECP384R1())
        signer = signed_by or issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name((issuer or self).name)
            .public_key(self.key.public_key())
            .serial_number(serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier(
                    identifier
                    or x509.SubjectKeyIdentifier.from_public_key((issuer or self).key.public_key()).digest,
                    None,
                    None,
                ),
                critical=False,
            )
        )
        if constraints:
            builder = builder.add_extension(
                x509.BasicConstraints(ca, path_length if ca else None), critical=True
            )
        if usage is not False:
            builder = builder.add_extension(
                x509.KeyUsage(digital_signature or not ca, False, False, False, False, ca, ca, False, False),
                critical=True,
            )
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical)
        made = builder.sign(signer.key, hash_algorithm or hashes.SHA384())
        self.certificate = Certificate(made.public_bytes(Encoding.DER))

    def crl(
        self,
        *revoked: int,
        this_update: datetime = BORN,
        next_update: datetime = DIES,
        signed_by: Authority | None = None,
        extra: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> Crl:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(this_update)
            .next_update(next_update)
        )
        for serial in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(this_update).build()
            )
        for extension, critical in extra:
            builder = builder.add_extension(extension, critical)
        return Crl(builder.sign((signed_by or self).key, hashes.SHA384()).public_bytes(Encoding.DER))


def anchors(*roots: Authority, role: Role = "nvidia-rim") -> Anchors:
    """Anchors that trust these roots: what a caller who has no production roots would build."""
    return Anchors(tuple(Anchor(role, root.certificate) for root in roots))
