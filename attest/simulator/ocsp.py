"""OCSP answers as NVIDIA's responders give them: one certificate, CertID with SHA-384.

Each issuer has a responder of its own, whose certificate comes along with the answer.
Source: RFC 6960 §4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest.simulator import der
from attest.simulator.certificates import (
    BASIC_CONSTRAINTS,
    CertificatePlan,
    Extension,
    authority_key_id,
    day_of,
    key_usage,
    name,
    subject_key_id,
)
from attest.simulator.keys import Keyring

EXTENDED_KEY_USAGE = "2.5.29.37"
NONCE = "1.3.6.1.5.5.7.48.1.2"
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_HASHES = {"sha1": "1.3.14.3.2.26", "sha384": "2.16.840.1.101.3.4.2.2"}
_SHA384_ECDSA = der.sequence(der.oid("1.2.840.10045.4.3.3"))
_ROLES = {
    "device": ("", "brom", "provisioner", "identity"),
    "rim": ("rim-signer", "rim-third", "rim-authority"),
}
_YEAR = timedelta(days=365)


@dataclass
class OcspPlan:
    """One answer before it is signed.

    subject, issuer: of the chain; CertID follows what is in them when built. status: good, revoked or unknown;
    reason: code of a revocation, 6 for on hold. responder: None where the issuer answers itself. spoken_of: how
    often the certificate is spoken of. critical: whether the statement has an unknown critical extension. edit:
    last change to the bytes.
    """

    file: str
    subject: CertificatePlan
    issuer: CertificatePlan
    this_update: datetime
    next_update: datetime | None
    produced_at: datetime
    responder: CertificatePlan | None
    status: str = "good"
    reason: int | None = None
    serial: int | None = None
    hash_name: str = "sha384"
    nonce: bytes | None = None
    spoken_of: int = 1
    critical: bool = False
    signer: str = ""
    outcome: int = 0
    singles: list[bytes] = field(default_factory=list)
    edit: Callable[[bytes], bytes] | None = None

    def build(self, keys: Keyring) -> bytes:
        if self.outcome:
            return der.sequence(der.enumerated(self.outcome))
        speaker = self.responder or self.issuer
        single = self.single(keys)
        nonce = () if self.nonce is None else (
            der.explicit(1, der.sequence(Extension(NONCE, der.octets(self.nonce)).encoded())),
        )  # fmt: skip
        signed = der.sequence(
            der.explicit(2, der.octets(keys.identifier(speaker.key))),
            der.generalized(self.produced_at),
            der.sequence(*[single] * self.spoken_of, *self.singles),
            *nonce,
        )
        certificates = () if self.responder is None else (
            der.explicit(0, der.sequence(self.responder.build(keys))),
        )  # fmt: skip
        signature = keys.sign_once(self.signer or speaker.key, signed)
        basic = der.sequence(signed, _SHA384_ECDSA, der.bits(signature), *certificates)
        answer = der.sequence(
            der.enumerated(0), der.explicit(0, der.sequence(der.oid(_BASIC), der.octets(basic)))
        )
        return self.edit(answer) if self.edit else answer

    def single(self, keys: Keyring) -> bytes:
        """The SingleResponse."""
        hashed = [self.issuer.subject.public_bytes(), keys.point(self.issuer.key)]
        digests = [hashlib.new(self.hash_name, data, usedforsecurity=False).digest() for data in hashed]
        unknown = Extension("1.3.6.1.4.1.5703.99", der.null(), True).encoded()
        until = () if self.next_update is None else (der.explicit(0, der.generalized(self.next_update)),)
        return der.sequence(
            der.sequence(
                der.sequence(der.oid(_HASHES[self.hash_name]), der.null()),
                *map(der.octets, digests),
                der.integer(self.subject.serial if self.serial is None else self.serial),
            ),
            self._status(),
            der.generalized(self.this_update),
            *until,
            *((der.explicit(1, der.sequence(unknown)),) if self.critical else ()),
        )

    def _status(self) -> bytes:
        if self.status == "good":
            return der.implicit(0, b"")
        if self.status == "unknown":
            return der.implicit(2, b"")
        reason = () if self.reason is None else (der.explicit(0, der.enumerated(self.reason)),)
        return der.explicit(1, der.generalized(self.this_update), *reason)


def answers(
    keys: Keyring, at: datetime, device: list[CertificatePlan], rim: list[CertificatePlan]
) -> dict[str, OcspPlan]:
    """Good answers for a device's chain and its manifests' signers, by the certificate they are about.

    Of midnight and good for 36 hours: the same bytes all day, and no surprise at its end. (NVIDIA's are good for 24.)
    """
    this_update = day_of(at)
    made = {}
    for kind, chain in (("device", device), ("rim", rim)):
        for role, subject, issuer in zip(_ROLES[kind], chain, chain[1:], strict=False):
            if not role:
                continue
            made[role] = OcspPlan(
                f"simulated-ocsp-{subject.key.partition('/')[2]}.der",
                subject,
                issuer,
                this_update,
                this_update + timedelta(hours=36),
                this_update,
                responder(keys, issuer, day_of(at), no_check=kind == "rim"),
            )
    return made


def responder(keys: Keyring, issuer: CertificatePlan, day: datetime, *, no_check: bool) -> CertificatePlan:
    """The certificate of an issuer's own responder. no_check: as NVIDIA's have it for manifests only."""
    key = f"p384/ocsp-{issuer.key.partition('/')[2]}"
    title = str(issuer.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    subject = name(f"CN=NVIDIA OCSP Responder {title.removeprefix('NVIDIA ')},O=NVIDIA Corporation,C=US")
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]).public_bytes()
    plan = CertificatePlan(
        subject,
        issuer.subject,
        key,
        issuer.key,
        int.from_bytes(hashlib.sha256(b"simulated serial " + key.encode()).digest()[:16], "big") >> 1,
        day - _YEAR,
        day + 2 * _YEAR,
        [
            Extension(BASIC_CONSTRAINTS, der.sequence()),
            key_usage("digital_signature"),
            Extension(EXTENDED_KEY_USAGE, purposes, True),
            subject_key_id(keys.identifier(key)),
            authority_key_id(keys.identifier(issuer.key)),
        ],
    )
    if no_check:
        plan.put(Extension("1.3.6.1.5.5.7.48.1.5", der.null()))
    return plan
