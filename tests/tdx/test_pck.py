"""The PCK chain a quote carries, and the SGX extension in its leaf."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.endorsements import Endorsements
from attest.errors import Malformed, Rejected
from attest.evidence import Evidence
from attest.simulator import Simulator, der
from attest.tdx.quote import Quote
from attest.tdx.sgx_extension import SGX_EXTENSION, PckFacts
from attest.verified import Verified
from attest.verifier import verify
from attest.x509 import Certificate, parse_certificates
from tests.conftest import Sample
from tests.tdx.conftest import Judge


def leaf_of(quote: bytes) -> Certificate:
    return parse_certificates(Quote.parse(quote).certification_data, where="quote")[0]


def pem(certificate: Certificate) -> bytes:
    text = base64.encodebytes(certificate.der)
    return b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n"


def with_chain(quote: bytes, chain: bytes, kind: int = 5) -> bytes:
    """The quote with other certification data; everything that is signed stays."""
    parsed = Quote.parse(quote)
    old = parsed.certification_data
    grown = len(chain) - len(old)
    start = len(parsed.signed)
    head, data = parsed.raw[: start + 4], bytearray(parsed.raw[start + 4 : len(parsed.raw) - len(old)])
    data[130:134] = (int.from_bytes(data[130:134], "little") + grown).to_bytes(4, "little")
    data[-6:] = kind.to_bytes(2, "little") + len(chain).to_bytes(4, "little")
    size = (int.from_bytes(head[-4:], "little") + grown).to_bytes(4, "little")
    return head[:-4] + size + bytes(data) + chain


# -- extension --------------------------------------------------------------------------------------------------


def test_a_real_extension_says_what_the_manifest_says(td: Sample) -> None:
    extension = leaf_of(td.read("quote.bin")).raw_extension(SGX_EXTENSION)
    assert extension is not None
    facts = PckFacts.parse(extension)
    assert facts.fmspc.hex() == "b0c06f000000"
    assert list(facts.components) == [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]
    assert facts.pce_svn == 11
    assert facts.cpu_svn == facts.components
    assert facts.platform_instance_id is not None
    assert facts.cached_keys is not None


@pytest.mark.parametrize("tail", ["1", "2", "3", "4", "5", "2.1", "2.16", "2.17", "2.18"])
def test_a_missing_member_is_malformed(simulator: Simulator, tail: str) -> None:
    plan = simulator.plan_tdx()
    plan.sgx.edit[tail] = None
    with pytest.raises(Malformed) as refusal:
        PckFacts.parse(plan.sgx.encode())
    assert refusal.value.codes <= {"tdx.pck.extension", "evidence.malformed"}


def test_svns_from_0_to_255_and_no_others(simulator: Simulator) -> None:
    plan = simulator.plan_tdx(components={5: 255})
    assert PckFacts.parse(plan.sgx.encode()).components[5] == 255
    for value in (b"\x02\x02\x01\x00", b"\x02\x01\xff", b"\x02\x02\x00\x7f", b"\x04\x01\x05"):
        plan.sgx.edit["2.6"] = value
        with pytest.raises(Malformed):
            PckFacts.parse(plan.sgx.encode())


def test_cpusvn_that_contradicts_the_components_is_malformed(simulator: Simulator) -> None:
    plan = simulator.plan_tdx()
    plan.sgx.cpusvn = bytes(16)
    with pytest.raises(Malformed) as refusal:
        PckFacts.parse(plan.sgx.encode())
    assert refusal.value.codes == {"tdx.pck.extension"}


def test_bytes_after_the_extension_or_a_doubled_member_are_malformed(simulator: Simulator) -> None:
    encoded = simulator.plan_tdx().sgx.encode()
    with pytest.raises(Malformed):
        PckFacts.parse(encoded + b"\0")
    ppid = encoded[4 : 4 + 2 + encoded[5]]
    body = encoded[4:] + ppid
    with pytest.raises(Malformed) as refusal:
        PckFacts.parse(b"\x30\x82" + len(body).to_bytes(2, "big") + body)
    assert refusal.value.codes == {"tdx.pck.extension"}
    assert "twice" in (refusal.value.problems[0].found or "")


def test_a_member_too_many_or_of_another_arc_is_malformed() -> None:
    def pairs(arc: str, members: dict[int, bytes]) -> bytes:
        return der.sequence(*(der.sequence(der.oid(f"{arc}.{n}"), value) for n, value in members.items()))

    arc = SGX_EXTENSION.dotted_string
    tcb = {**{n: der.integer(0) for n in range(1, 18)}, 18: der.octets(bytes(16))}

    def extension(tcb: dict[int, bytes], tcb_arc: str = f"{arc}.2") -> bytes:
        members = {
            1: der.octets(bytes(16)),
            2: pairs(tcb_arc, tcb),
            3: der.octets(bytes(2)),
            4: der.octets(bytes(6)),
            5: der.enumerated(0),
        }
        return pairs(arc, members)

    PckFacts.parse(extension(tcb))
    for broken in (extension({**tcb, 19: der.integer(0)}), extension(tcb, f"{arc}.3")):
        with pytest.raises(Malformed) as refusal:
            PckFacts.parse(broken)
        assert refusal.value.codes == {"tdx.pck.extension"}


def test_a_leaf_of_the_processor_ca_has_no_instance(simulator: Simulator) -> None:
    facts = PckFacts.parse(simulator.plan_tdx(ca="processor").sgx.encode())
    assert (facts.platform_instance_id, facts.cached_keys) == (None, None)


@given(st.binary(max_size=300))
def test_any_bytes_give_facts_or_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        PckFacts.parse(data)


@given(st.data())
def test_a_changed_extension_gives_facts_or_malformed(simulator: Simulator, data: st.DataObject) -> None:
    encoded = bytearray(simulator.plan_tdx().sgx.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        facts = PckFacts.parse(bytes(encoded))
    except Malformed:
        return
    assert facts.cpu_svn == facts.components


# -- chain ------------------------------------------------------------------------------------------------------


def judge_real(td: Sample, quote: bytes, endorsements: Endorsements | None = None) -> Verified:
    return verify(Evidence(Quote.parse(quote)), endorsements=endorsements or td.endorsements, at=td.at)


def test_order_and_a_final_nul_do_not_matter(td: Sample) -> None:
    quote = td.read("quote.bin")
    leaf, ca, root = parse_certificates(Quote.parse(quote).certification_data, where="quote")
    for chain in ((leaf, ca, root), (root, ca, leaf), (ca, leaf, root), (ca, root, leaf)):
        judge_real(td, with_chain(quote, b"".join(map(pem, chain))))
        judge_real(td, with_chain(quote, b"".join(map(pem, chain)) + b"\0"))


@pytest.mark.parametrize(
    ("chosen", "codes"),
    [
        ([0], {"x509.depth"}),
        ([0, 1], {"x509.depth"}),
        ([0, 1, 2, 2], {"x509.malformed"}),
        ([0, 1, 1], {"x509.anchor"}),
        ([0, 0, 2], {"x509.duplicate"}),
        ([0, 2, 2], {"x509.key-identifier", "x509.name", "x509.signature"}),
        ([1, 2, 2], {"x509.key-usage", "x509.leaf-is-ca", "x509.name"}),
        ([], {"x509.malformed"}),
    ],
)
def test_another_set_of_certificates_is_refused(td: Sample, chosen: list[int], codes: set[str]) -> None:
    quote = td.read("quote.bin")
    chain = parse_certificates(Quote.parse(quote).certification_data, where="quote")
    with pytest.raises(Rejected) as refusal:
        judge_real(td, with_chain(quote, b"".join(pem(chain[i]) for i in chosen)))
    assert refusal.value.codes == codes


@pytest.mark.parametrize("chain", [b"", b"\0", b"text", b"\x30\x82\0\0", b"-----BEGIN CERTIFICATE-----\n!\n"])
def test_a_chain_that_is_no_pem_is_refused(td: Sample, chain: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        judge_real(td, with_chain(td.read("quote.bin"), chain))
    assert "x509.malformed" in refusal.value.codes


def test_text_between_certificates_is_refused(td: Sample) -> None:
    quote = td.read("quote.bin")
    chain = Quote.parse(quote).certification_data.rstrip(b"\0")
    with pytest.raises(Rejected) as refusal:
        judge_real(td, with_chain(quote, chain + b"trust me\n"))
    assert "x509.malformed" in refusal.value.codes


def test_a_quote_without_chain_is_judged_by_the_given_one(td: Sample) -> None:
    quote = td.read("quote.bin")
    leaf, ca, _ = parse_certificates(Quote.parse(quote).certification_data, where="quote")
    bare = with_chain(quote, bytes(36), kind=1)
    with pytest.raises(Rejected) as refusal:
        judge_real(td, bare)
    assert refusal.value.codes == {"tdx.quote.certification-data"}
    verified = judge_real(td, bare, td.endorsements + Endorsements(certificates=(ca, leaf)))
    assert "tdx.quote.certification-data" in {one.name for one in verified.checks if one.outcome == "passed"}


def test_a_given_leaf_without_its_issuer_is_a_chain_cut_short(td: Sample) -> None:
    quote = td.read("quote.bin")
    leaf = parse_certificates(Quote.parse(quote).certification_data, where="quote")[0]
    with pytest.raises(Rejected) as refusal:
        judge_real(td, with_chain(quote, bytes(36), kind=1), replace(td.endorsements, certificates=(leaf,)))
    assert "x509.depth" in refusal.value.codes


def test_a_platform_of_the_processor_ca_is_judged_as_one(judge: Judge, simulator: Simulator) -> None:
    verified = judge(simulator.plan_tdx(ca="processor"))
    assert verified.claims["raw"]["tdx"]["pck"]["issuer"] == "Intel SGX PCK Processor CA"


def test_a_given_chain_of_the_processor_ca_serves_as_one_in_the_quote(
    judge: Judge, simulator: Simulator
) -> None:
    plan = simulator.plan_tdx(ca="processor")
    leaf, ca, _ = (Certificate(der_) for der_ in plan.chain())
    plan.inner_type, plan.inner = 1, bytes(36)
    made = plan.build()
    judge(quote=made.raw, endorsements=made.endorsements + Endorsements(certificates=(leaf, ca)))


def test_a_given_chain_of_another_platform_does_not_serve(td: Sample, simulator: Simulator) -> None:
    bare = with_chain(td.read("quote.bin"), bytes(36), kind=1)
    other = parse_certificates(Quote.parse(simulator.tdx().raw).certification_data, where="quote")
    with pytest.raises(Rejected) as refusal:
        judge_real(td, bare, td.endorsements + Endorsements(certificates=other[:2]))
    assert refusal.value.codes == {"tdx.quote.certification-data"}


def test_issuers_are_sought_for_the_leaf_that_signed_alone(
    td: Sample, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gives hundreds of leaves, and issuers with costly keys, has not chosen how long this takes."""
    quote = td.read("quote.bin")
    leaf, ca, _ = parse_certificates(Quote.parse(quote).certification_data, where="quote")
    other = parse_certificates(Quote.parse(simulator.tdx().raw).certification_data, where="quote")
    asked: list[Certificate] = []

    def issued_by(self: Certificate, issuer: Certificate, real: Any = Certificate.issued_by) -> bool:
        asked.append(self)
        return bool(real(self, issuer))

    monkeypatch.setattr(Certificate, "issued_by", issued_by)
    given = Endorsements(certificates=(*other[:2], ca, leaf))
    judge_real(td, with_chain(quote, bytes(36), kind=1), td.endorsements + given)
    assert leaf in asked
    assert other[0] not in asked


def test_a_platform_manifest_is_no_chain(td: Sample) -> None:
    quote = td.read("quote.bin")
    leaf, ca, _ = parse_certificates(Quote.parse(quote).certification_data, where="quote")
    with pytest.raises(Rejected) as refusal:
        judge_real(
            td, with_chain(quote, bytes(64), kind=7), td.endorsements + Endorsements(certificates=(ca, leaf))
        )
    assert refusal.value.codes == {"tdx.quote.certification-data"}


def test_the_chain_of_another_platform_does_not_carry_the_qe_report(
    judge: Judge, simulator: Simulator
) -> None:
    plan = simulator.plan_tdx()
    plan.qe_key = "p256/stranger"
    with pytest.raises(Rejected) as refusal:
        judge(plan)
    assert refusal.value.codes == {"tdx.qe-report.signature"}
