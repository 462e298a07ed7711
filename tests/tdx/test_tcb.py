"""Intel's TCB algorithm on levels made up for the purpose: order, matching, merge, relaunch, lag."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from attest.errors import Malformed
from attest.tdx import tcb
from attest.tdx.sgx_extension import PckFacts
from attest.tdx.tcb import Standing, Tcb
from attest.tdx.tcb_info import STATUSES, SvnLevel, TcbInfo, TcbLevel

DAY = datetime(2025, 1, 1, tzinfo=UTC)
PCK = PckFacts(bytes(16), bytes(16), 11, bytes(16), bytes(2), bytes(6), 0)


def svns(*values: int) -> bytes:
    return bytes(values).ljust(16, b"\0")


def level(
    sgx: bytes, tdx: bytes, pce: int = 11, status: str = "UpToDate", days: int = 0, *advisories: str
) -> TcbLevel:
    return TcbLevel(sgx, pce, tdx, DAY + timedelta(days), status, advisories)


def pck(*components: int, pce: int = 11) -> PckFacts:
    return PCK._replace(components=svns(*components), pce_svn=pce)


def document(**changes: Any) -> bytes:
    def row(first: int, pce: int, status: str) -> dict[str, Any]:
        return {
            "tcb": {
                "sgxtcbcomponents": [{"svn": first}] + [{"svn": 0}] * 15,
                "pcesvn": pce,
                "tdxtcbcomponents": [{"svn": 0}] * 16,
            },
            "tcbDate": "2025-01-01T00:00:00Z",
            "tcbStatus": status,
        }

    module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
    info: dict[str, Any] = {
        "id": "TDX",
        "version": 3,
        "issueDate": "2025-01-01T00:00:00Z",
        "nextUpdate": "2025-01-31T00:00:00Z",
        "fmspc": "00806f050000",
        "pceId": "0000",
        "tcbType": 0,
        "tcbEvaluationDataNumber": 18,
        "tdxModule": module,
        "tdxModuleIdentities": [
            {
                "id": "tdx_01",
                **module,
                "tcbLevels": [
                    {"tcb": {"isvsvn": n}, "tcbDate": "2025-01-01T00:00:00Z", "tcbStatus": s}
                    for n, s in ((2, "OutOfDate"), (6, "UpToDate"), (4, "OutOfDate"))
                ],
            }
        ],
        "tcbLevels": [row(1, 5, "OutOfDate"), row(3, 5, "UpToDate"), row(1, 13, "SWHardeningNeeded")],
    }
    info.update(changes)
    return json.dumps(info).encode()


# -- reading --------------------------------------------------------------------------------------------------


def test_levels_are_sorted_whatever_their_order_in_json() -> None:
    info = TcbInfo.parse(document())
    assert [(row.sgx[0], row.pce_svn) for row in info.levels] == [(3, 5), (1, 13), (1, 5)]
    assert [row.isv_svn for row in info.modules["TDX_01"].levels] == [6, 4, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "SGX"},
        {"version": 2},
        {"version": "3"},
        {"version": 3.0},
        {"tcbType": 1},
        {"fmspc": "00806f0500"},
        {"fmspc": "00806f05000g"},
        {"fmspc": "00 806f 0500"},
        {"fmspc": 128},
        {"pceId": "00"},
        {"issueDate": "2025-01-01"},
        {"issueDate": "2025-01-01T00:00:00+00:00"},
        {"issueDate": "2025-13-01T00:00:00Z"},
        {"nextUpdate": None},
        {"tcbEvaluationDataNumber": True},
        {"tcbEvaluationDataNumber": -1},
        {"tcbLevels": []},
        {"tcbLevels": {}},
        {"tdxModule": None},
        {"tdxModuleIdentities": [1]},
    ],
)
def test_a_member_of_another_form_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as refusal:
        TcbInfo.parse(document(**changes))
    assert refusal.value.codes == {"endorsement.malformed"}


@pytest.mark.parametrize(
    "name",
    [
        "id",
        "version",
        "fmspc",
        "pceId",
        "issueDate",
        "nextUpdate",
        "tcbType",
        "tcbEvaluationDataNumber",
        "tdxModule",
        "tcbLevels",
    ],
)
def test_a_missing_member_is_malformed(name: str) -> None:
    info = json.loads(document())
    del info[name]
    with pytest.raises(Malformed):
        TcbInfo.parse(json.dumps(info).encode())


def test_unknown_members_are_passed_over() -> None:
    assert TcbInfo.parse(document(news="later")).evaluation == 18


@pytest.mark.parametrize(
    ("value", "good"), [(0, True), (255, True), (256, False), (-1, False), (1.5, False), ("3", False)]
)
def test_component_svns_are_bytes(value: object, good: bool) -> None:
    info = json.loads(document())
    info["tcbLevels"][0]["tcb"]["tdxtcbcomponents"][15] = {"svn": value}
    if good:
        TcbInfo.parse(json.dumps(info).encode())
    else:
        with pytest.raises(Malformed):
            TcbInfo.parse(json.dumps(info).encode())


def test_levels_and_modules_that_stand_twice_are_malformed() -> None:
    info = json.loads(document())
    for twice in ("tcbLevels", "tdxModuleIdentities"):
        with pytest.raises(Malformed):
            TcbInfo.parse(document(**{twice: info[twice] + info[twice][:1]}))


def test_a_status_nobody_knows_refuses_the_document_wherever_it_stands() -> None:
    info = json.loads(document())
    info["tdxModuleIdentities"][0]["tcbLevels"][0]["tcbStatus"] = "Splendid"
    with pytest.raises(Malformed) as refusal:
        TcbInfo.parse(json.dumps(info).encode())
    assert refusal.value.codes == {"tdx.tcb.unknown-status"}


# -- matching -------------------------------------------------------------------------------------------------

LEVELS = [
    level(svns(3, 3), svns(5, 0, 3), 13),
    level(svns(2, 2), svns(5, 0, 2), 13, "OutOfDate"),
    level(svns(2, 2), svns(5, 0, 2), 5, "OutOfDate"),
]


@pytest.mark.parametrize(
    ("components", "pce", "svn", "expected"),
    [
        ((3, 3), 13, (6, 1, 3), (0, 0)),
        ((9, 9), 20, (6, 1, 9), (0, 0)),
        ((3, 3), 13, (6, 1, 2), (0, 1)),
        ((3, 3), 12, (6, 1, 3), (2, 2)),
        ((2, 9), 13, (6, 1, 3), (1, 1)),
        ((3, 3), 13, (6, 1, 1), (0, None)),
        ((3, 1), 13, (6, 1, 3), (None, None)),
        ((3, 3), 4, (6, 1, 3), (None, None)),
        # Bytes 0 and 1 are the identity's to judge once the module has a version of its own.
        ((3, 3), 13, (1, 1, 3), (0, 0)),
        ((3, 3), 13, (4, 0, 3), (0, None)),
        ((3, 3), 13, (5, 0, 3), (0, 0)),
    ],
)
def test_first_level_reached(
    components: tuple[int, ...], pce: int, svn: tuple[int, ...], expected: tuple[int | None, int | None]
) -> None:
    assert tcb.matching_levels(LEVELS, pck(*components, pce=pce), svns(*svn)) == expected


@pytest.mark.parametrize("index", range(16))
def test_every_component_counts(index: int) -> None:
    wanted = bytearray(16)
    wanted[index] = 1
    assert tcb.matching_levels([level(bytes(wanted), bytes(16))], pck(), svns(0, 1)) == (None, None)
    assert tcb.matching_levels([level(bytes(16), bytes(wanted))], pck(), bytes(16)) == (0, None)
    expected = 0 if index < 2 else None
    assert tcb.matching_levels([level(bytes(16), bytes(wanted))], pck(), svns(0, 1)) == (0, expected)


def test_what_is_behind_is_said_component_by_component() -> None:
    standing = tcb.platform_standing(LEVELS, 2, pck(3, 2, pce=5), svns(6, 1, 2))
    assert standing.behind == (
        "TDX component 2 is 2, wanted 3",
        "SGX component 1 is 2, wanted 3",
        "PCE SVN is 5, wanted 13",
    )


def test_the_wanted_module_is_the_lowest_that_is_up_to_date() -> None:
    levels = [
        SvnLevel(9, DAY, "UpToDate", ()),
        SvnLevel(7, DAY, "UpToDate", ()),
        SvnLevel(4, DAY, "OutOfDate", ()),
    ]
    standing = tcb.svn_standing(levels, 5, "TDX module")
    assert standing is not None
    assert standing.behind == ("TDX module 5, wanted 7",)
    assert tcb.svn_standing(levels, 3, "TDX module") is None


# -- merging --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", STATUSES)
def test_a_part_that_is_up_to_date_changes_nothing(status: str) -> None:
    assert tcb.merge(status, "UpToDate") == status


@pytest.mark.parametrize(
    ("status", "merged"),
    [
        ("UpToDate", "OutOfDate"),
        ("SWHardeningNeeded", "OutOfDate"),
        ("ConfigurationNeeded", "OutOfDateConfigurationNeeded"),
        ("ConfigurationAndSWHardeningNeeded", "OutOfDateConfigurationNeeded"),
        ("OutOfDate", "OutOfDate"),
        ("OutOfDateConfigurationNeeded", "OutOfDateConfigurationNeeded"),
        ("Revoked", "Revoked"),
    ],
)
def test_a_part_that_is_out_of_date_counts_in(status: str, merged: str) -> None:
    assert tcb.merge(status, "OutOfDate") == merged


@pytest.mark.parametrize("status", STATUSES)
def test_a_revoked_part_revokes_all(status: str) -> None:
    assert tcb.merge(status, "Revoked") == "Revoked"


def test_no_status_of_a_part_other_than_up_to_date_leaves_the_platform_up_to_date() -> None:
    assert {status for status in STATUSES if tcb.merge("UpToDate", status) == "UpToDate"} == {"UpToDate"}


# -- relaunch -------------------------------------------------------------------------------------------------

UP, OLD = Standing("UpToDate", DAY, ()), Standing("OutOfDate", DAY, ())


@pytest.mark.parametrize(
    ("sgx", "merged", "module", "qe", "applies"),
    [
        ("UpToDate", "OutOfDate", OLD, UP, True),
        ("ConfigurationNeeded", "OutOfDateConfigurationNeeded", OLD, UP, True),
        ("OutOfDate", "OutOfDate", OLD, UP, False),
        ("UpToDate", "UpToDate", OLD, UP, False),
        ("UpToDate", "Revoked", OLD, UP, False),
        ("UpToDate", "OutOfDate", UP, UP, False),
        ("UpToDate", "OutOfDate", None, UP, False),
        ("UpToDate", "OutOfDate", OLD, OLD, False),
    ],
)
def test_relaunch_applies_only_where_an_old_module_is_all(
    sgx: str, merged: str, module: Standing | None, qe: Standing, applies: bool
) -> None:
    assert tcb.relaunch_applies(sgx, merged, module, qe) is applies


@pytest.mark.parametrize(
    ("now", "sgx", "expected"),
    [
        ((6, 1, 3), "UpToDate", "TDRelaunchAdvised"),
        ((6, 1, 3), "ConfigurationNeeded", "TDRelaunchAdvisedConfigurationNeeded"),
        ((5, 1, 3), "UpToDate", None),
        ((6, 1, 2), "UpToDate", None),
        ((5, 0, 3), "UpToDate", "TDRelaunchAdvised"),
        ((4, 0, 3), "UpToDate", None),
    ],
)
def test_relaunch_needs_the_newest_module_and_microcode(
    now: tuple[int, ...], sgx: str, expected: str | None
) -> None:
    info = replace(TcbInfo.parse(document()), levels=tuple(LEVELS))
    identity = info.modules["TDX_01"] if now[1] else None
    status = tcb.relaunch_status(
        info, sgx_status=sgx, merged="OutOfDate", now_svn=svns(*now), now_identity=identity
    )
    assert status == expected


# -- dates and advisories -------------------------------------------------------------------------------------


def test_lag_is_that_of_the_part_longest_behind() -> None:
    at = DAY + timedelta(days=100)
    platform = Standing("OutOfDate", DAY, (), missed=DAY + timedelta(days=90))
    module = Standing("OutOfDate", DAY, (), missed=DAY + timedelta(days=40))
    assert Tcb("OutOfDate", platform, UP, "TDX_01", module).lag(at) == timedelta(days=60)
    assert Tcb("OutOfDate", platform, UP).lag(at) == timedelta(days=10)
    assert Tcb("UpToDate", UP, UP).lag(at) == timedelta(0)


def test_lag_is_unknown_where_no_level_is_above() -> None:
    top = Standing("ConfigurationNeeded", DAY, ())
    assert Tcb("ConfigurationNeeded", top, UP).lag(DAY) is None


def test_advisories_are_joined_in_order_and_once_and_the_date_is_the_oldest() -> None:
    merged = Tcb(
        "OutOfDate",
        Standing("OutOfDate", DAY, ("B", "A")),
        Standing("OutOfDate", DAY - timedelta(days=1), ("C", "B")),
        "TDX_01",
        Standing("OutOfDate", DAY, ("A", "D")),
    )
    assert merged.advisories == ("B", "A", "D", "C")
    assert merged.date == DAY - timedelta(days=1)


def test_lag_counts_from_the_part_that_is_behind_also_by_less_than_a_day() -> None:
    late = Standing("OutOfDate", DAY, (), missed=DAY)
    assert Tcb("OutOfDate", UP, UP, "TDX_01", late).lag(DAY + timedelta(hours=1)) == timedelta(hours=1)
    assert Tcb("OutOfDate", UP, late).lag(DAY + timedelta(hours=2)) == timedelta(hours=2)


# -- standing -------------------------------------------------------------------------------------------------

DATED = [
    level(svns(5), svns(5, 0, 3), 13, "SWHardeningNeeded", 30),
    level(svns(4), svns(5, 0, 3), 13, "UpToDate", 20),
    level(svns(3), svns(5, 0, 3), 13, "OutOfDate", 10),
    level(svns(2), svns(5, 0, 3), 13, "OutOfDate", 0),
]


@pytest.mark.parametrize(
    ("index", "missed", "behind"),
    [
        (0, None, ()),
        (1, None, ()),
        (2, 20, ("SGX component 0 is 3, wanted 4",)),
        (3, 10, ("SGX component 0 is 3, wanted 4",)),
    ],
)
def test_what_was_missed_is_the_next_level_and_what_is_wanted_the_nearest_that_is_up_to_date(
    index: int, missed: int | None, behind: tuple[str, ...]
) -> None:
    standing = tcb.platform_standing(DATED, index, pck(3, pce=13), svns(5, 0, 3))
    assert standing.missed == (None if missed is None else DAY + timedelta(missed))
    assert standing.behind == behind


def test_where_no_level_above_is_up_to_date_the_newest_is_wanted() -> None:
    levels = [level(svns(n), bytes(16), 13, "OutOfDate", n) for n in (9, 7, 5)]
    standing = tcb.platform_standing(levels, 2, pck(5, pce=13), bytes(16))
    assert standing.behind == ("SGX component 0 is 5, wanted 9",)
    modules = [SvnLevel(n, DAY + timedelta(n), "OutOfDate", ()) for n in (9, 7, 5)]
    module = tcb.svn_standing(modules, 5, "TDX module")
    assert module is not None
    assert module.behind == ("TDX module 5, wanted 9",)
    assert module.missed == DAY + timedelta(7)
    newest = tcb.svn_standing(modules, 9, "TDX module")
    assert newest is not None
    assert (newest.behind, newest.missed) == ((), None)


@pytest.mark.parametrize(
    ("svn", "named"), [((4, 0, 2), (0, 2)), ((4, 1, 2), (2,)), ((5, 0, 2), (2,)), ((5, 0, 3), ())]
)
def test_components_of_a_module_with_a_version_of_its_own_are_not_the_platforms(
    svn: tuple[int, ...], named: tuple[int, ...]
) -> None:
    wanted = level(svns(3), svns(5, 0, 3), 13)
    phrases = tcb.short_of(wanted, pck(3, pce=13), svns(*svn))
    assert phrases == tuple(f"TDX component {i} is {svn[i]}, wanted {(5, 0, 3)[i]}" for i in named)
    # A component 1 that is wanted is nothing a versioned module could miss.
    assert not tcb.short_of(level(svns(3), svns(0, 9), 13), pck(3, pce=13), svns(4, 1))
    assert tcb.short_of(level(svns(3), svns(0, 9), 13), pck(3, pce=13), svns(4, 0)) == (
        "TDX component 1 is 0, wanted 9",
    )
