"""The signature of a report (AMD 56860, ATTESTATION_REPORT signature)."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from attest.snp.report import Report
from attest.x509 import Certificate

_ECDSA = ec.ECDSA(SHA384())
_P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
)


def is_signed_by(report: Report, leaf: Certificate) -> bool:
    """ECDSA P-384 with SHA-384 over the signed bytes; r and s are little-endian in the report."""
    key = leaf.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    r = int.from_bytes(report.signature_r, "little")
    s = int.from_bytes(report.signature_s, "little")
    if not (0 < r < _P384_ORDER and 0 < s < _P384_ORDER):
        return False
    try:
        key.verify(encode_dss_signature(r, s), report.signed, _ECDSA)
    except InvalidSignature:
        return False
    return True
