"""Bits of every kind of endorsement, and of evidence as text, real ones: flipped under a signature they are refused; elsewhere they are
refused or change nothing. What may be accepted is in HARMLESS, by place, and in docs/bit-flips.md; each kind of
document must show exactly the kinds it names, so that neither list can outlive what it describes.

Some bits of each part of a document, drawn with a seed. In `make proof` all bits, and many of each part of
NVIDIA's manifests, which are large.
"""

from __future__ import annotations

import base64
import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

from attest import AttestError, Cache, Verified, appraise, verify
from attest.anchors import Anchors
from attest.checks import CheckLog
from attest.claims import thaw
from attest.problems import PROBLEMS
from attest.recognise import Found, recognise
from attest.revocation import check_crls
from attest.x509 import Crl, parse_certificates
from tests import test_bit_flips
from tests.azure import test_bit_flips as azure_flips
from tests.conftest import ROOT, Sample, Vectors
from tests.counts import PROOF

ROOT_TEXT = "an embedded root: only its key is compared, with the pinned one, and ours is used"
WHITE_SPACE = "line breaks in PEM text: skipped before anything is decoded"
UNUSED_CHAIN = "the chain beside the PCK list: the list is verified under the CA that the quote itself brings"
HEX_CASE = "the case of a hex digit: the same bytes"
GIVEN_ROOT = "a root given beside the evidence: nothing reads it, ours is pinned"
OTHER_ISSUER = (
    "subject and key of an ASK or ASVK: one that is not the leaf's issuer is passed over for the shipped one"
)
FAMILY = "the name of the member `arch`, and its letters' case: the certificates name the family"
CHALLENGE = "a nonce written beside a device's report: decoration, the report's own is compared"
REQUEST_TYPE = next(why for why in azure_flips.HARMLESS if why.startswith("the request type"))
HARMLESS = {
    ROOT_TEXT,
    WHITE_SPACE,
    UNUSED_CHAIN,
    HEX_CASE,
    GIVEN_ROOT,
    OTHER_ISSUER,
    FAMILY,
    CHALLENGE,
    REQUEST_TYPE,
}
"""Every kind of change to an endorsement, or to the text that evidence is written in, that may be accepted."""


def nothing(raw: bytes, position: int) -> str | None:
    return None


def in_given_root(raw: bytes, position: int) -> str | None:
    return GIVEN_ROOT


def in_issuer(raw: bytes, position: int) -> str | None:
    """A certificate (DER) that names and certifies: the rest of it is under its own issuer's signature."""
    certificate = load_der_x509_certificate(raw)
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    named = range(raw.index(certificate.subject.public_bytes()), raw.index(key) + len(key))
    return OTHER_ISSUER if position in named else None


def in_chain(raw: bytes, position: int) -> str | None:
    """A PEM chain that ends in its root."""
    if position >= raw.rindex(b"-----BEGIN CERTIFICATE-----"):
        return ROOT_TEXT
    return WHITE_SPACE if raw[position : position + 1] in b"\r\n" else None


def in_collateral(raw: bytes, position: int) -> str | None:
    """Intel's documents, lists and chains in one JSON object of text."""
    name, start, end = next(one for one in _members(raw) if one[1] <= position < one[2])
    if name == "pck_crl_issuer_chain":
        return UNUSED_CHAIN
    if name.endswith("_issuer_chain"):
        if position >= raw.rindex(b"-----BEGIN CERTIFICATE-----", start, end):
            return ROOT_TEXT
        # A line break is two letters here, and the second may become another white space.
        return WHITE_SPACE if raw[position - 1 : position + 1] == b"\\n" else None
    if name.endswith(("_crl", "_signature")) and chr(raw[position]).isalpha():
        return HEX_CASE
    return None


def _members(raw: bytes) -> list[tuple[str, int, int]]:
    """(name, where its value begins, where the next name begins), the whole file covered."""
    document = json.loads(raw)
    names = list(document[0] if isinstance(document, list) else document)
    places = [raw.index(json.dumps(name).encode() + b":") for name in names]
    ends = [*places[1:], len(raw)]
    return [("", 0, places[0]), *zip(names, places, ends, strict=True)]


def in_manifest(raw: bytes, position: int) -> str | None:
    """The root is the last certificate of the signature's KeyInfo."""
    return ROOT_TEXT if position > raw.rindex(b"<ds:X509Certificate>") else None


def hex_digit(raw: bytes, position: int) -> str | None:
    return HEX_CASE if chr(raw[position]) in "abcdefABCDEF" else None


