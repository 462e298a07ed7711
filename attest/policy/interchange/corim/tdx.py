"""Reference values of a TDX machine: Intel's profile for its TDX module, and registers of a TD by their names.

No profile gives the registers of a TD numbers or a class of environment. Their names are those under which Linux
shows them to the guest (tdx_guest/measurements, mrtd and rtmr0:sha384 among them), as keys of measurements or of
integrity registers; which environment is the TD the importer is told.
Source: draft-cds-rats-intel-corim-profile-05 (code points, expressions); Intel TDX module ABI, TDREPORT.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from attest.policy.defaults import RESERVED_ATTRIBUTES
from attest.policy.interchange.corim.comid import DIGESTS, REGISTERS, Measurement, Triple
from attest.policy.interchange.corim.items import Item, broken
from attest.policy.interchange.corim.manifest import Profile
from attest.policy.interchange.corim.states import OVERRIDE, State
from attest.policy.interchange.corim.values import Masked, digest, interval, masked, raw, sha384
from attest.policy.interchange.draft import Draft, listed

Part: TypeAlias = Literal["module", "td"]
MODULE = "OID 2.16.840.1.113741.1.2.3.4.3"
"""Class of the TDX module, SEAM in Intel's profile."""
ENCLAVES = frozenset(
    {
        "OID 2.16.840.1.113741.1.2.3.4.1",
        "OID 2.16.840.1.113741.1.2.3.4.4",
        "OID 2.16.840.1.113741.1.2.3.4.5",
        "OID 2.16.840.1.113741.1.2.3.5.1",
    }
)
"""Classes of Intel's enclaves: quoting, certification, and an ISV's."""
_MODULE_MODELS = ("TDX SEAM", "TDXSEAM")
_REGISTERS = {
    **{f"rtmr{index}": f"rtmr{index}" for index in range(4)},
    "mrtd": "mrtd", "mrseam": "mrseam", "mrconfigid": "mrconfigid", "mrowner": "mrowner",
    "mrownerconfig": "mrownerconfig", "servtd_hash": "mrservicetd", "mrservicetd": "mrservicetd",
}  # fmt: skip
_UNSET = frozenset({"mrconfigid", "mrowner", "mrownerconfig"})
_MR_TEE, _ATTRIBUTES, _EVALUATION, _STATUS, _ADVISORIES = -83, -82, -86, -88, -89
_EXTENSIONS = {
    _MR_TEE: "tee.mrtee", _ATTRIBUTES: "tee.attributes", _EVALUATION: "tee.tcb-eval-num", _STATUS: "tee.tcbstatus",
    _ADVISORIES: "tee.advisory-ids",
}  # fmt: skip
_NUMERIC, _DIGEST_SET, _TEXT_SET = 60010, 60020, 60021
_EQ, _GE, _MEMBER, _NOT_MEMBER = 0, 2, 6, 7
_JUDGED = "tcb-status judges it by Intel's levels; no claim says it alone"


