"""Every single bit of real evidence: flipped under the signature it is refused; elsewhere it is refused or
changes nothing.

The kinds of unsigned bits that may be flipped without a refusal are listed in `HARMLESS`, with why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from attest import AttestError, verify
from attest.cache import Cache
from attest.endorsements import Endorsements
from attest.evidence import Evidence
from attest.nvidia.containers import DeviceEvidence, decode_report
from attest.snp.report import Report
from attest.tdx.quote import Quote
from tests.conftest import PROOF, Sample

# None: no unsigned bit of an SNP report or of an H100 report may be flipped without a refusal.
HARMLESS_TDX = {
    "header-reserved": "none: the header is signed",
}


def flips(raw: bytes, bits: range) -> Iterator[tuple[int, bytes]]:
    for bit in bits:
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        yield bit, bytes(changed)


def survivors(
    raw: bytes, bits: range, parse: Callable[[bytes], Evidence], sample: Sample, endorsements: Endorsements
) -> list[tuple[int, bytes]]:
    """Bits whose flip was accepted, each with the claims that came out."""
    cache = Cache()
    verify(parse(raw), endorsements=endorsements, at=sample.at, cache=cache)
    accepted = []
    for bit, changed in flips(raw, bits):
        try:
            verified = verify(parse(changed), endorsements=endorsements, at=sample.at, cache=cache)
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
    assert survivors(raw, share, lambda data: Evidence(Report.parse(data)), genoa, genoa.endorsements) == []


@pytest.mark.parametrize("share", halves(632 + 4 + 64 + 64), ids=["first half", "second half"])
def test_every_signed_bit_and_signature_bit_of_a_real_tdx_quote(share: range, td: Sample) -> None:
    """Header, body, length field, quote signature and attestation key."""
    raw = td.read("quote.bin")
    assert survivors(raw, share, lambda data: Evidence(Quote.parse(data)), td, td.endorsements) == []


def test_bits_of_the_rest_of_a_real_tdx_quote(td: Sample) -> None:
    """Certification data: refused, or claims as they were. All of them in the proof, a share otherwise."""
    raw = td.read("quote.bin")
    honest = verify(td.evidence, endorsements=td.endorsements, at=td.at).claims_json()
    rest = range((632 + 4 + 128) * 8, len(raw) * 8, 1 if PROOF else 97)
    accepted = survivors(raw, rest, lambda data: Evidence(Quote.parse(data)), td, td.endorsements)
    assert {claims for _, claims in accepted} <= {honest}


@pytest.mark.parametrize("share", halves(4117), ids=["first half", "second half"])
def test_every_bit_of_a_real_h100_report(share: range, h100: Sample) -> None:
    raw = decode_report(h100.read("report.txt"))
    assert len(raw) == 4117
    chain = h100.endorsements.certificates

    def parse(data: bytes) -> Evidence:
        device = DeviceEvidence.parse(data)
        return Evidence(devices=(DeviceEvidence(device.report, chain, device.arch),))

    # Measurements are compared after the signature: without RIMs the signature alone must refuse.
    assert survivors(raw, share, parse, h100, Endorsements()) == []
