"""Bits of every kind of endorsement, real ones: flipped under a signature they are refused; elsewhere they are
refused or change nothing. What may be accepted is in HARMLESS, by place, and in docs/bit-flips.md; each kind of
document must show exactly the kinds it names, so that neither list can outlive what it describes.

Some bits of each part of a document, drawn with a seed. In `make proof` all bits, and many of each part of
NVIDIA's manifests, which are large.
"""

from __future__ import annotations

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
HARMLESS = {ROOT_TEXT, WHITE_SPACE, UNUSED_CHAIN, HEX_CASE, GIVEN_ROOT, OTHER_ISSUER}
"""Every kind of change to an endorsement that may be accepted."""


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
    names = list(json.loads(raw))
    places = [raw.index(json.dumps(name).encode() + b":") for name in names]
    ends = [*places[1:], len(raw)]
    return [("", 0, places[0]), *zip(names, places, ends, strict=True)]


def in_manifest(raw: bytes, position: int) -> str | None:
    """The root is the last certificate of the signature's KeyInfo."""
    return ROOT_TEXT if position > raw.rindex(b"<ds:X509Certificate>") else None


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


def everything(raw: bytes) -> Strata:
    return {"all": [range(len(raw))]}


class Kind(NamedTuple):
    """case: a sample, or a case of the shared vectors; file: the document that is changed, by name or by role.

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
SWITCH = "switch-ls10-rim-match-sdk"
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
]


def files_of(kind: Kind, request: pytest.FixtureRequest) -> tuple[dict[str, bytes], datetime]:
    """All documents of a case; certificates as DER, where a byte is a byte."""
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
            assert error.problems
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
