"""HCL reports, runtime data and TPM quotes, byte by byte: a value or Malformed, nothing else."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.azure.evidence import AzureEvidence
from attest.azure.hcl import HclReport
from attest.azure.runtime_data import RuntimeData
from attest.azure.tpm import Attest, TpmQuote, bare_signature
from attest.errors import Malformed
from attest.recognise import Found, recognise
from attest.simulator import Simulator
from attest.simulator.azure import AzurePlan
from tests.conftest import Vectors

FULL = settings(max_examples=300, deadline=None)


@pytest.fixture(scope="module")
def plan(simulator: Simulator) -> AzurePlan:
    return simulator.plan_azure(nonce=bytes(32))


@pytest.fixture(scope="module")
def hcl(plan: AzurePlan) -> bytes:
    return plan.build().raw


@pytest.fixture(scope="module")
def message(plan: AzurePlan) -> bytes:
    assert plan.quote is not None
    return plan.quote.message()


def codes(parse: Callable[[], object]) -> set[str]:
    with pytest.raises(Malformed) as refusal:
        parse()
    return refusal.value.codes


# -- HCL reports ------------------------------------------------------------------------------------


def test_fields_are_those_an_independent_reader_found(vectors: Vectors) -> None:
    seen = 0
    for case in vectors.cases.values():
        facts = case.get("facts", {}).get("hcl")
        role = next((name for name in ("evidence_json", "evidence_yaml") if name in case["files"]), None)
        if facts is None or role is None:
            continue
        found = Found()
        recognise(role, vectors.read(case["id"], role), found)
        cpu = found.evidence().cpu
        assert isinstance(cpu, AzureEvidence)
        report, runtime = cpu.hcl, cpu.hcl.runtime
        assert report.version == facts["header_version"]
        assert (report.hash_type, report.status, report.data_version, report.zeros) == (1, 0, 1, True)
        assert runtime.user_data is not None
        if "user_data" in facts:
            assert runtime.user_data.hex() == facts["user_data"]
            assert dict(runtime.configuration) == facts["vm_configuration"]
            assert runtime.vm_id == facts["vm_configuration"]["vmUniqueId"].lower()
        assert cpu.quote is not None
        assert cpu.quote.attest.extra_data.hex() == case["facts"]["tpm_quote"]["nonce_hex"]
        assert cpu.quote.attest.pcr_digest.hex() == case["facts"]["tpm_quote"]["pcr_digest"]
        seen += 1
    assert seen == 6


@pytest.mark.parametrize("size", [0, 1235, 8193])
def test_an_hcl_report_has_a_size(size: int) -> None:
    assert codes(lambda: HclReport.parse(b"HCLA".ljust(size, b"\0"))) == {"evidence.malformed"}


@pytest.mark.parametrize("offset", [8, 1216, 1232], ids=["report size", "data size", "variable size"])
@pytest.mark.parametrize("change", [-1, 1, 1 << 31])
def test_sizes_must_agree(hcl: bytes, offset: int, change: int) -> None:
    (value,) = struct.unpack_from("<I", hcl, offset)
    changed = hcl[:offset] + struct.pack("<I", (value + change) % (1 << 32)) + hcl[offset + 4 :]
    assert codes(lambda: HclReport.parse(changed)) == {"evidence.malformed"}


def test_the_runtime_data_end_within_the_report(hcl: bytes) -> None:
    (size,) = struct.unpack_from("<I", hcl, 1232)
    HclReport.parse(hcl[: 1236 + size])
    assert codes(lambda: HclReport.parse(hcl[: 1236 + size - 1])) == {"evidence.malformed"}


@given(data=st.binary(max_size=3000))
@FULL
def test_any_bytes_are_an_hcl_report_or_malformed(data: bytes) -> None:
    for raw in (data, b"HCLA" + data):
        try:
            HclReport.parse(raw)
        except Malformed:
            continue


@given(offset=st.integers(0, 2599), value=st.integers(0, 255))
@FULL
def test_any_byte_of_a_real_report_may_be_anything(hcl: bytes, offset: int, value: int) -> None:
    changed = bytearray(hcl)
    changed[offset] = value
    try:
        HclReport.parse(bytes(changed))
    except Malformed:
        return


# -- runtime data -----------------------------------------------------------------------------------


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def text(claims: dict[str, Any]) -> bytes:
    return json.dumps(claims).encode()


def key_of(claims: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {**claims, "keys": [{**claims["keys"][0], **members}]}


def test_members_in_any_order_and_unknown_ones(plan: AzurePlan) -> None:
    reversed_members = dict(reversed([*plan.claims.items(), ("new-member", [1, None])]))
    assert RuntimeData.parse(text(reversed_members)).user_data is not None
    old = RuntimeData.parse(text(without(plan.claims, "user-data")))
    assert old.user_data is None


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: without(claims, "keys"),
        lambda claims: {**claims, "keys": {"kid": "HCLAkPub"}},
        lambda claims: {**claims, "keys": [claims["keys"][0]] * 2},
        lambda claims: {**claims, "keys": [claims["keys"][1]] * 17},
        lambda claims: key_of(claims, kid="hclakpub"),
        lambda claims: key_of(claims, kty="EC"),
        lambda claims: key_of(claims, e="Aw"),
        lambda claims: key_of(claims, e="AAEAAQ=="),
        lambda claims: key_of(claims, e=65537),
        lambda claims: key_of(claims, n=claims["keys"][0]["n"] + "=="),
        lambda claims: key_of(claims, n=claims["keys"][0]["n"][:-4]),
        lambda claims: key_of(claims, n="-" * 684),
        lambda claims: key_of(claims, n=""),
        lambda claims: key_of(claims, n=None),
        lambda claims: {**claims, "user-data": "00" * 63},
        lambda claims: {**claims, "user-data": "0x" + "00" * 63},
        lambda claims: {**claims, "user-data": 0},
        lambda claims: {**claims, "vm-configuration": []},
        lambda claims: {**claims, "vm-configuration": {"secure-boot": "true"}},
    ],
)
def test_runtime_data_that_name_no_usable_key(
    plan: AzurePlan, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    assert codes(lambda: RuntimeData.parse(text(change(plan.claims)))) == {"azure.runtime-data"}


def test_runtime_data_are_strict_json(plan: AzurePlan) -> None:
    good = text(plan.claims)
    for bad in (good + b"{}", good[:-1], b'{"keys":[],' + good[1:], b"\xff", b"[" * 30, b"NaN", b"[]", b""):
        assert codes(partial(RuntimeData.parse, bad)) <= {"evidence.malformed", "azure.runtime-data"}


def test_a_vm_id_is_a_guid_in_one_spelling_or_unknown(plan: AzurePlan) -> None:
    configuration = plan.claims["vm-configuration"]
    for vm_id, wanted in (
        ("51D0E1A7-ED00-4000-8000-000000000001", "51d0e1a7-ed00-4000-8000-000000000001"),
        ("\x1b[31m", None),
        (7, None),
    ):
        claims = {**plan.claims, "vm-configuration": {**configuration, "vmUniqueId": vm_id}}
        assert RuntimeData.parse(text(claims)).vm_id == wanted


@given(data=st.binary(max_size=400))
@FULL
def test_any_bytes_are_runtime_data_or_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        RuntimeData.parse(data)


# -- TPM quotes -------------------------------------------------------------------------------------


def test_a_quote_is_read_to_its_last_byte(message: bytes) -> None:
    attest = Attest.parse(message)
    assert attest.selections[0].indices == tuple(range(24))
    for length in range(len(message)):
        assert codes(partial(Attest.parse, message[:length])) <= {
            "evidence.malformed",
            "azure.tpm.magic",
            "azure.tpm.type",
        }
    assert codes(lambda: Attest.parse(message + b"\0")) == {"evidence.malformed"}


@pytest.mark.parametrize("kind", [0x8014, 0x8017, 0x8019, 0x801A, 0x8016, 0x8015, 0x801C])
def test_other_signed_structures_are_no_quotes(message: bytes, kind: int) -> None:
    changed = message[:4] + struct.pack(">H", kind) + message[6:]
    assert codes(lambda: Attest.parse(changed)) == {"azure.tpm.type"}


def test_t_pcr_bits_of_the_selection_name_the_registers(message: bytes) -> None:
    at = message.index(b"\x00\x0b\x03\xff\xff\xff")
    changed = message[: at + 3] + b"\xff\x40\x00" + message[at + 6 :]
    assert Attest.parse(changed).selections[0].indices == (*range(8), 14)


def test_counts_are_bounded(message: bytes) -> None:
    at = message.index(b"\x00\x0b\x03\xff\xff\xff") - 4
    changed = message[:at] + b"\xff\xff\xff\xff" + message[at + 4 :]
    assert codes(lambda: Attest.parse(changed)) == {"evidence.malformed"}
    assert codes(lambda: Attest.parse(message.ljust(1025, b"\0"))) == {"evidence.malformed"}
    assert codes(lambda: TpmQuote.parse(message, bytes(256), (bytes(32),) * 25)) == {"evidence.malformed"}
    assert codes(lambda: TpmQuote.parse(message, bytes(1025), None)) == {"evidence.malformed"}


def test_a_wrapped_signature_is_unwrapped_only_where_it_fits() -> None:
    wrapped = bytes.fromhex("0014000b0100") + bytes(range(256))
    assert bare_signature(wrapped) == bytes(range(256))
    for other in (
        bytes.fromhex("0014000c0100") + bytes(256),
        bytes.fromhex("0016000b0100") + bytes(256),
        wrapped + b"\0",
        wrapped[:-1],
        bytes(256),
    ):
        assert bare_signature(other) == other


@given(data=st.binary(max_size=300))
@FULL
def test_any_bytes_are_a_quote_or_malformed(data: bytes) -> None:
    for raw in (data, bytes.fromhex("ff5443478018") + data):
        try:
            Attest.parse(raw)
        except Malformed:
            continue
