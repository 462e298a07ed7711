"""How much does verifying a SEV-SNP report cost over its signatures?"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from attest import Cache, verify
from attest.anchors import Anchors
from attest.evidence import Evidence
from attest.recognise import Found, recognise
from attest.snp.report import Report
from benchmarks.samples import AT, EVIDENCE, files
from benchmarks.timing import Result, compare


def run() -> Iterator[Result]:
    """warm: chain and CRL known, a new report. cold: everything from bytes."""
    raw = (EVIDENCE / "snp-genoa" / "report.bin").read_bytes()
    vcek = (EVIDENCE / "snp-genoa" / "vcek.der").read_bytes()
    at = AT["snp-genoa"]
    ask = next(c.parsed for c in Anchors.production().intermediates if c.common_name == "SEV-Genoa")
    warnings.simplefilter("ignore")
    leaf = x509.load_der_x509_certificate(vcek)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature = encode_dss_signature(
        int.from_bytes(raw[0x2A0:0x2E8], "little"), int.from_bytes(raw[0x2E8:0x330], "little")
    )
    signed, ecdsa = raw[:0x2A0], ec.ECDSA(SHA384())

    def floor_warm() -> None:
        key.verify(signature, signed, ecdsa)

    def floor_cold() -> None:
        fresh = x509.load_der_x509_certificate(vcek)
        fresh.verify_directly_issued_by(ask)
        fresh_key = fresh.public_key()
        assert isinstance(fresh_key, ec.EllipticCurvePublicKey)
        fresh_key.verify(signature, signed, ecdsa)

    blobs = [(path.name, path.read_bytes()) for path in files("snp-genoa")]

    def load() -> Found:
        found = Found()
        for name, data in blobs:
            recognise(name, data, found)
        return found

    endorsements = load().endorsements()
    cache = Cache()

    def warm() -> None:
        verify(Evidence(Report.parse(raw)), endorsements=endorsements, at=at, cache=cache)

    def cold() -> None:
        found = load()
        verify(found.evidence(), endorsements=found.endorsements(), at=at)

    yield compare("snp_warm", warm, floor_warm, target=1.3)
    yield compare("snp_cold", cold, floor_cold)
