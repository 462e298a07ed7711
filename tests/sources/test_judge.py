"""A lone endorsement: signed down from a pinned root or not, and current or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.simulator import Simulator, der
from attest.simulator.certificates import Extension
from attest.simulator.simulated import Simulated
from attest.sources.judge import Judge, Judgement, earliest_end
from attest.tdx.quote import Quote
from attest.x509 import Certificate, Crl, parse_certificates
from tests.conftest import NOON, Sample, Vectors

DAY = timedelta(days=1)


def judged(anchors: Anchors, endorsements: Endorsements, **keywords: object) -> list[Judgement]:
    return Judge(anchors, **keywords).judge(endorsements, NOON)  # type: ignore[arg-type]


def pck_chain(made: Simulated) -> tuple[Certificate, ...]:
    """A quote brings its own chain, whose CA signs the list of platforms."""
    quote = made.evidence.cpu
    return parse_certificates(quote.certification_data, where="quote") if isinstance(quote, Quote) else ()


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu"])
def test_everything_of_an_honest_machine_is_authentic_and_current(
    simulator: Simulator, anchors: Anchors, kind: str
) -> None:
    made = getattr(simulator, kind)()
    rows = judged(anchors, made.endorsements, beside=[*map(Certificate, made.certificates), *pck_chain(made)])
    assert len(rows) >= 2
    assert {row.state(NOON) for row in rows} == {"current"}
    assert all(row.simulated for row in rows)


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu"])
def test_without_the_root_nothing_of_it_is(simulator: Simulator, kind: str) -> None:
    made = getattr(simulator, kind)()
    rows = judged(Anchors.production(), made.endorsements)
    assert {row.state(NOON) for row in rows} <= {"unauthentic", "unchecked"}
    assert "unauthentic" in {row.state(NOON) for row in rows}
    assert all(row.why for row in rows)


@pytest.mark.parametrize("name", ["genoa", "td", "h100"])
def test_real_endorsements_lead_to_the_vendors_roots(name: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(name)
    rows = Judge(Anchors.production()).judge(sample.endorsements, sample.at)
    assert rows
    assert {row.state(sample.at) for row in rows} == {"current"}
    assert not any(row.simulated for row in rows)


def test_every_flipped_bit_of_a_signed_list_is_noticed(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.tdx()
    crl = made.endorsements.crls[0]
    beside = made.endorsements.certificates
    for place in (40, len(crl.der) // 2, len(crl.der) - 1):
        data = bytearray(crl.der)
        data[place] ^= 1
        try:
            flipped = Crl(bytes(data))
        except Exception:  # noqa: BLE001 # what no longer parses is no list
            continue
        (row,) = judged(anchors, Endorsements(crls=(flipped,)), beside=beside)
        assert not row.authentic


def test_altered_collateral_is_not_authentic(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.tdx()
    for document in made.endorsements.documents:
        changed = replace(document, body=document.body.replace(b'"UpToDate"', b'"OutOfDate"', 1))
        assert changed.body != document.body
        (row,) = judged(anchors, Endorsements(documents=(changed,)), beside=made.endorsements.certificates)
        assert not row.authentic
        assert row.why


def test_a_ca_that_may_not_issue_vouches_for_nobody(simulator: Simulator, anchors: Anchors) -> None:
    """A leaf under a root is no issuer, whatever it signs."""
    plan = simulator.plan_tdx()
    plan.tcb_signer.issuer, plan.tcb_signer.signer = plan.pck.subject, plan.pck.key
    made = plan.build()
    leaf = plan.pck.build(plan.keys)
    signer = Certificate(plan.tcb_signer.build(plan.keys))
    beside = (Certificate(leaf), Certificate(plan.ca.build(plan.keys)), *made.endorsements.certificates)
    (row,) = judged(anchors, Endorsements(certificates=(signer,)), beside=beside)
    assert not row.authentic


def test_dates_decide_between_current_and_not(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.tdx()
    (info,) = [d for d in made.endorsements.documents if d.kind == "tcb-info"]
    (row,) = judged(anchors, Endorsements(documents=(info,)))
    assert row.begins is not None
    assert row.ends is not None
    assert row.state(row.begins) == row.state(row.ends) == "current"
    assert row.state(row.begins - timedelta(seconds=1)) == "not-yet"
    assert row.state(row.ends + timedelta(seconds=1)) == "ended"
    assert earliest_end([row, replace(row, ends=NOON)]) == NOON
    assert earliest_end([row, replace(row, ends=None)]) is None
    assert earliest_end([]) is None


def test_a_list_at_hand_revokes_what_it_names(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.snp(fault="snp-ask-revoked")
    rows = {row.about: row for row in judged(anchors, made.endorsements)}
    assert rows["SEV-Genoa"].state(NOON) == "revoked"
    # The leaf's serial number is 0, as of every other leaf: no list speaks of it.
    assert rows["SEV-VCEK"].state(NOON) == "current"


def test_serial_number_zero_in_a_list_speaks_of_no_leaf(simulator: Simulator, anchors: Anchors) -> None:
    """Every VCEK has it: looked up, one entry would revoke them all."""
    plan = simulator.plan_snp()
    made = plan.build()
    assert plan.crl is not None
    listed = replace(plan.crl, issuer=plan.intermediate.subject, revoked=[(0, NOON, None)])
    crl = Crl(listed.build(plan.keys))
    judge = Judge(anchors, beside=made.endorsements.certificates)
    (leaf,) = [c for c in made.endorsements.certificates if c.common_name == "SEV-VCEK"]
    assert crl.revokes(leaf.serial)
    assert not judge._certificate(leaf, [crl]).revoked


@pytest.mark.parametrize(
    "change",
    [
        {"corrupt": True},
        {"extensions": [Extension("2.5.29.27", der.integer(1), True)]},  # a delta is not the whole list
    ],
)
def test_a_list_that_is_not_the_issuers_whole_word_revokes_nothing(
    simulator: Simulator, anchors: Anchors, change: dict[str, Any]
) -> None:
    plan = simulator.plan_snp(fault="snp-ask-revoked")
    assert plan.crl is not None
    for name, value in change.items():
        setattr(plan.crl, name, value)
    rows = judged(anchors, plan.build().endorsements)
    assert [row.authentic for row in rows if row.kind == "crl"] == [False]
    assert not any(row.revoked for row in rows)


def test_a_ca_that_may_not_sign_lists_signs_none(simulator: Simulator, anchors: Anchors) -> None:
    plan = simulator.plan_snp()
    assert plan.crl is not None
    plan.crl.issuer, plan.crl.signer = plan.intermediate.subject, plan.intermediate.key
    rows = judged(anchors, plan.build().endorsements)
    assert [row.authentic for row in rows if row.kind == "crl"] == [False]


def test_an_ocsp_answer_needs_its_issuer_and_says_what_it_says(
    simulator: Simulator, anchors: Anchors
) -> None:
    """What cannot be followed for want of a certificate is not called forged."""
    made = simulator.gpu()
    chain = [Certificate(der) for der in made.certificates]
    alone = judged(anchors, Endorsements(ocsp=made.endorsements.ocsp))
    # The pinned roots are at hand: of their answers the certificate asked about need not be.
    about = sorted(row.about.partition(" of ")[2] for row in alone if row.authentic)
    assert about == ["NVIDIA CoRIM signing Root CA is good", "NVIDIA Device Identity CA is good"]
    others = [row for row in alone if not row.authentic]
    assert {row.state(NOON) for row in others} == {"unchecked"}
    assert all("is not among the files (NVIDIA " in (row.why or "") for row in others)
    rows = judged(anchors, Endorsements(ocsp=made.endorsements.ocsp), beside=chain)
    assert "GH100 A01 GSP BROM is good" in {row.about for row in rows if row.authentic}


def test_a_forged_answer_is_not_excused_by_a_missing_certificate(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.gpu(fault="gpu-ocsp-signature")
    rows = judged(anchors, made.endorsements, beside=[*map(Certificate, made.certificates)])
    assert "unauthentic" in {row.state(NOON) for row in rows if row.kind == "ocsp"}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("gpu-ocsp-self-made", "may not answer for this certificate"),
        ("gpu-ocsp-no-purpose", "extended key usage OCSPSigning"),
        ("gpu-ocsp-critical-extension", "critical extension"),
        ("gpu-ocsp-stranger-as-issuer", "not signed by its responder"),
    ],
)
def test_who_may_not_answer_for_an_issuer_that_is_at_hand_is_refused(
    simulator: Simulator, anchors: Anchors, fault: str, why: str
) -> None:
    made = simulator.gpu(fault=fault)
    rows = judged(anchors, made.endorsements, beside=[*map(Certificate, made.certificates)])
    (row,) = [row for row in rows if row.kind == "ocsp" and not row.authentic]
    assert row.state(NOON) == "unauthentic"
    assert why in (row.why or "")


def test_a_responder_under_a_root_of_a_pinned_name_lacks_no_file(anchors: Anchors) -> None:
    (root,) = [a.certificate for a in anchors.roots if a.role == "nvidia-device" and not a.simulated]
    key, own = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    forged, responder = _renamed(root, key, root.parsed.subject), _renamed(root, own, "responder", by=key)
    answer = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            responder.parsed, forged.parsed, hashes.SHA384(), ocsp.OCSPCertStatus.GOOD, NOON, NOON + DAY, None, None
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.parsed)
        .certificates([responder.parsed])
        .sign(own, hashes.SHA384())
    )  # fmt: skip
    (row,) = judged(anchors, Endorsements(ocsp=(answer.public_bytes(Encoding.DER),)))
    assert row.state(NOON) == "unauthentic"
    assert row.why == "its issuer is another NVIDIA Device Identity CA than the pinned root"


def test_an_answer_that_speaks_of_one_certificate_twice_is_nobodys(
    simulator: Simulator, anchors: Anchors
) -> None:
    made = simulator.gpu(fault="gpu-ocsp-doubled")
    rows = judged(anchors, made.endorsements, beside=[*map(Certificate, made.certificates)])
    (why,) = [row.why for row in rows if row.kind == "ocsp" and not row.authentic]
    assert "speaks of one certificate twice" in (why or "")


def test_whose_issuer_is_not_at_hand_cannot_be_checked(simulator: Simulator, anchors: Anchors) -> None:
    """A list of platforms, a document without its chain, a certificate: with the issuer they are authentic."""
    made = simulator.tdx()
    lists = Endorsements(crls=made.endorsements.crls)
    states = sorted(row.state(NOON) for row in judged(anchors, lists))
    assert states == ["current", "unchecked"]
    rows = judged(anchors, lists, beside=pck_chain(made))
    assert {row.state(NOON) for row in rows} == {"current"}
    documents = tuple(replace(document, chain=()) for document in made.endorsements.documents)
    rows = judged(anchors, Endorsements(documents=documents))
    assert {(row.state(NOON), row.why) for row in rows} == {
        ("unchecked", "its issuer's certificate is not among the files (Intel SGX TCB Signing)")
    }
    assert all(row.begins and row.ends for row in rows)
    leaf, authority, _ = pck_chain(made)
    (row,) = judged(anchors, Endorsements(certificates=(leaf,)))
    assert (row.state(NOON), row.why) == (
        "unchecked", f"its issuer's certificate is not among the files ({authority.common_name})",
    )  # fmt: skip
    # A forged issuer of that name is at hand, whose own issuer is: then nothing is missing.
    key = ec.generate_private_key(ec.SECP256R1())
    forged = _renamed(authority, key)
    (row,) = judged(anchors, Endorsements(certificates=(leaf,)), beside=[forged])
    assert row.state(NOON) == "unauthentic"
    # A leaf that the genuine issuer did not sign is not excused by a stray of its name under nobody.
    stray = _renamed(_signed("leaf", "nobody", 9, key), key, authority.parsed.subject)
    assert stray.subject_der == authority.subject_der
    (row,) = judged(anchors, Endorsements(certificates=(_renamed(leaf, key),)), beside=[authority, stray])
    assert row.state(NOON) == "unauthentic"


def _renamed(
    genuine: Certificate, key: Any, subject: x509.Name | str | None = None, *, by: Any = None
) -> Certificate:
    """Somebody else's certificate that names a genuine one's issuer, and its subject unless one is given."""
    parsed = genuine.parsed
    if isinstance(subject, str):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    made = x509.CertificateBuilder(
        parsed.issuer, subject or parsed.subject, key.public_key(), 7, NOON - DAY, NOON + DAY
    )
    made = made.add_extension(x509.BasicConstraints(True, None), critical=True)
    return Certificate(made.sign(by or key, hashes.SHA256()).public_bytes(Encoding.DER))


def _signed(
    subject: str, issuer: str, serial: int, key: Any, *, holds: Any = None, ca: bool = True
) -> Certificate:
    """A certificate around the public key `holds`, signed by `key`."""
    by, of = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)]) for text in (issuer, subject))
    made = x509.CertificateBuilder(by, of, holds or key.public_key(), serial, NOON - DAY, NOON + DAY)
    made = made.add_extension(x509.BasicConstraints(ca, None), critical=True)
    return Certificate(made.sign(key, hashes.SHA384()).public_bytes(Encoding.DER))


def test_a_certificate_around_a_roots_public_key_is_not_the_root(
    simulator: Simulator, anchors: Anchors
) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    for anchor in anchors.roots:
        genuine = anchor.certificate
        for subject in ("forged", genuine.common_name):
            forged = _signed(subject, subject, 7, key, holds=genuine.public_key)
            assert forged.spki_sha256 == genuine.spki_sha256
            (row,) = judged(anchors, Endorsements(certificates=(forged,)))
            assert row.state(NOON) == "unauthentic"
        (row,) = judged(anchors, Endorsements(certificates=(genuine,)))
        assert row.authentic


def test_strangers_cost_no_signature(
    simulator: Simulator, anchors: Anchors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who issues himself eight times under one name, and answers about a hundred certificates of one serial
    number, has no more looked at than is under a root: nothing."""
    key = ec.generate_private_key(ec.SECP384R1())
    issuers = [_signed("N", "N", number + 1, key) for number in range(8)]
    asked = [_signed(f"{number}", "N", 7, key, ca=False) for number in range(100)]
    answers = [
        ocsp.OCSPResponseBuilder()
        .add_response(
            asked[0].parsed, issuers[0].parsed, hashes.SHA384(), ocsp.OCSPCertStatus.GOOD,
            NOON - timedelta(seconds=number), NOON + DAY, None, None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, issuers[0].parsed)
        .sign(key, hashes.SHA384())
        .public_bytes(Encoding.DER)
        for number in range(4)
    ]  # fmt: skip
    looked_at: list[Certificate] = []
    monkeypatch.setattr(Certificate, "issued_by", lambda one, issuer: looked_at.append(one))
    rows = judged(anchors, Endorsements(certificates=(*issuers, *asked), ocsp=tuple(answers)))
    assert {row.authentic for row in rows} == {False}
    assert not {*issuers, *asked} & {*looked_at}


def test_the_shared_roots_are_authentic(vectors: Vectors) -> None:
    for file in sorted(vectors.path("roots").glob("amd-*a*k*.pem")):
        certificates = parse_certificates(file.read_bytes(), where=file.name)
        assert {row.authentic for row in judged(Anchors.production(), Endorsements(certificates))} == {True}
