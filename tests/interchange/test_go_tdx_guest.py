"""go-tdx-guest's checks: each field a rule, held without one, or listed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.policy import Policy, appraise
from attest.policy.interchange.draft import Draft, write
from attest.policy.interchange.go_tdx_guest import read_go_tdx_guest
from tests.counts import tenth
from tests.policy.conftest import NOW, TDX, tree, verified_of

BODY = b"""td_quote_body_policy {
  minimum_tee_tcb_svn: "\\005\\001%s"
  mr_td: "%s"
  mr_owner: "%s"
  xfam: "\\347\\002\\006\\000\\000\\000\\000\\000"
  %%s
}
""" % (b"\\000" * 14, b"\\xaa" * 48, b"\\000" * 48)
ATTRIBUTES = "{no-bits: 0x7fffffffaffffffe}"


def lost(draft: Draft) -> list[tuple[int | None, str]]:
    return [(one.line, one.what) for one in draft.unmapped]


def rules_of(draft: Draft) -> dict[str, str]:
    return {one.claim: one.operand for one in draft.entries}


def loaded(draft: Draft) -> Policy:
    return Policy.from_text(write(draft, name="a"))


def test_fields_become_rules() -> None:
    draft = read_go_tdx_guest(BODY % b"enable_td_debug_check: true")
    assert not draft.unmapped
    assert rules_of(draft) == {
        "tee-tcb-svn": "{at-least: {0: 5, 1: 1}}",
        "mrtd": '"' + "aa" * 48 + '"',
        "mrowner": "{exists: false}",
        "xfam": "0x602e7",
        "debug": "false",
        "attributes": ATTRIBUTES,
    }
    assert appraise(verified_of(tree(tdx=TDX)), loaded(draft), at=NOW).verdict != "refused"


def test_an_empty_policy_still_asks_what_its_reader_always_asks() -> None:
    draft = read_go_tdx_guest(b"")
    assert not draft.unmapped
    assert rules_of(draft) == {
        "attributes": ATTRIBUTES,
        "xfam": "{has-bits: 0x3, no-bits: 0xfffffffffff92418}",
    }
    assert all(one.said.startswith("not in the file") for one in draft.entries)
    policy = loaded(draft)
    for change, passes in (
        ({}, True),
        ({"xfam": str(0x602E7 | 1 << 9)}, True),
        ({"xfam": str(0x602E7 | 1 << 10)}, False),
        ({"xfam": "2"}, False),
        ({"attributes": str(1 << 28 | 1 << 63)}, True),
        ({"attributes": str(1 << 28 | 1 << 27)}, False),
    ):
        claims = tree(tdx={**TDX, **change})
        assert (appraise(verified_of(claims), policy, at=NOW).verdict != "refused") == passes, change


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        (b"td_attributes: '\\000\\000\\000\\020\\000\\000\\000\\000'", ("attributes", "0x10000000")),
        (b"mr_seam: '%s'" % (b"\\x01" * 48), ("mrseam", '"' + "01" * 48 + '"')),
        (b"mr_config_id: '%s'" % (b"\\x01" * 48), ("mrconfigid", '"' + "01" * 48 + '"')),
        (b"rtmrs: ['', '', '%s', '']" % (b"\\x01" * 48), ("rtmr2", '"' + "01" * 48 + '"')),
    ],
)
def test_one_field_asks_its_rule(fields: bytes, rule: tuple[str, str]) -> None:
    draft = read_go_tdx_guest(BODY % fields)
    assert not draft.unmapped
    assert rule in rules_of(draft).items()
    loaded(draft)


def test_several_permitted_images() -> None:
    one, other = b"\\x01" * 48, b"\\x02" * 48
    draft = read_go_tdx_guest(b"td_quote_body_policy { any_mr_td: ['%s', '%s'] }" % (one, other))
    assert rules_of(draft)["mrtd"] == f'{{one-of: ["{"01" * 48}", "{"02" * 48}"]}}'
    # Every image matches an empty value there.
    draft = read_go_tdx_guest(b"td_quote_body_policy { any_mr_td: ['%s', ''] }" % one)
    assert "mrtd" not in rules_of(draft)
    both = read_go_tdx_guest(BODY % (b"any_mr_td: '%s'" % one))
    assert [rule.operand for rule in both.entries if rule.claim == "mrtd"] == [
        f'"{"01" * 48}"', '"' + "aa" * 48 + '"',
    ]  # fmt: skip
    loaded(both)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (BODY % b"report_data: '%s'" % (b"a" * 64), "report_data"),
        (BODY % b"td_attributes: '\\001\\000\\000\\020\\000\\000\\000\\000'", "td_attributes, debugging"),
        (
            BODY % b"td_attributes: '\\000\\000\\000\\000\\000\\000\\000\\000'",
            "td_attributes without SEPT_VE_DISABLE",
        ),
        (b"\n\n\n\n\nheader_policy { minimum_qe_svn: 1 }", "minimum_qe_svn"),
        (b"\n\n\n\n\nheader_policy { minimum_pce_svn: 1 }", "minimum_pce_svn"),
        (b"\n\n\n\n\nheader_policy { qe_vendor_id: '0123456789abcdef' }", "qe_vendor_id"),
        (b"\n\n\n\n\nroot_of_trust { cabundles: 'x' }", "root_of_trust.cabundles"),
    ],
)
def test_what_has_no_counterpart_is_listed(data: bytes, what: str) -> None:
    draft = read_go_tdx_guest(data)
    assert lost(draft) == [(6, what)]
    loaded(draft)


@pytest.mark.parametrize(
    "first", [b"policy { %s }\n", b"root_of_trust { check_crl: true get_collateral: true } policy { %s }"]
)
def test_a_config_holds_a_policy_and_roots_in_any_order(first: bytes) -> None:
    draft = read_go_tdx_guest(first % (BODY % b""))
    assert not draft.unmapped
    assert rules_of(draft)["mrtd"] == '"' + "aa" * 48 + '"'
    assert len([note for note in draft.notes if "collateral" in note]) == (2 if b"check_crl" in first else 0)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (BODY % b"rtmrs: 'a'", 6),
        (BODY % b"rtmrs: ''", 6),
        (BODY % b"mr_td: 'a'", 6),
        (BODY % b"mr_what: 'a'", 6),
        (BODY % b"allow_debug: true", 6),
        (BODY % b"mr_seam: 'a'", 6),
        (BODY % b"any_mr_td: 'a'", 6),
        (BODY % b"td_attributes: '\\000\\000\\000\\030\\000\\000\\000\\000'", 6),
        (b"\ntd_quote_body_policy { xfam: '\\002\\000\\000\\000\\000\\000\\000\\000' }", 2),
        (b"\nheader_policy { minmum_qe_svn: 1 }", 2),
        (b"\nheader_policy { minimum_qe_svn: 65536 }", 2),
        (b"\nheader_policy: 1", 2),
        (b"policy {}\nheader_policy {}", 1),
        (b"policy {}\npolicy {}", 2),
        (b"\nroot_of_trust { product: 'x' }", 2),
        (b"\n\xff", 2),
    ],
)
def test_damaged_policies_are_refused_with_their_line(data: bytes, line: int) -> None:
    with pytest.raises(Malformed) as refusal:
        read_go_tdx_guest(data)
    (problem,) = refusal.value.problems
    assert (problem.code, problem.where) == ("policy.import", f"line {line}")


@given(
    data=st.binary(min_size=1, max_size=200)
    | st.text(alphabet="policy:_{}<>[]'\"x01#;,", min_size=1).map(str.encode)
)
@settings(max_examples=tenth(2_000), deadline=None)
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        draft = read_go_tdx_guest(data)
    except Malformed:
        return
    # Blanks, comments and an empty message are policies that ask nothing.
    assert rules_of(draft) == rules_of(read_go_tdx_guest(b""))
