"""Collateral as the field hands it round, turned into endorsements; nothing here is believed.

Intel signs the exact octets of an inner JSON object, so the octets are cut out of the answer as they
stand and never written anew. Source: Intel PCS API v4; the container of the dcap-qvl project.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attest.canonical import read_json
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.problems import malformed
from attest.tdx.tcb_info import MAX_SIZE
from attest.x509 import Certificate, Crl, parse_certificates

TCB_INFO, QE_IDENTITY = "tcb-info", "qe-identity"
_KINDS = {"tcbInfo": TCB_INFO, "enclaveIdentity": QE_IDENTITY}

_HEAD = re.compile(rb'\s*\{\s*"(tcbInfo|enclaveIdentity)"\s*:\s*(?=\{)')
_TAIL = re.compile(rb'\s*,\s*"signature"\s*:\s*"([0-9a-fA-F]{128})"\s*\}\s*\Z')


def read_pcs(body: bytes, chain: Sequence[Certificate] = ()) -> SignedDocument:
    """An answer of Intel's service: `{"tcbInfo":{…},"signature":"…"}` or `{"enclaveIdentity":…}`.

    chain: from the answer's header, leaf first; empty when the signing certificate comes among the other
    endorsements. The signed octets go from the inner object's `{` to the `}` before the last
    `,"signature"`. Raises Malformed.
    """
    if len(body) > MAX_SIZE:
        raise _broken("collateral", f"≤ {MAX_SIZE} bytes", len(body))
    head = _HEAD.match(body)
    cut = body.rfind(b'"signature"')
    comma = body.rfind(b",", 0, cut) if cut > 0 else -1
    if head is None or comma < head.end():
        raise _broken("collateral", '{"tcbInfo":{…},"signature":"…"}', None)
    end = len(body[:comma].rstrip())
    tail = _TAIL.match(body, end)
    if tail is None or body[end - 1 : end] != b"}":
        raise _broken("collateral.signature", "64 bytes of hex after the signed object", None)
    name = head.group(1).decode()
    signed = body[head.end() : end]
    # One JSON value between a fixed head and a fixed tail: who reads the whole sees this very object.
    read_json(signed, where=name, limit=MAX_SIZE)
    return SignedDocument(_KINDS[name], signed, bytes.fromhex(tail.group(1).decode()), tuple(chain))


def read_dcap_qvl(document: Mapping[str, object], where: str) -> Endorsements:
    """The collateral object of dcap-qvl: PEM chains, CRLs and signatures in hex, signed JSON as text.

    A `pck_certificate_chain` goes to the certificates, for quotes that carry none. Raises Malformed.
    """

    def text(name: str) -> str:
        value = document.get(name)
        if not isinstance(value, str):
            raise _broken(f"{where} {name}", "text", None if value is None else type(value).__name__)
        return value

    def raw(name: str, size: int | None = None) -> bytes:
        value = text(name)
        try:
            data = bytes.fromhex(value)
        except ValueError:
            raise _broken(f"{where} {name}", "hex", value[:16]) from None
        if size is not None and len(data) != size:
            raise _broken(f"{where} {name}", f"{size} bytes", len(data))
        return data

    def chain(name: str) -> tuple[Certificate, ...]:
        # A character outside ASCII then fails as "not PEM".
        return parse_certificates(text(name).encode("utf-8", "replace"), where=f"{where} {name}")

    def signed(kind: str, name: str) -> SignedDocument:
        try:
            body = text(name).encode()
        except UnicodeEncodeError:
            raise _broken(f"{where} {name}", "UTF-8 text", None) from None
        return SignedDocument(kind, body, raw(f"{name}_signature", 64), chain(f"{name}_issuer_chain"))

    certificates = chain("pck_crl_issuer_chain")
    if document.get("pck_certificate_chain") is not None:
        certificates += chain("pck_certificate_chain")
    return Endorsements(
        certificates=certificates,
        crls=(
            Crl(raw("root_ca_crl"), where=f"{where} root_ca_crl"),
            Crl(raw("pck_crl"), where=f"{where} pck_crl"),
        ),
        documents=(signed(TCB_INFO, "tcb_info"), signed(QE_IDENTITY, "qe_identity")),
    )


def _broken(where: str, expected: str, found: object) -> Malformed:
    return malformed(
        "The collateral has not the form this verifier knows",
        where=where,
        expected=expected,
        found=found,
        code="endorsement.malformed",
    )
