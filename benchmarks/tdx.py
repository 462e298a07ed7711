"""How much does verifying a TDX quote cost over its signatures?"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from attest import Anchors, Cache, verify
from attest.evidence import Evidence
from attest.recognise import Found, recognise
from attest.tdx.quote import Quote
from attest.x509 import parse_certificates
from benchmarks.samples import AT, EVIDENCE, files, loaded
from benchmarks.timing import Result, compare


def run() -> Iterator[Result]:
    """warm: platform and collateral known, a new quote. cold: everything from bytes."""
    raw = (EVIDENCE / "tdx-v4" / "quote.bin").read_bytes()
    at = AT["tdx-v4"]
    quote = Quote.parse(raw)
    _, endorsements = loaded("tdx-v4")
    chain = parse_certificates(quote.certification_data, where="quote")
    pck_key = _key(chain[0].parsed)
    point = b"\x04" + quote.attestation_key
    signature, qe_signature = _der(quote.signature), _der(quote.qe_report_signature)
    named = quote.attestation_key + quote.qe_auth_data
    qe_report, report_data, signed = quote.qe_report.raw, quote.qe_report.report_data, quote.signed
    curve, ecdsa = ec.SECP256R1(), ec.ECDSA(SHA256())

    def quote_signatures(key: ec.EllipticCurvePublicKey) -> None:
        # The attestation key arrives as bytes, so loading its point cannot be saved.
        key.verify(qe_signature, qe_report, ecdsa)
        hmac.compare_digest(hashlib.sha256(named).digest() + bytes(32), report_data)
        ec.EllipticCurvePublicKey.from_encoded_point(curve, point).verify(signature, signed, ecdsa)

    def floor_warm() -> None:
        quote_signatures(pck_key)

    root = next(a.certificate for a in Anchors.production().for_role("intel-sgx-root")).parsed
    pck, ca = chain[0].der, chain[1].der
    documents = [(one.chain[0].der, one.body, _der(one.signature)) for one in endorsements.documents]
    # Each document with its own chain: following what both share only once is the verifier's to gain.
    root_crl, pck_crl = (
        next(crl.der for crl in endorsements.crls if crl.parsed.issuer == issuer.subject)
        for issuer in (root, chain[1].parsed)
    )

    def floor_cold() -> None:
        issuer = x509.load_der_x509_certificate(ca)
        issuer.verify_directly_issued_by(root)
        leaf = x509.load_der_x509_certificate(pck)
        leaf.verify_directly_issued_by(issuer)
        for der, body, document_signature in documents:
            signer = x509.load_der_x509_certificate(der)
            signer.verify_directly_issued_by(root)
            _key(signer).verify(document_signature, body, ecdsa)
            json.loads(body)
        for crl, by in ((root_crl, root), (pck_crl, issuer)):
            assert x509.load_der_x509_crl(crl).is_signature_valid(_key(by))
        quote_signatures(_key(leaf))

    blobs = [(path.name, path.read_bytes()) for path in files("tdx-v4")]
    cache = Cache()

    def warm() -> None:
        verify(Evidence(Quote.parse(raw)), endorsements=endorsements, at=at, cache=cache)

    def cold() -> None:
        found = Found()
        for name, data in blobs:
            recognise(name, data, found)
        verify(found.evidence(), endorsements=found.endorsements(), at=at)

    yield compare("tdx_warm", warm, floor_warm, target=1.25, rounds=500)
    yield compare("tdx_cold", cold, floor_cold, target=1.25)


def _key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
