"""A policy as Rego, for engines that judge claims which somebody else verified.

What the policy denies the export denies: what is not there, cannot be read or is not the input's to say is never a pass.
A rule on a claim that the input never carries is listed and passes nothing, unless the owner leaves it out by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from attest.claims import CLAIMS, DEVICE_SECTIONS, instant
from attest.policy.defaults import DEFAULTS, UNDER_LAG, replaces
from attest.policy.document import SECTIONS_OF, Policy
from attest.policy.fixed import FLOOR
from attest.policy.identity import paravisor_pins, workload_pins
from attest.policy.interchange.rego_accept import ACCEPTING, accepted_tables, curable, objected
from attest.policy.interchange.rego_answer import READING
from attest.policy.interchange.rego_rule import Expressions, asked, entries_of, judges_by_floors, seconds_of
from attest.policy.interchange.rego_support import SUPPORT
from attest.policy.interchange.rego_text import array, call, quoted, rule, shown
from attest.policy.interchange.rego_trustee import MAPPING, SHOWN
from attest.policy.interchange.rego_warnings import warnings_in_rego
from attest.policy.model import Components, Entry, Group, Operator, Rule
from attest.untrusted import escape

Input: TypeAlias = Literal["trustee", "claims"]
"""trustee: what Trustee's attestation service gives its policies. claims: an answer of `attest verify --json`."""

INPUTS: Mapping[Input, str] = {
    "trustee": "the policy input of Trustee's attestation service, releases 0.18 to 0.21, class cpu",
    "claims": "an answer of `attest verify --json`",
}
_CPU = ("snp", "tdx", "azure")
_FLAT = ("evidence", "binding", "boot", "time")
_JUDGEABLE = {
    "binding.gpu-to-cpu": "devices_beside_cpu",
    "binding.protocol": "devices_by_protocol",
    "binding.nonce": "nonce_asked",
    "time.evidence-age": "age_known",
}
"""Defaults that not every machine is asked → the Rego rule that says whether."""

_SITUATIONS = """\
devices_beside_cpu if {
	count(gpus) + count(switches) > 0
	platform != "none"
}

devices_by_protocol if {
	count(gpus) + count(switches) > 0
	"protocol" in object.keys(section("binding"))
}

nonce_asked if "nonce" in object.keys(section("binding"))

age_known if {
	nonce_asked
	"evidence-age" in object.keys(section("time"))
}
"""


@dataclass(frozen=True, slots=True)
class Unexported:
    """A rule that the input can never meet. rule, at: as records have them."""

    rule: str
    at: str
    why: str

    def as_dict(self) -> dict[str, str]:
        return {"rule": self.rule, "at": self.at, "why": self.why}


@dataclass(frozen=True, slots=True)
class Export:
    """text: Rego, still without its vector. unexported: what it always refuses. left_out: what the owner took out.
    rules: `section.claim` of every rule in it. identified: platforms on which the policy says whose program runs."""

    text: str
    unexported: tuple[Unexported, ...]
    left_out: tuple[Unexported, ...]
    rules: tuple[str, ...]
    identified: tuple[str, ...]


def export_rego(policy: Policy, *, read: Input, without: Mapping[str, str] | None = None) -> Export:
    """`policy` as a Rego module of package `policy`, for Rego v1.

    without: rule → why the owner does without it, for rules that `read` cannot meet; ValueError for others.
    """
    return _Writer(policy, read, without or {}).export()


class _Writer:
    def __init__(self, policy: Policy, read: Input, without: Mapping[str, str]) -> None:
        self._policy = policy
        self._body = policy.body
        self._read = read
        self._without = without
        self._unexported: list[Unexported] = []
        self._left_out: list[Unexported] = []
        self._rules: list[str] = ["platforms"]
        self._lists: list[str] = ["lasting", "platform_lines"]

    def export(self) -> Export:
        parts = [*self._machine()]
        unknown = sorted(set(self._without) - {one.rule for one in self._left_out})
        if unknown:
            raise ValueError(f"{unknown[0]} is no rule that this input cannot meet")
        identified = tuple(one for one in sorted(self._body.platforms) if self._identifies(one))
        parts += [
            # One list that is undefined leaves none, and a machine without lines is refused.
            rule(
                "judged := all_lines",
                "is_object(tree)",
                f"all_lines := [line | some lines in {array(self._lists)}; some line in lines]",
            ),
            *map(entries_of, self._body.references.values()),
            *warnings_in_rego(self._policy, identified),
            MAPPING if self._read == "trustee" else READING,
        ]
        if self._body.accepted:
            parts += [accepted_tables(self._body), ACCEPTING]
        return Export(
            "\n".join([*self._head(), *parts, SUPPORT]),
            tuple(self._unexported),
            tuple(self._left_out),
            tuple(dict.fromkeys(self._rules)),
            identified,
        )

    def _identifies(self, platform: str) -> bool:
        """Whether the policy says whose program runs there, by rules that the input can meet."""
        pins = workload_pins(self._body, platform)
        return bool(pins) and all(self._hidden(one) is None for one in pins)

    def _head(self) -> Iterator[str]:
        policy, floors = self._policy, self._policy.floors
        yield f"# Policy {policy.name}, {policy.digest}, by `attest policy export --rego`."
        yield f"# It reads {INPUTS[self._read]}."
        yield "# data.policy.accept, verdict, deny and warnings are what the policy says, trust_claims its vector."
        if floors.expires is not None:
            yield f"# Floor data {floors.serial} ends {instant(floors.expires)}: export again when there is newer."
        for one in self._left_out:
            yield f"# LOOSER THAN THE POLICY, without {_said(one)} The owner: {escape(self._without[one.rule])}"
        for one in self._unexported:
            yield f"# NOT EXPORTED, so it refuses: {_said(one)}"
        yield "package policy\n\nimport rego.v1\n"

    # -- parts --------------------------------------------------------------------------------------

    def _machine(self) -> Iterator[str]:
        """A line for every rule on every part: [rule, device or -1, place, wanted, found, result, until]."""
        platforms = sorted(self._body.platforms)
        listed = array(map(quoted, platforms))
        wanted = f"one of {', '.join(platforms)}"
        yield f"##### Policy {self._body.name}\n"
        yield f"listed if platform in {listed}\n"
        line = _line("platforms", "policy", wanted, "platform", call("one_of", "platform", listed))
        yield f"platform_lines := {array([line])}\n"
        if self._read == "trustee":
            for platform in platforms:
                if platform not in ("snp", "tdx"):
                    self._unexported.append(
                        Unexported("platforms", self._policy.where, _NO_PLATFORM[platform])
                    )
            if self._body.accepted:
                self._unexported.append(Unexported("accept", self._policy.where, _NO_LEVELS))
        yield _SITUATIONS
        for section in _CPU:
            yield from self._cpu(section)
        for section in _FLAT:
            yield from self._flat(section)
        for section in sorted(DEVICE_SECTIONS):
            yield from self._devices(section)
        yield from self._paravisor()

    def _cpu(self, section: str) -> Iterator[str]:
        here = "on_azure" if section == "azure" else f'present("{section}")'
        if not any(section in SECTIONS_OF[platform] for platform in self._body.platforms):
            # Where it is there, no listed platform is: one line is enough.
            lines = [_line("platforms", "policy", f"no part {section}", '"one"', "0")]
            yield from self._list(f"{section}_lines", section, lines, here)
            return
        yield rule(f"{section}_asked", here, "listed")
        own = self._lines(section, self._body.sections.get(section, ()))
        yield from self._list(f"{section}_lines", section, own, f"{section}_asked")
        lines = self._lines(section, self._defaults(section))
        if section == "tdx":
            lines += self._floor_lines()
        yield from self._list(f"{section}_default_lines", section, lines, here)

    def _flat(self, section: str) -> Iterator[str]:
        lines = self._lines(section, self._body.sections.get(section, ()))
        yield from self._list(f"{section}_lines", section, lines)
        for one in self._defaults(section):
            name = f"{section}_{one.claim.name.replace('-', '_')}_lines"
            yield from self._list(name, section, self._lines(section, (one,)), _JUDGEABLE.get(one.name))

    def _list(self, name: str, section: str, lines: Sequence[str], here: str | None = None) -> Iterator[str]:
        """A named list of lines about a section, empty where the machine has none."""
        self._lists.append(name)
        if not lines:
            yield f"{name} := []\n"
            return
        guard = (here,) if here else ()
        yield rule(f"{name} := {array(lines)}", *guard, *_naming(lines, f"section({quoted(section)})"))
        if here:
            yield f"{name} := [] if not {here}\n"

    def _devices(self, section: str) -> Iterator[str]:
        found = "gpus" if section == "gpu" else "switches"
        entries = self._body.sections.get(section, ())
        whole: list[str] = []
        if self._read == "trustee":
            one = Unexported(
                section, self._policy.where, "Trustee judges each device alone, by another policy"
            )
            if entries and self._keeps(one):
                whole.append(_line(f"{section}.present", "policy", "at least one", "null", "1"))
            yield from self._list(f"{section}_lines", section, whole)
            return
        if entries:
            number = f"count({found})"
            present = _line(f"{section}.present", "policy", "at least one", number, f"at_least({number}, 1)")
            counts = [one for one in entries if isinstance(one, Rule) and one.claim.name == "count"]
            whole = [*self._lines(section, counts), present]
        name = f"{section}_part_lines"
        self._lists += [name, f"{section}_device_lines"]
        counted = f'{{"count": format_int(count({found}), 10)}}'
        yield rule(f"{name} := {array(whole)}", *_naming(whole, counted))
        each = [one for one in entries if isinstance(one, Group) or one.claim.name != "count"]
        lines = self._lines(section, (*each, *self._defaults(section)), device=True)
        self._rules.append(f"{section}.id")
        own = f"own_device({found}, index)"
        lines.append(
            _line(f"{section}.id", "default", "a device of its own", 'get(claims, "id")', own, index="index")
        )
        yield f"lines_of_{section}(claims, index) := {array(lines)}\n"
        # A device that could not be judged would be missing from the list.
        yield rule(
            f"{section}_device_lines := all_lines",
            f"count({found}) > 0",
            f"each := [lines | some index in numbers.range(0, count({found}) - 1); "
            f"lines := lines_of_{section}({found}[index], index)]",
            f"count(each) == count({found})",
            "all_lines := [line | some lines in each; some line in lines]",
        )
        yield f"{section}_device_lines := [] if count({found}) == 0\n"

    def _paravisor(self) -> Iterator[str]:
        yield "default paravisor_known := false\n"
        for platform in sorted(self._body.platforms):
            pins = paravisor_pins(self._body, platform) if platform.startswith("azure") else ()
            if pins:
                # The hardware's own claims: no paravisor vouches for itself.
                yield rule(
                    "paravisor_known",
                    f"platform == {quoted(platform)}",
                    f"claims := part({quoted(pins[0].section)})",
                    f"min({array(Expressions(self._policy.floors).of(one) for one in pins)}) >= 2",
                )

    # -- rules --------------------------------------------------------------------------------------

    def _defaults(self, section: str) -> list[Rule]:
        if self._read == "trustee" and section not in SHOWN:
            # They are asked of what a machine carries.
            return []
        own = [one for one in self._body.sections.get(section, ()) if isinstance(one, Rule) and replaces(one)]
        replaced = {one.claim.name for one in own}
        lag = any(one.claim.name == "tcb-lag" and one.operator("at-most", "is") for one in own)
        return [
            UNDER_LAG if one.name == "tdx.tcb-status" and lag else one
            for one in DEFAULTS
            if one.section == section and one.claim.name not in replaced
        ]

    def _lines(self, section: str, entries: Sequence[Entry], *, device: bool = False) -> list[str]:
        lines: list[str] = []
        for entry in entries:
            self._rules.append(entry.name)
            if isinstance(entry, Rule) and entry.is_fixed:
                lines += self._fixed_lines(entry)
            else:
                lines += self._line(entry, device)
        return lines

    def _line(self, entry: Entry, device: bool) -> Iterator[str]:
        expressions = Expressions(self._policy.floors)
        result, why = expressions.of(entry), self._hidden(entry)
        if why is not None:
            if not self._keeps(Unexported(entry.name, entry.place, why)):
                return
            result = "1"
        found, until = "null", 0
        if isinstance(entry, Rule):
            found = expressions.raw(entry.claim.name)
            until = seconds_of(entry.until) if entry.warn and entry.until else 0
        index = "index" if device else "-1"
        line = _line(entry.name, entry.place, asked(entry), found, result, until, index)
        if self._body.accepted and isinstance(entry, Rule) and curable(entry):
            line = call("accepted_until", line, call("all_accepted", "claims", objected(entry, found)))
        yield line

    def _fixed_lines(self, fixed: Rule) -> Iterator[str]:
        """One an advisory: each is accepted, or not, on its own."""
        why = self._hidden(fixed)
        if why is not None and not self._keeps(Unexported(fixed.name, fixed.place, why)):
            return
        until = seconds_of(fixed.until) if fixed.warn and fixed.until else 0
        for advisory in sorted(cast("frozenset[str]", fixed.operators[0].operand)):
            result = "1" if why else Expressions(self._policy.floors).of_advisory(advisory)
            line = _line(
                fixed.name,
                fixed.place,
                f"{advisory.upper()} fixed",
                'get(section("snp"), "product")',
                result,
                until,
            )
            if self._body.accepted:
                line = call("accepted_until", line, f"object.get(accepted, {quoted(advisory.upper())}, 0)")
            yield line

    def _floor_lines(self) -> Iterator[str]:
        """Each evaluation number that floor data asks for, from its date on: they rise, so all must be met."""
        if not judges_by_floors(self._body):
            return
        claim = CLAIMS["tdx"]["tcb-evaluation"]
        for one in self._policy.floors.evaluations:
            floor = Rule(claim, (Operator("at-least", one.least, str(one.least)),), FLOOR, order=0)
            expressions = Expressions(self._policy.floors)
            result = call("from_then_on", str(seconds_of(one.begins)), expressions.of(floor), "3")
            self._rules.append(floor.name)
            yield _line(floor.name, FLOOR, asked(floor), expressions.raw(claim.name), result)

    # -- what the input does not say ----------------------------------------------------------------

    def _hidden(self, entry: Entry) -> str | None:
        """Why the input can never meet this entry."""
        if self._read == "claims":
            return None
        missing = sorted({name for name in _claims_of(entry) if name not in SHOWN.get(entry.section, ())})
        if not missing:
            return None
        more = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
        return f"Trustee's input does not carry {', '.join(f'{entry.section}.{name}' for name in missing[:4])}{more}"

    def _keeps(self, one: Unexported) -> bool:
        """Whether the rule stays, and refuses."""
        if one.rule in self._without:
            self._left_out.append(one)
            return False
        self._unexported.append(one)
        return True


