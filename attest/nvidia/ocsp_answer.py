"""An OCSP answer as bytes: whom it speaks of, what it says, who signed it.

`Answer.parse` believes nothing; `Answer.holds` says whether it is signed by the responder it brings along. What
it is worth for a certificate is asked in `attest.nvidia.ocsp`.
Source: RFC 6960 §4.2; DER as ITU-T X.690 writes it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.der import BIT_STRING, BOOLEAN, ENUMERATED, Tlv, read_der
from attest.errors import Malformed
from attest.problems import malformed
from attest.x509 import Certificate

if TYPE_CHECKING:
    from cryptography.x509 import ocsp

MAX_ANSWER = 64 << 10
MAX_CERTIFICATES = 4
MAX_SINGLES = 64
_WHERE = "OCSP answer"
_BASIC = "1.3.6.1.5.5.7.48.1.1"
_SIGNATURES: Mapping[str, hashes.HashAlgorithm] = {
    "1.2.840.10045.4.3.2": hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
}
HASHES: Mapping[str, Callable[[bytes], Any]] = {
    # SHA-1 names a certificate here, it vouches for nothing: RFC 5019 asks for it, NVIDIA's SDK too.
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}

Said = Literal["good", "revoked", "hold", "unknown"]


@dataclass(frozen=True, slots=True)
class Single:
    """What an answer says of one certificate.

    serial, issuer_name_hash, issuer_key_hash: the CertID, hashed with `hash_name`. said: hold is a revocation
    with the reason certificateHold. reason, since: of a revocation. next_update: None where none is promised.
    """

    serial: int
    hash_name: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    said: Said
    this_update: datetime
    next_update: datetime | None
    reason: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, believed by nobody.

    raw, fingerprint: the DER and its SHA-256. singles: at least one. responder: the certificate brought along
    whose key or name is the responder's; None where the answer brings none, as when a CA answers itself.
    responder_key_hash (SHA-1) or responder_name (DER): how the answer names its responder. nonce: None where
    it carries none.
    """

    raw: bytes
    fingerprint: bytes
    produced_at: datetime
    singles: tuple[Single, ...]
    responder: Certificate | None
    responder_key_hash: bytes | None
    responder_name: bytes | None
    nonce: bytes | None
    tbs: bytes
    signature: bytes
    signature_algorithm: str

    @classmethod
    def parse(cls, data: bytes) -> Answer:
        """Read a DER OCSPResponse. Raises Malformed.

        A responder that did not answer (tryLater, unauthorized) said nothing of any certificate: such a
        response is refused under a code of its own.
        """
        from cryptography.x509 import ocsp

        if len(data) > MAX_ANSWER:
            _refuse(f"≤ {MAX_ANSWER} bytes", len(data))
        try:
            _check_frame(data)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # odd names warn, on standard error
                return _read(cls, bytes(data), ocsp.load_der_ocsp_response(data))
        except Malformed as error:
            if error.problems[0].code.startswith("nvidia."):
                raise
            _refuse("a basic OCSP response", error.problems[0])
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
            _refuse("a basic OCSP response", str(error)[:120])

    def holds(self, key: Any) -> bool:
        """Whether the answer is signed with this public key: ECDSA with SHA-256 or longer."""
        algorithm = _SIGNATURES.get(self.signature_algorithm)
        if algorithm is None or not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        try:
            key.verify(self.signature, self.tbs, ec.ECDSA(algorithm))
        except InvalidSignature:
            return False
        return True

    def names(self, certificate: Certificate) -> bool:
        """Whether the responder that the answer names is the holder of this certificate."""
        return _names(self.responder_key_hash, self.responder_name, certificate)


def key_hash(hash_name: str, certificate: Certificate) -> bytes | None:
    """The hash of a certificate's public key as CertID and ResponderID take it: of the point alone."""
    key = certificate.public_key
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return bytes(HASHES[hash_name](point).digest())


def _names(by_key: bytes | None, by_name: bytes | None, certificate: Certificate) -> bool:
    if by_key is not None:
        return by_key == key_hash("sha1", certificate)
    return by_name == certificate.subject_der


