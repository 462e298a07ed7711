"""Which CoRIMs are read, and what of them is listed: the forms of the drafts, profiles, tags, dates."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import AttestError, Malformed, Rejected
from attest.policy import Policy
from attest.policy.interchange.corim import read_corim
from attest.policy.interchange.draft import Draft, write
from tests.interchange.corim_maker import (
    AMD,
    AT,
    INTEL,
    MEASURED,
    comid,
    corim,
    corim_map,
    environment,
    measured,
    seconds,
    triple,
)

LAUNCH = triple(environment(), measured(641, digest=MEASURED))


def values(draft: Draft) -> dict[str, list[str]]:
    return {one.name: [value for value, _ in one.values] for one in draft.references}


def codes(data: bytes, **options: Any) -> set[str]:
    with pytest.raises((Malformed, Rejected)) as refused:
        read_corim(data, **{"at": AT, **options})
    return refused.value.codes


def places(draft: Draft) -> list[str]:
    return [one.place for one in draft.unmapped]


# -- forms


@pytest.mark.parametrize(
    "form",
    [
        lambda made: CBORTag(501, made),
        lambda made: CBORTag(500, CBORTag(501, made)),
        lambda made: made,
    ],
)
def test_each_form_of_an_unsigned_corim(form: Any) -> None:
    draft = read_corim(cbor2.dumps(form(corim_map(LAUNCH))), at=AT)
    assert values(draft) == {"measurement": [MEASURED.hex()]}
    assert not draft.unmapped


@pytest.mark.parametrize(
    "tag",
    [
        CBORTag(506, comid(LAUNCH)),
        CBORTag(506, cbor2.loads(comid(LAUNCH))),
        cbor2.dumps(CBORTag(506, cbor2.loads(comid(LAUNCH)))),
    ],
)
def test_each_form_of_a_tag(tag: Any) -> None:
    assert values(read_corim(corim(tags=[tag]), at=AT)) == {"measurement": [MEASURED.hex()]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        corim(LAUNCH) + b"\x00",
        cbor2.dumps(CBORTag(502, CBORTag(501, corim_map(LAUNCH)))),
        cbor2.dumps(CBORTag(502, corim_map(LAUNCH))),
        cbor2.dumps(CBORTag(571, corim_map(LAUNCH))),
        cbor2.dumps(CBORTag(501, [1])),
        corim(tags=[]),
        corim(tags=[7]),
        corim(tags=7),
        corim(tags={1: 2}),
        corim(tags=[b"\xd9\x01\xff\xa0"]),
        corim(tags=[CBORTag(506, b"\xa0")]),
        corim(tags=[CBORTag(506, comid(LAUNCH) + b"\x00")]),
        corim(tags=[CBORTag(506, b"\xbf" + comid(LAUNCH)[1:] + b"\xff")]),
        corim(LAUNCH, id=7),
        corim(LAUNCH, id=""),
        cbor2.dumps(CBORTag(501, {1: [CBORTag(506, comid(LAUNCH))]})),
        corim(triple({}, measured(641, digest=MEASURED))),
        corim(triple({0: {}}, measured(641, digest=MEASURED))),
        corim(triple({0: {9: 1}}, measured(641, digest=MEASURED))),
        corim(triple({3: 1}, measured(641, digest=MEASURED))),
        corim(triple({0: {0: "x"}}, measured(641, digest=MEASURED))),
        corim(triple({0: {0: CBORTag(111, b"\x2b\x80\x01")}}, measured(641, digest=MEASURED))),
        corim(triple({0: {0: CBORTag(111, b"\x2b\x86")}}, measured(641, digest=MEASURED))),
        corim([environment(), []]),
        corim([environment()]),
        corim(triple(environment(), {0: 641})),
        corim(triple(environment(), {0: 641, 1: {}})),
        corim(triple(environment(), {0: 641, 1: {2: [[7]]}})),
        corim(triple(environment(), {0: 641, 1: {2: []}})),
        corim(triple(environment(), {0: 641, 1: {2: [[7, MEASURED], [7, MEASURED]]}})),
        corim(triple(environment(), {0: 641, 1: {2: [[7, MEASURED], ["sha-384", MEASURED]]}})),
        corim(triple(environment(), {0: 641, 1: {2: [[True, MEASURED]]}})),
        corim(triple(environment(), {0: 641, 1: {2: [[7, "ab"]]}})),
        corim(triple(environment(), {0: -1, 1: {2: [[7, MEASURED]]}})),
        corim(triple(environment(), {0: 641, 1: {2: [[7, MEASURED]]}, 3: 1})),
        corim(triple(environment(), measured(1, svn="1"))),
        corim(triple(environment(), measured(1, svn=CBORTag(551, 1)))),
        corim(triple(environment(), measured(2, raw=bytes(8), mask=bytes(7)))),
        corim(triple(environment(), measured(2, raw=CBORTag(563, [bytes(8), bytes(8)]), mask=bytes(8)))),
        corim(triple(environment(), measured(2, mask=bytes(8)))),
        corim(triple(environment(), measured(5, range=CBORTag(564, [2, 1])))),
        corim(triple(environment(), measured(0, version=2))),
        corim(triple(environment(), measured(None, flags={3: 1}))),
        corim(LAUNCH, profile=7),
        corim(LAUNCH, profile=[]),
        corim(LAUNCH, profile=[AMD, AMD]),
        corim(LAUNCH, validity={0: seconds(2026)}),
        corim(LAUNCH, validity={0: seconds(2028), 1: seconds(2027)}),
        corim(LAUNCH, validity={1: 5}),
        corim(LAUNCH, validity={1: CBORTag(1, -5)}),
        corim(LAUNCH, validity={1: CBORTag(1, 1 << 40)}),
    ],
)  # fmt: skip
def test_what_is_no_corim_of_the_drafts_is_refused(data: bytes) -> None:
    assert codes(data) == {"corim.malformed"}


def test_a_lone_measurement_is_of_a_draft_that_is_not_read() -> None:
    with pytest.raises(Malformed) as refused:
        read_corim(corim([environment(), measured(641, digest=MEASURED)]), at=AT)
    (problem,) = refused.value.problems
    assert "drafts 01 to 05" in str(problem)
    assert problem.where == "corim.tags[0].triples.reference-triples[0].ref-claims"


def test_a_place_in_damaged_bytes_is_told() -> None:
    with pytest.raises(Malformed) as refused:
        read_corim(corim(LAUNCH, id="x") + b"\x00", at=AT)
    assert refused.value.problems[0].where == f"corim, offset {len(corim(LAUNCH, id='x'))}"


def test_keys_that_stand_twice_are_refused() -> None:
    with pytest.raises(Malformed) as refused:
        read_corim(bytes.fromhex("d901f5 a2 00 6178 00 6179"), at=AT)
    (problem,) = refused.value.problems
    assert (problem.where, problem.expected) == ("corim", "each key of a map once")


@pytest.mark.parametrize("name", [bytes(range(16)), CBORTag(37, bytes(range(16)))])
def test_a_uuid_names_a_corim(name: Any) -> None:
    (found,) = read_corim(corim(LAUNCH, id=name), at=AT).references
    assert found.origin == "unsigned CoRIM 00010203-0405-0607-0809-0a0b0c0d0e0f"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (CBORTag(560, b""), "tag 560"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (-3, "-3"),
        (b"ab", "2 bytes"),
        ("a", '"a"'),
        ({1: 2}, "a map"),
        ([1, 2], "a list of 2"),
    ],
)
def test_what_was_found_is_said(value: Any, said: str) -> None:
    found = {**LAUNCH[1][0], 1: {1: value}}
    with pytest.raises(Malformed) as refused:
        read_corim(corim(triple(environment(), {**found, 0: 1})), at=AT)
    assert refused.value.problems[0].found == said


def test_a_corim_is_bounded() -> None:
    with pytest.raises(Malformed) as refused:
        read_corim(b"\xd9\x01\xf5" + b"\x00" * (512 << 10), at=AT)
    assert refused.value.problems[0].expected == f"≤ {512 << 10} bytes"


def test_hostile_files_are_refused_at_once() -> None:
    deep = b"\x81" * 500_000
    wide = cbor2.dumps(CBORTag(501, {0: "x", 1: [0] * 300_000}))
    begun = time.perf_counter()
    for data in (deep, wide, b"\xd9\x01\xf5" * 160_000):
        assert codes(data) == {"corim.malformed"}
    assert time.perf_counter() - begun < 1.5


# -- profiles


@pytest.mark.parametrize("form", [lambda one: one, lambda one: [one], lambda one: one.value])
def test_a_profile_by_its_uri(form: Any) -> None:
    assert values(read_corim(corim(LAUNCH, profile=form(AMD)), at=AT))


def test_a_corim_of_another_profile_is_refused_whole() -> None:
    assert codes(corim(LAUNCH, profile="http://arm.com/psa/iot/1")) == {"corim.profile"}
    assert codes(corim(LAUNCH, profile=CBORTag(111, b"\x2b\x06"))) == {"corim.profile"}


def test_a_profile_by_its_oid() -> None:
    assert values(read_corim(corim(LAUNCH, profile=INTEL), at=AT))


def test_an_oid_may_carry_its_tag_and_length() -> None:
    """AMD's draft writes its class with DER's tag, Veraison's package without."""
    oid = environment()[0][0].value
    draft = read_corim(corim(triple(environment(b"\x06" + bytes([len(oid)]) + oid), LAUNCH[1][0])), at=AT)
    assert values(draft) == {"measurement": [MEASURED.hex()]}


