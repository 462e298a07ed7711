"""The offline bundle: one signed file that a fleet verifies with, and what keeps it from being another."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from attest import Memory, load, verify
from attest.anchors import Anchors
from attest.canonical import canonical
from attest.dsse import TrustedKey, TrustedKeys, key_id, seal_envelope
from attest.endorsements import Endorsements
from attest.errors import Malformed, Rejected
from attest.loader import load_endorsements
from attest.simulator import Simulator
from attest.simulator.simulated import Simulated
from attest.sources.offline import Bundle
from attest.sources.opening import BundleReader
from tests.conftest import NOON, Sample, Vectors

KEY = ed25519.Ed25519PrivateKey.generate()
SIGNER = key_id(KEY.public_key())
EXPIRES = NOON + timedelta(days=30)


def trust(kind: Any = "endorsements") -> TrustedKeys:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return TrustedKeys([TrustedKey.read(kind, pem)])


def bundle_of(endorsements: Endorsements, **fields: Any) -> Bundle:
    return Bundle.of(endorsements, **{"made": NOON, "expires": EXPIRES, "serial": 7, **fields})


def seal(bundle: Bundle) -> bytes:
    return seal_envelope("endorsements", bundle.payload(), KEY)


def written(folder: Path, evidence: bytes, sealed: bytes) -> list[Path]:
    paths = [folder / "evidence", folder / "bundle.json"]
    paths[0].write_bytes(evidence)
    paths[1].write_bytes(sealed)
    return paths


def opened(
    folder: Path, evidence: bytes, sealed: bytes, at: Any = NOON, memory: Memory | None = None
) -> tuple[Any, BundleReader]:
    reader = BundleReader(trust(), at, memory)
    return load(*written(folder, evidence, sealed), bundles=reader), reader


def refused(folder: Path, evidence: bytes, sealed: bytes, **keywords: Any) -> set[str]:
    with pytest.raises(Rejected) as refusal:
        opened(folder, evidence, sealed, **keywords)
    assert any(record.outcome == "failed" for record in refusal.value.checks)
    return refusal.value.codes


def resigned(bundle: Bundle, **members: Any) -> bytes:
    """A bundle whose signer wrote something else into it."""
    document = {**json.loads(bundle.payload()), **members}
    return seal_envelope("endorsements", canonical(document), KEY)


@pytest.fixture(scope="module")
def snp(simulator: Simulator) -> Simulated:
    return simulator.snp()


@pytest.fixture(scope="module")
def sealed(snp: Simulated) -> bytes:
    return seal(bundle_of(snp.endorsements))


# -- the way through ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["snp", "tdx", "gpu", "machine"])
def test_a_machine_verifies_with_the_bundle_as_with_its_files(
    kind: str, simulator: Simulator, anchors: Anchors, tmp_path: Path
) -> None:
    keywords = {"nonce": bytes(range(32)), "cpu": "tdx"} if kind == "machine" else {}
    made: Simulated = getattr(simulator, kind)(**keywords)
    plain = verify(made.evidence, endorsements=made.endorsements, at=NOON, anchors=anchors)
    everybody = made.endorsements + simulator.snp(product="milan").endorsements + simulator.tdx().endorsements
    bundle = bundle_of(everybody + simulator.gpu().endorsements)
    name = next(name for name in made.files if name.endswith(("evidence.json", "machine.json", ".bin")))
    (evidence, endorsements), reader = opened(tmp_path, made.files[name], seal(bundle))
    verified = verify(evidence, endorsements=endorsements, at=NOON, anchors=anchors)
    assert verified.claims_json() == plain.claims_json()
    assert [record.outcome for record in reader.log.records()] == ["passed", "passed", "passed", "not-run"]


def test_real_machines_of_three_vendors_verify_with_one_bundle(
    genoa: Sample, td: Sample, h100: Sample, tmp_path: Path
) -> None:
    fleet = genoa.endorsements + td.endorsements + h100.endorsements
    evidence = {"report.bin": genoa, "quote.bin": td, "report.txt": h100}
    for name, sample in evidence.items():
        bundle = bundle_of(fleet, made=sample.at, expires=sample.at)
        (read, endorsements), _ = opened(tmp_path, sample.read(name), seal(bundle), at=sample.at)
        plain = verify(sample.evidence, endorsements=sample.endorsements, at=sample.at)
        verified = verify(read, endorsements=endorsements, at=sample.at)
        assert verified.claims_json() == plain.claims_json()


def test_the_real_lists_and_answers_of_all_vendors_go_through_a_bundle_unchanged(vectors: Vectors) -> None:
    files = [vectors.path(f"roots/amd_{name}.crl") for name in ("milan", "genoa")]
    files += sorted(vectors.path("tdx/collateral").glob("[!s]*.json"))
    files += sorted(vectors.path("nvidia/ocsp").iterdir())
    files += [vectors.path("nvidia/rims/NV_GPU_DRIVER_GH100_550.144.03.xml")]
    # Stored answers are base64 of DER, as NVIDIA's own tests keep them.
    given = load_endorsements([file for file in files if file.suffix != ".dat"])
    given += Endorsements(ocsp=tuple(base64.b64decode(f.read_bytes()) for f in files if f.suffix == ".dat"))
    bundle = bundle_of(given)
    read = Bundle.parse(bundle.payload())
    assert read.payload() == bundle.payload()
    held = read.endorsements()
    assert len(held.ocsp) == len(set(given.ocsp)) > 5
    assert {crl.der for crl in held.crls} == {crl.der for crl in given.crls}
    assert {(d.kind, d.body, d.signature) for d in held.documents} == {
        (d.kind, d.body, d.signature) for d in given.documents
    }


def test_the_same_endorsements_make_the_same_bytes(snp: Simulated, simulator: Simulator) -> None:
    both = snp.endorsements + simulator.tdx().endorsements
    assert seal(bundle_of(both)) == seal(bundle_of(both + snp.endorsements))


def test_it_says_when_it_was_made_what_ends_first_and_every_digest(snp: Simulated) -> None:
    document = json.loads(bundle_of(snp.endorsements).payload())
    assert (document["made"], document["serial"]) == ("2026-11-23T12:00:00Z", "7")
    ends = [entry["next-update"] for entry in document["entries"]]
    assert document["earliest-end"] == min(ends)
    for entry in document["entries"]:
        assert entry["sha256"] == hashlib.sha256(base64.b64decode(entry["data"])).hexdigest()
    (crl,) = (entry for entry in document["entries"] if entry["kind"] == "crl")
    assert crl["this-update"] < document["made"] < crl["next-update"]


# -- who put it together (T-SIGTYPE) -----------------------------------------------------------------------


def test_a_bundle_without_a_key_to_open_it_is_refused(snp: Simulated, sealed: bytes, tmp_path: Path) -> None:
    for reader in (None, BundleReader(TrustedKeys(), NOON)):
        with pytest.raises((Malformed, Rejected)) as refusal:
            load(*written(tmp_path, snp.raw, sealed), bundles=reader)
        assert refusal.value.codes <= {"bundle.key-missing", "dsse.key"}
    with pytest.raises(Malformed) as missing:
        load_endorsements([tmp_path / "bundle.json"])
    assert missing.value.codes == {"bundle.key-missing"}


def test_a_payload_without_its_envelope_is_nothing_we_know(snp: Simulated, tmp_path: Path) -> None:
    with pytest.raises(Malformed) as refusal:
        opened(tmp_path, snp.raw, bundle_of(snp.endorsements).payload())
    assert refusal.value.codes == {"evidence.unrecognised"}


def test_t_sigtype_a_bundle_signed_by_a_key_for_policies_is_refused(
    snp: Simulated, sealed: bytes, tmp_path: Path
) -> None:
    with pytest.raises(Rejected) as refusal:
        load(*written(tmp_path, snp.raw, sealed), bundles=BundleReader(trust("policy"), NOON))
    assert refusal.value.codes == {"dsse.kind"}


def test_t_sigtype_a_bundle_signed_as_a_policy_is_no_bundle(snp: Simulated, tmp_path: Path) -> None:
    as_policy = seal_envelope("policy", bundle_of(snp.endorsements).payload(), KEY)
    with pytest.raises(Malformed) as refusal:
        opened(tmp_path, snp.raw, as_policy)
    assert refusal.value.codes == {"dsse.kind"}
    relabelled = as_policy.replace(b"attest.policy", b"attest.endorsements")
    assert refused(tmp_path, snp.raw, relabelled) == {"dsse.signature"}


def test_a_bundle_of_somebody_else_is_refused(snp: Simulated, tmp_path: Path) -> None:
    payload = bundle_of(snp.endorsements).payload()
    other = seal_envelope("endorsements", payload, ed25519.Ed25519PrivateKey.generate())
    assert refused(tmp_path, snp.raw, other) == {"dsse.key"}


def test_a_tampered_payload_is_refused_before_it_is_read(
    snp: Simulated, sealed: bytes, tmp_path: Path
) -> None:
    document = json.loads(sealed)
    payload = base64.b64decode(document["payload"]).replace(b'"serial":"7"', b'"serial":"8"')
    document["payload"] = base64.b64encode(payload).decode()
    assert refused(tmp_path, snp.raw, json.dumps(document).encode()) == {"dsse.signature"}


@pytest.mark.parametrize("length", [1, 100, -300, -2])
def test_a_truncated_bundle_is_malformed(length: int, snp: Simulated, sealed: bytes, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        opened(tmp_path, snp.raw, sealed.rstrip()[:length])


# -- its time, its serial ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "codes"),
    [
        (NOON - timedelta(seconds=1), {"bundle.not-yet-valid"}),
        (NOON, set()),
        (EXPIRES, set()),
        (EXPIRES + timedelta(seconds=1), {"bundle.expired"}),
    ],
)
def test_both_ends_belong_to_a_bundles_time(
    at: Any, codes: set[str], snp: Simulated, sealed: bytes, tmp_path: Path
) -> None:
    if codes:
        assert refused(tmp_path, snp.raw, sealed, at=at) == codes
    else:
        opened(tmp_path, snp.raw, sealed, at=at)


def test_a_bundle_older_than_one_seen_of_the_same_signer_is_refused(
    snp: Simulated, sealed: bytes, tmp_path: Path
) -> None:
    _, reader = opened(tmp_path, snp.raw, sealed, memory=Memory())
    assert reader.memory is not None
    assert reader.memory.bundle_seen(SIGNER) == 7
    kept = Memory.from_dict(reader.memory.as_dict())
    opened(tmp_path, snp.raw, sealed, memory=kept)
    older = seal(bundle_of(snp.endorsements, serial=6))
    assert refused(tmp_path, snp.raw, older, memory=kept) == {"bundle.rollback"}
    other = kept.with_bundle(["0" * 64], 99)
    opened(tmp_path, snp.raw, sealed, memory=other)


def test_a_refused_bundle_does_not_move_the_memory(snp: Simulated, tmp_path: Path) -> None:
    reader = BundleReader(trust(), NOON, Memory())
    ended = seal(
        bundle_of(
            snp.endorsements, made=NOON - timedelta(days=2), expires=NOON - timedelta(days=1), serial=99
        )
    )
    with pytest.raises(Rejected):
        load(*written(tmp_path, snp.raw, ended), bundles=reader)
    assert reader.memory == Memory()


# -- what is in it -------------------------------------------------------------------------------------------


def test_an_entry_is_what_is_written_beside_it(snp: Simulated, tmp_path: Path) -> None:
    bundle = bundle_of(snp.endorsements)
    entries = json.loads(bundle.payload())["entries"]
    for member, value, code in (
        ("sha256", "0" * 64, "bundle.digest"),
        ("next-update", "2099-01-01T00:00:00Z", "bundle.malformed"),
        ("about", "something else", "bundle.malformed"),
        ("kind", "policy", "bundle.malformed"),
        ("data", entries[0]["data"] + "=", "bundle.malformed"),
    ):
        changed = [{**entries[0], member: value}, *entries[1:]]
        assert refused(tmp_path, snp.raw, resigned(bundle, entries=changed)) == {code}, member
    more = [{**entries[0], "note": "x"}, *entries[1:]]
    assert refused(tmp_path, snp.raw, resigned(bundle, entries=more)) == {"bundle.malformed"}


@pytest.mark.parametrize(
    "members",
    [
        {"earliest-end": "2099-01-01T00:00:00Z"},
        {"serial": "07"},
        {"serial": 7},
        {"made": "2026-11-23 12:00"},
        {"made": "2026-11-23T12:00:00.5Z"},
        {"more": "x"},
        {"entries": {}},
    ],
)
def test_a_payload_has_one_form(members: dict[str, Any], snp: Simulated, tmp_path: Path) -> None:
    assert refused(tmp_path, snp.raw, resigned(bundle_of(snp.endorsements), **members)) == {
        "bundle.malformed"
    }


def test_a_second_spelling_of_the_same_payload_is_refused(snp: Simulated, tmp_path: Path) -> None:
    payload = bundle_of(snp.endorsements).payload().replace(b'","', b'", "', 1)
    assert refused(tmp_path, snp.raw, seal_envelope("endorsements", payload, KEY)) == {"bundle.malformed"}


def test_the_signature_of_the_bundle_makes_no_endorsement_authentic(
    simulator: Simulator, snp: Simulated, tmp_path: Path
) -> None:
    """Who signs bundles vouches for nothing in them: a simulator's chain stays a simulator's chain."""
    (evidence, endorsements), _ = opened(tmp_path, snp.raw, seal(bundle_of(snp.endorsements)))
    with pytest.raises(Rejected) as refusal:
        verify(evidence, endorsements=endorsements, at=NOON)
    assert {"evidence.simulated", "x509.anchor"} & refusal.value.codes


def test_t_crl_a_list_that_is_not_in_the_bundle_is_a_check_that_did_not_run(
    snp: Simulated, anchors: Anchors, tmp_path: Path
) -> None:
    without = replace(snp.endorsements, crls=())
    (evidence, endorsements), _ = opened(tmp_path, snp.raw, seal(bundle_of(without)))
    verified = verify(evidence, endorsements=endorsements, at=NOON, anchors=anchors)
    assert verified.claims["snp"]["crl"] == "absent"
    assert [r.outcome for r in verified.checks if r.name == "snp.crl"] == ["not-run"]


def test_an_entry_ends_by_its_own_date_whatever_the_bundle_says(
    simulator: Simulator, anchors: Anchors, tmp_path: Path
) -> None:
    made = simulator.tdx()
    late = NOON + timedelta(days=300)
    sealed = seal(bundle_of(made.endorsements, expires=late))
    (evidence, endorsements), _ = opened(tmp_path, made.raw, sealed, at=late)
    with pytest.raises(Rejected) as refusal:
        verify(evidence, endorsements=endorsements, at=late, anchors=anchors)
    assert {"tdx.tcb-info.expired", "tdx.qe-identity.expired"} <= refusal.value.codes


@given(st.binary(max_size=120))
def test_any_signed_payload_gives_a_bundle_or_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        Bundle.parse(payload)


@given(
    st.recursive(st.none() | st.booleans() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3))
)
def test_any_member_of_an_entry_gives_malformed(value: Any) -> None:
    entry = {
        "kind": "certificate", "about": "", "this-update": None, "next-update": None, "sha256": "", "data": "",
    }  # fmt: skip
    for member in entry:
        document = {
            "made": "2026-11-23T12:00:00Z",
            "expires": "2026-11-23T12:00:00Z",
            "serial": "0",
            "earliest-end": None,
            "entries": [{**entry, member: value}],
        }
        with pytest.raises(Malformed):
            Bundle.parse(json.dumps(document).encode())
