"""Every single bit of a real Azure machine's HCL report and TPM quote: flipped where something is signed or
hashed it is refused; elsewhere it is refused or changes nothing.

Of an HCL report only the request type may change without a refusal: it means nothing, being the same for SNP
and TDX. Of a TDREPORT also what is no field of the quote: its MAC can be checked on that CPU alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import AttestError, verify
from attest.anchors import Anchors
from attest.azure.ak import read_certificate
from attest.azure.evidence import AzureEvidence
from attest.azure.hcl import HclReport
from attest.azure.tpm import TpmQuote
from attest.cache import Cache
from attest.endorsements import Endorsements
from attest.evidence import Evidence
from attest.loader import load
from attest.simulator import Simulator
from attest.x509 import Certificate, Crl, parse_certificates
from tests.conftest import ROOT, Vectors
from tests.counts import PROOF

SNP, TDX = "az-snp-vtpm-milan-v1-trustee", "az-tdx-vtpm-uptodate-flashbots"
REQUEST_TYPE = range(12, 16)
MAC_STRUCT, TCB_INFO = range(32 + 1, 32 + 128), range(32 + 192, 32 + 512)
TD_INFO_REST = range(32 + 512 + 400, 32 + 1024)
HARMLESS = {
    "the request type: the same for SNP and TDX, and nothing reads it",
    "a TDREPORT's MAC structure and TEE_TCB_INFO, and what its TDINFO has beyond the quote's fields: only that CPU can check them, the quote stands for them",
    "subject and key of Azure's CA: one that did not sign the certificate is passed over for the shipped one",
}
"""Every kind of change to an HCL report, or to the certificates of its key, that may be accepted; docs/bit-flips.md lists them."""


class Machine:
    def __init__(self, vectors: Vectors, name: str) -> None:
        files = vectors.cases[name]["files"]
        evidence, self.endorsements = load(*(vectors.path(files[role]) for role in files if role != "root"))
        assert isinstance(evidence.cpu, AzureEvidence)
        self.cpu: AzureEvidence = evidence.cpu
        self.at = vectors.at(name)
        self.cache = Cache()
        self.honest = self.claims(self.cpu)

    def claims(self, cpu: AzureEvidence) -> bytes | None:
        """None when it was refused."""
        given: Endorsements = self.endorsements
        try:
            return verify(Evidence(cpu), endorsements=given, at=self.at, cache=self.cache).claims_json()
        except AttestError:
            return None

    def with_hcl(self, raw: bytes) -> bytes | None:
        try:
            return self.claims(replace(self.cpu, hcl=HclReport.parse(raw)))
        except AttestError:
            return None

    def with_quote(self, message: bytes, signature: bytes) -> bytes | None:
        assert self.cpu.quote is not None
        try:
            return self.claims(
                replace(self.cpu, quote=TpmQuote.parse(message, signature, self.cpu.quote.pcrs))
            )
        except AttestError:
            return None


@pytest.fixture(scope="module")
def snp(vectors: Vectors) -> Machine:
    return Machine(vectors, SNP)


@pytest.fixture(scope="module")
def tdx(vectors: Vectors) -> Machine:
    return Machine(vectors, TDX)


def flips(raw: bytes, positions: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    for position in positions:
        for bit in range(8):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            yield position, bytes(changed)


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def survivors(machine: Machine, raw: bytes, positions: Iterable[int]) -> set[int]:
    """Bytes with an accepted flip, which must have changed no claim."""
    accepted = set()
    for position, changed in flips(raw, positions):
        claims = machine.with_hcl(changed)
        if claims is not None:
            assert claims == machine.honest, f"byte {position} is not signed and changes claims"
            accepted.add(position)
    return accepted


@pytest.mark.parametrize("share", [0, 1], ids=["even bytes", "odd bytes"])
def test_every_bit_of_a_real_hcl_report_of_snp(snp: Machine, share: int) -> None:
    raw = snp.cpu.hcl.raw
    end = 1236 + len(snp.cpu.hcl.runtime.raw)
    assert survivors(snp, raw, range(share, end, 2)) == set(REQUEST_TYPE[share::2])
    assert survivors(snp, raw, range(end + share, len(raw), 97)) == set()


@pytest.mark.parametrize("share", [0, 1], ids=["even bytes", "odd bytes"])
def test_every_bit_of_a_real_hcl_report_of_tdx(tdx: Machine, share: int) -> None:
    raw = tdx.cpu.hcl.raw
    unread = {*REQUEST_TYPE, *MAC_STRUCT, *TCB_INFO, *TD_INFO_REST}
    read = [position for position in range(share, 1236, 2) if position not in unread]
    assert survivors(tdx, raw, read) == set()
    some = [position for position in sorted(unread) if position % 16 == share]
    assert survivors(tdx, raw, some) == set(some)
    assert survivors(tdx, raw, range(1236 + share, len(raw), 37)) == set(), "as SNP's, which has them all"


def test_every_bit_behind_the_runtime_data_is_zero_or_refused(snp: Machine) -> None:
    raw = snp.cpu.hcl.raw
    end = 1236 + len(snp.cpu.hcl.runtime.raw)
    assert not any(HclReport.parse(changed).zeros for _, changed in flips(raw, range(end, len(raw))))


def test_every_bit_of_a_real_tpm_quote(snp: Machine) -> None:
    quote = snp.cpu.quote
    assert quote is not None
    for position, changed in flips(quote.message, range(len(quote.message))):
        assert snp.with_quote(changed, quote.signature) is None, f"byte {position} of the message"
    for position, changed in flips(quote.signature, range(len(quote.signature))):
        assert snp.with_quote(quote.message, changed) is None, f"byte {position} of the signature"


def test_every_bit_of_every_register(snp: Machine) -> None:
    quote = snp.cpu.quote
    assert quote is not None
    assert quote.pcrs is not None
    for index, value in enumerate(quote.pcrs):
        for _, changed in flips(value, range(0, 32, 7)):
            pcrs = (*quote.pcrs[:index], changed, *quote.pcrs[index + 1 :])
            assert snp.claims(replace(snp.cpu, quote=replace(quote, pcrs=pcrs))) is None


def test_every_bit_of_a_real_certificate_of_the_key(tdx: Machine) -> None:
    """One bit of each byte, and all of them in a proof."""
    assert tdx.cpu.certificate is not None
    der = tdx.cpu.certificate.der
    for bit in range(len(der) * 8) if PROOF else (byte * 8 + byte % 8 for byte in range(len(der))):
        changed = flipped(der, bit)
        try:
            certificate = read_certificate(changed, where="ak")
        except AttestError:
            continue
        assert tdx.claims(replace(tdx.cpu, certificate=certificate)) is None, f"bit {bit}"


def test_every_bit_of_the_real_ca_of_the_keys_certificate(tdx: Machine) -> None:
    """It is shipped as well: one of another name or key did not sign the certificate and is passed over, and the
    shipped one is used. Nothing else of it can be changed."""
    ca = (ROOT / "attest" / "anchors" / "azure-vtpm-ca-03.pem").read_bytes()
    (given,) = parse_certificates(ca, where="ca")
    assert tdx.cpu.certificate is not None
    assert tdx.cpu.certificate.issued_by(given)
    key = given.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    start, end = given.der.index(given.subject_der), given.der.index(key) + len(key)
    accepted = set()
    for bit in range(0, len(given.der) * 8, 1 if PROOF else 7):
        try:
            other = Certificate(flipped(given.der, bit), where="ca")
        except AttestError:
            continue
        endorsements = replace(tdx.endorsements, certificates=(other, *tdx.endorsements.certificates))
        try:
            verified = verify(Evidence(tdx.cpu), endorsements=endorsements, at=tdx.at, cache=tdx.cache)
        except AttestError:
            continue
        assert verified.claims_json() == tdx.honest
        accepted.add(bit // 8)
    assert accepted
    assert min(accepted) >= start
    assert max(accepted) < end


def test_every_bit_of_azures_list_is_refused_or_leaves_the_certificate_unchecked(
    simulator: Simulator, anchors: Anchors
) -> None:
    """A list of another issuer's name is another's: no list of Azure's root was given then, and it is said."""
    made = simulator.azure()
    (mine,) = (crl for crl in made.endorsements.crls if b"AZURE" in crl.issuer_der.upper())
    others = tuple(crl for crl in made.endorsements.crls if crl is not mine)
    cache = Cache()

    def warned(crl: Crl) -> set[str]:
        endorsements = replace(made.endorsements, crls=(*others, crl))
        verified = verify(made.evidence, endorsements=endorsements, at=made.at, anchors=anchors, cache=cache)
        return {warning.code for warning in verified.warnings}

    assert "revocation-unchecked" not in warned(mine)
    for bit in range(0, len(mine.der) * 8, 1 if PROOF else 5):
        try:
            crl = Crl(flipped(mine.der, bit), where="list")
            warnings = warned(crl)
        except AttestError:
            continue
        assert crl.issuer_der != mine.issuer_der, f"bit {bit}"
        assert "revocation-unchecked" in warnings
