"""What a policy says that is allowed and dangerous. Each lint has a code, a place, why, and what to do.

A lint never changes a verdict. The threats that they name are those of docs/threat-model.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from attest.claims import instant
from attest.policy.defaults import replaces
from attest.policy.document import SECTIONS_OF, Policy
from attest.policy.identity import standing, workload_pins
from attest.policy.lint_table import LINTS
from attest.policy.model import PLATFORMS, Components, Entry, Group, Operator, ReferenceSet, Rule
from attest.policy.nodes import ListNode, MapNode, Node, Place, Scalar
from attest.untrusted import escape

SOON = timedelta(days=30)
LONG = timedelta(days=366)

_CHOSEN = {
    "snp": ("host-data",),
    "tdx": ("rtmr3", "mrconfigid", "mrowner", "mrownerconfig"),
    "azure": ("pcr8", "pcr16", "pcr23"),
    "binding": ("init-data",),
}
"""What the host or the guest chooses: no identity alone."""

_CPU = ("snp", "tdx", "azure")
_GROWING = frozenset({"version", "vbios", "date"})
_COUNTED = frozenset({"tdx.tcb-evaluation", "snp.guest-svn", "azure.evidence-version"})
_MINIMUMS = {
    "snp": (("tcb", "fixed"),),
    "gpu": (("driver",), ("vbios",)),
    "switch": (("bios",),),
}
"""Section → groups of claims of which one needs a minimum."""


@dataclass(frozen=True, slots=True)
class Lint:
    """at: `file:line:column`. threat: of the threat model. message: what is dangerous here. remedy: what to do."""

    code: str
    at: str
    message: str
    why: str
    remedy: str
    threat: str

    def as_dict(self) -> dict[str, str]:
        return {
            "code": self.code,
            "at": self.at,
            "message": self.message,
            "why": self.why,
            "remedy": self.remedy,
            "threat": self.threat,
        }


def lint(policy: Policy, node: Node, *, at: datetime) -> tuple[Lint, ...]:
    """Everything found, by place. node: the policy's own file, for the places of what is no rule. at: now."""
    found = [*_Linter(policy, node, at).all()]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (_line(one.at), one.code, one.message)))


def _line(at: str) -> tuple[str, int, int]:
    file, _, rest = at.rpartition(":")
    head, _, line = file.rpartition(":")
    return (head, int(line), int(rest)) if line.isdigit() and rest.isdigit() else (at, 0, 0)


