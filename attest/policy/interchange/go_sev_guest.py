"""check.Policy and check.Config of go-sev-guest, as protobuf text. Absent fields have proto3's meaning:
zero, so an absent `policy` permits no debugging, migration or multithreading, and empty bytes ask nothing.
"""

from __future__ import annotations

from attest.policy.author_rules import quoted
from attest.policy.interchange.draft import Draft, listed
from attest.policy.interchange.json_lines import wrong
from attest.policy.interchange.textproto import (
    Field,
    flag,
    message,
    number,
    octets,
    once,
    read_textproto,
)

_BYTES = {
    "family_id": ("family-id", 16),
    "image_id": ("image-id", 16),
    "measurement": ("measurement", 48),
    "host_data": ("host-data", 32),
    "report_id": ("report-id", 32),
}
_REPEATED = frozenset(
    {"trusted_author_keys", "trusted_author_key_hashes", "trusted_id_keys", "trusted_id_key_hashes"}
)
_PRODUCTS = {"SEV_PRODUCT_MILAN": "milan", "SEV_PRODUCT_GENOA": "genoa", "SEV_PRODUCT_TURIN": "turin"}
_COMPONENTS = {0: "bootloader", 8: "tee", 48: "snp", 56: "microcode"}
_RESERVED_TCB = 0x0000FFFFFFFF0000


def read_go_sev_guest(data: bytes) -> Draft:
    """Raises Malformed where `data` is neither message, or a field has a size that its reader refuses."""
    draft = Draft("go-sev-guest's check policy", platforms=["snp"])
    fields = read_textproto(data)
    if any(one.name in ("policy", "root_of_trust") and isinstance(one.value, tuple) for one in fields):
        once(fields)
        inner: tuple[Field, ...] = ()
        for one in fields:
            if one.name == "policy":
                inner = message(one)
            elif one.name == "root_of_trust":
                for part in message(one):
                    draft.lost(
                        part.line, f"root_of_trust.{part.name}", "roots are given to verify, not in a policy"
                    )
            else:
                raise wrong(one.line, f"unknown field {one.name}")
        fields = inner
    once(fields, _REPEATED)
    by_name: dict[str, list[Field]] = {}
    for one in fields:
        by_name.setdefault(one.name, []).append(one)
    policy = by_name.get("policy")
    _guest_policy(draft, number(policy[0]) if policy else 0, policy[0].line if policy else 1)
    for one in fields:
        _field(draft, one, by_name)
    _keys(draft, by_name)
    if "vmpl" not in by_name:
        draft.notes.append("vmpl is not asked there; here the default asks for 0")
    if not any(flag(one) for one in by_name.get("permit_provisional_firmware", [])):
        line = (
            by_name["permit_provisional_firmware"][0].line if "permit_provisional_firmware" in by_name else 1
        )
        draft.lost(
            line,
            "permit_provisional_firmware false",
            "no claim compares current with committed firmware; ask snp.tcb-committed at-least instead",
        )
    return draft


def _guest_policy(draft: Draft, bits: int, line: int) -> None:
    if bits >> 21:
        raise wrong(line, "policy has bits that its reader does not know")
    said = f"policy 0x{bits:x}"
    for bit, claim in ((16, "smt-allowed"), (18, "migrate-ma"), (19, "debug")):
        if not bits >> bit & 1:
            draft.rule("snp", claim, "false", line, said)
        elif claim == "smt-allowed":
            continue
        else:
            draft.lost(
                line,
                f"{said}, bit {bit}",
                f"permits {claim}; the default refuses it until you write an override",
            )
    if bits >> 20 & 1:
        draft.rule("snp", "single-socket", "true", line, said)
    if bits & 0xFFFF:
        draft.rule("snp", "abi", f"{{at-least: {bits >> 8 & 255}.{bits & 255}}}", line, said)


