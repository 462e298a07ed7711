"""How much does verifying an H100 report cost over its signatures?"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA384
from lxml import etree

from attest import Anchors, Cache, verify
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.rim import Rim
from attest.nvidia.spdm import Report, decode_report
from attest.recognise import Found, recognise
from benchmarks.samples import AT, EVIDENCE, files, loaded
from benchmarks.timing import Result, compare

_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_ECDSA = ec.ECDSA(SHA384())


def run() -> Iterator[Result]:
    """warm: device chain and manifests known, a new report. cold: everything from bytes."""
    at = AT["h100"]
    raw = decode_report((EVIDENCE / "h100" / "report.txt").read_bytes())
    report = Report.parse(raw)
    _, endorsements = loaded("h100")
    signature, signed = _der(report.signature), report.tbs
    leaf_key = _key(endorsements.certificates[0].parsed)

    def floor_warm() -> None:
        leaf_key.verify(signature, signed, _ECDSA)

    anchors = Anchors.production()
    device_root, rim_root = (
        anchors.for_role(role)[0].certificate.parsed for role in ("nvidia-device", "nvidia-rim")
    )
    chain = [certificate.der for certificate in endorsements.certificates[:4]]
    # Each manifest with its own chain: following what both share only once is the verifier's to gain.
    rims = [rim for rim in endorsements.rims if isinstance(rim, Rim)]
    manifests = [(rim.raw, [c.der for c in rim.chain[:3]]) for rim in rims]

    def floor_cold() -> None:
        device = _follow(chain, device_root)
        device.verify(signature, signed, _ECDSA)
        for document, signers in manifests:
            _signed_manifest(document, _follow(signers, rim_root))

    blobs = [(path.name, path.read_bytes()) for path in files("h100")]
    cache = Cache()

    def warm() -> None:
        evidence = Evidence(devices=(DeviceEvidence(Report.parse(raw)),))
        verify(evidence, endorsements=endorsements, at=at, cache=cache)

    def cold() -> None:
        found = Found()
        for name, data in blobs:
            recognise(name, data, found)
        verify(found.evidence(), endorsements=found.endorsements(), at=at)

    yield compare("h100_warm", warm, floor_warm, target=1.5)
    yield compare("h100_cold", cold, floor_cold, target=1.5)


def _follow(chain: list[bytes], root: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """Every link up to the pinned root; the leaf's key. chain: leaf first."""
    issuer = root
    for der in reversed(chain):
        certificate = x509.load_der_x509_certificate(der)
        certificate.verify_directly_issued_by(issuer)
        issuer = certificate
    return _key(issuer)


def _signed_manifest(document: bytes, key: ec.EllipticCurvePublicKey) -> None:
    """One parse, one canonical form of the content, one of what is signed, one signature."""
    root = etree.fromstring(document, parser=etree.XMLParser(resolve_entities=False, no_network=True))
    element = root.find(f"{_DS}Signature")
    assert element is not None
    info = element.find(f"{_DS}SignedInfo")
    assert info is not None
    stated = element.findtext(f"{_DS}SignedInfo/{_DS}Reference/{_DS}DigestValue") or ""
    value = element.findtext(f"{_DS}SignatureValue") or ""
    signed_info = etree.tostring(info, method="c14n")
    root.remove(element)
    content = etree.tostring(root, method="c14n")
    assert hmac.compare_digest(hashlib.sha384(content).digest(), base64.b64decode(stated))
    key.verify(_der(base64.b64decode(value)), signed_info, _ECDSA)


def _key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _der(signature: bytes) -> bytes:
    half = len(signature) // 2
    return encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )
