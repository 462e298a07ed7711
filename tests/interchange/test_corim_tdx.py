"""Intel's profile for the TDX module, and the registers of a TD by their names."""

from __future__ import annotations

from typing import Any

import pytest
from cbor2 import CBORTag

from attest.errors import Malformed
from attest.policy import Policy
from attest.policy.interchange.corim import read_corim
from attest.policy.interchange.draft import Draft, write
from tests.interchange.corim_maker import (
    AT,
    INTEL,
    MEASURED,
    SEAM,
    corim,
    environment,
    extended,
    measured,
    triple,
)

OTHER = bytes.fromhex("cd" * 48)
TD = {0: {1: "Vendor", 2: "image 7"}}
MEMBER, NOT_MEMBER, GE, EQ, GT = 6, 7, 2, 0, 1


def draft_of(
    *measurements: dict[int, Any], where: dict[int, Any] = TD, profile: Any = INTEL, told: Any = "tdx"
) -> Draft:
    draft = read_corim(corim(triple(where, *measurements), profile=profile), at=AT, environment=told)
    if draft.platforms:
        Policy.from_text(write(draft, name="a"))
    return draft


def module(values: dict[int, Any], **more: Any) -> Draft:
    return draft_of(
        extended(values), where=environment(SEAM, vendor="Intel Corporation", model="TDX SEAM"), **more
    )


def rules(draft: Draft) -> dict[str, str]:
    return {one.claim: one.operand for one in draft.entries}


def values(draft: Draft) -> dict[str, list[str]]:
    return {one.name: [value for value, _ in one.values] for one in draft.references}


def lost(draft: Draft) -> list[str]:
    return [one.what for one in draft.unmapped]


# -- the module


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([7, MEASURED], [MEASURED]),
        ([[7, MEASURED]], [MEASURED]),
        ([[1, bytes(32)], [7, MEASURED]], [MEASURED]),
        (CBORTag(60020, [MEMBER, [[7, MEASURED], [7, OTHER]]]), [MEASURED, OTHER]),
    ],
)
def test_the_module_by_its_digest(said: Any, found: list[bytes]) -> None:
    draft = module({-83: said})
    assert values(draft) == {"mrseam": [one.hex() for one in found]}
    assert rules(draft) == {"mrseam": "{in: mrseam}"}
    assert not draft.unmapped


def test_digests_that_a_module_must_not_have() -> None:
    draft = module({-83: CBORTag(60020, [NOT_MEMBER, [[7, MEASURED]]])})
    assert rules(draft) == {"mrseam": f'{{none-of: ["{MEASURED.hex()}"]}}'}


@pytest.mark.parametrize(
    "values", [{-83: CBORTag(60020, [9, [[7, MEASURED]]])}, {-89: CBORTag(60021, [9, ["A"]])}]
)
def test_operators_that_nobody_defined_are_refused(values: dict[int, Any]) -> None:
    with pytest.raises(Malformed) as refused:
        module(values)
    assert refused.value.codes == {"corim.malformed"}


def test_expressions_that_ask_for_nothing() -> None:
    assert rules(module({-89: CBORTag(60021, [NOT_MEMBER, []])})) == {}
    nothing = draft_of(extended({-82: CBORTag(563, [bytes(8), bytes(8)])}), measured("mrtd", raw=MEASURED))
    assert rules(nothing) == {"mrtd": "{in: mrtd}"}
    assert not nothing.unmapped


def test_the_code_point_as_a_key() -> None:
    draft = draft_of(measured(83, digest=MEASURED), where=environment(SEAM))
    assert values(draft) == {"mrseam": [MEASURED.hex()]}


