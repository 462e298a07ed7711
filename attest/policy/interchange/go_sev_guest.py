"""check.Policy and check.Config of go-sev-guest, as protobuf text. Absent fields have proto3's meaning: zero,
and empty bytes ask nothing.
"""

from __future__ import annotations

from attest.policy.author_rules import ABSENT, quoted
from attest.policy.interchange.draft import Choice, Draft, Entry, listed
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
from attest.policy.interchange.widening import defaults_hold

_BYTES = {
    "family_id": ("family-id", 16),
    "image_id": ("image-id", 16),
    "measurement": ("measurement", 48),
    "host_data": ("host-data", 32),
    "report_id": ("report-id", 32),
    "chip_id": ("chip-id", 64),
}
_ABSENT_WHEN_ZERO = frozenset({"family-id", "image-id", "host-data", "chip-id"})
_KEYS = ("trusted_author_keys", "trusted_author_key_hashes", "trusted_id_keys", "trusted_id_key_hashes")
_PRODUCTS = {
    "SEV_PRODUCT_UNKNOWN": 0,
    "SEV_PRODUCT_MILAN": 1,
    "SEV_PRODUCT_GENOA": 2,
    "SEV_PRODUCT_TURIN": 3,
}
_NAMES = {1: "milan", 2: "genoa", 3: "turin"}
_COMPONENTS = {0: "bootloader", 8: "tee", 48: "snp", 56: "microcode"}
_RESERVED_TCB = 0x0000FFFFFFFF0000
_ALWAYS_ONE, _POLICY_BITS = 17, 26
_FORBIDDEN = {16: "smt-allowed", 18: "migrate-ma", 19: "debug"}
_PLATFORM_LIMITS = {0: "smt", 1: "tsme"}
_PLATFORM_NEEDS = {2: "ecc", 3: "rapl-off", 4: "ciphertext-hiding", 5: "alias-check"}
_TIO = 7


def read_go_sev_guest(data: bytes) -> Draft:
    """Raises Malformed where `data` is neither message, or its reader refuses what a field holds."""
    draft = Draft("go-sev-guest's check policy", platforms=["snp"])
    fields = read_textproto(data)
    if any(one.name in ("policy", "root_of_trust") and isinstance(one.value, tuple) for one in fields):
        fields = _config(draft, fields)
    once(fields, frozenset(_KEYS))
    by_name: dict[str, list[Field]] = {}
    for one in fields:
        by_name.setdefault(one.name, []).append(one)
    _guest_policy(draft, by_name.get("policy", [None])[0])
    for one in fields:
        _field(draft, one)
    _keys(draft, by_name)
    if "vmpl" not in by_name:
        draft.notes.append("vmpl is not asked there; here the default asks for 0")
    provisional = by_name.get("permit_provisional_firmware", [None])[0]
    if provisional is None or not flag(provisional):
        draft.lost(
            provisional.line if provisional else None,
            "permit_provisional_firmware false",
            "no claim compares current with committed firmware; ask snp.tcb-committed at-least instead",
        )
    return defaults_hold(draft)


