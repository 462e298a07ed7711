"""Reference integrity manifests: the golden measurements NVIDIA publishes for a driver or a VBIOS.

A manifest is a SWID tag with 64 `Resource` entries and one enveloped XML signature. `Rim.parse` reads whom
it speaks of, without believing it; `read_measurements` (`attest.nvidia.rim_payload`) reads the golden
values, and is given nothing but the tree whose signature held (`attest.nvidia.rim_signature`).
Source: ISO/IEC 19770-2:2015; TCG Reference Integrity Manifest information model; as NVIDIA publishes them.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from attest import strict_base64
from attest.errors import Malformed
from attest.problems import malformed
from attest.untrusted import Untrusted
from attest.x509 import Certificate

MAX_RIM = 1 << 20
MAX_CERTIFICATES = 8
MAX_MARKS, MAX_ATTRIBUTES, MAX_NAMESPACES = 2048, 128, 32
"""Tags, comments and the like in a manifest; attributes of one element; namespace declarations. NVIDIA's have
some 170, 10 and 6. Canonical XML takes the product of what they are given: hours for a hostile megabyte."""
MAX_ATTRIBUTES_IN_ALL = 8192
"""NVIDIA's manifests have some 500; 64 entries of 64 alternatives would have 4500."""

SWID = "{http://standards.iso.org/iso/19770/-2/2015/schema.xsd}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
_TCG = "{https://trustedcomputinggroup.org/resource/tcg-reference-integrity-manifest-rim-information-model/}"
_CHILDREN = [f"{SWID}Entity", f"{SWID}Meta", f"{SWID}Payload", f"{DS}Signature"]
_DECLARED = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"'>]*)")
_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")

Edition = Literal["GPU", "SWITCH"]


@dataclass(frozen=True, slots=True)
class Statement:
    """Whom a manifest speaks of. product: chip, `GH100`. version: of a driver or a VBIOS; no field says which."""

    product: Untrusted
    edition: Edition
    version: Untrusted


@dataclass(frozen=True, slots=True)
class Rim:
    """A manifest that parses, believed by nobody.

    raw: the document. digest: its SHA-256. stated: what it says before its signature was checked; good
    for choosing a document, for nothing else. chain: certificates of its KeyInfo, leaf first.
    """

    raw: bytes
    digest: bytes
    stated: Statement
    chain: tuple[Certificate, ...]

    @classmethod
    def parse(cls, data: bytes, known: dict[bytes, Certificate] | None = None) -> Rim:
        """Read the frame of a manifest: whom it speaks of, and who signed it. Raises Malformed.

        known: certificates by their bytes, parsed before; new ones are added. Manifests share theirs.
        No DTD, no entities, no network, at most 1 MiB of UTF-8; exactly one signature, the last child of
        the root; every algorithm the one NVIDIA uses. Measurements are not looked at: they are read from
        the signed tree only.
        """
        root = parse_xml(data)
        signature = _only_signature(root)
        check_algorithms(signature)
        return cls(
            raw=bytes(data),
            digest=hashlib.sha256(data).digest(),
            stated=read_statement(root, signed=True)[0],
            chain=_certificates(signature, {} if known is None else known),
        )


def hardened_parser() -> Any:
    """An lxml parser that resolves nothing, loads nothing and keeps libxml2's own limits."""
    from lxml import etree

    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
    )


