"""Bits of every kind of endorsement, and of evidence as text, real ones: flipped under a signature they are
refused; elsewhere they are refused or change nothing.

What may be accepted is in KINDS, by document and place; docs/bit-flips.md has the same table. A share of the
bits, drawn with a seed and evenly over the document; all of them, and a fifth of a manifest's, in `make proof`.
"""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import AttestError, Cache, Verified, appraise, verify
from attest.checks import CheckLog
from attest.claims import thaw
from attest.problems import PROBLEMS
from attest.recognise import Found, recognise
from attest.revocation import check_crls
from attest.x509 import Crl, parse_certificates
from tests.conftest import ROOT, Sample, Vectors
from tests.counts import PROOF

ROOT_TEXT = "an embedded root: only its key is compared, with the pinned one, and ours is used"
WHITE_SPACE = "line breaks in PEM text: skipped before anything is decoded"
UNUSED_CHAIN = "the chain beside the PCK list: the list is verified under the CA that the quote itself brings"
OTHER_CA = "a CA whose name or key is changed did not sign the leaf: passed over, and the shipped one is used"
HEX_CASE = "the case of a hex digit: the same bytes"
REQUEST_TYPE = "the request type of an HCL report: it means nothing, being the same for SNP and TDX"
FAMILY = "the name of the member `arch`: the family is the one that the certificates name"
CHALLENGE = "a nonce written beside a report: decoration, the report's own is compared"
HARMLESS = (
    ROOT_TEXT,
    WHITE_SPACE,
    UNUSED_CHAIN,
    OTHER_CA,
    HEX_CASE,
    REQUEST_TYPE,
    FAMILY,
    CHALLENGE,
)
"""Every kind of change that may be accepted."""
CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Machine(NamedTuple):
    """Evidence with its endorsements, a document a file, and the time it was judged at."""

    files: dict[str, bytes]
    at: datetime


# -- places -----------------------------------------------------------------------------------------


def nothing(raw: bytes, position: int) -> str | None:
    return None


def line_break(raw: bytes, position: int) -> str | None:
    return WHITE_SPACE if raw[position : position + 1] in b"\r\n" else None


def in_chain(raw: bytes, position: int) -> str | None:
    """A PEM chain that ends in its root."""
    return ROOT_TEXT if position >= raw.rindex(CERTIFICATE) else line_break(raw, position)


def in_shipped_ca(raw: bytes, position: int) -> str | None:
    """A certificate in PEM that is shipped as well: its subject, and its key right behind."""
    (certificate,) = parse_certificates(raw, where="ca")
    key = certificate.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    start, end = certificate.der.index(certificate.subject_der), certificate.der.index(key) + len(key)
    assert certificate.subject_der + key == certificate.der[start:end]
    touched = bytes_of_letter(len(raw[:position].replace(b"\n", b"")) - len(CERTIFICATE))
    if touched.start < end and touched.stop > start:
        return OTHER_CA
    return line_break(raw, position)