def _read(cls: type[Answer], data: bytes, parsed: ocsp.OCSPResponse) -> Answer:
    singles = tuple(_single(single) for single in parsed.responses)
    if not 1 <= len(singles) <= MAX_SINGLES:
        _refuse(f"1 to {MAX_SINGLES} certificates spoken of", len(singles))
    brought = parsed.certificates
    if len(brought) > MAX_CERTIFICATES:
        _refuse(f"≤ {MAX_CERTIFICATES} certificates", len(brought))
    certificates = [
        Certificate(one.public_bytes(Encoding.DER), where=f"{_WHERE}, responder") for one in brought
    ]
    name = parsed.responder_name
    named = parsed.responder_key_hash, None if name is None else name.public_bytes()
    responders = [certificate for certificate in certificates if _names(*named, certificate)]
    if certificates and len(responders) != 1:
        _refuse("one certificate of the responder it names", len(responders))
    nonce = None
    for extension in parsed.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = extension.value.nonce
        elif extension.critical:
            _refuse("no critical extension but the nonce", extension.oid.dotted_string)
    return cls(
        raw=data,
        fingerprint=hashlib.sha256(data).digest(),
        produced_at=parsed.produced_at_utc,
        singles=singles,
        responder=responders[0] if responders else None,
        responder_key_hash=named[0],
        responder_name=named[1],
        nonce=nonce,
        tbs=parsed.tbs_response_bytes,
        signature=parsed.signature,
        signature_algorithm=parsed.signature_algorithm_oid.dotted_string,
    )


def _single(single: ocsp.OCSPSingleResponse) -> Single:
    from cryptography.x509 import ocsp

    hash_name = single.hash_algorithm.name
    if hash_name not in HASHES:
        _refuse("SHA-1 or SHA-2 in CertID", hash_name)
    said: Said = "unknown"
    reason = None
    if single.certificate_status == ocsp.OCSPCertStatus.GOOD:
        said = "good"
    elif single.certificate_status == ocsp.OCSPCertStatus.REVOKED:
        flag = single.revocation_reason
        reason = None if flag is None else flag.value
        said = "hold" if flag is x509.ReasonFlags.certificate_hold else "revoked"
    return Single(
        single.serial_number,
        hash_name,
        single.issuer_name_hash,
        single.issuer_key_hash,
        said,
        single.this_update_utc,
        single.next_update_utc,
        reason,
        single.revocation_time_utc,
    )


def _check_frame(data: bytes) -> None:
    """What `cryptography` reads past: the status beside a body, unused bits, extensions of single responses.

    Raises Malformed. Source: RFC 6960 §4.2.1.
    """
    parts = read_der(data, where=_WHERE).sequence()
    if not parts or parts[0].tag != ENUMERATED:
        _refuse("a response status", "none")
    status = parts[0].enumerated()
    if status != 0:
        raise malformed(
            "The OCSP responder gave no answer",
            where=_WHERE,
            expected="successful",
            found={1: "malformedRequest", 2: "internalError", 3: "tryLater", 5: "sigRequired",
                   6: "unauthorized"}.get(status, status),
            code="nvidia.ocsp.unsuccessful",
        )  # fmt: skip
    if len(parts) != 2:
        _refuse("a status and an answer", f"{len(parts)} elements")
    wrapped = parts[1].context(0, constructed=True).children()
    if len(wrapped) != 1 or len(body := wrapped[0].sequence()) != 2 or body[0].oid() != _BASIC:
        _refuse("a basic OCSP response", "another type")
    basic = read_der(body[1].octets(), where=_WHERE).sequence()
    if len(basic) not in (3, 4) or basic[2].expect(BIT_STRING).content[:1] != b"\0":
        _refuse("a signature of whole bytes", "unused bits")
    for element in basic[0].sequence():
        if element.tag == 0x30:
            _check_singles(element)


def _check_singles(responses: Tlv) -> None:
    for single in responses.children():
        # Behind CertID, status and thisUpdate: the status of a revocation has the same tag as the extensions.
        for part in single.sequence()[3:]:
            if part.tag != 0xA1:
                continue
            for extension in (one for wrapper in part.children() for one in wrapper.sequence()):
                fields = extension.sequence()
                if len(fields) == 3 and fields[1].expect(BOOLEAN).boolean():
                    _refuse("no critical extension of a single response", fields[0].oid())


def _refuse(expected: str, found: object) -> NoReturn:
    raise malformed(
        "An OCSP answer is not built as one",
        where=_WHERE,
        expected=expected,
        found=found,
        code="nvidia.ocsp.malformed",
    )