class TdxReader:
    """Reads triples about the module or the TD into states. profile: extensions mean nothing without Intel's."""

    def __init__(self, draft: Draft, profile: Profile | None) -> None:
        self._draft = draft
        self._extensions: dict[Part, dict[int, Callable[[State, Item, str], None]]] = {"module": {}, "td": {}}
        if profile == "intel":
            self._extensions = {
                "module": {
                    _MR_TEE: self._mrseam,
                    _EVALUATION: self._evaluation,
                    _STATUS: self._status,
                    _ADVISORIES: self._advisories,
                },
                "td": {_MR_TEE: self._mrtd, _ATTRIBUTES: self._attributes},
            }

    def state(self, triple: Triple, part: Part) -> State:
        state = State(triple.path)
        for found in triple.measurements:
            self._measurement(state, found, part)
        environment = triple.environment
        for narrower in (*environment.rest, *([environment.instance] if environment.instance else [])):
            self._draft.lost(narrower.path, "narrows the environment", "no claim says it")
        if part == "module" and environment.model not in (None, *_MODULE_MODELS):
            self._draft.lost(environment.path, f"model {environment.model}", "no claim says it")
        return state

    def _measurement(self, state: State, found: Measurement, part: Part) -> None:
        known = self._extensions[part]
        if found.key is None:
            for code in [key for key in found.values if key in known]:
                assert isinstance(code, int)
                known[code](state, found.values.pop(code), found.name)
        elif found.key == -_MR_TEE and _MR_TEE in known and DIGESTS in found.values:
            # The code point without its sign as the key of base values, as the profile has it too.
            known[_MR_TEE](state, found.values.pop(DIGESTS), found.name)
        elif part == "td" and isinstance(found.key, str):
            self._named(state, found, found.key)
        if part == "td" and REGISTERS in found.values:
            self._registers(state, found.values.pop(REGISTERS), found.name)
        for key, left in found.values.items():
            known_code = _EXTENSIONS.get(key) if isinstance(key, int) else None
            what = known_code or ("a measurement" if found.key is None else f"mkey {found.key}")
            self._draft.lost(left.path, what, _JUDGED if part == "module" else "no register is known by it")

    # -- registers by their names

    def _named(self, state: State, found: Measurement, name: str) -> None:
        if name.lower() == "xfam":
            self._masked(state, "xfam", raw(found), found.path)
            return
        claim = _register(name)
        if claim is None:
            return
        value = digest(found)
        if value is None:
            bits = raw(found)
            if bits is None:
                return
            if not bits.whole:
                self._draft.lost(found.path, name, "part of a register; a claim is compared whole")
                return
            value = bits.value
        self._pin(state, claim, [value], found.path, found.name)

    def _registers(self, state: State, item: Item, name: str) -> None:
        for key, digests in item.members({}, closed=False).items():
            claim = _register(key) if isinstance(key, str) else None
            value = sha384(digests) if claim is not None else None
            if claim is None:
                why = (
                    "a number names no register: some count from MRTD, some from RTMR0"
                    if isinstance(key, int)
                    else ""
                )
                self._draft.lost(digests.path, "a register", why or "no register of a TD has this name")
            elif value is None:
                self._draft.lost(digests.path, claim, "no SHA-384 digest, as the register is")
            else:
                self._pin(state, claim, [value], digests.path, name)

    # -- Intel's extensions

    def _mrseam(self, state: State, item: Item, name: str) -> None:
        self._digests(state, "mrseam", item, name)

    def _mrtd(self, state: State, item: Item, name: str) -> None:
        self._digests(state, "mrtd", item, name)

    def _digests(self, state: State, claim: str, item: Item, name: str) -> None:
        """One digest, one object's by several algorithms, or a set that the register is in or not in."""
        if item.tag == _DIGEST_SET:
            operator, values = item.inner(_DIGEST_SET).items(least=2, most=2)
            found = [sha384(Item([one.value], one.path)) for one in values.items(least=0)]
            known = [value for value in found if value is not None]
            member = operator.number() == _MEMBER
            if operator.value not in (_MEMBER, _NOT_MEMBER):
                broken(operator.path, f"{_MEMBER} or {_NOT_MEMBER}", operator.value)
        else:
            parts, found = item.items(), []
            one = sha384(Item([item.value], item.path) if parts[0].is_number() else item)
            known, member = ([] if one is None else [one]), True
        if not known:
            self._draft.lost(item.path, claim, "no SHA-384 digest, as the register is")
        elif member:
            self._pin(state, claim, known, item.path, name)
        elif any(len(value) != 48 for value in known):
            self._draft.lost(item.path, claim, "a digest that is not 48 bytes")
        else:
            if len(known) < len(found):
                why = f"not SHA-384, as the register is: {len(found) - len(known)} of the digests"
                self._draft.lost(item.path, claim, why)
            values_text = ", ".join(f'"{value.hex()}"' for value in known)
            self._rule(state, claim, f"{{none-of: [{values_text}]}}", item.path)

    def _attributes(self, state: State, item: Item, name: str) -> None:
        self._masked(state, "attributes", masked(item), item.path)

    def _evaluation(self, state: State, item: Item, name: str) -> None:
        least: int | None = None
        if item.tag == _NUMERIC:
            operator, number = item.inner(_NUMERIC).items(least=2, most=2)
            if operator.number() in (_EQ, _GE):
                least = number.number()
            exact = operator.value == _EQ
        else:
            low, high = interval(item)
            exact = low == high
            least = low if exact or high is None else None
        if least is None or least < 0:
            self._draft.lost(item.path, "tee.tcb-eval-num", "only this number, or at least this, can be said")
        else:
            self._rule(state, "tcb-evaluation", str(least) if exact else f"{{at-least: {least}}}", item.path)

    def _status(self, state: State, item: Item, name: str) -> None:
        operator, texts = _texts(item)
        if operator in (None, _MEMBER) and texts == ["UpToDate"]:
            self._rule(state, "tcb-status", "UpToDate", item.path)
        else:
            self._draft.lost(
                item.path, "tee.tcbstatus", "the default wants UpToDate; write tcb-lag or a rule"
            )

    def _advisories(self, state: State, item: Item, name: str) -> None:
        operator, texts = _texts(item)
        if operator == _NOT_MEMBER and texts:
            self._rule(state, "advisories", f"{{none-of: [{', '.join(map(_quoted, texts))}]}}", item.path)
        elif operator != _NOT_MEMBER:
            self._draft.lost(
                item.path, "tee.advisory-ids", "which must be there is not asked; accept names some"
            )

    # -- what all of them do

    def _pin(self, state: State, claim: str, values: list[bytes], path: str, name: str) -> None:
        if any(len(value) != 48 for value in values):
            self._draft.lost(path, claim, "a register has 48 bytes")
        elif claim in _UNSET and values == [bytes(48)]:
            self._rule(state, claim, "{exists: false}", path)
        elif claim == "mrservicetd":
            # Zero is what the default asks for.
            if any(map(any, values)):
                self._draft.lost(path, claim, OVERRIDE)
        elif not state.pin(claim, dict.fromkeys(values, name)):
            self._draft.lost(path, claim, "said twice with different values; only the first is asked")

    def _masked(self, state: State, claim: str, bits: Masked | None, path: str) -> None:
        if bits is None:
            return
        if len(bits.value) != 8:
            self._draft.lost(path, claim, f"{len(bits.value)} bytes, and the field has 8")
            return
        value, mask = (int.from_bytes(part, "little") for part in (bits.value, bits.mask))
        if claim == "attributes" and value & mask & RESERVED_ATTRIBUTES:
            self._draft.lost(path, claim, OVERRIDE)
            return
        if bits.whole:
            self._rule(state, claim, hex(value), path)
            return
        asked = {"has-bits": value & mask, "no-bits": ~value & mask}
        said = ", ".join(f"{name}: {hex(part)}" for name, part in asked.items() if part)
        if said:
            self._rule(state, claim, f"{{{said}}}", path)

    def _rule(self, state: State, claim: str, operand: str, path: str) -> None:
        if not state.rule(claim, operand, path):
            self._draft.lost(path, claim, "said twice with different values; only the first is asked")


def _register(name: str) -> str | None:
    return _REGISTERS.get(name.lower().removesuffix(":sha384"))


def _texts(item: Item) -> tuple[int | None, list[str]]:
    """Operator and members of a set of texts; no operator where it is the whole set."""
    if item.tag is None:
        return None, [one.text() for one in item.items(least=0)]
    operator, texts = item.inner(_TEXT_SET).items(least=2, most=2)
    if operator.value not in (_MEMBER, _NOT_MEMBER):
        broken(operator.path, f"{_MEMBER} or {_NOT_MEMBER}", str(operator.value)[:40])
    return operator.number(), [one.text() for one in texts.items(least=0)]


def _quoted(text: str) -> str:
    return listed([text])