class _Linter:
    def __init__(self, policy: Policy, node: Node, at: datetime) -> None:
        self.policy, self.body, self.at = policy, policy.body, at
        self._node = node

    def all(self) -> Iterator[Lint]:
        yield from self._head()
        yield from self._identity()
        yield from self._parts()
        for entries in self.body.sections.values():
            for rule, nested in _rules(entries):
                yield from self._rule(rule, nested=nested)
        yield from self._references()
        yield from self._ends()
        yield from self._unasked()
        yield from self._unused()

    def _lint(self, code: str, place: Place | str, message: str) -> Lint:
        meaning = LINTS[code]
        at = place if isinstance(place, str) else place.within(self.policy.where)
        return Lint(code, at, escape(message, 400), meaning.message, meaning.remedy, meaning.source)

    def _place(self, *path: str) -> Place:
        """Where a key of the file stands; the file's start where it says nothing of it."""
        node, place = self._node, self._node.place
        for name in path:
            entries = node.entries if isinstance(node, MapNode) else ()
            found = next(((key, child) for key, child in entries if key.text == name), None)
            if found is None:
                return place
            place, node = found[0].place, found[1]
        return place

    # -- the head

    def _head(self) -> Iterator[Lint]:
        if "none" in self.body.platforms:
            yield self._lint("platform-none", self._place("platforms"), "platforms: [none]")
        for code, reason in self.body.allow_warnings.items():
            name = f"allows-{code}"
            if name in LINTS:
                message = f'{code} is allowed: "{reason}"'
                yield self._lint(name, self._place("allow-warnings", code), message)
        for name, reason in self.body.loosened.items():
            section, _, claim = name.partition(".")
            place = self._place("require", section, claim)
            yield self._lint("loosened", place, f'{name} is loosened: "{reason}"')

    def _identity(self) -> Iterator[Lint]:
        for platform in PLATFORMS:
            if platform == "none" or platform not in self.body.platforms:
                continue
            if workload_pins(self.body, platform):
                continue
            sections = platform.split("-") if platform.startswith("azure") else [platform]
            chosen = [
                rule
                for section in (*sections, "binding")
                for rule, _ in _rules(self.body.sections.get(section, ()))
                if rule.claim.name in _CHOSEN.get(section, ()) and rule.operator("is", "one-of", "in")
            ]
            for rule in chosen:
                message = f"{rule.name} is all that ties {platform} to a workload"
                yield self._lint("host-chosen-identity", rule.place, message)
            if not chosen:
                yield self._lint(
                    "no-workload-identity", self._place("platforms"), f"{platform}: nothing says what runs"
                )

    def _parts(self) -> Iterator[Lint]:
        sections = self.body.sections
        cpu = self.body.platforms - {"none"}
        # What stands in any or none need not hold.
        binding = [*standing(sections.get("binding", ()))]
        if cpu and not any(rule.claim.name == "key" and _says(rule, True) for rule in binding):
            yield self._lint("key-unbound", self._place("require", "binding"), "binding.key is not asked for")
        ties = [rule for rule in binding if rule.claim.name == "gpu-to-cpu"]
        for section in ("gpu", "switch"):
            entries = sections.get(section, ())
            if not entries:
                continue
            place = self._place("require", section)
            counts = [rule for rule in standing(entries) if rule.claim.name == "count"]
            if not any(map(_bounds, counts)):
                said = f"{section} has no least count" if counts else f"{section} has no count"
                yield self._lint("count-missing", counts[0].place if counts else place, said)
            if cpu and not all(workload_pins(self.body, platform) for platform in cpu):
                yield self._lint(
                    "gpu-without-workload", place, f"{section} is judged, and no workload is pinned"
                )
            if cpu and ties and not any(_says(tie, True) for tie in ties):
                yield self._lint("gpu-unbound", ties[0].place, f"{section} need not be tied to the CPU")
        yield from self._fabric()
        yield from self._minimums()

    def _fabric(self) -> Iterator[Lint]:
        """Protected PCIe is a property of the whole node."""
        for rule in standing(self.body.sections.get("gpu", ())):
            equal = rule.operator("is", "one-of") if rule.name == "gpu.mode" else None
            modes = equal.operand if equal is not None else ()
            if "ppcie" in (modes if isinstance(modes, tuple) else (modes,)):
                if "switch" not in self.body.sections:
                    yield self._lint(
                        "fabric-without-switches", rule.place, "ppcie passes, and no switch is asked for"
                    )

    def _minimums(self) -> Iterator[Lint]:
        sections = self.body.sections
        for section, groups in _MINIMUMS.items():
            if section not in sections:
                continue
            for names in groups:
                named = [rule for rule in standing(sections[section]) if rule.claim.name in names]
                # Of a TCB each rule is looked at by itself.
                if not any(_bounds(rule) or rule.claim.kind == "tcb" for rule in named):
                    wanted = " or ".join(f"{section}.{name}" for name in names)
                    place = named[0].place if named else self._place("require", section)
                    said = f"{wanted} has no minimum" if named else f"no rule on {wanted}"
                    yield self._lint("minimum-missing", place, said)
        for rule in standing(sections.get("snp", ())):
            least = rule.operator("at-least") if rule.name == "snp.guest-svn" else None
            if least is not None and least.operand == 0:
                message = "snp.guest-svn at-least 0 passes every image that the ID key ever signed"
                yield self._lint("minimum-missing", rule.place, message)

    # -- rules

    def _rule(self, rule: Rule, *, nested: bool) -> Iterator[Lint]:
        equal = rule.operator("is", "one-of")
        if equal is not None and (rule.claim.kind in _GROWING or rule.name in _COUNTED) and not nested:
            yield self._lint("version-equality", rule.place, f"{rule.name} {equal.name} {_text(equal)}")
        if rule.claim.kind == "tcb" and nested is False:
            yield from self._unbounded_tcb(rule)
        if rule.claim.kind in ("bytes", "text") and not rule.claim.values:
            if rule.operator("none-of") and not rule.operator("is", "one-of", "in"):
                yield self._lint("deny-list", rule.place, f"{rule.name} none-of: every other value passes")
        if rule.name == "tdx.tcb-evaluation" and not nested and replaces(rule):
            yield self._lint("floor-replaced", rule.place, f"{rule.name} stands in place of floor data")
        if rule.name == "tdx.tcb-lag" and not nested and replaces(rule):
            most = rule.operator("at-most")
            if most is not None and cast(int, most.operand) > LONG.total_seconds():
                yield self._lint("lag-long", rule.place, f"{rule.name} at-most {_days(most.operand)} days")
        if rule.name == "evidence.verified-by" and not _says(rule, "self"):
            yield self._lint("verdict-of-others", rule.place, "a verdict of another verifier is accepted")
        if rule.until is not None:
            yield from self._end("grace", rule.place, rule.until, f"the grace period of {rule.name}")

    def _unbounded_tcb(self, rule: Rule) -> Iterator[Lint]:
        """An upper bound alone passes everything older."""
        least = rule.operator("at-least")
        if least is None:
            yield self._lint("minimum-missing", rule.place, f"{rule.name} has no at-least")
        elif isinstance(least.operand, Components):
            bounds = (
                [least.operand.free]
                if least.operand.free is not None
                else [*least.operand.by_product.values()]
            )
            if any(not any((found or {}).values()) for found in bounds):
                yield self._lint("minimum-missing", rule.place, f"{rule.name} at-least 0 passes everything")

    # -- dates

    def _ends(self) -> Iterator[Lint]:
        for one in self.body.accepted:
            yield from self._end("accept", one.place, one.until, f"the acceptance of {one.advisory}")

    def _end(self, what: str, place: Place | str, until: datetime, message: str) -> Iterator[Lint]:
        if until < self.at:
            yield self._lint(f"{what}-ended", place, f"{message} ended at {instant(until)}")
        elif until - self.at <= SOON:
            yield self._lint(f"{what}-ends", place, f"{message} ends at {instant(until)}")
        elif until - self.at > LONG:
            yield self._lint("end-distant", place, f"{message} ends at {instant(until)} only")

    def _references(self) -> Iterator[Lint]:
        used = self._used_sets()
        for name, found in self.body.references.items():
            places = self._places_of(name)
            if name not in used:
                yield self._lint("unused-set", self._place("references", name), f'no rule names "{name}"')
                continue
            usable = False
            for reference in found.values:
                value = reference.value.hex() if isinstance(reference.value, bytes) else reference.value
                place = places.get(value.lower(), self._place("references", name))
                told = reference.name or f"{value[:12]}…"
                if reference.state == "revoked":
                    continue
                usable = usable or reference.ends is None or reference.ends >= self.at
                if reference.state == "observed":
                    yield self._lint("observed", place, f"{told} was observed, and nobody vouches for it")
                if reference.covers is None and found.claim.name in ("measurement", "mrtd", "rtmr1", "rtmr2"):
                    yield self._lint("covers-unsaid", place, f"{told} does not say what it covers")
                if reference.ends is not None and reference.ends - self.at <= SOON:
                    ended = reference.ends < self.at
                    verb = "ended" if ended else "ends"
                    yield self._lint(
                        f"reference-{verb}", place, f"{told} {verb} at {instant(reference.ends)}"
                    )
            if not usable:
                yield self._lint(
                    "set-empty", self._place("references", name), f'no value of "{name}" can pass'
                )

    def _places_of(self, name: str) -> Mapping[str, Place]:
        node = self._node
        for key in ("references", name, "values"):
            entries = node.entries if isinstance(node, MapNode) else ()
            node = next((child for head, child in entries if head.text == key), Scalar("", node.place))
        places = {}
        for item in node.items if isinstance(node, ListNode) else ():
            for head, child in item.entries if isinstance(item, MapNode) else ():
                if head.text == "value" and isinstance(child, Scalar):
                    places[child.text.lower()] = item.place
        return places

    def _used_sets(self) -> set[str]:
        return {
            found.name
            for entries in self.body.sections.values()
            for rule, _ in _rules(entries)
            for operator in rule.operators
            if operator.name == "in"
            for found in cast("tuple[ReferenceSet, ...]", operator.operand)
        }

    def _unasked(self) -> Iterator[Lint]:
        """Sections of this file that are asked of no machine. A parent may have more: platforms only become fewer."""
        asked = {section for platform in self.body.platforms for section in SECTIONS_OF[platform]}
        own = next((child for key, child in self._entries() if key.text == "require"), None)
        for key, _ in own.entries if isinstance(own, MapNode) else ():
            if key.text in _CPU and key.text not in asked:
                listed = ", ".join(sorted(self.body.platforms))
                yield self._lint(
                    "section-unasked", key.place, f"no machine of {listed} has a part {key.text}"
                )

    def _entries(self) -> tuple[tuple[Scalar, Node], ...]:
        return self._node.entries if isinstance(self._node, MapNode) else ()

    def _unused(self) -> Iterator[Lint]:
        """Parameters of this file that nothing of it stands on."""
        texts = {text for key, child in self._entries() if key.text != "params" for text in _scalars(child)}
        inherits = any(key.text == "extends" for key, _ in self._entries())
        for key, child in self._entries():
            if key.text != "params" or not isinstance(child, MapNode) or inherits:
                continue  # a parent may stand on it
            for name, _ in child.entries:
                if f"${{{name.text}}}" not in texts:
                    yield self._lint("unused-parameter", name.place, f'nothing uses "{name.text}"')