# -- what stands beside reference values


def test_what_is_no_reference_value_is_listed() -> None:
    other = triple({0: {0: CBORTag(37, bytes(16)), 1: "Vendor", 2: "a\x1b[31mbox"}}, measured(1, svn=1))
    data = corim(
        tags=[
            CBORTag(505, b"\xa0"),
            b"\xd9\x01\xf9\xff",
            CBORTag(507, b""),
            CBORTag(508, b""),
            CBORTag(506, comid(LAUNCH, other, kind_1=[1, 2], kind_3=[1], kind_77=7)),
        ],
        dependent=[{0: CBORTag(32, "https://x.example")}],
        entities=[{0: "Vendor", 2: [1]}],
        extension=5,
        other=6,
    )
    draft = read_corim(data, at=AT)
    assert {one.place: one.what for one in draft.unmapped} == {
        "corim.tags[0]": "CoSWID",
        "corim.tags[1]": "CoSWID",
        "corim.tags[2]": "CoTS",
        "corim.tags[3]": "CoTL",
        "corim.dependent-rims": "dependent-rims",
        "corim.-1": "an extension",
        "corim.aa": "an extension",
        "corim.tags[4].triples.endorsed-triples": "2 entries",
        "corim.tags[4].triples.attest-key-triples": "1 entries",
        "corim.tags[4].triples.77": "1 entries",
        "corim.tags[4].triples.reference-triples[1]": "UUID 00000000-0000-0000-0000-000000000000, Vendor, a\\x1b[31mbox",
    }  # fmt: skip
    assert values(draft) == {"measurement": [MEASURED.hex()]}


