"""The documents that Azure evidence comes in: one strict shape a version, nothing beside it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.anchors import Anchors
from attest.azure.ak import read_certificate
from attest.azure.containers import read_evidence, read_tpm_quote
from attest.azure.evidence import AzureEvidence
from attest.azure.yaml_text import is_yaml, read_yaml
from attest.binding import Expected
from attest.bundle import write_bundle
from attest.composite import read_composite
from attest.errors import Malformed
from attest.evidence import Evidence
from attest.recognise import Found, recognise
from attest.simulator import Simulated, Simulator
from attest.simulator.certificates import pem
from attest.verifier import verify
from tests.conftest import Vectors

NONCE = bytes(range(32))
NAMES = {"snp": "simulated-az-snp-vtpm.json", "tdx": "simulated-az-tdx-vtpm.json"}


def document(simulator: Simulator, kind: str, version: int) -> dict[str, Any]:
    made = simulator.azure(kind=kind, version=version, nonce=NONCE)
    read: dict[str, Any] = json.loads(made.files[NAMES[kind]])
    return read


def codes(parse: Callable[[], object]) -> set[str]:
    with pytest.raises(Malformed) as refusal:
        parse()
    return refusal.value.codes


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("version", [0, 1, 2])
def test_every_version_of_either_kind(simulator: Simulator, kind: str, version: int) -> None:
    evidence, certificates = read_evidence(document(simulator, kind, version), where="e")
    assert (evidence.kind, evidence.version) == (kind, version)
    assert len(certificates) == (kind == "snp")
    assert (evidence.td_quote is not None) == (kind == "tdx")


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize(("members", "said"), [(0, 1), (0, 2), (1, 0), (2, 0)])
def test_t_version_downgrade_the_number_decides_the_shape(
    simulator: Simulator, kind: str, members: int, said: int
) -> None:
    """T-VERSION-DOWNGRADE: members of one version under the number of another are not guessed at."""
    made = {**document(simulator, kind, members), "version": said}
    assert codes(lambda: read_evidence(made, where="e")) <= {"azure.container", "evidence.malformed"}


@pytest.mark.parametrize("version", [3, -1, "2", 2.5, 2.0, -0.0, True, None, [2]])
def test_unknown_versions(simulator: Simulator, version: object) -> None:
    made = {**document(simulator, "snp", 2), "version": version}
    assert codes(lambda: read_evidence(made, where="e")) == {"azure.container"}


@pytest.mark.parametrize("version", [0, 2])
@pytest.mark.parametrize("member", ["report_data", "td_quote", "ak_certificate"])
def test_a_member_more_or_less(simulator: Simulator, version: int, member: str) -> None:
    made = document(simulator, "snp", version)
    assert codes(lambda: read_evidence({**made, member: ""}, where="e", kind="snp")) == {"azure.container"}
    for name in set(made) - {"version"}:
        less = {key: value for key, value in made.items() if key != name}
        assert codes(partial(read_evidence, less, where="e", kind="snp")) == {"azure.container"}


def test_the_kind_that_was_asked_for(simulator: Simulator) -> None:
    assert codes(lambda: read_evidence(document(simulator, "tdx", 2), where="e", kind="snp")) == {
        "azure.container"
    }


@pytest.mark.parametrize("bad", [256, -1, True, 1.0, "1", None, [1]])
def test_bytes_are_integers_of_their_size(simulator: Simulator, bad: object) -> None:
    made = document(simulator, "snp", 0)
    made["report"][5] = bad
    assert codes(lambda: read_evidence(made, where="e")) == {"evidence.malformed"}
    made = document(simulator, "snp", 0)
    made["quote"]["pcrs"][3][5] = bad
    assert codes(lambda: read_evidence(made, where="e")) == {"evidence.malformed"}


@pytest.mark.parametrize("bad", ["0", "0g", " 00", "0x00", 7, None, "é", "00" * 5000])
def test_hex_is_hex(simulator: Simulator, bad: object) -> None:
    for member in ("message", "signature"):
        made = document(simulator, "snp", 2)
        made["tpm_quote"][member] = bad
        assert codes(partial(read_evidence, made, where="e")) == {"evidence.malformed"}


def test_base64url_has_one_spelling_with_padding_or_without(simulator: Simulator) -> None:
    made = document(simulator, "snp", 2)
    text = made["hcl_report"]
    unpadded = text.rstrip("=")
    assert unpadded != text
    read_evidence({**made, "hcl_report": unpadded}, where="e")
    raw = base64.urlsafe_b64decode(text)
    spellings = [
        unpadded + "==",
        text + "=",
        unpadded[:-1] + chr(ord(unpadded[-1]) + 1),
        base64.b64encode(raw + b"\xff\xff\xff").decode(),
        text[:40] + "\n" + text[40:],
        "A" * 20000,
    ]
    for bad in spellings:
        assert codes(partial(read_evidence, {**made, "hcl_report": bad}, where="e")) == {
            "evidence.malformed"
        }, bad[-8:]


def test_more_registers_than_a_tpm_has(simulator: Simulator) -> None:
    made = document(simulator, "snp", 2)
    made["tpm_quote"]["pcrs"] *= 2
    assert codes(lambda: read_evidence(made, where="e")) == {"evidence.malformed"}


def test_a_quote_alone_is_of_one_spelling(simulator: Simulator) -> None:
    quote = document(simulator, "snp", 2)["tpm_quote"]
    read_tpm_quote(quote, where="q")
    mixed = {**quote, "signature": list(bytes.fromhex(quote["signature"]))}
    assert codes(lambda: read_tpm_quote(mixed, where="q")) == {"evidence.malformed"}
    assert codes(lambda: read_tpm_quote({**quote, "more": 1}, where="q")) == {"azure.container"}


# -- Flashbots --------------------------------------------------------------------------------------


def test_the_yaml_and_json_forms_are_one(vectors: Vectors) -> None:
    raw = vectors.read("az-tdx-vtpm-uptodate-flashbots", "evidence_yaml")
    as_yaml, as_json = Found(), Found()
    recognise("y", raw, as_yaml)
    recognise("j", json.dumps(read_yaml(raw, where="y")).encode(), as_json)
    assert as_yaml.evidence() == as_json.evidence()


@pytest.mark.parametrize(
    "text",
    [
        "tpm_attestation: &a {}\nhcl_report_base64: *a\n",
        "tpm_attestation: !!binary AAAA\n",
        "tpm_attestation: 1\ntpm_attestation: 2\n",
        "tpm_attestation: {<<: {a: 1}}\n",
        "tpm_attestation: 1\n---\ntpm_attestation: 2\n",
        "tpm_attestation: " + "[" * 20 + "]" * 20 + "\n",
        "tpm_attestation: {? [1] : 2}\n",
        "%YAML 1.1\n---\ntpm_attestation: 1\n",
        "tpm_attestation: [" + "1," * 20000 + "1]\n",
        'tpm_attestation: "\\ud800"\n',
        "tpm_attestation: \x01\n",
        "tpm_attestation: [\n",
    ],
)
def test_yaml_that_says_a_thing_twice_or_too_much(text: str) -> None:
    assert is_yaml(text.encode())
    found = Found()
    assert codes(lambda: recognise("y", text.encode(), found)) <= {"evidence.malformed", "azure.container"}


def test_hostile_yaml_costs_little() -> None:
    began = time.process_time()
    for text in (b"tpm_attestation: [" + b"[]," * 80_000, b"tpm_attestation: " + b"a: " * 80_000):
        assert codes(partial(recognise, "y", text, Found())) <= {"evidence.malformed"}
    assert time.process_time() - began < 5, "under a second on an idle machine"


@given(data=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_yaml_is_a_map_or_malformed(data: bytes) -> None:
    try:
        read_yaml(b"tpm_attestation: " + data, where="y")
    except Malformed:
        return


# -- other ways in ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NAMES)
def test_a_bundle_carries_document_and_certificate(simulator: Simulator, anchors: Anchors, kind: str) -> None:
    made = simulator.azure(kind=kind, nonce=NONCE)
    bundle = write_bundle(
        [
            ("azure-evidence", made.files[NAMES[kind]]),
            ("ak-certificate", made.files["simulated-ak-certificate.bin"]),
        ]
    )
    found = Found()
    recognise("bundle", bundle, found)
    verified = verify(
        found.evidence(),
        endorsements=made.endorsements,
        at=made.at,
        expected=Expected(nonce=NONCE),
        anchors=anchors,
    )
    assert verified.paravisor_claims["azure"]["ak-cert"] == "azure"


def test_a_bundle_entry_is_of_its_kind(simulator: Simulator) -> None:
    report = simulator.snp().raw
    for kind, data in (
        ("azure-evidence", report),
        ("ak-certificate", report),
        ("snp-report", document_bytes(simulator.azure(nonce=NONCE))),
    ):
        bundle = write_bundle([(kind, data)])  # type: ignore[list-item]  # a text, as a writer may err
        assert codes(partial(recognise, "b", bundle, Found())) & {
            "evidence.malformed",
            "x509.malformed",
        }


def document_bytes(made: Simulated) -> bytes:
    return made.files[NAMES["snp"]]


@pytest.mark.parametrize("tee", ["az-snp-vtpm", "azsnpvtpm"])
def test_composite_evidence_by_either_name(simulator: Simulator, anchors: Anchors, tee: str) -> None:
    made = simulator.azure(nonce=NONCE)
    evidence, endorsements = read_composite(tee, json.loads(document_bytes(made)), "")
    assert isinstance(evidence.cpu, AzureEvidence)
    verified = verify(
        evidence,
        endorsements=made.endorsements + endorsements,
        at=made.at,
        expected=Expected(nonce=NONCE),
        anchors=anchors,
    )
    assert verified.claims["binding"]["nonce"] == "true"


def test_composite_evidence_of_another_kind(simulator: Simulator) -> None:
    primary = document(simulator, "tdx", 2)
    assert codes(lambda: read_composite("az-snp-vtpm", primary, "")) == {"azure.container"}
    assert codes(lambda: read_composite("snp", primary, "")) == {"evidence.malformed"}
    assert codes(lambda: read_composite("az-tdx-vtpm", {"quote": "AAAA"}, "")) == {"azure.container"}


def test_a_composite_file(simulator: Simulator) -> None:
    made = simulator.azure(kind="tdx", nonce=NONCE)
    primary = json.loads(made.files[NAMES["tdx"]])
    text = json.dumps({"primary_evidence": primary, "additional_evidence": ""})
    found = Found()
    recognise("composite", text.encode(), found)
    cpu = found.evidence().cpu
    assert isinstance(cpu, AzureEvidence)
    assert cpu.kind == "tdx"


def test_the_certificate_may_have_the_zeros_of_its_index(simulator: Simulator) -> None:
    plan = simulator.plan_azure(nonce=NONCE)
    assert plan.certificate is not None
    der = plan.certificate.build(plan.keys)
    for data in (der, der.ljust(4096, b"\0"), pem(der), pem(der.ljust(4096, b"\0"))):
        assert read_certificate(data, where="ak").der == der
        found = Found()
        recognise("ak", data, found)
        recognise("evidence", document_bytes(simulator.azure(nonce=NONCE)), found)
        cpu = found.evidence().cpu
        assert isinstance(cpu, AzureEvidence)
        assert cpu.certificate is not None
        assert cpu.certificate.der == der
    for data in (der + b"\1", pem(der.ljust(4095, b"\0") + b"\1"), der.ljust(4097, b"\0")):
        assert codes(partial(recognise, "ak", data, Found()))


def test_two_machines_are_two(simulator: Simulator) -> None:
    found = Found()
    for kind in NAMES:
        recognise(kind, simulator.azure(kind=kind, nonce=NONCE).files[NAMES[kind]], found)
    assert codes(found.evidence) == {"evidence.several"}
    found = Found()
    recognise("document", document_bytes(simulator.azure(nonce=NONCE)), found)
    recognise("report", simulator.azure(nonce=NONCE).raw, found)
    assert codes(found.evidence) == {"evidence.several"}
    found = Found()
    recognise("document", document_bytes(simulator.azure(nonce=NONCE)), found)
    recognise("snp", simulator.snp().raw, found)
    assert codes(found.evidence) == {"evidence.several"}


def test_parts_of_a_tpm_without_the_report_are_told_what_is_missing(simulator: Simulator) -> None:
    made = simulator.azure(nonce=NONCE)
    quote = json.dumps(json.loads(document_bytes(made))["tpm_quote"]).encode()
    for part in (quote, made.files["simulated-ak-certificate.bin"]):
        found = Found()
        recognise("part", part, found)
        assert codes(found.evidence) == {"evidence.missing"}


def test_evidence_put_together_equals_itself(simulator: Simulator) -> None:
    made = simulator.azure(nonce=NONCE)
    found = Found()
    recognise("one", document_bytes(made), found)
    recognise("again", document_bytes(made), found)
    assert isinstance(found.evidence(), Evidence)
