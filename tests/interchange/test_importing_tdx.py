"""go-tdx-guest's checks: each field a rule, or listed."""

from __future__ import annotations

import pytest

from attest.errors import Malformed
from attest.policy import Policy
from attest.policy.interchange.draft import write
from attest.policy.interchange.go_tdx_guest import read_go_tdx_guest

BODY = b"""td_quote_body_policy {
  minimum_tee_tcb_svn: "\\005\\001%s"
  mr_td: "%s"
  mr_owner: "%s"
  xfam: "\\347\\002\\006\\000\\000\\000\\000\\000"
  %%s
}
""" % (b"\\000" * 14, b"\\xab" * 48, b"\\000" * 48)


def test_fields_become_rules() -> None:
    draft = read_go_tdx_guest(BODY % b"")
    assert not draft.unmapped
    assert {one.claim: one.operand for one in draft.entries} == {
        "debug": "false",
        "tee-tcb-svn": "{at-least: {0: 5, 1: 1}}",
        "mrtd": '"' + "ab" * 48 + '"',
        "mrowner": "{exists: false}",
        "xfam": "0x602e7",
    }
    Policy.from_text(write(draft, name="a"))


@pytest.mark.parametrize("line", [b"allow_debug: true", b"report_data: '" + b"a" * 64 + b"'"])
def test_what_has_no_counterpart_is_listed(line: bytes) -> None:
    draft = read_go_tdx_guest(BODY % line)
    assert [one.line for one in draft.unmapped] == [6]


@pytest.mark.parametrize("line", [b"rtmrs: 'a'", b"mr_td: 'a'", b"mr_what: 'a'", b"mr_seam: 'a'"])
def test_damaged_policies_are_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        read_go_tdx_guest(BODY % line)
