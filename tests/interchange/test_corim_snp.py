"""AMD's profile: each field of a report a rule, a value, or listed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cbor2 import CBORTag

from attest.policy import Policy
from attest.policy.interchange.corim import read_corim
from attest.policy.interchange.draft import Draft, write
from tests.interchange.corim_maker import AMD, AT, MEASURED, VLEK, corim, environment, measured, triple

CHIP = bytes.fromhex("c1" * 64)


def draft_of(*measurements: dict[int, Any], where: dict[int, Any] | None = None) -> Draft:
    draft = read_corim(corim(triple(where or environment(), *measurements), profile=AMD), at=AT)
    if draft.platforms:
        Policy.from_text(write(draft, name="a"))
    return draft


def rules(draft: Draft) -> dict[str, str]:
    """Without what the environment alone makes of it."""
    found = {one.claim: one.operand for one in draft.entries}
    assert found.pop("signing-key") == "vcek"
    return found


def lost(draft: Draft) -> list[str]:
    return [one.what for one in draft.unmapped]


def little(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")


@pytest.mark.parametrize(
    ("measurement", "claim", "operand"),
    [
        (measured(0, version="3"), "report-version", "3"),
        (measured(0, raw=little(3, 4)), "report-version", "3"),
        (measured(1, svn=5), "guest-svn", "5"),
        (measured(1, svn=CBORTag(552, 5)), "guest-svn", "5"),
        (measured(1, svn=CBORTag(553, 5)), "guest-svn", "{at-least: 5}"),
        (measured(1, raw=little(5, 4)), "guest-svn", "5"),
        (measured(3, raw=bytes(16)), "family-id", "{exists: false}"),
        (measured(4, raw=bytes(16)), "image-id", "{exists: false}"),
        (measured(5, range=0), "vmpl", "0"),
        (measured(5, range=CBORTag(564, [0, 0])), "vmpl", "0"),
        (measured(5, raw=bytes(4)), "vmpl", "0"),
        (measured(642, digest=bytes(32)), "host-data", "{exists: false}"),
        (measured(643, digest=bytes(48)), "id-key", "{exists: false}"),
        (measured(648, range=0x1A), "product", "turin"),
        (measured(648, raw=b"\x19"), "product", "{one-of: [genoa, milan]}"),
        (measured(3328, raw=bytes(64)), "chip-id", "{exists: false}"),
        (measured(3936, version="1.55.08"), "firmware", "1.55.8"),
        (measured(None, flags={3: False, 4: True, 5: True, 9: True}), "debug", "false"),
    ],
)
def test_a_field_is_a_rule(measurement: dict[int, Any], claim: str, operand: str) -> None:
    draft = draft_of(measurement)
    assert rules(draft) == {claim: operand}
    assert not draft.unmapped


@pytest.mark.parametrize(
    ("measurement", "claim"),
    [
        (measured(3, raw=b"\x11" * 16), "family-id"),
        (measured(4, raw=b"\x11" * 16), "image-id"),
        (measured(641, digest=b"\x11" * 48), "measurement"),
        (measured(642, digest=b"\x11" * 32), "host-data"),
        (measured(642, raw=b"\x11" * 32), "host-data"),
        (measured(643, digest=b"\x11" * 48), "id-key"),
        (measured(644, digest=b"\x11" * 48), "author-key"),
        (measured(645, raw=b"\x11" * 32), "report-id"),
        (measured(3328, raw=b"\x11" * 64), "chip-id"),
        (measured(3328, raw=CBORTag(563, [b"\x11" * 64, b"\xff" * 64])), "chip-id"),
    ],
)
def test_a_field_is_a_value(measurement: dict[int, Any], claim: str) -> None:
    draft = draft_of(measurement)
    (found,) = draft.references
    assert (found.name, found.type) == (claim, f"snp.{claim}")
    assert {byte for value, _ in found.values for byte in bytes.fromhex(value)} == {0x11}
    assert rules(draft) == {claim: f"{{in: {claim}}}"}
    assert not draft.unmapped


@pytest.mark.parametrize(
    ("measurement", "what"),
    [
        (measured(6, svn=5), "CURRENT_TCB"),
        (measured(640, raw=bytes(64)), "REPORT_DATA"),
        (measured(646, raw=bytes(32)), "REPORT_ID_MA"),
        (measured(650, range=1), "CPUID_STEP"),
        (measured(3330, version="1.55.8"), "CurrentVersion"),
        (measured(9999, svn=1), "mkey 9999"),
        (measured("measurement", digest=MEASURED), "mkey measurement"),
        (measured(CBORTag(37, bytes(16)), digest=MEASURED), "mkey tag 37"),
        (measured(CBORTag(111, b"\x2a\x03"), digest=MEASURED), "mkey OID 1.2.3"),
        (measured(641, digest=b"\x11" * 32), "measurement"),
        (measured(641, svn=1), "mkey 641"),
        (measured(3, raw=CBORTag(563, [b"\x11" * 16, b"\x0f" * 16])), "family-id"),
        (measured(0, version="three"), "VERSION"),
        (measured(0, raw=bytes(8)), "raw-value"),
        (measured(0, svn=1), "mkey 0"),
        (measured(1, raw=bytes(8)), "raw-value"),
        (measured(2, svn=1), "mkey 2"),
        (measured(5, svn=1), "mkey 5"),
        (measured(7, svn=1), "mkey 7"),
        (measured(647, version="1"), "mkey 647"),
        (measured(648, svn=1), "CPUID"),
        (measured(3936, svn=1), "mkey 3936"),
        (measured(5, range=1), "VMPL 1"),
        (measured(5, raw=b"\x00\x00\x00\x01"), "VMPL 16777216"),
        (measured(5, range=CBORTag(564, [0, None])), "VMPL"),
        (measured(2, raw=bytes(4)), "raw-value"),
        (measured(3936, version="1.55"), "CommittedVersion"),
        (measured(647, svn=0xFFFF000000FF0000 | 0xFF00000000), "tcb"),
        (measured(649, range=1), "CPUID"),
        (measured(648, range=0x17), "CPUID"),
        (measured(648, range=CBORTag(564, [25, None])), "CPUID"),
        (measured(None, flags={3: True}), "is-debug"),
        (measured(None, flags={4: False}), "a flag"),
        (measured(None, flags={1: True}), "a flag"),
        (measured(None, svn=1), "a measurement"),
    ],
)
def test_what_no_claim_says_is_listed(measurement: dict[int, Any], what: str) -> None:
    draft = draft_of(measurement)
    assert rules(draft) == {}
    if what == "tcb":
        assert lost(draft) == ["tcb"]
    else:
        assert what in lost(draft)
    assert all(
        one.path.startswith("corim.tags[0].triples.reference-triples[0].ref-claims[0]")
        for one in draft.unmapped
    )


@pytest.mark.parametrize(
    "measurement",
    [
        measured(0, version="3", raw=bytes(4)),
        measured(1, svn=3, raw=bytes(4)),
        measured(5, range=0, raw=bytes(4)),
        measured(641, digest=MEASURED, raw=bytes(4)),
        measured(648, range=0x1A, raw=b"\x1a"),
    ],
)
def test_a_second_value_of_a_field_is_listed(measurement: dict[int, Any]) -> None:
    assert [one.path.rpartition(".")[2] for one in draft_of(measurement).unmapped] == ["raw-value"]


@pytest.mark.parametrize(
    ("level", "why"), [(1, "wider"), (3, "wider"), (4, "other order"), (1 << 24, "other order")]
)
def test_why_a_level_is_not_said(level: int, why: str) -> None:
    (one,) = draft_of(measured(5, range=level)).unmapped
    assert why in one.why


def test_the_digest_of_another_algorithm_is_listed() -> None:
    draft = draft_of({0: 641, 1: {2: [[1, bytes(32)]]}})
    assert rules(draft) == {}
    assert [one.path.rpartition(".")[2] for one in draft.unmapped] == ["digests"]
    both = draft_of({0: 641, 1: {2: [[1, bytes(32)], ["sha-384", MEASURED]]}})
    assert rules(both) == {"measurement": "{in: measurement}"}


CLASSIC = 0xD116000000000003
TURIN = int.from_bytes(bytes([1, 2, 3, 4, 0, 0, 0, 9]), "little")


@pytest.mark.parametrize(("key", "claim"), [(647, "tcb"), (3329, "tcb-committed"), (3968, "tcb-launch")])
def test_a_tcb_is_read_by_each_products_layout(key: int, claim: str) -> None:
    parts = "bootloader: 3, snp: 22, microcode: 209"
    assert rules(draft_of(measured(key, svn=CBORTag(553, CLASSIC)))) == {
        claim: f"{{at-least: {{milan: {{{parts}}}, genoa: {{{parts}}}}}}}"
    }
    whole = "{turin: {fmc: 1, bootloader: 2, tee: 3, snp: 4, microcode: 9}}"
    assert rules(draft_of(measured(key, svn=CBORTag(552, TURIN)))) == {
        claim: f"{{at-least: {whole}, at-most: {whole}}}"
    }


def test_a_tcb_that_two_layouts_can_have_is_a_bound_of_each() -> None:
    operand = rules(draft_of(measured(647, svn=CBORTag(553, 3))))["tcb"]
    assert operand == "{at-least: {milan: {bootloader: 3}, genoa: {bootloader: 3}, turin: {fmc: 3}}}"


def test_a_minimum_of_nothing_is_no_rule() -> None:
    draft = draft_of(measured(647, svn=CBORTag(553, 0)), measured(1, svn=CBORTag(553, 0)))
    assert rules(draft) == {}
    assert not draft.unmapped


def test_the_guest_policy_is_its_bits() -> None:
    draft = draft_of(measured(2, raw=little(0x3011F, 8)))
    assert rules(draft) == {
        "smt-allowed": "true",
        "migrate-ma": "false",
        "debug": "false",
        "single-socket": "false",
        "abi": "1.31",
        "policy-unknown-bits": "0",
    }
    assert lost(draft) == ["POLICY bits 21 to 25"]


@pytest.mark.parametrize(
    "spell",
    [
        lambda v, m: {"raw": v, "mask": m},
        lambda v, m: {"raw": v, "mask": CBORTag(560, m)},
        lambda v, m: {"raw": CBORTag(563, [v, m])},
    ],
)
def test_only_the_bits_of_a_mask_are_asked(spell: Any) -> None:
    draft = draft_of(measured(2, **spell(little(0, 8), little(1 << 19 | 1 << 20, 8))))
    assert rules(draft) == {"debug": "false", "single-socket": "false"}
    assert not draft.unmapped


@pytest.mark.parametrize(
    ("value", "mask", "what"),
    [
        (1 << 19 | 1 << 17, -1, "POLICY bit 19"),
        (1 << 18 | 1 << 17, -1, "POLICY bit 18"),
        (0x30000 << 32, -1, "POLICY"),
        (1 << 17 | 1 << 40, -1, "POLICY bits 26 to 63"),
        (0, 0x00FF, "POLICY bits 0 to 15"),
    ],
)
def test_guest_policies_that_are_not_said_here(value: int, mask: int, what: str) -> None:
    bits = b"\xff" * 8 if mask < 0 else little(mask, 8)
    draft = draft_of(measured(2, raw=CBORTag(563, [little(value, 8), bits])))
    assert what in lost(draft)
    assert {"debug": "true", "migrate-ma": "true"}.items().isdisjoint(rules(draft).items())


def test_bytes_in_the_other_order_make_no_rules() -> None:
    """As a producer writes the numbers 0x30000 and 1 from the highest byte on."""
    draft = draft_of(measured(2, raw=(0x30000).to_bytes(8, "big")), measured(7, raw=(1).to_bytes(8, "big")))
    assert rules(draft) == {}
    assert lost(draft) == ["POLICY", "PLATFORM_INFO"]
    assert all("other order" in one.why for one in draft.unmapped)


def test_the_platform_is_its_bits() -> None:
    draft = draft_of(measured(7, raw=little(0b100101, 8)))
    assert rules(draft) == {
        "smt": "true",
        "tsme": "false",
        "ecc": "true",
        "rapl-off": "false",
        "ciphertext-hiding": "false",
        "alias-check": "true",
    }
    assert lost(draft) == ["PLATFORM_INFO bits 6 to 63"]
    part = draft_of(measured(7, raw=little(0, 8), mask=little(1, 8)))
    assert rules(part) == {"smt": "false"}
    assert not part.unmapped


def test_the_product_by_family_and_model() -> None:
    for family, model, product in (
        (0x19, 0x01, "milan"),
        (0x19, 0x11, "genoa"),
        (0x19, 0xA0, "genoa"),
        (0x1A, 0x02, "turin"),
    ):
        assert rules(draft_of(measured(648, range=family), measured(649, range=model))) == {
            "product": product
        }


# -- the environment


def test_who_signs_reports() -> None:
    draft = draft_of(
        measured(641, digest=MEASURED), where=environment(VLEK, instance=CBORTag(560, b"Some Cloud"))
    )
    assert {one.claim: one.operand for one in draft.entries} == {
        "signing-key": "vlek",
        "csp": '"Some Cloud"',
        "measurement": "{in: measurement}",
    }


@pytest.mark.parametrize("name", ["cloud:", "cloud", "a: b", '"', "#", "{x}"])
def test_a_provider_of_any_name(name: str) -> None:
    where = environment(VLEK, instance=CBORTag(560, name.encode()))
    draft = draft_of(measured(641, digest=MEASURED), where=where)
    policy = Policy.from_text(write(draft, name="a"))
    assert json.loads(policy.canonical())["require"]["snp"]["csp"] == {"is": name}


def test_an_instance_is_a_chip() -> None:
    draft = draft_of(measured(641, digest=MEASURED), where=environment(instance=CBORTag(560, CHIP)))
    assert {one.name: one.values[0][0] for one in draft.references} == {
        "measurement": MEASURED.hex(),
        "chip-id": CHIP.hex(),
    }


def test_an_instance_that_is_the_measurement_asks_for_nothing_more() -> None:
    draft = draft_of(measured(641, digest=MEASURED), where=environment(instance=CBORTag(560, MEASURED)))
    assert rules(draft) == {"measurement": "{in: measurement}"}
    assert not draft.unmapped


@pytest.mark.parametrize(
    "instance",
    [CBORTag(560, b"\x01" * 8), CBORTag(560, bytes(64)), CBORTag(37, bytes(16)), CBORTag(550, bytes(33))],
)
def test_other_instances_are_listed(instance: CBORTag) -> None:
    draft = draft_of(measured(641, digest=MEASURED), where=environment(instance=instance))
    assert lost(draft) == ["instance"]


def test_two_chips_in_one_state_are_listed() -> None:
    where = environment(instance=CBORTag(560, CHIP))
    draft = draft_of(measured(3328, raw=b"\x11" * 64), where=where)
    assert lost(draft) == ["instance"]


def test_a_model_is_a_product_and_the_rest_is_listed() -> None:
    where = environment(vendor="AMD", model="Milan", layer=1, index=2, group=CBORTag(37, bytes(16)))
    draft = draft_of(measured(641, digest=MEASURED), where=where)
    assert rules(draft) == {"product": "milan", "measurement": "{in: measurement}"}
    assert lost(draft) == ["narrows the environment"] * 3
    other = draft_of(measured(641, digest=MEASURED), where=environment(model="Naples"))
    assert lost(other) == ["model Naples"]


def test_a_claim_that_is_said_twice_with_different_values_is_listed() -> None:
    draft = draft_of(
        measured(1, svn=5),
        measured(1, svn=6),
        measured(641, digest=MEASURED),
        measured(641, digest=bytes(48)),
    )
    assert rules(draft) == {"guest-svn": "5", "measurement": "{in: measurement}"}
    assert lost(draft) == ["guest-svn", "measurement"]
