"""Every single bit of real evidence: flipped under the signature it is refused; elsewhere it is refused or
changes nothing.

The kinds of unsigned bits that may be flipped without a refusal are listed in `harmless_kind`, with why; an
SNP report and an H100 report have none.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from attest import AttestError, verify
from attest.cache import Cache
from attest.canonical import read_json
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.containers import read_json as read_devices
from attest.nvidia.ocsp import check_status, read_answers
from attest.nvidia.ocsp_request import device_pairs
from attest.nvidia.spdm import decode_report
from attest.snp.report import Report
from attest.tdx.quote import Quote
from tests.conftest import Sample, Vectors


def flips(raw: bytes, bits: range) -> Iterator[tuple[int, bytes]]:
    for bit in bits:
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def survivors(
    raw: bytes,
    bits: range,
    parse: Callable[[bytes], Evidence],
    at: datetime,
    endorsements: Endorsements,
    cache: Cache | None = None,
) -> list[tuple[int, bytes]]:
    """Bits whose flip was accepted, each with the claims that came out."""
    cache = cache or Cache()
    accepted = []
    for bit, changed in flips(raw, bits):
        try:
            verified = verify(parse(changed), endorsements=endorsements, at=at, cache=cache)
        except AttestError:
            continue
        accepted.append((bit, verified.claims_json()))
    return accepted


def halves(size: int) -> list[range]:
    """Two shares of the bits, so that two workers can take them."""
    return [range(size * 4), range(size * 4, size * 8)]


@pytest.mark.parametrize("share", halves(1184), ids=["first half", "second half"])
def test_every_bit_of_a_real_snp_report(share: range, genoa: Sample) -> None:
    raw = genoa.read("report.bin")
    assert (
        survivors(raw, share, lambda data: Evidence(Report.parse(data)), genoa.at, genoa.endorsements) == []
    )


@pytest.mark.parametrize("share", halves(632 + 4 + 64 + 64), ids=["first half", "second half"])
def test_every_signed_bit_and_signature_bit_of_a_real_tdx_quote(share: range, td: Sample) -> None:
    """Header, body, length field, quote signature and attestation key."""
    raw = td.read("quote.bin")
    assert survivors(raw, share, lambda data: Evidence(Quote.parse(data)), td.at, td.endorsements) == []


PADDING = "padding behind the signature data: cut off before anything reads it, and warned about"
ROOT_TEXT = "an embedded root: only its key is compared, with the pinned one, and ours is used"
WHITE_SPACE = (
    "white space around PEM lines and the zero byte behind the last: skipped before anything is decoded"
)
HARMLESS = {PADDING, ROOT_TEXT, WHITE_SPACE}
"""Every kind of change to a report or quote that may be accepted; docs/bit-flips.md lists them."""


def harmless_kind(raw: bytes, position: int) -> str | None:
    """Why a flipped byte of the unsigned rest of this quote may be accepted; None when it may not.

    Nothing of these bytes reaches a claim: the test compares the claims.
    """
    end_of_signature_data = 636 + int.from_bytes(raw[632:636], "little")
    root = raw.index(b"-----BEGIN CERTIFICATE-----", raw.index(b"-----END", raw.index(b"-----END") + 1))
    if position >= end_of_signature_data:
        return PADDING
    if position > root:
        return ROOT_TEXT
    if raw[position : position + 1] in b"\n\0":
        return WHITE_SPACE
    return None


@pytest.mark.parametrize("share", [0, 1], ids=["even bytes", "odd bytes"])
def test_every_bit_of_the_rest_of_a_real_tdx_quote(share: int, td: Sample) -> None:
    """Certification data: refused, or of a harmless kind with claims as they were."""
    raw = td.read("quote.bin")
    cache = Cache()
    honest = verify(td.evidence, endorsements=td.endorsements, at=td.at, cache=cache).claims_json()

    def parse(data: bytes) -> Evidence:
        return Evidence(Quote.parse(data))

    for position in range((632 + 4 + 128) + share, len(raw), 2):
        bits = range(position * 8, position * 8 + 8)
        for bit, claims in survivors(raw, bits, parse, td.at, td.endorsements, cache):
            assert claims == honest
            assert harmless_kind(raw, bit // 8) in HARMLESS, f"byte {bit // 8} of the quote can be changed"


@pytest.mark.parametrize("share", halves(4117), ids=["first half", "second half"])
def test_every_bit_of_a_real_h100_report(share: range, h100: Sample) -> None:
    raw = decode_report(h100.read("report.txt"))
    assert len(raw) == 4117
    chain = h100.endorsements.certificates

    def parse(data: bytes) -> Evidence:
        device = DeviceEvidence.parse(data)
        return Evidence(devices=(DeviceEvidence(device.report, chain, device.arch),))

    # Measurements are compared after the signature: without RIMs the signature alone must refuse.
    assert survivors(raw, share, parse, h100.at, Endorsements()) == []


@pytest.mark.parametrize("share", halves(2168), ids=["first half", "second half"])
def test_every_bit_of_a_real_switch_report(share: range, vectors: Vectors) -> None:
    case = "switch-ls10-rim-match-sdk"
    devices = read_devices(read_json(vectors.read(case, "evidence_json"), where=case), case)
    assert devices is not None
    chain, raw = devices[0].chain, devices[0].report.raw
    assert len(raw) == 2168

    def parse(data: bytes) -> Evidence:
        return Evidence(devices=(DeviceEvidence(DeviceEvidence.parse(data).report, chain, "LS10"),))

    assert survivors(raw, share, parse, vectors.at(case), Endorsements()) == []


@pytest.mark.parametrize("answer", ["gpu_certificate_l4", "gpu_certificate_l2"])
def test_every_bit_of_a_real_ocsp_answer(answer: str, vectors: Vectors, h100: Sample) -> None:
    """Refused without exception: beside signed bytes and signature stand only tags, lengths, algorithm and the
    responder's certificate, which must fit all the same."""
    name = f"nvidia/ocsp/test_{answer}_base64encoded_ocsp_response.dat"
    raw = base64.b64decode(vectors.path(name).read_bytes())
    at = datetime.fromisoformat("2025-08-21T12:47:08Z")
    cache = Cache()
    pair = device_pairs(h100.endorsements.certificates)[0 if answer.endswith("l4") else 2]

    def refused(data: bytes) -> bool:
        """Asked of the two steps of the check themselves: the report beside it would cost far more."""
        log = CheckLog()
        answers = read_answers((data,), "gpu.revocation", log, cache)
        check_status(*pair, answers, at=at, check="gpu.revocation", log=log, cache=cache, memory=None)
        return not log.good

    assert not refused(raw)
    assert [bit for bit, changed in flips(raw, range(len(raw) * 8)) if not refused(changed)] == []