def _config(draft: Draft, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    once(fields)
    policy: tuple[Field, ...] = ()
    for one in fields:
        if one.name == "policy":
            policy = message(one)
        elif one.name == "root_of_trust":
            for part in message(one):
                _root(draft, part)
        else:
            raise wrong(one.line, f"unknown field {one.name}")
    return policy


def _root(draft: Draft, part: Field) -> None:
    if part.name == "check_crl":
        if flag(part):
            draft.rule("snp", "crl", "fresh", part.line, part.name)
    elif part.name == "disallow_network":
        flag(part)
        draft.note(part.line, "disallow_network: verify fetches nothing here")
    elif part.name in ("product", "product_line"):
        name = octets(part).decode("utf-8", "replace").lower()
        if name in _NAMES.values():
            draft.rule("snp", "product", name, part.line, part.name)
        elif name:
            draft.lost(part.line, f"root_of_trust.{part.name}", "no claim says it")
    elif part.name in ("cabundle_paths", "cabundles"):
        octets(part)
        draft.lost(part.line, f"root_of_trust.{part.name}", "roots are given to verify, not in a policy")
    else:
        raise wrong(part.line, f"unknown field {part.name}")


def _guest_policy(draft: Draft, one: Field | None) -> None:
    bits, line = (number(one), one.line) if one else (0, None)
    if not bits >> _ALWAYS_ONE & 1 or bits >> _POLICY_BITS:
        said = "policy is absent" if one is None else f"policy is 0x{bits:x}"
        raise wrong(line, f"{said}: its reader wants bit {_ALWAYS_ONE} set and none above {_POLICY_BITS - 1}")
    said = f"policy 0x{bits:x}"
    for bit, claim in _FORBIDDEN.items():
        if not bits >> bit & 1:
            draft.rule("snp", claim, "false", line, said)
        elif claim != "smt-allowed":
            why = f"permits {claim}; the default refuses it until you write an override"
            draft.lost(line, f"{said}, bit {bit}", why)
    if bits >> 20 & 1:
        draft.rule("snp", "single-socket", "true", line, said)
    if not bits >> 21 & 1:
        draft.lost(line, f"{said}, bit 21", "refuses guests that permit CXL, which no claim says")
    for bit, name, instead in (
        (22, "AES-256-XTS", "no claim says it"),
        (23, "power metering off", "of the guest's POLICY; ask snp.rapl-off of the platform"),
        (24, "ciphertext hiding", "of the guest's POLICY; ask snp.ciphertext-hiding of the platform"),
        (25, "page swapping off", "no claim says it"),
    ):
        if bits >> bit & 1:
            draft.lost(line, f"{said}, bit {bit}", f"asks for {name}: {instead}")
    if bits & 0xFFFF:
        draft.rule("snp", "abi", f"{{at-least: {bits >> 8 & 255}.{bits & 255}}}", line, said)


def _field(draft: Draft, one: Field) -> None:
    name, line = one.name, one.line
    if name in _BYTES:
        claim, size = _BYTES[name]
        if value := octets(one, 0, size):
            # The claim of a field that nobody set is absent.
            empty = claim in _ABSENT_WHEN_ZERO and not any(value)
            draft.rule("snp", claim, ABSENT if empty else quoted(value.hex()), line, name)
    elif name == "minimum_guest_svn":
        if number(one, 1 << 32):
            draft.rule("snp", "guest-svn", f"{{at-least: {number(one)}}}", line, name)
    elif name == "vmpl":
        level = _wrapped(one, 1 << 32)
        if level > 3:
            raise wrong(line, "vmpl is a value from 0 to 3")
        draft.rule("snp", "vmpl", str(level), line, name)
    elif name in ("minimum_tcb", "minimum_launch_tcb"):
        _tcb(draft, one)
    elif name == "platform_info":
        _platform(draft, one, _wrapped(one, 1 << 64))
    elif name == "product":
        _product(draft, one)
    elif name == "minimum_build":
        if number(one, 1 << 8):
            draft.lost(line, name, "snp.firmware compares a build within its version only; write the version")
    elif name == "minimum_version":
        if version := _version(one):
            draft.rule("snp", "firmware", f"{{at-least: {version}}}", line, name)
    elif name in ("report_data", "report_id_ma"):
        if octets(one, 0, 64 if name == "report_data" else 32):
            why = "given to verify with --report-data" if name == "report_data" else "no claim says it"
            draft.lost(line, name, why)
    elif name in ("require_author_key", "require_id_block", "permit_provisional_firmware"):
        flag(one)
    elif name not in _KEYS and name != "policy":
        raise wrong(line, f"unknown field {name}")


def _wrapped(one: Field, limit: int) -> int:
    inner = message(one)
    once(inner)
    if any(part.name != "value" for part in inner):
        raise wrong(one.line, f"{one.name} has a value and nothing else")
    return number(inner[0], limit) if inner else 0


def _tcb(draft: Draft, one: Field) -> None:
    """Minimums of what a reader of Milan's and Genoa's layout finds: Turin's TCB has another."""
    bits = number(one)
    if bits & _RESERVED_TCB:
        raise wrong(one.line, f"{one.name} has bits that are reserved before Turin")
    parts = [f"{part}: {bits >> at & 255}" for at, part in _COMPONENTS.items() if bits >> at & 255]
    if parts:
        least = "{" + ", ".join(parts) + "}"
        claim = "tcb" if one.name == "minimum_tcb" else "tcb-launch"
        draft.rule("snp", claim, f"{{at-least: {{milan: {least}, genoa: {least}}}}}", one.line, one.name)


def _platform(draft: Draft, one: Field, bits: int) -> None:
    said = f"platform_info 0x{bits:x}"
    if bits >> 6 & 1 or bits >> (_TIO + 1):
        raise wrong(one.line, f"{said} has bits that its reader refuses")
    for bit, claim in _PLATFORM_LIMITS.items():
        if not bits >> bit & 1:
            draft.rule("snp", claim, "false", one.line, said)
    for bit, claim in _PLATFORM_NEEDS.items():
        if bits >> bit & 1:
            draft.rule("snp", claim, "true", one.line, said)
    if not bits >> _TIO & 1:
        draft.lost(one.line, f"{said}, bit {_TIO}", "refuses machines with SEV-TIO, which no claim says")


def _product(draft: Draft, one: Field) -> None:
    inner = message(one)
    once(inner)
    for part in inner:
        if part.name == "name":
            value = (
                _PRODUCTS.get(part.value, part.value)
                if isinstance(part.value, str)
                else number(part, 1 << 31)
            )
            if not isinstance(value, int):
                raise wrong(part.line, f"product is none that its reader knows: {value!r}"[:120])
            if value in _NAMES:
                draft.rule("snp", "product", _NAMES[value], part.line, one.name)
            elif value:
                draft.lost(part.line, "product.name", "no claim says it")
        elif part.name in ("stepping", "machine_stepping"):
            if part.value != 0:
                draft.lost(part.line, f"product.{part.name}", "no claim says it")
        else:
            raise wrong(part.line, f"unknown field {part.name}")


def _version(one: Field) -> str | None:
    """Two numbers below 256; of the current firmware, which is never older than the committed one."""
    text = octets(one).decode("ascii", "replace")
    parts = text.split(".")
    if not text:
        return None
    if len(parts) != 2 or not all(
        part.isascii() and part.isdigit() and int(part[:4]) < 256 for part in parts
    ):
        raise wrong(one.line, f"{one.name} is no MAJOR.MINOR of numbers below 256")
    return ".".join(str(int(part)) for part in parts) if any(map(int, parts)) else None


def _keys(draft: Draft, by_name: dict[str, list[Field]]) -> None:
    """Keys count there only where an ID block or author key is required."""

    def asked(name: str) -> Field | None:
        return next((one for one in by_name.get(name, []) if flag(one)), None)

    author, block = asked("require_author_key"), asked("require_id_block")
    required = author or block
    for name in ("trusted_author_keys", "trusted_id_keys"):
        for one in by_name.get(name, []):
            octets(one)
            if required:
                draft.lost(one.line, name, "a certificate; give the SHA-384 of the key as its hash")
    authors, ids = (
        [octets(one, 48).hex() for one in by_name.get(name, [])]
        for name in ("trusted_author_key_hashes", "trusted_id_key_hashes")
    )
    if required is None:
        first = min((one.line for name in _KEYS for one in by_name.get(name, [])), default=None)
        if first is not None:
            draft.note(first, "keys are listed and not required there: they ask nothing")
        return
    by_author = Entry("snp", "author-key", listed(authors), "", None) if authors else None
    by_id = Entry("snp", "id-key", listed(ids), "", None) if ids and not author else None
    said = f"{required.name} and the hashes listed"
    if by_author and by_id:
        draft.choices.append(Choice("snp", ((by_id,), (by_author,)), f"line {required.line}: {said}"))
    elif by_author or by_id:
        only = by_author or by_id
        assert only is not None
        draft.rule("snp", only.claim, only.operand, required.line, said)
    else:
        draft.lost(required.line, required.name, "no hash of such a key is listed: nothing passes there")