def test_a_comid_without_reference_values_and_an_environment_without_a_class() -> None:
    alone = triple({1: CBORTag(560, b"x")}, measured(641, digest=MEASURED))
    draft = read_corim(corim(tags=[CBORTag(506, comid(kind_1=[1])), CBORTag(506, comid(alone))]), at=AT)
    assert [one.what for one in draft.unmapped] == ["1 entries", "an instance alone"]


@pytest.mark.parametrize(
    ("class_id", "named"),
    [(CBORTag(560, b"ab"), "560 6162"), (CBORTag(551, 7), "551 7"), (CBORTag(111, b"\x2a\x03"), "OID 1.2.3")],
)
def test_classes_that_are_not_known_are_named(class_id: CBORTag, named: str) -> None:
    draft = read_corim(corim(triple({0: {0: class_id}}, measured(641, digest=MEASURED))), at=AT)
    assert [one.what for one in draft.unmapped] == [named]


def test_links_and_authorities_are_listed() -> None:
    linked = {
        1: {0: "t"},
        3: [{0: "u", 1: 1}],
        -5: 1,
        4: {0: [[environment(), [{**LAUNCH[1][0], 2: [CBORTag(560, b"k")]}]]]},
    }
    draft = read_corim(corim(tags=[CBORTag(506, cbor2.dumps(linked))]), at=AT)
    assert places(draft) == [
        "corim.tags[0].linked-tags",
        "corim.tags[0].-5",
        "corim.tags[0].triples.reference-triples[0].ref-claims[0].authorized-by",
    ]