def bytes_of_letter(index: int) -> range:
    """Four letters of base64 are three bytes: a letter holds bits of one or two of them."""
    return range(index * 6 // 8, (index * 6 + 5) // 8 + 1)


def hex_digit(raw: bytes, position: int) -> str | None:
    return HEX_CASE if chr(raw[position]) in "abcdefABCDEF" else None


def in_signature(raw: bytes, position: int) -> str | None:
    """Intel's answers: signed JSON, then its signature in hex."""
    return hex_digit(raw, position) if position > raw.rindex(b'"signature":') else None


def in_collateral(raw: bytes, position: int) -> str | None:
    """Intel's documents, lists and chains in one JSON object of text."""
    name, start, end = next(one for one in _members(raw) if one[1] <= position < one[2])
    if name == "pck_crl_issuer_chain":
        return UNUSED_CHAIN
    if name.endswith("_issuer_chain"):
        if position >= raw.rindex(CERTIFICATE, start, end):
            return ROOT_TEXT
        # A line break is two letters here, and the second may become another white space.
        return WHITE_SPACE if raw[position - 1 : position + 1] == b"\\n" else None
    return hex_digit(raw, position) if name.endswith(("_crl", "_signature")) else None


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


def in_device(raw: bytes, position: int) -> str | None:
    """A report, and its chain as PEM, each in base64; beside them the chip's family and the challenge."""
    name, start, end = next(one for one in _members(raw) if one[1] <= position < one[2])
    if name == "nonce":
        return CHALLENGE
    if name == "arch" and position < raw.index(b":", start):
        return FAMILY
    if name != "certificate":
        return None
    begin = raw.index(b'"', raw.index(b":", start)) + 1
    chain = base64.b64decode(raw[begin : raw.index(b'"', begin, end)])
    touched = [place for place in bytes_of_letter(position - begin) if place < len(chain)]
    return next((reason for place in touched if (reason := in_chain(chain, place))), None)


def in_azure(raw: bytes, position: int) -> str | None:
    """What the TPM says is hex, everything else base64."""
    letter = position - raw.index(b'"', raw.index(b":", raw.index(b'"hcl_report"'))) - 1
    if letter >= 0 and set(bytes_of_letter(letter)) & set(range(12, 16)):
        return REQUEST_TYPE
    return hex_digit(raw, position) if position > raw.index(b'"tpm_quote"') else None


# -- machines ---------------------------------------------------------------------------------------


def sample(name: str) -> Callable[[pytest.FixtureRequest], Machine]:
    def make(request: pytest.FixtureRequest) -> Machine:
        held: Sample = request.getfixturevalue(name)
        return Machine({path.name: path.read_bytes() for path in held.folder.iterdir()}, held.at)

    return make


def genoa_with_chain(request: pytest.FixtureRequest) -> Machine:
    files, at = sample("genoa")(request)
    anchors = ROOT / "attest" / "anchors"
    chain = {f"{ca}.pem": (anchors / f"amd-genoa-{ca}.pem").read_bytes() for ca in ("ask", "ark")}
    return Machine({**files, **chain}, at)


def td_in_pieces(request: pytest.FixtureRequest) -> Machine:
    """As Intel's service hands them out: lists in DER, signed documents each in its answer, a chain in PEM."""
    files, at = sample("td")(request)
    held = json.loads(files.pop("collateral.json"))
    files["root.crl"] = bytes.fromhex(held["root_ca_crl"])
    files["pck.crl"] = bytes.fromhex(held["pck_crl"])
    for file, member, name in (
        ("tcb-info.json", "tcbInfo", "tcb_info"),
        ("qe-identity.json", "enclaveIdentity", "qe_identity"),
    ):
        signature = held[f"{name}_signature"]
        files[file] = f'{{"{member}":{held[name]},"signature":"{signature}"}}'.encode()
    assert held["tcb_info_issuer_chain"] == held["qe_identity_issuer_chain"]
    files["tcb-signing.pem"] = held["tcb_info_issuer_chain"].encode()
    return Machine(files, at)


def of_vectors(case: str, **roles: str) -> Callable[[pytest.FixtureRequest], Machine]:
    """roles: as the manifest calls a file → as it is called here."""

    def make(request: pytest.FixtureRequest) -> Machine:
        vectors: Vectors = request.getfixturevalue("vectors")
        return Machine({name: vectors.read(case, role) for role, name in roles.items()}, vectors.at(case))

    return make


VLEK = of_vectors("snp-milan-v3-vlek-aws-trustee", report="report.bin", vlek="vlek.der", asvk="asvk.pem")
SWITCH = of_vectors("switch-ls10-rim-match-sdk", evidence_json="switch.json", swbios_rim="switch-rim.xml")
AZURE = of_vectors("az-snp-vtpm-milan-v1-trustee", evidence_json="azure.json")


class Kind(NamedTuple):
    """document: as docs/bit-flips.md calls it. share: of the bits that are flipped, in a run and in a proof.
    harmless: why a change there may be accepted. accepted: what is accepted, all of it."""

    document: str
    machine: Callable[[pytest.FixtureRequest], Machine]
    file: str
    share: tuple[float, float] = (0.1, 1)
    harmless: Callable[[bytes, int], str | None] = nothing
    accepted: tuple[str, ...] = ()


KINDS = [
    Kind("VCEK", sample("genoa"), "vcek.der"),
    Kind("VLEK", VLEK, "vlek.der"),
    Kind("AMD's revocation list", sample("genoa"), "ark.crl"),
    Kind("ASK", genoa_with_chain, "ask.pem", (0.1, 1), in_shipped_ca, (OTHER_CA, WHITE_SPACE)),
    Kind("ASVK", VLEK, "asvk.pem", (0.1, 1), in_shipped_ca, (OTHER_CA, WHITE_SPACE)),
    Kind("ARK", genoa_with_chain, "ark.pem", (0.05, 1), in_chain, (ROOT_TEXT,)),
    Kind(
        "Intel collateral in one object",
        sample("td"),
        "collateral.json",
        (0.1, 1),
        in_collateral,
        (ROOT_TEXT, WHITE_SPACE, UNUSED_CHAIN, HEX_CASE),
    ),
    Kind("Intel root revocation list", td_in_pieces, "root.crl", (1, 1)),
    Kind("PCK revocation list", td_in_pieces, "pck.crl"),
    Kind("TCB info", td_in_pieces, "tcb-info.json", (0.2, 1), in_signature, (HEX_CASE,)),
    Kind("QE identity", td_in_pieces, "qe-identity.json", (0.5, 1), in_signature, (HEX_CASE,)),
    Kind("TCB signing chain", td_in_pieces, "tcb-signing.pem", (0.1, 1), in_chain, (ROOT_TEXT, WHITE_SPACE)),
    Kind("NVIDIA device chain", sample("h100"), "chain.pem", (0.1, 1), in_chain, (ROOT_TEXT, WHITE_SPACE)),
    Kind("driver RIM", sample("h100"), "driver-rim.xml", (0.01, 0.2), in_manifest, (ROOT_TEXT,)),
    Kind("VBIOS RIM", sample("h100"), "vbios-rim.xml", (0.01, 0.2), in_manifest, (ROOT_TEXT,)),
    Kind("switch RIM", SWITCH, "switch-rim.xml", (0.01, 0.2), in_manifest, (ROOT_TEXT,)),
    Kind("H100 report as text", sample("h100"), "report.txt", (0.05, 1), hex_digit, (HEX_CASE,)),
    Kind(
        "switch report and chain as text",
        SWITCH,
        "switch.json",
        (0.05, 1),
        in_device,
        (ROOT_TEXT, WHITE_SPACE, FAMILY, CHALLENGE),
    ),
    Kind("Azure evidence as text", AZURE, "azure.json", (0.05, 1), in_azure, (HEX_CASE, REQUEST_TYPE)),
]


def told(verified: Verified) -> Any:
    """Claims and warnings, without the digest that names the file a manifest came in."""
    claims = thaw(verified.claims)
    for section in ("gpu", "switch"):
        for device in claims["raw"].get(section, ()):
            for manifest in device["rims"].values():
                del manifest["sha256"]
    return claims, [warning.as_dict() for warning in verified.warnings]


def draw(size: int, share: float, seed: str) -> Iterator[int]:
    """`share` of the bits of `size` bytes, one of each stretch, so that every element of a document has some."""
    stretch = round(1 / share)
    drawing = random.Random(seed)
    for start in range(0, size * 8, stretch):
        yield min(start + drawing.randrange(stretch), size * 8 - 1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.document)
def test_bits_of_an_endorsement(kind: Kind, request: pytest.FixtureRequest) -> None:
    files, at = kind.machine(request)
    raw, cache = files[kind.file], Cache()

    def judge(changed: bytes) -> tuple[Verified, set[str]]:
        found = Found()
        for name, data in files.items():
            recognise(name, changed if name == kind.file else data, found)
        verified = verify(found.evidence(), endorsements=found.endorsements(), at=at, cache=cache)
        # A manifest whose version was changed is one of another device, and then this one has none.
        return verified, {problem.code for problem in appraise(verified, None, at=at).problems}

    verified, unwanted = judge(raw)
    honest = told(verified)
    accepted = set()
    for bit in draw(len(raw), kind.share[PROOF], kind.file):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            verified, problems = judge(bytes(changed))
        except AttestError as error:
            assert error.codes
            assert error.codes <= PROBLEMS.keys()
            continue
        if problems > unwanted:
            continue
        reason = kind.harmless(raw, bit // 8)
        assert reason is not None, f"bit {bit % 8} of byte {bit // 8} can be changed"
        assert told(verified) == honest, reason
        assert problems == unwanted
        accepted.add(reason)
    assert accepted == set(kind.accepted)


def test_every_bit_of_a_real_list_of_the_processor_ca(vectors: Vectors) -> None:
    """Of SGX machines without a TDX quote among the vectors: asked of the step itself. TDX refuses an absence."""
    held = json.loads(vectors.path("tdx/collateral/sgx-00a067110000-2025-06-eval17.json").read_bytes())
    raw, at = bytes.fromhex(held["pck_crl"]), datetime(2025, 6, 22, 12, tzinfo=UTC)
    issuer, _ = parse_certificates(held["pck_crl_issuer_chain"].encode(), where="chain")
    assert "Processor" in issuer.common_name.shown

    def passes(der: bytes) -> bool:
        log = CheckLog()
        try:
            state, _ = check_crls(issuer, (), (Crl(der),), at=at, check="tdx.crl.pck", log=log)
        except AttestError:
            return False
        return log.good and state == "fresh"

    assert passes(raw)
    for bit in draw(len(raw), 1 if PROOF else 0.25, "processor"):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert not passes(bytes(changed)), f"bit {bit % 8} of byte {bit // 8} can be changed"


def test_the_page_lists_what_is_accepted_and_nothing_else() -> None:
    page = (ROOT / "docs" / "bit-flips.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([^|]+?) \|$", page, re.MULTILINE))
    for kind in KINDS:
        assert set(kind.accepted) <= set(HARMLESS)
    accepted = {kind.document: "; ".join(kind.accepted) or "nothing" for kind in KINDS}
    assert rows == {"Document": "Flips that are accepted", "---": "---"} | accepted


def test_the_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "bit-flips.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page)
    assert len(named) == 17
    for path, function in named:
        assert f"\ndef {function}(" in (ROOT / path).read_text(encoding="utf-8"), function