def in_signed_answer(raw: bytes, position: int) -> str | None:
    """An answer of Intel's service: signed JSON, then the signature in hex."""
    return hex_digit(raw, position) if position > raw.rindex(b'"signature":') else None


def bytes_of_letter(index: int) -> range:
    """Four letters of base64 are three bytes: a letter holds bits of one or two of them."""
    return range(index * 6 // 8, (index * 6 + 5) // 8 + 1)


def value_of(raw: bytes, name: str) -> range:
    """Where a member's text stands, without its quotes."""
    begin = raw.index(b'"', raw.index(b":", raw.index(b'"' + name.encode() + b'"'))) + 1
    return range(begin, raw.index(b'"', begin))


def in_device(raw: bytes, position: int) -> str | None:
    """A report, and its chain as PEM, each in base64; beside them the chip's family and the challenge."""
    name, start, _ = next(one for one in _members(raw) if one[1] <= position < one[2])
    if name == "nonce":
        return CHALLENGE
    if name == "arch" and (position < raw.index(b":", start) or chr(raw[position]).isalpha()):
        return FAMILY
    text = value_of(raw, "certificate")
    if position not in text:
        return None
    pem = base64.b64decode(raw[text.start : text.stop])
    touched = [place for place in bytes_of_letter(position - text.start) if place < len(pem)]
    return next((reason for place in touched if (reason := in_chain(pem, place))), None)


def in_azure(raw: bytes, position: int) -> str | None:
    """What the TPM says is hex, everything else base64."""
    letter = position - value_of(raw, "hcl_report").start
    if letter >= 0 and set(bytes_of_letter(letter)) & set(azure_flips.REQUEST_TYPE):
        return REQUEST_TYPE
    return hex_digit(raw, position) if position > raw.index(b'"tpm_quote"') else None


Strata = dict[str, list[range]]


def parts_of_manifest(raw: bytes) -> Strata:
    """Bytes of each part of a RIM document, so that the small ones are asked as often as the large ones."""
    patterns = {
        "signed-info": rb"<ds:SignedInfo.*?</ds:SignedInfo>",
        "signature-value": rb"<ds:SignatureValue.*?</ds:SignatureValue>",
        "measurements": rb"<[^<>]*Resource [^<>]*>",
        "white-space": rb">\s+<",
    }
    found = {
        name: [range(*match.span()) for match in re.finditer(pattern, raw, re.DOTALL)]
        for name, pattern in patterns.items()
    }
    certificates = re.finditer(rb"<ds:X509Certificate>[^<]*<", raw)
    found |= {f"certificate-{index}": [range(*match.span())] for index, match in enumerate(certificates)}
    assert all(found.values())
    assert "certificate-3" in found, "signer, its issuers and the root"
    taken = {position for ranges in found.values() for one in ranges for position in one}
    return {**found, "rest": [range(at, at + 1) for at in range(len(raw)) if at not in taken]}


def documents(raw: bytes) -> Strata:
    """Bytes of each document, signature, list and chain in Intel's collateral, and line breaks in it."""
    breaks = [range(*match.span()) for match in re.finditer(rb"\\n", raw)]
    return {name: [range(start, end)] for name, start, end in _members(raw)} | {"line breaks": breaks}


def chain(raw: bytes) -> Strata:
    """Bytes of each certificate of a PEM chain, and the line breaks."""
    starts = [match.start() for match in re.finditer(b"-----BEGIN", raw)]
    ends = [*starts[1:], len(raw)]
    certificates = {f"{start}": [range(start, end)] for start, end in zip(starts, ends, strict=True)}
    breaks = [range(*match.span()) for match in re.finditer(rb"[\r\n]", raw)]
    return {**certificates, "line breaks": breaks}


def signed_answer(raw: bytes) -> Strata:
    cut = raw.rindex(b'"signature":')
    return {"document": [range(cut)], "signature": [range(cut, len(raw))]}


def device(raw: bytes) -> Strata:
    """Each member, and the letters that hold a line break of the chain."""
    text = value_of(raw, "certificate")
    pem = base64.b64decode(raw[text.start : text.stop])
    breaks = [text[letter] for letter in range(len(text)) if b"\n" in _taken(pem, bytes_of_letter(letter))]
    members = {name: [range(start, end)] for name, start, end in _members(raw)}
    return {**members, "line breaks": [range(place, place + 1) for place in breaks]}


def _taken(data: bytes, places: range) -> bytes:
    return data[places.start : places.stop]


def azure(raw: bytes) -> Strata:
    start = value_of(raw, "hcl_report").start
    kind, tpm = range(start + 16, start + 22), range(raw.index(b'"tpm_quote"'), len(raw))
    return {"request type": [kind], "TPM": [tpm], "rest": [range(kind.start), range(kind.stop, tpm.start)]}


def everything(raw: bytes) -> Strata:
    return {"all": [range(len(raw))]}


class Kind(NamedTuple):
    """case: a sample, one in pieces, or a case of the shared vectors; file: the document that is changed, by name or by role.

    harmless: why a change at a byte may be accepted. expected: those that are met; each must be. bare: without
    the intermediates that are shipped.
    """

    case: str
    file: str
    harmless: Callable[[bytes, int], str | None] = nothing
    expected: frozenset[str] = frozenset()
    strata: Callable[[bytes], Strata] = everything
    bare: bool = False

    def __str__(self) -> str:
        return f"{self.case}-{self.file}" + ("-alone" if self.bare else "")

    @property
    def most_of_a_part(self) -> int:
        """Bits; a manifest as a whole would take many minutes."""
        if not PROOF:
            return 1000 if self.strata is everything else 200
        return 1500 if self.strata is parts_of_manifest else sys.maxsize

    def bits(self, raw: bytes) -> Iterator[int]:
        for name, ranges in self.strata(raw).items():
            bits = [8 * position + bit for one in ranges for position in one for bit in range(8)]
            count = min(len(bits), self.most_of_a_part)
            yield from random.Random(f"{self.file} {name}").sample(bits, count)


VLEK, VCEK = "snp-milan-v3-vlek-aws-trustee", "snp-milan-v3-vcek-oak-release"
SWITCH, AZURE = "switch-ls10-rim-match-sdk", "az-snp-vtpm-milan-v1-trustee"
PIECES = "td in pieces"
OF_COLLATERAL = frozenset({ROOT_TEXT, WHITE_SPACE, UNUSED_CHAIN, HEX_CASE})
OF_MANIFEST = frozenset({ROOT_TEXT})
KINDS = [
    Kind("genoa", "vcek.der"),
    Kind("genoa", "ark.crl"),
    Kind(VCEK, "ask", in_issuer, frozenset({OTHER_ISSUER})),
    Kind(VCEK, "ask", bare=True),
    Kind(VCEK, "ark", in_given_root, frozenset({GIVEN_ROOT})),
    Kind(VLEK, "vlek"),
    Kind(VLEK, "asvk", in_issuer, frozenset({OTHER_ISSUER})),
    Kind(VLEK, "asvk", bare=True),
    Kind("td", "collateral.json", in_collateral, OF_COLLATERAL, documents),
    Kind("h100", "chain.pem", in_chain, frozenset({ROOT_TEXT, WHITE_SPACE}), chain),
    Kind("h100", "driver-rim.xml", in_manifest, OF_MANIFEST, parts_of_manifest),
    Kind("h100", "vbios-rim.xml", in_manifest, OF_MANIFEST, parts_of_manifest),
    Kind(SWITCH, "swbios_rim", in_manifest, OF_MANIFEST, parts_of_manifest),
    Kind(PIECES, "root.crl"),
    Kind(PIECES, "pck.crl"),
    Kind(PIECES, "tcb-info.json", in_signed_answer, frozenset({HEX_CASE}), signed_answer),
    Kind(PIECES, "qe-identity.json", in_signed_answer, frozenset({HEX_CASE}), signed_answer),
    Kind(PIECES, "tcb-signing.pem", in_chain, frozenset({ROOT_TEXT, WHITE_SPACE}), chain),
    Kind("h100", "report.txt", hex_digit, frozenset({HEX_CASE})),
    Kind(
        SWITCH,
        "evidence_json",
        in_device,
        frozenset({ROOT_TEXT, WHITE_SPACE, FAMILY, CHALLENGE}),
        device,
    ),
    Kind(AZURE, "evidence_json", in_azure, frozenset({HEX_CASE, REQUEST_TYPE}), azure),
]


def files_of(kind: Kind, request: pytest.FixtureRequest) -> tuple[dict[str, bytes], datetime]:
    """All documents of a case; certificates as DER, where a byte is a byte."""
    if kind.case == PIECES:
        return in_pieces(request.getfixturevalue("td"))
    if "-" not in kind.case:
        sample: Sample = request.getfixturevalue(kind.case)
        return {path.name: path.read_bytes() for path in sample.folder.iterdir()}, sample.at
    vectors: Vectors = request.getfixturevalue("vectors")
    roles = (role for role in vectors.cases[kind.case]["files"] if role not in ("root", "rim_root"))
    files = {role: vectors.read(kind.case, role) for role in roles}
    for role, raw in files.items():
        if raw.startswith(b"-----BEGIN CERTIFICATE-----"):
            files[role] = load_pem_x509_certificate(raw).public_bytes(Encoding.DER)
    return files, vectors.at(kind.case)


def in_pieces(td: Sample) -> tuple[dict[str, bytes], datetime]:
    """As Intel's service hands them out: lists in DER, signed documents each in its answer, a chain in PEM."""
    held = json.loads(td.read("collateral.json"))
    assert held["tcb_info_issuer_chain"] == held["qe_identity_issuer_chain"]

    def answer(member: str, name: str) -> bytes:
        return f'{{"{member}":{held[name]},"signature":"{held[f"{name}_signature"]}"}}'.encode()

    files = {
        "quote.bin": td.read("quote.bin"),
        "root.crl": bytes.fromhex(held["root_ca_crl"]),
        "pck.crl": bytes.fromhex(held["pck_crl"]),
        "tcb-info.json": answer("tcbInfo", "tcb_info"),
        "qe-identity.json": answer("enclaveIdentity", "qe_identity"),
        "tcb-signing.pem": held["tcb_info_issuer_chain"].encode(),
    }
    return files, td.at


def told(verified: Verified) -> Any:
    """Claims and warnings, without the digest that names the file a manifest came in."""
    claims = thaw(verified.claims)
    for device in (*claims["raw"].get("gpu", ()), *claims["raw"].get("switch", ())):
        for manifest in device["rims"].values():
            del manifest["sha256"]
    return claims, [warning.as_dict() for warning in verified.warnings]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_bits_of_an_endorsement(kind: Kind, request: pytest.FixtureRequest) -> None:
    files, at = files_of(kind, request)
    raw, cache, anchors = files[kind.file], Cache(), Anchors.production()
    if kind.bare:
        anchors = replace(anchors, intermediates=())

    def judge(changed: bytes) -> Verified:
        found = Found()
        for name, data in files.items():
            recognise(name, changed if name == kind.file else data, found)
        return verify(
            found.evidence(), endorsements=found.endorsements(), at=at, cache=cache, anchors=anchors
        )

    def refusals(verified: Verified) -> frozenset[str]:
        return frozenset(problem.code for problem in appraise(verified, None, at=at).problems)

    verified = judge(raw)
    honest, known = told(verified), refusals(verified)
    met = set()
    for bit in kind.bits(raw):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            verified = judge(bytes(changed))
        except AttestError as error:
            assert error.codes
            assert error.codes <= PROBLEMS.keys()
            continue
        if refusals(verified) > known:
            # A manifest whose version was changed is one of another device, and then this one has none.
            continue
        assert told(verified) == honest
        assert kind.harmless(raw, bit // 8) in HARMLESS, f"byte {bit // 8} can be changed"
        met.add(kind.harmless(raw, bit // 8))
    assert met == kind.expected


def test_every_bit_of_a_real_list_of_the_processor_ca(vectors: Vectors) -> None:
    """No TDX platform has a PCK of that CA (it is one of SGX): asked of the list's own check."""
    document = json.loads(vectors.path("tdx/collateral/sgx-00a067110000-2025-06-eval17.json").read_text())
    issuer = parse_certificates(document["pck_crl_issuer_chain"].encode(), where="chain")[0]
    assert issuer.common_name.shown == "Intel SGX PCK Processor CA"
    at, raw = datetime.fromisoformat("2025-06-22T10:56:11Z"), bytes.fromhex(document["pck_crl"])

    def state(data: bytes) -> str:
        log = CheckLog()
        try:
            lists = (Crl(data),)
        except AttestError:
            return "malformed"
        found, _ = check_crls(issuer, (), lists, at=at, check="tdx.crl.pck", log=log)
        return found if log.good else "refused"

    assert state(raw) == "fresh"
    for bit in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        # Absent, under a name of another issuer: TDX refuses any chain without its list.
        assert state(bytes(changed)) in ("malformed", "refused", "absent"), f"bit {bit}"


def test_the_page_lists_exactly_what_may_be_accepted() -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / "bit-flips.md").read_text().splitlines()]
    listed = [row[2].strip() for row in rows if len(row) == 4 and not row[1].startswith((" Where", " ---"))]
    elsewhere = {*test_bit_flips.HARMLESS, *azure_flips.HARMLESS}
    assert sorted(listed) == sorted(HARMLESS | elsewhere)