def parse_xml(data: bytes) -> Any:
    """The root element of a document without DTD. Raises Malformed."""
    from lxml import etree

    if len(data) > MAX_RIM:
        refuse("length", f"≤ {MAX_RIM} bytes", len(data))
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise malformed("A reference manifest has a DTD", where="rim", code="nvidia.rim.dtd")
    declared = _DECLARED.match(data)
    if b"\0" in data or (declared and declared.group(1).upper() != b"UTF-8"):
        refuse("encoding", "UTF-8", declared.group(1).hex() if declared else "NUL bytes")
    # Before anything walks the tree; neither can be written in another way without a DTD.
    if (marks := data.count(b"<")) > MAX_MARKS:
        refuse("xml", f"≤ {MAX_MARKS} tags", marks)
    if (namespaces := data.count(b"xmlns")) > MAX_NAMESPACES:
        refuse("xml", f"≤ {MAX_NAMESPACES} namespace declarations", namespaces)
    try:
        data.decode("utf-8")
        root = etree.fromstring(data, parser=hardened_parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        refuse("xml", "well-formed UTF-8 XML", str(error)[:120])
    attributes = [len(element.attrib) for element in root.iter("*")]
    if max(attributes) > MAX_ATTRIBUTES:
        refuse("xml", f"≤ {MAX_ATTRIBUTES} attributes of one element", max(attributes))
    if sum(attributes) > MAX_ATTRIBUTES_IN_ALL:
        refuse("xml", f"≤ {MAX_ATTRIBUTES_IN_ALL} attributes", sum(attributes))
    if root.tag != f"{SWID}SoftwareIdentity":
        refuse("root", f"{SWID}SoftwareIdentity", root.tag)
    return root


def read_statement(root: Any, *, signed: bool) -> tuple[Statement, Any]:
    """The statement of a SoftwareIdentity element, and its Payload element.

    signed: whether the element still holds its signature; the tree that verification hands back does not.
    Raises Malformed unless exactly Entity, Meta and Payload stand there with their attributes.
    """
    wanted = _CHILDREN if signed else _CHILDREN[:3]
    children = [child for child in root if isinstance(child.tag, str)]
    if [child.tag for child in children] != wanted:
        refuse(
            "SoftwareIdentity",
            " ".join(map(local, wanted)),
            " ".join(local(child.tag) for child in children[:8]) or "nothing",
        )
    entity, meta, payload = children[:3]
    for name in ("name", "tagId", "version"):
        _attribute(root, name)
    for name in ("name", "role"):
        _attribute(entity, name)
    if _attribute(meta, "PayloadType") != "direct":
        refuse("Meta.PayloadType", "direct", meta.get("PayloadType"))
    if _attribute(meta, f"{_TCG}BindingSpec") != "RIMIM":
        refuse("Meta.BindingSpec", "RIMIM", meta.get(f"{_TCG}BindingSpec"))
    edition = _attribute(meta, "edition")
    if edition not in ("GPU", "SWITCH"):
        refuse("Meta.edition", "GPU or SWITCH", edition)
    statement = Statement(
        product=_word(meta, "product"),
        edition="GPU" if edition == "GPU" else "SWITCH",
        version=_word(meta, "colloquialVersion"),
    )
    return statement, payload


def _only_signature(root: Any) -> Any:
    """The one signature in the document: a child of the root, and its last (no wrapping)."""
    signatures = list(root.iter(f"{DS}Signature"))
    if not signatures:
        refuse("Signature", "one", "none")
    if len(signatures) != 1 or signatures[0].getparent() is not root or signatures[0].getnext() is not None:
        raise malformed(
            "A reference manifest carries exactly one signature, the last child of its root",
            where="rim.Signature",
            expected="one",
            found=f"{len(signatures)}",
            code="nvidia.rim.wrapping",
        )
    return signatures[0]


_ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
_C14N11 = "http://www.w3.org/2006/12/xml-c14n11"
# (parent, element, algorithm) of everything below ds:Signature, in document order, certificates aside.
_FORM = (
    ("Signature", "SignedInfo", None),
    ("SignedInfo", "CanonicalizationMethod", _C14N11),
    ("SignedInfo", "SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"),
    ("SignedInfo", "Reference", None),
    ("Reference", "Transforms", None),
    ("Transforms", "Transform", _ENVELOPED),
    ("Transforms", "Transform", _C14N11),
    ("Reference", "DigestMethod", "http://www.w3.org/2001/04/xmldsig-more#sha384"),
    ("Reference", "DigestValue", None),
    ("Signature", "SignatureValue", None),
    ("Signature", "KeyInfo", None),
    ("KeyInfo", "X509Data", None),
)
_EXPECTED = [(f"{DS}{parent}", f"{DS}{tag}", algorithm) for parent, tag, algorithm in _FORM]
_CERTIFICATE = (f"{DS}X509Data", f"{DS}X509Certificate")


def check_algorithms(signature: Any) -> None:
    """The signature has the one form NVIDIA writes: elements, algorithms, one reference to the document.

    Raises Malformed for any other algorithm, transform, reference or key form, before anything is run.
    """
    below = [
        (element.getparent().tag, element.tag, element.get("Algorithm"))
        for element in signature.iterdescendants()
        if (element.getparent().tag, element.tag) != _CERTIFICATE
    ]
    references = [element.get("URI") for element in signature.iter(f"{DS}Reference")]
    if below == _EXPECTED and references == [""]:
        return
    differing = next(
        (f"{local(a[1])} {a[2] or ''}" for a, b in zip(below, _EXPECTED, strict=False) if a != b),
        f"{len(below)} elements, reference {references[:2]}",
    )
    raise malformed(
        "The manifest's signature has another form or algorithm than NVIDIA's",
        where="rim.Signature",
        expected="c14n 1.1, ECDSA with SHA-384, one enveloped reference",
        found=differing,
        code="nvidia.rim.algorithm",
    )


def _certificates(signature: Any, known: dict[bytes, Certificate]) -> tuple[Certificate, ...]:
    elements = signature.findall(f"{DS}KeyInfo/{DS}X509Data/{DS}X509Certificate")
    if not 1 <= len(elements) <= MAX_CERTIFICATES:
        refuse("KeyInfo", f"1 to {MAX_CERTIFICATES} certificates", len(elements))
    chain = []
    for position, element in enumerate(elements):
        where = f"rim.certificate[{position}]"
        try:
            der = strict_base64.decode("".join((element.text or "").split()))
        except (binascii.Error, ValueError):
            refuse(where, "base64", (element.text or "")[:16])
        try:
            certificate = known.get(der) or Certificate(der, where=where)
        except Malformed as error:
            raise malformed(
                "A certificate of a reference manifest does not parse",
                where=where,
                found=error.problems[0].found,
                code="nvidia.rim.malformed",
            ) from None
        known[der] = certificate
        chain.append(certificate)
    return tuple(chain)


def _attribute(element: Any, name: str) -> str:
    value = element.get(name)
    if not value:
        refuse(f"{local(element.tag)}.{local(name)}", "an attribute", "none")
    return str(value)


def _word(element: Any, name: str) -> Untrusted:
    value = _attribute(element, name)
    if not _WORD.fullmatch(value):
        refuse(f"{local(element.tag)}.{local(name)}", "letters, digits, dots", value[:32])
    return Untrusted(value)


def local(tag: object) -> str:
    """A tag without its namespace."""
    return str(tag).rpartition("}")[2]


def refuse(where: str, expected: object, found: object) -> NoReturn:
    """Raise Malformed for a manifest, naming the element meant."""
    raise malformed(
        "The reference manifest is not built as one",
        where=where if where.startswith("rim") else f"rim.{where}",
        expected=expected,
        found=found,
        code="nvidia.rim.malformed",
    )
