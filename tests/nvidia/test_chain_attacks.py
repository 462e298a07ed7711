"""The device chain: what only this room checks. Links, usages and validity have faults of the simulator."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from attest.anchors import Anchors
from attest.cache import Cache
from attest.endorsements import Endorsements
from attest.errors import Rejected
from attest.evidence import Evidence
from attest.nvidia.chain import _serial, given_chain
from attest.nvidia.containers import DeviceEvidence
from attest.nvidia.family import Family
from attest.simulator import Simulator, der
from attest.simulator.certificates import Extension, key_usage, name
from attest.verifier import verify
from attest.x509 import Certificate, parse_certificates
from tests.ca import Authority
from tests.conftest import Sample, Vectors
from tests.nvidia.conftest import AT, Bench

SHA384 = der.oid("2.16.840.1.101.3.4.2.2")


def test_a_chain_cached_under_the_simulator_is_refused_in_production(bench: Bench) -> None:
    cache = Cache()
    bench.verify(bench.plan(), cache=cache)
    assert bench.refused(bench.plan(), cache=cache, anchors=Anchors.production()) == {
        "x509.anchor",
        "evidence.simulated",
    }


def test_report_signatures_are_never_cached(bench: Bench) -> None:
    cache = Cache()
    plan = bench.plan()
    bench.verify(plan, cache=cache)
    plan.report_key = "p384/stranger"
    assert bench.refused(plan, cache=cache) == {"nvidia.signature.invalid"}


def test_validity_is_judged_each_time_and_to_the_second(bench: Bench) -> None:
    cache = Cache()
    plan = bench.plan()
    last = plan.chain[2].not_after = datetime(2026, 12, 1, tzinfo=UTC)
    for _ in range(2):
        bench.verify(plan, cache=cache, at=last)
        assert bench.refused(plan, cache=cache, at=last + timedelta(seconds=1)) == {"x509.expired"}


def test_a_chain_given_beside_the_report_is_taken_as_it_is(bench: Bench) -> None:
    device = bench.plan().build()
    chain = tuple(map(Certificate, device.chain))
    stranger = Authority("somebody else").certificate
    evidence = Evidence(devices=(DeviceEvidence.parse(device.report),))

    def judge(*certificates: Certificate) -> set[str]:
        try:
            verify(
                evidence, endorsements=Endorsements(certificates=certificates), at=AT, anchors=bench.anchors
            )
        except Rejected as refusal:
            return refusal.codes
        return set()

    assert judge(stranger, *chain) == set()
    assert judge() == {"x509.missing"}
    assert judge(*chain[:4]) == {"x509.depth"}
    assert judge(*chain, Authority("NVIDIA", None).certificate) == set()
    assert "x509.signature" in judge(chain[0], chain[2], chain[1], *chain[3:])


def test_a_report_is_signed_by_a_p384_key_and_by_no_other_kind(bench: Bench, simulator: Simulator) -> None:
    device = bench.plan().build()
    rsa = next(
        one for one in simulator.snp().endorsements.certificates if isinstance(one.public_key, RSAPublicKey)
    )
    p256 = Authority("GH100 A01 GSP FMC LF", curve=ec.SECP256R1()).certificate
    for first in (rsa, p256):
        evidence = Evidence(
            devices=(replace(DeviceEvidence.parse(device.report), chain=(first,), arch="HOPPER"),)
        )
        with pytest.raises(Rejected) as refusal:
            verify(evidence, endorsements=Endorsements(), at=AT, anchors=bench.anchors)
        assert "nvidia.signature.invalid" in refusal.value.codes


def test_manifest_signers_are_no_part_of_a_device_chain(vectors: Vectors, h100: Sample) -> None:
    roots = [vectors.path(f"roots/nvidia_{role}_root.pem").read_bytes() for role in ("device", "rim")]
    device, rim = (parse_certificates(root, where="root")[0] for root in roots)
    assert given_chain((rim, device, *h100.endorsements.certificates)).count(device) >= 1
    assert rim not in given_chain((rim,))


@pytest.mark.parametrize("leaf", ["GH100", "GX100 A01 GSP FMC LF", "gh100 A01 GSP FMC LF", "XGH100 A01", ""])
def test_unknown_chips_have_no_family(leaf: str) -> None:
    assert Family.of_name(leaf) is None


def test_a_switchs_certificates_under_a_gpus_arch_are_refused(bench: Bench) -> None:
    plan = bench.plan()
    plan.chain[0].subject = name("C=US,O=NVIDIA Corporation,CN=ZZ100 A01 GSP FMC LF")
    assert bench.refused(plan) == {"nvidia.device.family"}


@pytest.mark.parametrize("arch", ["BLACKWELL", "LS10", "hopper2", ""])
def test_arch_beside_the_evidence_may_not_contradict(bench: Bench, arch: str) -> None:
    plan = bench.plan()
    plan.arch = arch or "?"
    assert bench.refused(plan) == {"nvidia.device.architecture"}


@pytest.mark.parametrize("arch", ["HOPPER", "Hopper", "hopper"])
def test_arch_is_read_in_any_case(bench: Bench, arch: str) -> None:
    plan = bench.plan()
    plan.arch = arch
    assert bench.claims(plan)["architecture"] == "hopper"


# -- firmware identity ------------------------------------------------------------------------------


def blackwell(*fwids: bytes, algorithm: bytes = SHA384) -> Extension:
    entries = b"".join(der.sequence(algorithm, der.octets(fwid)) for fwid in fwids)
    return Extension("2.23.133.5.4.1.1", der.sequence(der.explicit(6, entries)))


def as_blackwell(bench: Bench, extension: Extension, fwid: bytes) -> set[str]:
    plan = bench.plan()
    leaf, brom = plan.chain[:2]
    leaf.drop("2.23.133.5.4.1")
    leaf.put(extension)
    brom.subject = name("C=US,O=NVIDIA Corporation,CN=GB100 A01 GSP BROM")
    leaf.subject, leaf.issuer = name("C=US,O=NVIDIA Corporation,CN=GB100 A01 GSP FMC LF"), brom.subject
    plan.arch = "BLACKWELL"
    plan.set_opaque(20, fwid)
    try:
        bench.verify(plan, rims=())
    except Rejected as refusal:
        return refusal.codes
    return set()


FWID, ZERO = b"\x5a" * 48, bytes(48)


def test_blackwell_names_its_firmware_first_and_zeros_after(bench: Bench) -> None:
    assert as_blackwell(bench, blackwell(FWID, ZERO), FWID) == set()
    assert as_blackwell(bench, blackwell(FWID), FWID) == set()


@pytest.mark.parametrize(
    ("extension", "code"),
    [
        (blackwell(ZERO, FWID), "extension"),
        (blackwell(FWID, FWID), "extension"),
        (blackwell(), "extension"),
        (blackwell(FWID, algorithm=der.oid("2.16.840.1.101.3.4.2.1")), "extension"),
        (blackwell(FWID[:32]), "extension"),
        (Extension("2.23.133.5.4.1.1", der.sequence()), "extension"),
        (Extension("2.23.133.5.4.1.1", b"\x30\x80\0\0"), "extension"),
        (blackwell(b"\x5b" * 48, ZERO), "mismatch"),
    ],
)
def test_blackwells_extension_in_any_other_form_is_refused(
    bench: Bench, extension: Extension, code: str
) -> None:
    assert as_blackwell(bench, extension, FWID) == {f"nvidia.fwid.{code}"}


@pytest.mark.parametrize(
    "parts",
    [
        (der.integer(2), "key", "fwid"),
        (der.integer(1), "key"),
        (der.integer(1), "key", "fwid", "fwid"),
        (der.integer(1), "fwid", "key"),
        (der.integer(1), "key", der.sequence(der.oid("2.16.840.1.101.3.4.2.1"), der.octets(ZERO))),
        (der.integer(1), "key", der.sequence(SHA384, der.octets(ZERO[:47]))),
        (der.integer(1), "key", der.sequence(SHA384, der.octets(ZERO), der.octets(ZERO))),
    ],
)
def test_hoppers_extension_in_any_other_form_is_refused(bench: Bench, parts: tuple[bytes | str, ...]) -> None:
    plan = bench.plan()
    named = {
        "key": bench.keys.spki(plan.chain[1].key),
        "fwid": der.sequence(SHA384, der.octets(dict(plan.opaque)[20])),
    }
    content = [named[part] if isinstance(part, str) else part for part in parts]
    plan.chain[0].put(Extension("2.23.133.5.4.1", der.sequence(*content)))
    assert bench.refused(plan) == {"nvidia.fwid.extension"}


def test_hopper_may_not_use_blackwells_extension(bench: Bench) -> None:
    """It has no key in it, so the check of the device key would be escaped."""
    plan = bench.plan()
    plan.chain[0].drop("2.23.133.5.4.1")
    plan.chain[0].put(blackwell(dict(plan.opaque)[20]))
    assert bench.refused(plan) == {"nvidia.fwid.extension"}


def test_a_report_without_fwid_says_so(bench: Bench) -> None:
    plan = bench.plan()
    plan.set_opaque(20, None)
    verified = bench.verify(plan)
    assert verified.claims["raw"]["gpu"][0]["fwid_match"] == "absent"
    assert {r.name: r.outcome for r in verified.checks}["gpu[0].fwid"] == "not-run"


# -- revocation lists -------------------------------------------------------------------------------


def crl_of(bench: Bench, position: int, *serials: int) -> object:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    from attest.x509 import Crl

    issuer = bench.plan().chain[position]
    certificate = Certificate(issuer.build(bench.keys))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(certificate.parsed.subject)
        .last_update(AT - timedelta(days=1))
        .next_update(AT + timedelta(days=1))
    )
    for serial in serials:
        revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(AT).build()
        builder = builder.add_revoked_certificate(revoked)
    return Crl(builder.sign(bench.keys.elliptic(issuer.key), hashes.SHA384()).public_bytes(Encoding.DER))


@pytest.mark.parametrize("position", [1, 2, 3])
def test_t_crl_a_ca_or_device_on_its_issuers_list_is_refused(bench: Bench, position: int) -> None:
    serial = Certificate(bench.plan().chain[position].build(bench.keys)).serial
    assert bench.refused(bench.plan(), crls=(crl_of(bench, position + 1, serial),)) == {"x509.revoked"}


def test_a_list_that_revokes_others_makes_no_good_certificate(bench: Bench) -> None:
    verified = bench.verify(bench.plan(), crls=(crl_of(bench, 3, 4711),))
    assert verified.claims["gpu"][0]["cert"] == "absent"
    assert {r.name: r.outcome for r in verified.checks}["gpu[0].crl"] == "passed"
    assert len(verified.memory.crls) == 1


@pytest.mark.parametrize("serial", [0, -7])
def test_a_device_without_a_number_of_its_own_is_refused(bench: Bench, serial: int) -> None:
    plan = bench.plan()
    plan.chain[1].serial = serial
    assert bench.refused(plan) == {"x509.malformed"}


def test_a_leaf_that_may_sign_certificates_is_refused(bench: Bench) -> None:
    plan = bench.plan()
    plan.chain[0].put(key_usage("digital_signature", "key_cert_sign"))
    assert bench.refused(plan) == {"x509.key-usage"}


@pytest.mark.parametrize(
    ("serial", "shown"), [(1, "01"), (0x7F, "7f"), (0xFF, "ff"), (0x100, "0100"), (0x41 << 64 | 5, "410000000000000005")]
)  # fmt: skip
def test_a_device_is_called_by_its_serial_number_in_whole_bytes(serial: int, shown: str) -> None:
    assert _serial(SimpleNamespace(serial=serial)) == shown  # type: ignore[arg-type]
