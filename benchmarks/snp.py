"""How much does verifying a SEV-SNP report cost over its signatures?"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384

from attest import Cache, Endorsements, verify
from attest.anchors import Anchors
from attest.evidence import Evidence
from attest.recognise import Found, recognise
from attest.simulator import Simulator
from attest.snp.report import Report
from attest.x509 import Certificate
from benchmarks.samples import AT, EVIDENCE, files
from benchmarks.timing import Result, compare

_ECDSA = ec.ECDSA(SHA384())


def run() -> Iterator[Result]:
    """warm: chain and CRL known, a new report. cold: a new chip's VCEK and report, ASK and CRL known (simulated
    chips, as one needs many). first: everything from bytes."""
    raw = (EVIDENCE / "snp-genoa" / "report.bin").read_bytes()
    vcek = (EVIDENCE / "snp-genoa" / "vcek.der").read_bytes()
    at = AT["snp-genoa"]
    ask = next(c.parsed for c in Anchors.production().intermediates if c.common_name == "SEV-Genoa")
    warnings.simplefilter("ignore")
    leaf = x509.load_der_x509_certificate(vcek)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signature, signed = _der(raw), raw[:0x2A0]

    def floor_warm() -> None:
        key.verify(signature, signed, _ECDSA)

    def floor_first() -> None:
        fresh = x509.load_der_x509_certificate(vcek)
        fresh.verify_directly_issued_by(ask)
        fresh_key = fresh.public_key()
        assert isinstance(fresh_key, ec.EllipticCurvePublicKey)
        fresh_key.verify(signature, signed, _ECDSA)

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

    def first() -> None:
        found = load()
        verify(found.evidence(), endorsements=found.endorsements(), at=at)

    yield compare("snp_warm", warm, floor_warm, target=1.15)
    yield _new_chip()
    yield compare("snp_first", first, floor_first)


def _new_chip() -> Result:
    simulator = Simulator.create(datetime(2026, 11, 23, 12, tzinfo=UTC))
    anchors, at = simulator.anchors(), simulator.at
    known, new = (simulator.snp(chip_number=number) for number in (0, 1))
    vcek, ask, _ = new.certificates
    issuer = x509.load_der_x509_certificate(ask)
    common = Endorsements((Certificate(ask),), new.endorsements.crls)

    def prepare() -> Cache:
        cache = Cache()
        verify(known.evidence, endorsements=known.endorsements, at=at, anchors=anchors, cache=cache)
        return cache

    def cold(cache: Cache) -> None:
        endorsements = Endorsements((Certificate(vcek), *common.certificates), common.crls)
        verify(
            Evidence(Report.parse(new.raw)), endorsements=endorsements, at=at, anchors=anchors, cache=cache
        )

    def floor() -> None:
        leaf = x509.load_der_x509_certificate(vcek)
        leaf.verify_directly_issued_by(issuer)
        key = leaf.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(_der(new.raw), new.raw[:0x2A0], _ECDSA)

    return compare("snp_cold", cold, floor, target=1.15, prepare=prepare)


def _der(report: bytes) -> bytes:
    r, s = report[0x2A0:0x2E8], report[0x2E8:0x330]
    return encode_dss_signature(int.from_bytes(r, "little"), int.from_bytes(s, "little"))
