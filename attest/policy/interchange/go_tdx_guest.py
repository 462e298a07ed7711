"""check.Policy and check.Config of go-tdx-guest, as protobuf text. Absent and empty fields ask nothing; some
bits of XFAM and TDATTRIBUTES its reader asks for whatever the file says.
"""

from __future__ import annotations

from attest.policy.author_rules import ABSENT, quoted
from attest.policy.interchange.draft import Draft, listed
from attest.policy.interchange.json_lines import wrong
from attest.policy.interchange.textproto import Field, flag, message, number, octets, once, read_textproto
from attest.policy.interchange.widening import defaults_hold

_REGISTERS = {
    "mr_seam": "mrseam",
    "mr_td": "mrtd",
    "mr_config_id": "mrconfigid",
    "mr_owner": "mrowner",
    "mr_owner_config": "mrownerconfig",
}
_ABSENT_WHEN_ZERO = frozenset({"mrconfigid", "mrowner", "mrownerconfig"})
_CONFIG = frozenset({"policy", "root_of_trust"})
_ALL = (1 << 64) - 1
_XFAM_ONES, _XFAM_ALLOWED = 0x3, 0x6DBE7
_DEBUG, _SEPT_VE_DISABLE = 1, 1 << 28
_ATTRIBUTES_ALLOWED = _DEBUG | _SEPT_VE_DISABLE | 1 << 30 | 1 << 63


def read_go_tdx_guest(data: bytes) -> Draft:
    """Raises Malformed where `data` is neither message, or a field has a size that its reader refuses."""
    draft = Draft("go-tdx-guest's check policy", platforms=["tdx"])
    fields = read_textproto(data)
    once(fields)
    if fields and all(one.name in _CONFIG for one in fields):
        fields = _config(draft, fields)
    body: tuple[Field, ...] = ()
    for one in fields:
        inner = message(one)
        once(inner, frozenset({"rtmrs", "any_mr_td"}))
        if one.name == "header_policy":
            _header(draft, inner)
        elif one.name == "td_quote_body_policy":
            body = inner
        else:
            raise wrong(one.line, f"unknown field {one.name}")
    _body(draft, body)
    _always(draft)
    return defaults_hold(draft)


def _config(draft: Draft, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    policy: tuple[Field, ...] = ()
    for one in fields:
        inner = message(one)
        if one.name == "policy":
            policy = inner
            once(policy)
            continue
        for part in inner:
            if part.name in ("check_crl", "get_collateral"):
                flag(part)
                draft.note(part.line, f"{part.name}: Intel's collateral and lists are always asked for here")
            elif part.name in ("cabundle_paths", "cabundles"):
                octets(part)
                draft.lost(
                    part.line, f"root_of_trust.{part.name}", "roots are given to verify, not in a policy"
                )
            else:
                raise wrong(part.line, f"unknown field {part.name}")
    return policy


def _header(draft: Draft, fields: tuple[Field, ...]) -> None:
    for one in fields:
        if one.name in ("minimum_qe_svn", "minimum_pce_svn"):
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
    values = [octets(one, 0, 48).hex() for one in any_of]
    if all(values) and values:
        draft.rule("tdx", "mrtd", listed(values), any_of[0].line, "any_mr_td")
    elif values:
        draft.note(any_of[0].line, "any_mr_td holds an empty value, which every machine matches there")
    for one in fields:
        if one.name in _REGISTERS:
            value = octets(one, 0, 48)
            claim = _REGISTERS[one.name]
            if value and claim in _ABSENT_WHEN_ZERO and not any(value):
                draft.rule("tdx", claim, ABSENT, one.line, f"{one.name} zero")
            elif value:
                draft.rule("tdx", claim, quoted(value.hex()), one.line, one.name)
        elif one.name == "xfam":
            if value := octets(one, 0, 8):
                bits = int.from_bytes(value, "little")
                _within(one, bits, _XFAM_ONES, _XFAM_ALLOWED)
                draft.rule("tdx", "xfam", hex(bits), one.line, one.name)
        elif one.name == "td_attributes":
            if value := octets(one, 0, 8):
                _attributes(draft, one, int.from_bytes(value, "little"))
        elif one.name == "minimum_tee_tcb_svn":
            levels = {index: level for index, level in enumerate(octets(one, 0, 16)) if level}
            if levels:
                least = ", ".join(f"{index}: {level}" for index, level in levels.items())
                draft.rule("tdx", "tee-tcb-svn", f"{{at-least: {{{least}}}}}", one.line, one.name)
        elif one.name == "report_data":
            if octets(one, 0, 64):
                draft.lost(one.line, one.name, "given to verify with --report-data")
        elif one.name == "enable_td_debug_check":
            if flag(one):
                draft.rule("tdx", "debug", "false", one.line, one.name)
        elif one.name not in ("rtmrs", "any_mr_td"):
            raise wrong(one.line, f"unknown field {one.name}")


def _attributes(draft: Draft, one: Field, bits: int) -> None:
    _within(one, bits, 0, _ATTRIBUTES_ALLOWED)
    draft.rule("tdx", "attributes", hex(bits), one.line, one.name)
    if bits & _DEBUG:
        draft.lost(
            one.line, f"{one.name}, debugging", "the default of debug refuses it until you write an override"
        )
    if not bits & _SEPT_VE_DISABLE:
        draft.lost(
            one.line,
            f"{one.name} without SEPT_VE_DISABLE",
            "the default of sept-ve-disable asks for it until you write an override",
        )


def _within(one: Field, bits: int, ones: int, allowed: int) -> None:
    if bits & ones != ones or bits & ~allowed:
        raise wrong(
            one.line, f"{one.name} has bits that its reader refuses in every quote: nothing passes there"
        )


def _always(draft: Draft) -> None:
    """What its reader asks of every quote: some bits set, and none that it does not know."""
    asked = {one.claim for one in draft.entries}
    if "attributes" not in asked:
        operand = f"{{no-bits: {_ALL ^ _ATTRIBUTES_ALLOWED:#x}}}"
        draft.rule("tdx", "attributes", operand, None, "its reader knows no other bits")
    if "xfam" not in asked:
        operand = f"{{has-bits: {_XFAM_ONES:#x}, no-bits: {_ALL ^ _XFAM_ALLOWED:#x}}}"
        draft.rule("tdx", "xfam", operand, None, "its reader knows no other bits")
    if "debug" not in asked:
        draft.notes.append("debugging is not refused there; here the default refuses it")