def _field(draft: Draft, one: Field, by_name: dict[str, list[Field]]) -> None:
    name, line = one.name, one.line
    if name in _BYTES:
        claim, size = _BYTES[name]
        value = octets(one, 0, size)
        if value:
            # The claim of a field that nobody set is absent.
            empty = claim == "host-data" and not any(value)
            draft.rule("snp", claim, "{exists: false}" if empty else quoted(value.hex()), line, name)
    elif name == "chip_id":
        value = octets(one, 0, 8, 64)
        if len(value) == 64:
            draft.rule("snp", "chip-id", quoted(value.hex()), line, name)
        elif value:
            draft.lost(line, name, "8 bytes, and a claim has the report's 64; write the whole field")
    elif name == "minimum_guest_svn":
        if number(one, 1 << 32):
            draft.rule("snp", "guest-svn", f"{{at-least: {number(one)}}}", line, name)
    elif name == "vmpl":
        inner = message(one)
        once(inner)
        level = number(inner[0], 1 << 32) if inner else 0
        if any(part.name != "value" for part in inner) or level > 3:
            raise wrong(line, "vmpl is a value from 0 to 3")
        if level:
            draft.lost(
                line,
                f"vmpl {level}",
                "wider than the default; write the rule with an override and its reason",
            )
        else:
            draft.rule("snp", "vmpl", "0", line, name)
    elif name in ("minimum_tcb", "minimum_launch_tcb"):
        bits = number(one)
        if bits & _RESERVED_TCB:
            raise wrong(line, f"{name} has bits that are reserved before Turin")
        parts = {part: bits >> at & 255 for at, part in _COMPONENTS.items() if bits >> at & 255}
        if parts:
            listed_parts = ", ".join(f"{part}: {level}" for part, level in parts.items())
            claim = "tcb" if name == "minimum_tcb" else "tcb-launch"
            draft.rule("snp", claim, f"{{at-least: {{{listed_parts}}}}}", line, name)
    elif name == "platform_info":
        inner = message(one)
        once(inner)
        if any(part.name != "value" for part in inner):
            raise wrong(line, "platform_info has a value")
        bits = number(inner[0]) if inner else 0
        for bit, claim in ((0, "smt"), (1, "tsme")):
            if not bits >> bit & 1:
                draft.rule("snp", claim, "false", line, f"platform_info 0x{bits:x}")
    elif name == "product":
        inner = message(one)
        once(inner)
        for part in inner:
            if part.name == "name" and part.value in _PRODUCTS:
                draft.rule("snp", "product", _PRODUCTS[str(part.value)], line, name)
            else:
                draft.lost(part.line, f"product.{part.name}", "no claim says it")
    elif name in ("minimum_build", "minimum_version"):
        if one.value not in (0, b""):
            draft.lost(line, name, "of current firmware; here snp.firmware is the committed one")
    elif name in ("minimum_tcb_turin", "minimum_launch_tcb_turin"):
        if number(one):
            draft.lost(line, name, "write snp.tcb with the components of Turin")
    elif name in ("report_data", "report_id_ma"):
        if octets(one):
            why = "given to verify with --report-data" if name == "report_data" else "no claim says it"
            draft.lost(line, name, why)
    elif name in ("require_author_key", "require_id_block", "permit_provisional_firmware"):
        flag(one)
    elif name not in _REPEATED and name != "policy":
        raise wrong(line, f"unknown field {name}")


def _keys(draft: Draft, by_name: dict[str, list[Field]]) -> None:
    """Keys count there only where an ID block or author key is required."""

    def asked(name: str) -> bool:
        return any(flag(one) for one in by_name.get(name, []))

    author, block = asked("require_author_key"), asked("require_id_block")
    for name in ("trusted_author_keys", "trusted_id_keys"):
        for one in by_name.get(name, []):
            octets(one)
            draft.lost(one.line, name, "a certificate; give the SHA-384 of the key as its hash")
    hashes = {
        name: [octets(one, 48).hex() for one in by_name.get(name, [])]
        for name in ("trusted_author_key_hashes", "trusted_id_key_hashes")
    }
    authors, ids = hashes["trusted_author_key_hashes"], hashes["trusted_id_key_hashes"]
    line = min((one.line for name in _REPEATED for one in by_name.get(name, [])), default=1)
    if author and authors:
        draft.rule("snp", "author-key", listed(authors), line, "trusted_author_key_hashes")
    elif author:
        draft.lost(line, "require_author_key", "no hash of an author key is listed: nothing passes there")
    elif block and ids and not authors:
        draft.rule("snp", "id-key", listed(ids), line, "trusted_id_key_hashes")
    elif block:
        draft.lost(
            line, "require_id_block", "either key may be trusted there; write id-key and author-key in any"
        )
    elif authors or ids:
        draft.notes.append(f"line {line}: keys are listed and not required there: they ask nothing")