@pytest.mark.parametrize(
    ("code", "said", "claim", "operand"),
    [
        (-86, CBORTag(60010, [GE, 11]), "tcb-evaluation", "{at-least: 11}"),
        (-86, CBORTag(564, [11, None]), "tcb-evaluation", "{at-least: 11}"),
        (-86, CBORTag(60010, [EQ, 11]), "tcb-evaluation", "11"),
        (-86, 11, "tcb-evaluation", "11"),
        (-88, ["UpToDate"], "tcb-status", "UpToDate"),
        (-88, CBORTag(60021, [MEMBER, ["UpToDate"]]), "tcb-status", "UpToDate"),
        (-89, CBORTag(60021, [NOT_MEMBER, ["INTEL-SA-00001", "B"]]), "advisories", "{none-of: [INTEL-SA-00001, B]}"),
    ],
)  # fmt: skip
def test_intels_expressions(code: int, said: Any, claim: str, operand: str) -> None:
    draft = module({code: said})
    assert rules(draft) == {claim: operand}
    assert not draft.unmapped


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({-83: [1, bytes(32)]}, "mrseam"),
        ({-83: [7, bytes(32)]}, "mrseam"),
        ({-83: CBORTag(60020, [MEMBER, []])}, "mrseam"),
        ({-83: CBORTag(60020, [NOT_MEMBER, [[7, bytes(4)]]])}, "mrseam"),
        ({-84: [7, MEASURED]}, "a measurement"),
        ({-82: bytes(16)}, "tee.attributes"),
        ({-73: 6}, "a measurement"),
        ({-86: CBORTag(60010, [GT, 11])}, "tee.tcb-eval-num"),
        ({-86: CBORTag(564, [None, 11])}, "tee.tcb-eval-num"),
        ({-86: CBORTag(564, [1, 11])}, "tee.tcb-eval-num"),
        ({-86: -1}, "tee.tcb-eval-num"),
        ({-88: ["OutOfDate"]}, "tee.tcbstatus"),
        ({-88: CBORTag(60021, [NOT_MEMBER, ["OutOfDate"]])}, "tee.tcbstatus"),
        ({-89: []}, "tee.advisory-ids"),
        ({-89: CBORTag(60021, [MEMBER, ["A"]])}, "tee.advisory-ids"),
        ({2: [[7, MEASURED]]}, "a measurement"),
    ],
)
def test_what_no_claim_says_of_the_module_is_listed(values: dict[int, Any], what: str) -> None:
    draft = module(values)
    assert rules(draft) == {}
    assert lost(draft) == [what]


def test_code_points_mean_nothing_without_the_profile() -> None:
    data = corim(triple(environment(SEAM), extended({-83: [7, MEASURED], -86: 11})))
    draft = read_corim(data, at=AT)
    assert lost(draft) == ["tee.mrtee", "tee.tcb-eval-num"]
    assert draft.platforms == []


def test_another_module_is_listed() -> None:
    draft = draft_of(extended({-83: [7, MEASURED]}), where=environment(SEAM, model="TDX 9", layer=1))
    assert lost(draft) == ["narrows the environment", "model TDX 9"]


def test_intels_enclaves_are_listed() -> None:
    for last in (1, 4, 5):
        draft = draft_of(extended({-86: 11}), where=environment(SEAM[:-1] + bytes([last])))
        assert draft.platforms == []
        assert len(draft.unmapped) == 1
        assert "tcb-status judges" in draft.unmapped[0].why


# -- the TD


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("mrtd", "mrtd"),
        ("MRTD", "mrtd"),
        ("rtmr0", "rtmr0"),
        ("rtmr1:sha384", "rtmr1"),
        ("rtmr2:sha384", "rtmr2"),
        ("rtmr3", "rtmr3"),
        ("mrconfigid", "mrconfigid"),
        ("mrowner", "mrowner"),
        ("mrownerconfig", "mrownerconfig"),
        ("mrseam", "mrseam"),
    ],
)
def test_registers_by_their_names(name: str, claim: str) -> None:
    for one in (
        measured(name, digest=MEASURED),
        measured(name, raw=MEASURED),
        measured(None, registers={name: [[7, MEASURED]]}),
    ):
        draft = draft_of(one)
        assert values(draft) == {claim: [MEASURED.hex()]}
        assert rules(draft) == {claim: f"{{in: {claim}}}"}
        assert not draft.unmapped


def test_registers_that_nobody_set() -> None:
    draft = draft_of(measured("mrowner", raw=bytes(48)), measured("rtmr3", raw=bytes(48)))
    assert rules(draft) == {"mrowner": "{exists: false}", "rtmr3": "{in: rtmr3}"}


@pytest.mark.parametrize("name", ["servtd_hash", "mrservicetd"])
def test_a_service_td_is_what_the_default_refuses(name: str) -> None:
    none = draft_of(measured(name, raw=bytes(48)), measured("mrtd", raw=MEASURED))
    assert rules(none) == {"mrtd": "{in: mrtd}"}
    assert not none.unmapped
    some = draft_of(measured(name, raw=MEASURED), measured("mrtd", raw=MEASURED))
    assert rules(some) == {"mrtd": "{in: mrtd}"}
    assert lost(some) == ["mrservicetd"]


def test_the_td_by_intels_code_points() -> None:
    draft = draft_of(extended({-83: [7, MEASURED], -82: (1 << 28).to_bytes(8, "little")}))
    assert values(draft) == {"mrtd": [MEASURED.hex()]}
    assert rules(draft)["attributes"] == "0x10000000"


