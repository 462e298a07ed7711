"""Endorsements: what vendors sign about their hardware and firmware, as bytes handed in.

A file can add an endorsement, never an anchor. Everything here is unverified until a vendor's verifier
has followed it to a pinned root.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING

from attest.x509 import Certificate, Crl

if TYPE_CHECKING:
    from attest.nvidia.rim import Rim


@dataclass(frozen=True, slots=True)
class SignedDocument:
    """Intel collateral: the exact octets that are signed, the raw r‖s signature, the issuer chain.

    kind: `tcb-info` or `qe-identity`. body: from the inner object's `{` to its `}`. chain: may be empty
    when the signer is among `Endorsements.certificates`. fingerprint: SHA-256 over kind, signature, chain
    and body, made once: caches ask for it at every verification.
    """

    kind: str
    body: bytes
    signature: bytes
    chain: tuple[Certificate, ...] = ()
    fingerprint: bytes = field(init=False, repr=False, compare=False, default=b"")

    def __post_init__(self) -> None:
        # With the chain: the same signed octets beside other certificates are another question.
        head = [self.kind.encode(), self.signature, *(certificate.fingerprint for certificate in self.chain)]
        framed = b"".join(len(part).to_bytes(4, "big") + part for part in head)
        digest = hashlib.sha256(len(head).to_bytes(2, "big") + framed + self.body).digest()
        object.__setattr__(self, "fingerprint", digest)


@dataclass(frozen=True)
class Endorsements:
    """certificates and crls: of any vendor, in any order. documents: Intel TCB info and QE identities.
    rims: NVIDIA reference integrity manifests, parsed, or as raw XML. ocsp: DER answers."""

    certificates: tuple[Certificate, ...] = ()
    crls: tuple[Crl, ...] = ()
    documents: tuple[SignedDocument, ...] = ()
    rims: tuple[Rim | bytes, ...] = ()
    ocsp: tuple[bytes, ...] = ()

    @cached_property
    def signed_digest(self) -> bytes:
        """SHA-256 over certificates, CRLs and documents in their order; made once: caches ask for it at
        every verification."""
        kinds = (self.certificates, self.crls, self.documents)
        framed = [
            len(kind).to_bytes(4, "big") + b"".join([one.fingerprint for one in kind]) for kind in kinds
        ]
        return hashlib.sha256(b"".join(framed)).digest()

    def __add__(self, other: Endorsements) -> Endorsements:
        return Endorsements(
            *(
                tuple(dict.fromkeys((*getattr(self, part.name), *getattr(other, part.name))))
                for part in fields(Endorsements)
            )
        )
