"""What to ask NVIDIA's OCSP responder: which certificates, and the request for one of them.

Asked are the certificates whose state their vendor may still change: of a device all but its leaf (made by the
device at each boot) and the root, of a manifest all but the root. Nothing here is verified: a question about a
forged chain brings an answer that helps nobody.
Source: RFC 6960 §4.1; RFC 9654 (nonce); NVIDIA OCSP service.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from attest.x509 import Certificate

if TYPE_CHECKING:
    from attest.nvidia.containers import DeviceEvidence
    from attest.nvidia.rim import Rim

Pair = tuple[Certificate, Certificate]
MAX_NONCE = 128


def build_request(certificate: Certificate, issuer: Certificate, nonce: bytes | None = None) -> bytes:
    """The DER OCSPRequest for one certificate: CertID with SHA-384, and a nonce where one is given.

    nonce: 1 to 128 bytes; NVIDIA's own tools send 32. Responders behind a cache answer without it.
    Raises ValueError.
    """
    from cryptography.x509 import OCSPNonce, ocsp

    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate.parsed, issuer.parsed, hashes.SHA384())
    if nonce is not None:
        if not 1 <= len(nonce) <= MAX_NONCE:
            raise ValueError(f"an OCSP nonce has 1 to {MAX_NONCE} bytes")
        builder = builder.add_extension(OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def certificates_to_ask(device: DeviceEvidence) -> list[Pair]:
    """(certificate, issuer) for certificates 1, 2 and 3 of the chain that came with a device's report.

    Empty where the chain comes with the endorsements: see `device_pairs`.
    """
    return device_pairs(device.chain or ())


def rim_certificates_to_ask(rim: Rim) -> list[Pair]:
    """(certificate, issuer) for certificates 0, 1 and 2 of a manifest's chain."""
    return rim_pairs(rim.chain)


def device_pairs(chain: Sequence[Certificate]) -> list[Pair]:
    """The same of a device chain, leaf first."""
    return list(pairwise(chain[1:5]))


def rim_pairs(chain: Sequence[Certificate]) -> list[Pair]:
    """The same of a manifest signer's chain, leaf first."""
    return list(pairwise(chain[:4]))
