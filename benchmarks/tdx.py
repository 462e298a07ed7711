"""How much does verifying a TDX quote cost over its signatures?"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from attest import Anchors, Cache, verify
from attest.evidence import Evidence
from attest.recognise import Found, recognise
from attest.simulator import Simulator
from attest.tdx.quote import Quote
from attest.x509 import parse_certificates
from benchmarks.samples import AT, EVIDENCE, files, loaded
from benchmarks.timing import Result, compare

_ECDSA = ec.ECDSA(SHA256())


def run() -> Iterator[Result]:
    """warm: platform and collateral known, a new quote. cold: a new platform's PCK certificate and quote, its CA
    and collateral known (simulated platforms, as one needs two of one CA). first: everything from bytes."""
    raw = (EVIDENCE / "tdx-v4" / "quote.bin").read_bytes()
    at = AT["tdx-v4"]
    quote = Quote.parse(raw)
    _, endorsements = loaded("tdx-v4")
    chain = parse_certificates(quote.certification_data, where="quote")
    pck_key = _key(chain[0].parsed)
    quote_signatures = _signatures_of(quote)

    def floor_warm() -> None:
        # The attestation key arrives in each quote; remembering it is the verifier's to gain.
        quote_signatures(pck_key, _point(quote))

    root = next(a.certificate for a in Anchors.production().for_role("intel-sgx-root")).parsed
    pck, ca = chain[0].der, chain[1].der
    documents = [(one.chain[0].der, one.body, _der(one.signature)) for one in endorsements.documents]
    # Each document with its own chain: following what both share only once is the verifier's to gain.
    root_crl, pck_crl = (
        next(crl.der for crl in endorsements.crls if crl.parsed.issuer == issuer.subject)
        for issuer in (root, chain[1].parsed)
    )

    def floor_first() -> None:
        issuer = x509.load_der_x509_certificate(ca)
        issuer.verify_directly_issued_by(root)
        leaf = x509.load_der_x509_certificate(pck)
        leaf.verify_directly_issued_by(issuer)
        for der, body, document_signature in documents:
            signer = x509.load_der_x509_certificate(der)
            signer.verify_directly_issued_by(root)
            _key(signer).verify(document_signature, body, _ECDSA)
            json.loads(body)
        for crl, by in ((root_crl, root), (pck_crl, issuer)):
            assert x509.load_der_x509_crl(crl).is_signature_valid(_key(by))
        quote_signatures(_key(leaf), _point(quote))

    blobs = [(path.name, path.read_bytes()) for path in files("tdx-v4")]
    cache = Cache()

    def warm() -> None:
        verify(Evidence(Quote.parse(raw)), endorsements=endorsements, at=at, cache=cache)

    def first() -> None:
        found = Found()
        for name, data in blobs:
            recognise(name, data, found)
        verify(found.evidence(), endorsements=found.endorsements(), at=at)

    yield compare("tdx_warm", warm, floor_warm, target=1.25, rounds=500)
    yield _new_platform()
    yield compare("tdx_first", first, floor_first)


def _new_platform() -> Result:
    simulator = Simulator.create(datetime(2026, 11, 23, 12, tzinfo=UTC))
    anchors, at = simulator.anchors(), simulator.at
    known, new = (simulator.tdx(platform=number) for number in (0, 1))
    endorsements = known.endorsements
    quote = Quote.parse(new.raw)
    leaf, ca, _ = (one.der for one in parse_certificates(quote.certification_data, where="quote"))
    issuer = x509.load_der_x509_certificate(ca)
    quote_signatures = _signatures_of(quote)

    def prepare() -> Cache:
        cache = Cache()
        verify(known.evidence, endorsements=endorsements, at=at, anchors=anchors, cache=cache)
        return cache

    def cold(cache: Cache) -> None:
        verify(Evidence(Quote.parse(new.raw)), endorsements=endorsements, at=at, anchors=anchors, cache=cache)

    def floor() -> None:
        certificate = x509.load_der_x509_certificate(leaf)
        certificate.verify_directly_issued_by(issuer)
        quote_signatures(_key(certificate), _point(quote))

    return compare("tdx_cold", cold, floor, target=1.25, prepare=prepare)


def _point(quote: Quote) -> ec.EllipticCurvePublicKey:
    """The attestation key, which arrives as bytes."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + quote.attestation_key)


def _signatures_of(
    quote: Quote,
) -> Callable[[ec.EllipticCurvePublicKey, ec.EllipticCurvePublicKey], None]:
    """What a quote costs at least, whose PCK key and attestation key are at hand."""
    signature, qe_signature = _der(quote.signature), _der(quote.qe_report_signature)
    named = quote.attestation_key + quote.qe_auth_data
    qe_report, report_data, signed = quote.qe_report.raw, quote.qe_report.report_data, quote.signed

    def signatures(pck: ec.EllipticCurvePublicKey, attestation: ec.EllipticCurvePublicKey) -> None:
        pck.verify(qe_signature, qe_report, _ECDSA)
        hmac.compare_digest(hashlib.sha256(named).digest() + bytes(32), report_data)
        attestation.verify(signature, signed, _ECDSA)

    return signatures


def _key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