_NO_PLATFORM = {
    "azure-snp": "azure-snp: Trustee's input does not say whether the paravisor's user data was compared",
    "azure-tdx": "azure-tdx: Trustee's input does not say whether the paravisor's user data was compared",
    "none": "none: Trustee judges each device alone, by another policy",
}
_NO_LEVELS = "Trustee's input does not carry each part's own status, so no advisory is accepted"


def _said(one: Unexported) -> str:
    return f"{one.rule} ({escape(one.at)}). {one.why}."


def _claims_of(entry: Entry) -> Iterator[str]:
    """The claims of its section that it is judged by."""
    if isinstance(entry, Group):
        for branch in entry.branches:
            for one in branch:
                yield from _claims_of(one)
        return
    if entry.is_fixed:
        yield from ("product", "tcb", "firmware")
        return
    yield entry.claim.name
    if any(isinstance(one.operand, Components) and one.operand.free is None for one in entry.operators):
        yield "product"


def _naming(lines: Sequence[str], claims: str) -> tuple[str, ...]:
    """The condition that names the claims; OPA's strict mode wants no name that nothing uses."""
    return (f"claims := {claims}",) if any("get(claims" in one for one in lines) else ()


def _line(name: str, at: str, wanted: str, found: str, result: str, until: int = 0, index: str = "-1") -> str:
    return array([quoted(name), index, shown(at), shown(wanted), found, result, str(until)])
