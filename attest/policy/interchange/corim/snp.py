"""AMD's profile: each field of an attestation report under a number of its own.

What a claim here says is a rule or a value; the rest is listed. Fields of bits are the report's own bytes, so the
first byte is the lowest: a producer that writes numbers from the highest on is told so, not guessed at.
Source: draft-deeglaze-amd-sev-snp-corim-profile-02 and its editor's copy of 2025; AMD 56860, table of the report.
"""

from __future__ import annotations

from collections.abc import Callable

from attest.policy.author_rules import quoted
from attest.policy.interchange.corim.comid import FLAGS, Measurement, Triple
from attest.policy.interchange.corim.items import Item
from attest.policy.interchange.corim.states import OVERRIDE, State
from attest.policy.interchange.corim.values import Svn, digest, integer, raw, svn, version
from attest.policy.interchange.draft import Draft
from attest.snp.facts import POLICY_KNOWN_BITS
from attest.snp.tcb import LAYOUTS, product_of

CLASSES = {"OID 1.3.6.1.4.1.3704.3.1": "vcek", "OID 1.3.6.1.4.1.3704.3.2": "vlek"}
"""Class of the environment → the kind of key that signs its reports."""
_BYTES = {
    3: ("family-id", 16), 4: ("image-id", 16), 641: ("measurement", 48), 642: ("host-data", 32), 643: ("id-key", 48),
    644: ("author-key", 48), 645: ("report-id", 32), 3328: ("chip-id", 64),
}  # fmt: skip
_UNSET = frozenset({"family-id", "image-id", "host-data", "id-key", "chip-id"})
"""Claims that are absent where the field is zero."""
_TCB = {647: "tcb", 3329: "tcb-committed", 3968: "tcb-launch"}
_POLICY = {16: "smt-allowed", 18: "migrate-ma", 19: "debug", 20: "single-socket"}
_WIDER = frozenset({"migrate-ma", "debug"})
_PLATFORM = {0: "smt", 1: "tsme", 2: "ecc", 3: "rapl-off", 4: "ciphertext-hiding", 5: "alias-check"}
_VERSION, _GUEST_SVN, _GUEST_POLICY, _VMPL, _PLATFORM_INFO, _COMMITTED_VERSION = 0, 1, 2, 5, 7, 3936
_FAMILY, _MODEL = 648, 649
_NO_CLAIM = {
    6: ("CURRENT_TCB", "here tcb is the reported one, and tcb-committed and tcb-launch are told apart"),
    640: ("REPORT_DATA", "given to verify with --report-data"),
    646: ("REPORT_ID_MA", "no claim says it"),
    650: ("CPUID_STEP", "no claim says it"),
    3330: ("CurrentVersion", "here firmware is the committed one"),
}
_ALWAYS = {4: "is-replay-protected", 5: "is-integrity-protected", 9: "is-confidentiality-protected"}
_DEBUG = 3
_ORDER = "no report has these bits; are the bytes in the other order?"