def test_bits_of_attributes_and_xfam() -> None:
    bits, mask = (1 << 28).to_bytes(8, "little"), (1 << 28 | 1).to_bytes(8, "little")
    draft = draft_of(
        extended({-82: CBORTag(563, [bits, mask])}), measured("xfam", raw=(0x602E7).to_bytes(8, "little"))
    )
    assert rules(draft) == {"attributes": "{has-bits: 0x10000000, no-bits: 0x1}", "xfam": "0x602e7"}
    assert lost(draft_of(extended({-82: bytes(16)}))) == ["attributes"]
    reserved = draft_of(extended({-82: (1 << 62).to_bytes(8, "little")}), measured("mrtd", raw=MEASURED))
    assert lost(reserved) == ["attributes"]
    assert rules(reserved) == {"mrtd": "{in: mrtd}"}


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (measured("mrtd", digest=bytes(32)), "mrtd"),
        (measured("mrtd", raw=CBORTag(563, [MEASURED, b"\x0f" * 48])), "mrtd"),
        (measured("kernel", digest=MEASURED), "mkey kernel"),
        (measured("mrtd", svn=1), "mkey mrtd"),
        (measured("xfam", svn=1), "mkey xfam"),
        (measured(0, digest=MEASURED), "mkey 0"),
        (measured(None, digest=MEASURED), "a measurement"),
        (measured(None, registers={0: [[7, MEASURED]]}), "a register"),
        (measured(None, registers={"pcr0": [[7, MEASURED]]}), "a register"),
        (measured(None, registers={"mrtd": [[1, bytes(32)]]}), "mrtd"),
    ],
)
def test_what_no_register_is_known_by_is_listed(one: dict[int, Any], what: str) -> None:
    draft = draft_of(one)
    assert rules(draft) == {}
    assert lost(draft) == [what]


def test_an_instance_of_a_td_is_listed() -> None:
    draft = draft_of(measured("mrtd", digest=MEASURED), where={**TD, 1: CBORTag(560, b"one")})
    assert lost(draft) == ["narrows the environment"]
    assert rules(draft) == {"mrtd": "{in: mrtd}"}


def test_why_something_is_not_said() -> None:
    (module_said,) = module({-84: [7, MEASURED]}).unmapped
    assert "Intel's levels" in module_said.why
    for name, why in ((0, "names no register"), ("pcr0", "has this name")):
        (register,) = draft_of(measured(None, registers={name: [[7, MEASURED]]})).unmapped
        assert why in register.why
    (td_said,) = draft_of(measured("kernel", digest=MEASURED)).unmapped
    assert "no register" in td_said.why


def test_which_environment_is_the_td_must_be_said() -> None:
    draft = draft_of(measured("mrtd", digest=MEASURED), told=None)
    assert draft.platforms == []
    assert "--environment" in draft.unmapped[0].why


def test_of_two_classes_none_is_taken_for_the_td() -> None:
    other = {0: {1: "Vendor", 2: "image 8"}}
    one = measured("mrtd", digest=MEASURED)
    draft = read_corim(corim(triple(TD, one), triple(other, one)), at=AT, environment="tdx")
    assert draft.platforms == []
    assert lost(draft) == ["Vendor, image 7", "Vendor, image 8"]
    assert any("2 classes" in note for note in draft.notes)


def test_module_and_td_hold_together() -> None:
    draft = read_corim(
        corim(
            triple(environment(SEAM), extended({-83: [7, MEASURED]})),
            triple(TD, measured("mrtd", digest=MEASURED), measured("mrseam", digest=OTHER)),
            triple(TD, measured("mrtd", digest=OTHER), measured("mrseam", digest=OTHER)),
            profile=INTEL,
        ),
        at=AT,
        environment="tdx",
    )
    assert values(draft) == {
        "mrseam": [MEASURED.hex()],
        "mrtd": [MEASURED.hex(), OTHER.hex()],
        "mrseam-2": [OTHER.hex()],
    }
    assert [(one.claim, one.operand) for one in draft.entries] == [
        ("mrseam", "{in: mrseam}"),
        ("mrtd", "{in: mrtd}"),
        ("mrseam", "{in: mrseam-2}"),
    ]
    Policy.from_text(write(draft, name="a"))


def test_a_report_may_be_told_too() -> None:
    draft = read_corim(corim(triple(TD, measured(641, digest=MEASURED))), at=AT, environment="snp")
    assert rules(draft) == {"measurement": "{in: measurement}"}
    assert draft.platforms == ["snp"]


def test_a_digest_that_is_not_to_be_there_is_asked_for_or_said() -> None:
    draft = module({-83: CBORTag(60020, [NOT_MEMBER, [[7, MEASURED], [1, b"\x01" * 32]]])})
    assert rules(draft) == {"mrseam": f'{{none-of: ["{MEASURED.hex()}"]}}'}
    assert [one.why for one in draft.unmapped] == ["not SHA-384, as the register is: 1 of the digests"]
