"""VCEK and VLEK certificates: the facts AMD signs in their extensions (AMD 57230, 1.3.6.1.4.1.3704.1)."""

from __future__ import annotations

from typing import Literal, NamedTuple

from cryptography.x509 import ObjectIdentifier

from attest.der import read_der
from attest.errors import Malformed
from attest.problems import malformed
from attest.snp.tcb import LAYOUTS, SPL_OIDS, Product, Tcb
from attest.untrusted import Untrusted
from attest.x509 import Certificate

Kind = Literal["vcek", "vlek"]
LEAF_NAMES: dict[Kind, str] = {"vcek": "SEV-VCEK", "vlek": "SEV-VLEK"}
_KINDS = {name: kind for kind, name in LEAF_NAMES.items()}
_ARC = "1.3.6.1.4.1.3704.1."
_OIDS = {tail: ObjectIdentifier(_ARC + tail) for tail in ("1", "2", "4", "5", *SPL_OIDS.values())}
_COMPONENTS = {
    product: [(name, SPL_OIDS[name], f"{name}SPL") for name in layout] for product, layout in LAYOUTS.items()
}
_IA5_STRING = 0x16
_ONE_BYTE_INTEGER = b"\x02\x01"
HWID_SIZE: dict[Product, int] = {"milan": 64, "genoa": 64, "turin": 8}


class LeafFacts(NamedTuple):
    """struct_version: 0 Milan and Genoa, 1 Turin. product_name: the part before `-`, lower case.
    tcb: the SPLs under the product's layout. hwid: 64 or 8 bytes, VCEK only. csp_id: VLEK only."""

    kind: Kind
    struct_version: int
    product_name: Untrusted
    tcb: Tcb
    hwid: bytes | None
    csp_id: Untrusted | None


def kind_of(certificate: Certificate) -> Kind | None:
    """What a certificate claims to be by its common name; it may be anybody's."""
    return _KINDS.get(certificate.common_name)


def read_leaf(certificate: Certificate, kind: Kind, product: Product) -> LeafFacts:
    """Decode the extensions. Raises Malformed (`snp.leaf.extension`) when one is missing or unreadable.

    An SPL is a DER INTEGER of 0..255: above 127 it has a leading zero, so taking its third byte is wrong.
    """
    components = {name: _integer(certificate, tail, spelled) for name, tail, spelled in _COMPONENTS[product]}
    product_name = _text(certificate, "2", "productName")
    if product_name is None:
        raise _missing("productName")
    return LeafFacts(
        kind,
        _integer(certificate, "1", "structVersion"),
        Untrusted(product_name.partition("-")[0].lower()),
        Tcb(product, components),
        _hwid(certificate, product),
        _text(certificate, "5", "CSP_ID"),
    )


def _missing(name: str) -> Malformed:
    return malformed(
        "A VCEK or VLEK extension is missing", where=f"leaf.{name}", code="snp.leaf.extension", found="none"
    )


def _value(certificate: Certificate, tail: str) -> bytes | None:
    return certificate.raw_extension(_OIDS[tail])


def _integer(certificate: Certificate, tail: str, name: str) -> int:
    value = certificate.raw_extension(_OIDS[tail])
    if value is None:
        raise _missing(name)
    if len(value) == 3 and value.startswith(_ONE_BYTE_INTEGER) and value[2] < 0x80:
        return value[2]  # as almost always; all else is read in full
    try:
        number = read_der(value, where=f"leaf.{name}").integer()
    except Malformed:
        number = -1
    if not 0 <= number <= 255:
        raise malformed(
            "A VCEK or VLEK extension is not an INTEGER of 0 to 255",
            where=f"leaf.{name}",
            code="snp.leaf.extension",
            found=value[:16],
        )
    return number


def _text(certificate: Certificate, tail: str, name: str) -> Untrusted | None:
    value = _value(certificate, tail)
    if value is None:
        return None
    try:
        element = read_der(value, where=f"leaf.{name}").expect(_IA5_STRING)
        return Untrusted(element.content.decode("ascii"))
    except (Malformed, UnicodeDecodeError):
        raise malformed(
            "A VCEK or VLEK extension is not an IA5String",
            where=f"leaf.{name}",
            code="snp.leaf.extension",
            found=value[:16],
        ) from None


def _hwid(certificate: Certificate, product: Product) -> bytes | None:
    """AMD writes the bytes bare; an OCTET STRING around them is taken too."""
    value = _value(certificate, "4")
    if value is None:
        return None
    size = HWID_SIZE[product]
    if len(value) == size:
        return value
    try:
        inner = read_der(value, where="leaf.hwID").octets()
    except Malformed:
        inner = b""
    if len(inner) != size:
        raise malformed(
            "The hardware id has the wrong length",
            where="leaf.hwID",
            code="snp.leaf.extension",
            expected=f"{size} bytes",
            found=f"{len(value)} bytes",
        )
    return inner
