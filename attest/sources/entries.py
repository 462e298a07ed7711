"""Endorsements as files and as entries of a bundle: exact bytes, under names that say what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attest.bundle import Kind
from attest.endorsements import Endorsements, SignedDocument
from attest.tdx.collateral import TCB_INFO
from attest.x509 import Certificate

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def entries_of(endorsements: Endorsements) -> Iterator[tuple[str, Kind, bytes]]:
    """(file name, kind of bundle entry, bytes) of each endorsement. Names are safe and tell equals apart."""
    chains = tuple(link for document in endorsements.documents for link in document.chain)
    for certificate in dict.fromkeys((*endorsements.certificates, *chains)):
        yield f"{_name(certificate)}.der", "certificates", certificate.der
    for crl in endorsements.crls:
        issuer = crl.issuer_text.partition("CN=")[2].partition(",")[0]
        yield f"{_safe(issuer)}-{crl.fingerprint.hex()[:8]}.crl", "crl", crl.der
    for document in endorsements.documents:
        yield (
            f"{document.kind}-{document.fingerprint.hex()[:8]}.json",
            "intel-collateral",
            pcs_answer(document),
        )
    for rim in endorsements.rims:
        if isinstance(rim, bytes):
            continue  # only what was parsed is ever handed on
        name = f"{rim.stated.edition}-{rim.stated.product}-{rim.stated.version}"
        yield f"rim-{_safe(name)}-{rim.digest.hex()[:8]}.xml", "rim", rim.raw
    for answer in endorsements.ocsp:
        from attest.nvidia.ocsp_answer import Answer

        parsed = Answer.parse(answer)
        serial = f"{parsed.singles[0].serial:x}"[:40]
        yield f"ocsp-{_safe(serial)}-{parsed.fingerprint.hex()[:8]}.ocsp", "ocsp", answer


def pcs_answer(document: SignedDocument) -> bytes:
    """The body of Intel's answer: the signed octets as they are, and the signature in hex."""
    member = b"tcbInfo" if document.kind == TCB_INFO else b"enclaveIdentity"
    return (
        b'{"' + member + b'":' + document.body + b',"signature":"' + document.signature.hex().encode() + b'"}'
    )


def _name(certificate: Certificate) -> str:
    return f"{_safe(certificate.common_name)}-{certificate.fingerprint.hex()[:8]}"


def _safe(text: str) -> str:
    return _UNSAFE.sub("-", text)[:60].strip("-.") or "unnamed"