def _rules(entries: tuple[Entry, ...], *, nested: bool = False) -> Iterator[tuple[Rule, bool]]:
    """(rule, whether inside any, all or none)."""
    for entry in entries:
        if isinstance(entry, Group):
            for branch in entry.branches:
                yield from _rules(branch, nested=True)
        else:
            yield entry, nested


def _says(rule: Rule, value: object) -> bool:
    """Whether only `value` passes."""
    return any(
        (operator.name == "is" and operator.operand == value)
        or (operator.name == "one-of" and operator.operand == (value,))
        for operator in rule.operators
    )


def _bounds(rule: Rule) -> bool:
    """Whether the rule refuses what is too low, or too few."""
    if rule.is_fixed or rule.operator("is", "one-of", "in"):
        return True
    least = rule.operator("at-least")
    if least is None:
        return False
    operand = least.operand
    if isinstance(operand, tuple):
        # The first two bytes of a VBIOS are its family.
        return any(cast("tuple[int, ...]", operand)[2 if rule.claim.kind == "vbios" else 0 :])
    return operand != 0


def _days(seconds: object) -> int:
    return cast(int, seconds) // 86400


def _text(operator: Operator) -> str:
    return ", ".join(map(str, operator.text)) if isinstance(operator.text, list) else str(operator.text)


def _scalars(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        yield node.text
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _scalars(item)
    else:
        for _, child in node.entries:
            yield from _scalars(child)