def test_a_file_in_which_nothing_is_known_makes_no_policy() -> None:
    other = triple({0: {1: "NVIDIA", 2: "CX7"}}, measured("fw", digest=MEASURED))
    draft = read_corim(corim(other, validity={1: seconds(2027)}), at=AT)
    assert draft.platforms == []
    assert [one.what for one in draft.unmapped] == ["NVIDIA, CX7"]


# -- dates and origin


def test_the_dates_of_a_corim_are_those_of_its_values() -> None:
    draft = read_corim(corim(LAUNCH, validity={0: seconds(2026), 1: seconds(2027)}), at=AT)
    (found,) = draft.references
    assert (found.begins, found.ends) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    text = write(draft, name="a")
    (value,) = Policy.from_text(text).body.references["measurement"].values
    assert (value.begins, value.ends) == (found.begins, found.ends)
    assert value.origin == "unsigned CoRIM corim 1"
    assert value.name == "tag 1"
    assert any("unsigned: nobody vouches" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("at", "good"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), True),
        (datetime(2027, 1, 1, tzinfo=UTC), True),
        (datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=1), False),
        (datetime(2027, 1, 1, tzinfo=UTC) + timedelta(seconds=1), False),
    ],
)
def test_a_corim_counts_within_its_dates(at: datetime, good: bool) -> None:
    data = corim(LAUNCH, validity={0: seconds(2026), 1: seconds(2027)})
    if good:
        assert values(read_corim(data, at=at))
    else:
        assert codes(data, at=at) == {"corim.dates"}


def test_an_end_that_nothing_carries_is_listed() -> None:
    data = corim(triple(environment(), measured(1, svn=5)), validity={1: seconds(2027)})
    assert places(read_corim(data, at=AT)) == ["corim.rim-validity"]


def test_a_corim_without_an_end_is_told() -> None:
    assert any("no end" in note for note in read_corim(corim(LAUNCH), at=AT).notes)
    ends = read_corim(corim(LAUNCH, validity={1: seconds(2027)}), at=AT)
    assert not any("no end" in note for note in ends.notes)


# -- any bytes


SOUND = corim(
    triple(environment(instance=CBORTag(560, bytes(64))), measured(641, digest=MEASURED), measured(647, svn=CBORTag(553, 9))),
    profile=AMD,
    validity={1: seconds(2027)},
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_corims_are_refused_or_read(data: st.DataObject) -> None:
    raw = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        draft = read_corim(bytes(raw), at=AT)
        if draft.platforms:
            Policy.from_text(write(draft, name="a"))
    except AttestError as error:
        assert all(code.startswith("corim.") for code in error.codes), error


KEYS = st.integers(-90, 20) | st.sampled_from(["mrtd", "rtmr0", "xfam"])
ANYTHING = st.recursive(
    st.integers(-3, 700) | st.booleans() | st.none() | st.binary(max_size=50) | st.text(max_size=8)
    | st.sampled_from([bytes(48), MEASURED, bytes(8)]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(KEYS, inner, max_size=4)
    | st.tuples(st.sampled_from([1, 111, 552, 553, 560, 563, 564, 60010, 60020, 60021]), inner).map(
        lambda pair: CBORTag(*pair)
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(KEYS, ANYTHING, min_size=1, max_size=3), min_size=1, max_size=3),
    st.sampled_from([0, 1, 2, 5, 7, 641, 647, 648, 3936, "mrtd", "xfam", None]),
    st.sampled_from([environment(), environment(bytes.fromhex("6086480186f84d0102030403")), {0: {1: "x"}}]),
    st.sampled_from(["snp", "tdx"]),
)
def test_whatever_stands_in_a_measurement_is_refused_or_makes_a_policy(
    found: list[dict[Any, Any]], key: Any, where: dict[int, Any], told: Any
) -> None:
    measurements = [{1: one} if key is None else {0: key, 1: one} for one in found]
    try:
        draft = read_corim(corim(triple(where, *measurements), profile=INTEL), at=AT, environment=told)
    except Malformed as error:
        assert error.codes == {"corim.malformed"}
        return
    if draft.platforms:
        Policy.from_text(write(draft, name="a"))