class SnpReader:
    """Reads triples about reports into states."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._by_key: dict[int, Callable[[State, Measurement], None]] = {
            _VERSION: self._report_version,
            _GUEST_SVN: self._guest_svn,
            _GUEST_POLICY: self._policy,
            _VMPL: self._vmpl,
            _PLATFORM_INFO: self._platform,
            _COMMITTED_VERSION: self._firmware,
            **dict.fromkeys(_BYTES, self._octets),
            **dict.fromkeys(_TCB, self._tcb),
        }

    def state(self, triple: Triple) -> State:
        state = State(triple.path)
        kind = CLASSES.get(triple.environment.class_id)
        if kind is not None:
            state.rule("signing-key", kind, triple.environment.path)
        self._cpuid(state, triple.measurements)
        for found in triple.measurements:
            self._measurement(state, found)
        self._environment(state, triple, kind)
        return state

    def _lost(self, found: Measurement, what: str, why: str) -> None:
        self._draft.lost(found.path, what, why)

    def _rule(self, state: State, claim: str, operand: str, path: str) -> None:
        if not state.rule(claim, operand, path):
            self._draft.lost(path, claim, "said twice with different values; only the first is asked")

    def _measurement(self, state: State, found: Measurement) -> None:
        if found.key is None:
            self._flags(state, found)
        elif found.key in _NO_CLAIM and isinstance(found.key, int):
            found.values.clear()
            self._lost(found, *_NO_CLAIM[found.key])
        elif isinstance(found.key, int) and found.key in self._by_key:
            self._by_key[found.key](state, found)
        elif found.key not in (_FAMILY, _MODEL):
            found.values.clear()
            self._lost(found, f"mkey {found.key}", "no field of a report has it")
        for left in found.values.values():
            what = "a measurement" if found.key is None else f"mkey {found.key}"
            self._draft.lost(left.path, what, "this field has a value of another kind")

    # -- fields

    def _octets(self, state: State, found: Measurement) -> None:
        assert isinstance(found.key, int)
        claim, size = _BYTES[found.key]
        value = digest(found)
        if value is None:
            bits = raw(found)
            if bits is None:
                return
            if not bits.whole:
                self._lost(found, claim, "part of the field; a claim is compared whole")
                return
            value = bits.value
        if len(value) != size:
            self._lost(found, claim, f"{len(value)} bytes, and the field has {size}")
        elif claim in _UNSET and not any(value):
            self._rule(state, claim, "{exists: false}", found.path)
        elif not state.pin(claim, {value: found.name}):
            self._lost(found, claim, "said twice with different values; only the first is asked")

    def _report_version(self, state: State, found: Measurement) -> None:
        text = version(found)
        number = self._little(found, 4) if text is None else None
        if text is not None and text.isascii() and text.isdigit() and len(text) < 10:
            number = int(text)
        elif text is not None:
            self._lost(found, "VERSION", "no whole number")
        if number is not None:
            self._rule(state, "report-version", str(number), found.path)

    def _guest_svn(self, state: State, found: Measurement) -> None:
        level = svn(found)
        if level is None:
            number = self._little(found, 4)
            level = None if number is None else Svn(number, minimum=False)
        # At least 0 asks for nothing.
        if level is not None and (level.number or not level.minimum):
            operand = f"{{at-least: {level.number}}}" if level.minimum else str(level.number)
            self._rule(state, "guest-svn", operand, found.path)

    def _vmpl(self, state: State, found: Measurement) -> None:
        ends = integer(found)
        number = self._little(found, 4) if ends is None else None
        if ends is not None and ends[0] == ends[1]:
            number = ends[0]
        elif ends is not None:
            self._lost(found, "VMPL", "an interval; write the rule with an override and its reason")
        if number == 0:
            self._rule(state, "vmpl", "0", found.path)
        elif number is not None:
            self._lost(found, f"VMPL {number}", OVERRIDE if 0 < number < 4 else _ORDER)

    def _firmware(self, state: State, found: Measurement) -> None:
        text = version(found)
        if text is None:
            return
        numbers = text.split(".")
        if len(numbers) == 3 and all(one.isascii() and one.isdigit() and len(one) < 4 for one in numbers):
            self._rule(state, "firmware", quoted(".".join(str(int(one)) for one in numbers)), found.path)
        else:
            self._lost(found, "CommittedVersion", "not major.minor.build")

    def _tcb(self, state: State, found: Measurement) -> None:
        assert isinstance(found.key, int)
        level = svn(found)
        if level is None:
            return
        raw_tcb = level.number.to_bytes(8, "little")
        bounds = []
        for product, layout in LAYOUTS.items():
            if any(byte for at, byte in enumerate(raw_tcb) if at not in layout.values()):
                continue  # reserved there: no such machine has this TCB
            parts = {name: raw_tcb[at] for name, at in layout.items()}
            asked = {name: byte for name, byte in parts.items() if byte or not level.minimum}
            named = ", ".join(f"{name}: {byte}" for name, byte in (asked or parts).items())
            bounds.append(f"{product}: {{{named}}}")
        if not bounds:
            self._lost(found, _TCB[found.key], "no product has a TCB with these bits")
        elif level.minimum and not level.number:
            return  # asks for nothing
        else:
            least = f"at-least: {{{', '.join(bounds)}}}"
            both = f"{least}, at-most: {{{', '.join(bounds)}}}"
            self._rule(state, _TCB[found.key], f"{{{least if level.minimum else both}}}", found.path)

    def _policy(self, state: State, found: Measurement) -> None:
        bits = self._bits(found)
        if bits is None:
            return
        value, mask = bits
        if mask >> 17 & 1 and not value >> 17 & 1:
            self._lost(found, "POLICY", _ORDER)
            return
        for bit, claim in _POLICY.items():
            if mask >> bit & 1:
                on = bool(value >> bit & 1)
                if on and claim in _WIDER:
                    self._lost(found, f"POLICY bit {bit}", f"permits {claim}, which is {OVERRIDE}")
                else:
                    self._rule(state, claim, "true" if on else "false", found.path)
        if mask & 0xFFFF == 0xFFFF:
            self._rule(state, "abi", f"{value >> 8 & 255}.{value & 255}", found.path)
        elif mask & 0xFFFF:
            self._lost(found, "POLICY bits 0 to 15", "part of the ABI version, which is compared whole")
        if mask >> 21 & 0x1F:
            self._lost(found, "POLICY bits 21 to 25", "no claim says them")
        unknown = mask & ~POLICY_KNOWN_BITS
        if value & unknown:
            self._lost(found, "POLICY bits 26 to 63", "the default wants them all 0")
        elif unknown:
            self._rule(state, "policy-unknown-bits", "0", found.path)

    def _platform(self, state: State, found: Measurement) -> None:
        bits = self._bits(found)
        if bits is None:
            return
        value, mask = bits
        if value & mask >> 8 << 8:
            self._lost(found, "PLATFORM_INFO", _ORDER)
            return
        for bit, claim in _PLATFORM.items():
            if mask >> bit & 1:
                self._rule(state, claim, "true" if value >> bit & 1 else "false", found.path)
        if mask >> 6:
            self._lost(found, "PLATFORM_INFO bits 6 to 63", "no claim says them")

    def _flags(self, state: State, found: Measurement) -> None:
        item = found.values.pop(FLAGS, None)
        if item is None:
            return
        for key, flag in item.members({_DEBUG: "is-debug", **_ALWAYS}, closed=False).items():
            on = flag.flag()
            if key == _DEBUG and not on:
                self._rule(state, "debug", "false", flag.path)
            elif key == _DEBUG:
                self._draft.lost(flag.path, "is-debug", OVERRIDE)
            elif key not in _ALWAYS or not on:
                self._draft.lost(flag.path, "a flag", "no claim says it")

    def _cpuid(self, state: State, measurements: tuple[Measurement, ...]) -> None:
        numbers: dict[int, int] = {}
        paths: dict[int, str] = {}
        for found in measurements:
            if found.key not in (_FAMILY, _MODEL) or not isinstance(found.key, int):
                continue
            ends = integer(found)
            number = self._little(found, 1) if ends is None else None
            if ends is not None and ends[0] == ends[1]:
                number = ends[0]
            if number is None:
                self._lost(found, "CPUID", "no single number")
            else:
                numbers[found.key], paths[found.key] = number, found.path
        if not numbers:
            return
        path = next(iter(paths.values()))
        models = (numbers[_MODEL],) if _MODEL in numbers else range(256)
        products = {product_of(numbers.get(_FAMILY, -1), model) for model in models} - {None}
        if products:
            self._rule(state, "product", _listed(sorted(str(one) for one in products)), path)
        else:
            self._draft.lost(path, "CPUID", "no product that is known here; both family and model are wanted")

    # -- the environment

    def _environment(self, state: State, triple: Triple, kind: str | None) -> None:
        environment = triple.environment
        for narrower in environment.rest:
            self._draft.lost(narrower.path, "narrows the environment", "no claim says it")
        model = environment.model
        if model is not None and model.lower() in LAYOUTS:
            self._rule(state, "product", model.lower(), environment.path)
        elif model is not None and kind is not None:
            self._draft.lost(environment.path, f"model {model}", "no product that is known here")
        if environment.instance is not None:
            self._instance(state, environment.instance, kind)

    def _instance(self, state: State, item: Item, kind: str | None) -> None:
        value = item.inner(560).octets() if item.tag == 560 else b""
        if value in state.pins.get("measurement", {}):
            return  # as Veraison's services look values up: nothing more is asked
        if kind == "vlek" and value.isascii() and value.decode().isprintable() and value:
            self._rule(state, "csp", quoted(value.decode()), item.path)
        elif kind == "vcek" and len(value) == 64 and any(value):
            if not state.pin("chip-id", {value: ""}):
                self._draft.lost(item.path, "instance", "another chip than the measurements name")
        else:
            self._draft.lost(item.path, "instance", "not a chip id of 64 bytes, and no claim says another")

    # -- bytes of the report

    def _bits(self, found: Measurement) -> tuple[int, int] | None:
        bits = raw(found)
        if bits is None:
            return None
        if len(bits.value) != 8:
            self._lost(found, "raw-value", f"{len(bits.value)} bytes, and the field has 8")
            return None
        return int.from_bytes(bits.value, "little"), int.from_bytes(bits.mask, "little")

    def _little(self, found: Measurement, size: int) -> int | None:
        bits = raw(found)
        if bits is None:
            return None
        if len(bits.value) != size or not bits.whole:
            self._lost(found, "raw-value", f"not {size} bytes compared whole")
            return None
        return int.from_bytes(bits.value, "little")


def _listed(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{{one-of: [{', '.join(values)}]}}"
