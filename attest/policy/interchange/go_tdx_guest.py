"""check.Policy and check.Config of go-tdx-guest, as protobuf text. Absent and empty fields ask nothing."""

from __future__ import annotations

from attest.policy.author_rules import quoted
from attest.policy.interchange.draft import Draft, listed
from attest.policy.interchange.json_lines import wrong
from attest.policy.interchange.textproto import Field, flag, message, number, octets, once, read_textproto

_REGISTERS = {
    "mr_seam": "mrseam",
    "mr_td": "mrtd",
    "mr_config_id": "mrconfigid",
    "mr_owner": "mrowner",
    "mr_owner_config": "mrownerconfig",
}
_ABSENT_WHEN_ZERO = frozenset({"mrconfigid", "mrowner", "mrownerconfig"})


def read_go_tdx_guest(data: bytes) -> Draft:
    """Raises Malformed where `data` is neither message, or a field has a size that its reader refuses."""
    draft = Draft("go-tdx-guest's check policy", platforms=["tdx"])
    draft.rule("tdx", "debug", "false", 1, "no debugging, as the default")
    fields = read_textproto(data)
    once(fields)
    if fields and fields[0].name == "policy":
        if len(fields) > 1:
            raise wrong(fields[1].line, f"unknown field {fields[1].name}")
        fields = message(fields[0])
        once(fields)
    for one in fields:
        inner = message(one)
        once(inner, frozenset({"rtmrs", "any_mr_td"}))
        if one.name == "header_policy":
            _header(draft, inner)
        elif one.name == "td_quote_body_policy":
            _body(draft, inner)
        else:
            raise wrong(one.line, f"unknown field {one.name}")
    return draft


def _header(draft: Draft, fields: tuple[Field, ...]) -> None:
    for one in fields:
        if one.name in ("minimum_qe_svn", "minmum_qe_svn", "minimum_pce_svn"):
            asked = number(one, 1 << 16) > 0
        elif one.name == "qe_vendor_id":
            asked = bool(octets(one, 0, 16))
        else:
            raise wrong(one.line, f"unknown field {one.name}")
        if asked:
            draft.lost(
                one.line, one.name, "no claim; tcb-status judges the quoting enclave by Intel's levels"
            )


def _body(draft: Draft, fields: tuple[Field, ...]) -> None:
    rtmrs = [one for one in fields if one.name == "rtmrs"]
    if rtmrs and len(rtmrs) != 4:
        raise wrong(rtmrs[0].line, "rtmrs are four")
    for index, one in enumerate(rtmrs):
        if value := octets(one, 0, 48):
            draft.rule("tdx", f"rtmr{index}", quoted(value.hex()), one.line, one.name)
    any_of = [one for one in fields if one.name == "any_mr_td"]
    if any_of:
        values = [octets(one, 48).hex() for one in any_of]
        draft.rule("tdx", "mrtd", listed(values), any_of[0].line, "any_mr_td")
    for one in fields:
        if one.name in _REGISTERS:
            value = octets(one, 0, 48)
            claim = _REGISTERS[one.name]
            if value and claim in _ABSENT_WHEN_ZERO and not any(value):
                draft.rule("tdx", claim, "{exists: false}", one.line, f"{one.name} zero")
            elif value:
                draft.rule("tdx", claim, quoted(value.hex()), one.line, one.name)
        elif one.name in ("td_attributes", "xfam"):
            if value := octets(one, 0, 8):
                claim = "attributes" if one.name == "td_attributes" else "xfam"
                draft.rule("tdx", claim, hex(int.from_bytes(value, "little")), one.line, one.name)
        elif one.name == "minimum_tee_tcb_svn":
            levels = {index: level for index, level in enumerate(octets(one, 0, 16)) if level}
            if levels:
                least = ", ".join(f"{index}: {level}" for index, level in levels.items())
                draft.rule("tdx", "tee-tcb-svn", f"{{at-least: {{{least}}}}}", one.line, one.name)
        elif one.name == "report_data":
            if octets(one, 0, 64):
                draft.lost(one.line, one.name, "given to verify with --report-data")
        elif one.name == "allow_debug":
            if flag(one):
                draft.lost(one.line, one.name, "the default refuses it until you write an override")
        elif one.name not in ("rtmrs", "any_mr_td"):
            raise wrong(one.line, f"unknown field {one.name}")
