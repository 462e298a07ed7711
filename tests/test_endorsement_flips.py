"""Bits of every kind of endorsement, real ones: flipped under a signature they are refused; elsewhere they are
refused or change nothing. What may be accepted is in HARMLESS, by place, and in docs/bit-flips.md.

A tenth of the bits, drawn with a seed, and a hundredth of a manifest's; all of them, and a fifth of a
manifest's, in `make proof`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from attest import AttestError, Cache, Verified, appraise, verify
from attest.claims import thaw
from attest.recognise import Found, recognise
from tests.conftest import ROOT, Sample
from tests.counts import PROOF

ROOT_TEXT = "an embedded root: only its key is compared, with the pinned one, and ours is used"
WHITE_SPACE = "line breaks in PEM text: skipped before anything is decoded"
UNUSED_CHAIN = "the chain beside the PCK list: the list is verified under the CA that the quote itself brings"
HEX_CASE = "the case of a hex digit: the same bytes"
HARMLESS = (ROOT_TEXT, WHITE_SPACE, UNUSED_CHAIN, HEX_CASE)
"""Every kind of change that may be accepted."""


def nothing(raw: bytes, position: int) -> str | None:
    return None


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


class Kind(NamedTuple):
    """share: of the bits that are flipped, in a run and in a proof. harmless: why a change there may be accepted."""

    sample: str
    file: str
    share: tuple[float, float]
    harmless: Callable[[bytes, int], str | None] = nothing


KINDS = [
    Kind("genoa", "vcek.der", (0.1, 1)),
    Kind("genoa", "ark.crl", (0.1, 1)),
    Kind("td", "collateral.json", (0.1, 1), in_collateral),
    Kind("h100", "chain.pem", (0.1, 1), in_chain),
    Kind("h100", "driver-rim.xml", (0.01, 0.2), in_manifest),
    Kind("h100", "vbios-rim.xml", (0.01, 0.2), in_manifest),
]


def told(verified: Verified) -> Any:
    """Claims and warnings, without the digest that names the file a manifest came in."""
    claims = thaw(verified.claims)
    for device in claims["raw"].get("gpu", ()):
        for manifest in device["rims"].values():
            del manifest["sha256"]
    return claims, [warning.as_dict() for warning in verified.warnings]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.file)
def test_bits_of_an_endorsement(kind: Kind, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(kind.sample)
    files = {path.name: path.read_bytes() for path in sample.folder.iterdir()}
    raw, cache = files[kind.file], Cache()

    def judge(changed: bytes) -> Verified:
        found = Found()
        for name, data in files.items():
            recognise(name, changed if name == kind.file else data, found)
        return verify(found.evidence(), endorsements=found.endorsements(), at=sample.at, cache=cache)

    honest = told(judge(raw))
    count = int(len(raw) * 8 * kind.share[PROOF])
    accepted = 0
    for bit in random.Random(kind.file).sample(range(len(raw) * 8), count):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            verified = judge(bytes(changed))
            # A manifest whose version was changed is one of another device, and then this one has none.
            appraise(verified, None, at=sample.at).require()
        except AttestError as error:
            assert error.problems
            continue
        assert kind.harmless(raw, bit // 8) in HARMLESS, f"byte {bit // 8} can be changed"
        assert told(verified) == honest
        accepted += 1
    assert accepted < count / 3


def test_the_page_lists_what_may_be_accepted() -> None:
    page = " ".join((ROOT / "docs" / "bit-flips.md").read_text().split())
    for kind in HARMLESS:
        assert kind in page
