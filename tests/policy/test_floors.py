"""Floor data: what it asks, from when to when it counts, and who may replace it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.dsse import Envelope, TrustedKey, TrustedKeys, seal_envelope
from attest.errors import Denied, Malformed, Rejected
from attest.policy import Policy, builtin
from attest.policy.floor_update import open_floors
from attest.policy.floors import Floors
from tests.policy.conftest import NOW, SNP, TDX, Judge, policy_of, tree

DATA: dict[str, Any] = {
    "serial": "7",
    "issued": "2026-01-01T00:00:00Z",
    "expires": "2027-01-01T00:00:00Z",
    "advisories": {
        "amd-sb-3019": {
            "title": "microcode",
            "products": {
                "milan": [
                    {"from": "2025-01-01T00:00:00Z", "source": "AMD-SB-3019", "tcb": {"snp": "24"}},
                    {"from": "2027-01-01T00:00:00Z", "source": "AMD-SB-3019", "tcb": {"snp": "27"}},
                ],
                "turin": [{"from": "2025-01-01T00:00:00Z", "source": "AMD-SB-3019", "not-affected": "true"}],
            },
        },
        "amd-sb-3015": {
            "title": "BadRAM",
            "products": {
                "milan": [
                    {
                        "from": "2025-01-01T00:00:00Z",
                        "source": "AMD-SB-3015",
                        "firmware": "1.55.22",
                        "flags": ["alias-check"],
                    }
                ]
            },
        },
        "amd-sb-3020": {"title": "RMPocalypse", "products": {}},
    },
    "tcb-evaluation": [
        {"from": "2026-01-01T00:00:00Z", "at-least": "18", "source": "INTEL-SA-01036"},
        {"from": "2026-12-01T00:00:00Z", "at-least": "20", "source": "INTEL-SA-01099"},
    ],
}
FLOORS = Floors.parse(json.dumps(DATA).encode())
FIXED = policy_of("{snp: {fixed: [amd-sb-3019]}}", floors=FLOORS)


def with_(path: str, value: object) -> bytes:
    data = json.loads(json.dumps(DATA))
    at = data
    *way, last = path.split("/")
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return json.dumps(data).encode()


def snp(**claims: Any) -> dict[str, Any]:
    return tree(snp={**SNP, **claims}, time=None)


def tcb(number: str) -> dict[str, Any]:
    return {"tcb": {**SNP["tcb"], "snp": number}}


def test_t_tcb_rollback_the_denial_names_the_advisory_and_both_versions(judge: Judge) -> None:
    policy = Policy.from_text(
        "policy: 1\nname: t\nplatforms: [snp]\nrequire:\n  snp:\n\n\n\n    fixed: [amd-sb-3019]\n", "p.yaml"
    )
    assert [problem.message for problem in judge(snp(**tcb("23")), policy).problems] == [
        "SNP firmware is too old (snp.fixed, p.yaml:9). AMD-SB-3019 needs snp ≥ 24 on Milan, found 23."
        " The host must update and commit firmware."
    ]
    assert judge(snp(**tcb("24")), policy).conforms


@pytest.mark.parametrize(
    ("claims", "result"),
    [
        (tcb("24"), "P"),
        (tcb("23"), "F"),
        ({"tcb": {"microcode": "255"}}, "U"),
        ({"tcb": None}, "U"),
        ({"product": "genoa", **tcb("255")}, "U"),
        ({"product": "zen", **tcb("255")}, "U"),
        ({"product": "turin", **tcb("0")}, "P"),
    ],
)
def test_what_shows_the_fix(judge: Judge, claims: dict[str, Any], result: str) -> None:
    changed = {name: value for name, value in {**SNP, **claims}.items() if value is not None}
    appraisal = judge(tree(snp=changed), FIXED)
    (record,) = [one for one in appraisal.rules if one["rule"] == "snp.fixed"]
    assert record["result"] == result
    assert appraisal.conforms == (result == "P")


@pytest.mark.parametrize(
    ("claims", "result"),
    [
        ({}, "P"),
        ({"firmware": "1.55.21"}, "F"),
        ({"alias-check": "false"}, "F"),
        ({"alias-check": None}, "U"),
        ({"firmware": "1.55.21", "alias-check": None}, "F"),
    ],
)
def test_a_fix_that_shows_in_several_claims(judge: Judge, claims: dict[str, Any], result: str) -> None:
    policy = policy_of("{snp: {fixed: [amd-sb-3015]}}", floors=FLOORS)
    changed = {name: value for name, value in {**SNP, **claims}.items() if value is not None}
    (record,) = [one for one in judge(tree(snp=changed), policy).rules if one["rule"] == "snp.fixed"]
    assert record["result"] == result


@pytest.mark.parametrize(
    ("year", "number", "good"),
    [(2024, "0", True), (2026, "23", False), (2026, "24", True), (2027, "24", False), (2027, "27", True)],
)
def test_a_floor_counts_from_its_date_on(judge: Judge, year: int, number: str, good: bool) -> None:
    at = datetime(year, 1, 1, tzinfo=UTC)
    assert judge(snp(**tcb(number)), FIXED, at=at, state_at=at).conforms == good


def test_several_advisories_are_accepted_one_by_one(judge: Judge) -> None:
    more = "accept: [{advisory: amd-sb-3019, until: 2026-12-01, because: on order}]\n"
    policy = policy_of("{snp: {fixed: [amd-sb-3019, amd-sb-3015]}}", more=more, floors=FLOORS)
    both = snp(**tcb("23"), firmware="1.55.21")
    appraisal = judge(both, policy)
    assert [problem.message.split(" needs ")[0][-11:] for problem in appraisal.problems] == ["AMD-SB-3015"]
    outcomes = {one["expected"][:11]: one["outcome"] for one in appraisal.rules if one["rule"] == "snp.fixed"}  # type: ignore[index]
    assert outcomes == {"AMD-SB-3015": "deny", "AMD-SB-3019": "accepted"}
    assert judge(snp(**tcb("23")), policy).verdict == "conforms-with-warnings"
    assert not judge(snp(**tcb("23")), policy, at=NOW + timedelta(days=9)).conforms
    # What cannot be told is nothing that anybody accepted.
    assert not judge(snp(product="genoa"), policy).conforms


def test_t_collateral_rollback_floors_judge_intels_number_by_default(judge: Judge) -> None:
    claims = tree(tdx=TDX)
    policy = Policy.defaults(FLOORS)
    assert judge(claims, policy).verdict == "conforms"
    at = datetime(2026, 12, 1, tzinfo=UTC)
    assert [
        problem.message for problem in judge(claims, policy, at=at).problems if "floor" in problem.message
    ] == [
        "Intel collateral is old (tdx.tcb-evaluation, floor). Number 18, wanted ≥ 20: it may hide findings."
        ' Run "attest endorsements fetch".'
    ]


@pytest.mark.parametrize(
    ("rule", "good"),
    [
        ("{at-least: 1}", False),
        ("{exists: true}", False),
        ("{at-least: 1, else: warn, until: 2030-01-01}", False),
        ('{at-least: 1, override: "old platforms"}', True),
    ],
)
def test_a_lower_number_than_the_floor_needs_a_reason(judge: Judge, rule: str, good: bool) -> None:
    policy = policy_of(f"{{tdx: {{tcb-evaluation: {rule}}}}}", platforms="tdx", floors=FLOORS)
    claims = tree(tdx={**TDX, "tcb-evaluation": "17"})
    assert judge(claims, policy).conforms == good


def test_ended_floor_data_warns_withholds_and_then_is_unknown(judge: Judge) -> None:
    pinned = f'{{snp: {{fixed: [amd-sb-3019], measurement: {{is: "{SNP["measurement"]}", covers: image}}}}}}'
    allow = "allow-warnings: {floors-expired: never mind, no-freshness: test}\n"
    policy = policy_of(pinned, more=allow, floors=FLOORS)
    good = snp(**tcb("27"))
    end = FLOORS.expires
    assert end is not None
    judge(good, policy, at=end, state_at=end).require_release()
    after = judge(good, policy, at=end + timedelta(seconds=1), state_at=end)
    assert "floors-expired" in {warning.code for warning in after.warnings}
    assert after.conforms
    with pytest.raises(Denied):
        after.require_release()
    late = end + timedelta(days=180, seconds=1)
    assert [p.where for p in judge(good, policy, at=late, state_at=end).problems] == ["snp.fixed"]
    tdx = judge(
        tree(tdx={**TDX, "tcb-evaluation": "99"}, time=None), Policy.defaults(FLOORS), at=late, state_at=end
    )
    assert [p.where for p in tdx.problems] == ["tdx.tcb-evaluation"]


def test_a_file_issued_later_than_now_is_no_error(judge: Judge) -> None:
    at = datetime(2025, 6, 1, tzinfo=UTC)
    assert not judge(snp(**tcb("23")), FIXED, at=at, state_at=at).conforms


def test_no_floor_data_is_said(judge: Judge) -> None:
    codes = {one.code for one in judge(tree(tdx=TDX), Policy.defaults(Floors.none())).warnings}
    assert codes == {"no-floors"}


def test_every_result_names_serial_and_digest(judge: Judge) -> None:
    assert judge(tree(snp=SNP), FIXED).policy["floors"] == {"serial": "7", "digest": FLOORS.digest}


# -- what comes with the package --------------------------------------------------------------------


def test_every_number_shipped_names_its_bulletin() -> None:
    shipped = Floors.shipped()
    for name, products in shipped.advisories.items():
        for minimums in products.values():
            assert all(name.upper() in minimum.source for minimum in minimums)
    assert all(re.match(r"INTEL-SA-\d{5}", one.source) for one in shipped.evaluations)
    assert shipped.known("amd-sb-3019")
    assert not shipped.known("amd-sb-3020")


def test_an_altered_file_of_the_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(builtin._DIGESTS, "floors", "00" * 48)
    with pytest.raises(RuntimeError, match="not the one that was shipped"):
        builtin._read("floors", "floors.json")


# -- signed updates ---------------------------------------------------------------------------------

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def trusted(key: Ed25519PrivateKey, kind: Any = "floors") -> TrustedKeys:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return TrustedKeys([TrustedKey.read(kind, pem)])


def opened(data: bytes, keys: TrustedKeys, *, kind: Any = "floors", seen: Floors | None = None) -> Floors:
    envelope = Envelope.parse(seal_envelope(kind, data, KEY))
    return open_floors(envelope, keys, seen=seen or Floors.none())


def test_an_update_is_signed_and_its_serial_does_not_go_back() -> None:
    data = json.dumps(DATA).encode()
    assert opened(data, trusted(KEY)).serial == 7
    assert opened(data, trusted(KEY), seen=FLOORS).serial == 7  # the same again
    refusals: list[tuple[Callable[[], Floors], str]] = [
        (lambda: opened(data, trusted(OTHER)), "dsse.key"),
        (lambda: opened(data, trusted(KEY, "policy")), "dsse.kind"),
        (lambda: opened(data, trusted(KEY), kind="policy"), "dsse.kind"),
        (lambda: opened(with_("serial", "6"), trusted(KEY), seen=FLOORS), "floors.rollback"),
        # Two files of one serial: one of them is not the one that was seen.
        (
            lambda: opened(with_("expires", "2030-01-01T00:00:00Z"), trusted(KEY), seen=FLOORS),
            "floors.rollback",
        ),
    ]
    for attempt, code in refusals:
        with pytest.raises(Rejected) as refusal:
            attempt()
        assert code in refusal.value.codes


MILAN = "advisories/amd-sb-3019/products/milan"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("serial", "0", "floors.serial"),
        ("serial", 7, "floors.serial"),
        ("serial", None, "floors"),
        ("more", "x", "floors"),
        ("issued", "2026-02-30T00:00:00Z", "floors.issued"),
        ("expires", "2025-01-01T00:00:00Z", "floors.expires"),
        ("advisories/AMD-SB-1", {"title": "x", "products": {}}, "floors.advisories.AMD-SB-1"),
        ("advisories/amd-sb-3019/title", None, "floors.advisories.amd-sb-3019"),
        ("advisories/amd-sb-3019/products/zen", [], "floors.advisories.amd-sb-3019.products"),
        (f"{MILAN}/0/tcb", {}, "tcb"),
        (f"{MILAN}/0/tcb", {"snpp": "1"}, "tcb"),
        (f"{MILAN}/0/tcb", {"snp": "256"}, "tcb"),
        (f"{MILAN}/0/tcb", None, "milan[0]"),
        (f"{MILAN}/0/source", None, "milan[0]"),
        (f"{MILAN}/0/source", "", "source"),
        (f"{MILAN}/0/not-affected", "true", "milan[0]"),
        (f"{MILAN}/0/firmware", "1.x", "firmware"),
        (f"{MILAN}/0/flags", ["vmpl"], "flags"),
        (f"{MILAN}/0/from", "2027-01-01T00:00:00Z", "milan"),
        ("tcb-evaluation/1/at-least", "18", "tcb-evaluation"),
        ("tcb-evaluation/0/at-least", "x", "at-least"),
    ],
)
def test_floor_data_is_read_strictly(path: str, value: object, says: str) -> None:
    with pytest.raises(Malformed) as refusal:
        Floors.parse(with_(path, value))
    assert refusal.value.codes == {"floors.malformed"}
    assert says in str(refusal.value.problems[0].where)


def test_floor_data_is_bounded() -> None:
    with pytest.raises(Malformed):
        Floors.parse(b" " * (2 << 20))
