"""Write a policy from evidence: `init`. It accepts what it was shown, and nothing weaker.

What was shown and is unsafe is not accepted: the rule that refuses it stands in the policy, with the reason.
Several pieces of evidence give rules that each passes; where these would pass a mixture that nobody showed,
`any` lists what was shown. Across sections a mixture stays possible: one machine's CPU with another's GPUs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from attest.claims import CLAIMS, DEVICE_SECTIONS
from attest.policy.appraise import appraise
from attest.policy.author_rules import ABSENT, exact, quoted, rule
from attest.policy.author_table import PINS, Pin
from attest.policy.defaults import DEFAULT, DEFAULTS
from attest.policy.document import Policy
from attest.policy.fixed import FLOOR, judge_fixed
from attest.policy.floors import Floors
from attest.policy.layout import lay_out
from attest.policy.machine import Machine
from attest.policy.model import PARTS, PLATFORMS, Rule
from attest.protects import protects
from attest.untrusted import escape
from attest.verified import Verified

_WIDTH = 104
_ORDER = ("snp", "tdx", "azure", "boot", "gpu", "switch", "binding", "evidence")
_WANTED = {
    "nonce": "Nothing was asked with a nonce here, so the default passes over it. With this line it must be known:",
    "key": "Not shown, and wanted wherever a secret goes out.",
}
"""Claims of the binding that a policy should ask for although the evidence shown had none."""
_WHOLE_FABRIC = "shown: the whole node in protected PCIe mode, every GPU and switch of it"


@dataclass(frozen=True)
class Machinery:
    """One machine as it was shown. name: for comments and origins."""

    verified: Verified
    name: str
    at: datetime

    @cached_property
    def platform(self) -> str:
        return Machine(self.verified, Policy.defaults(), self.at).platform

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        """All that the evidence says; of Azure's paravisor too, which the policy is going to pin."""
        said = self.verified.paravisor_claims
        known = self.verified.claims
        return {**known, **{name: {**known.get(name, {}), **more} for name, more in said.items()}}

    def parts(self, section: str) -> list[Mapping[str, Any]]:
        found = self.claims.get(section)
        if found is None:
            return []
        return list(found) if section in DEVICE_SECTIONS else [found]

    @cached_property
    def unsafe(self) -> Mapping[str, Rule]:
        """Defaults that this machine does not meet, by `section.claim`."""
        refused = {
            str(record["code"]).removeprefix("policy.")
            for record in appraise(self.verified, None, at=self.at).rules
            if record["outcome"] == "deny" and record["at"] in (DEFAULT, FLOOR)
        }
        found = {one.name: one for one in DEFAULTS if one.name in refused}
        floor = Machine(self.verified, Policy.defaults(), self.at).floor_rule
        if floor is not None and floor.name in refused:
            found[floor.name] = floor
        if self._whole_fabric:
            found.pop("gpu.mode", None)
        return found

    @cached_property
    def _whole_fabric(self) -> bool:
        codes = {warning.code for warning in self.verified.warnings}
        modes = {part.get("mode") for part in self.parts("gpu")}
        return modes == {"ppcie"} and bool(self.parts("switch")) and "nvidia.topology.incomplete" not in codes


def author(machines: Sequence[Machinery], *, name: str) -> str:
    """The policy's text, commented and laid out. name: as a policy's.

    Raises ValueError without machines, and where some have devices that others do not have: a policy that
    accepts both would not notice a missing one.
    """
    if not machines:
        raise ValueError("a policy is written from evidence")
    for section in sorted(DEVICE_SECTIONS):
        without = [one.name for one in machines if not one.parts(section)]
        if without and len(without) < len(machines):
            raise ValueError(
                f"{escape(without[0])} has no {section}, others have: one policy for both would not notice that "
                "a device is missing; write one for each kind of machine"
            )
    platforms = {one.platform for one in machines}
    if "none" in platforms and len(platforms) > 1:
        raise ValueError("devices without a CPU part need a policy of their own, platform none stands alone")
    body = [*_references(machines), "require:", *_sections(machines)]

    def written(codes: Sequence[str]) -> str:
        return lay_out("\n".join([*_head(machines, name, codes), *body]) + "\n")

    # Comments alone: what the policy warns of is not known before there is one.
    return written(_warned(machines, Policy.from_text(written(()), name)))


def _warned(machines: Sequence[Machinery], policy: Policy) -> list[str]:
    """Codes of all warnings, the policy's own among them, that an owner may allow."""
    codes = {
        warning.code for one in machines for warning in appraise(one.verified, policy, at=one.at).warnings
    }
    return sorted(codes - {"floors-expired"})  # which no reason makes good


# -- head ---------------------------------------------------------------------------------------------


def _head(machines: Sequence[Machinery], name: str, codes: Sequence[str]) -> Iterator[str]:
    yield from comment(
        "",
        f"Written from {', '.join(escape(one.name) for one in machines)}. It accepts what was shown there and nothing weaker: older firmware, another program, missing parts are refused. Read each line; it is yours now.",
    )
    yield "#"
    yield from comment(
        "",
        'References are "observed": nobody has vouched for them yet, so the best verdict is conforms-with-warnings. Where a value is of your own build, say who made it (origin), what it covers (covers: image, where kernel, initrd and command line are in it), and take "state: observed" away.',
    )
    if any(one.verified.simulated for one in machines):
        yield "#"
        yield from comment(
            "",
            "SIMULATED: this was written from evidence of the simulator, which proves nothing about hardware.",
        )
    unsafe = sorted({name for one in machines for name in one.unsafe})
    if unsafe:
        yield "#"
        yield from comment(
            "",
            f"UNSAFE: what was shown does not meet {', '.join(unsafe)}. The policy refuses it until that is mended; see the lines marked UNSAFE.",
        )
    yield "policy: 1 # fixes the default rules, which hold beside every line below"
    yield f"name: {name}"
    listed = [platform for platform in PLATFORMS if any(one.platform == platform for one in machines)]
    yield f"platforms: [{', '.join(listed)}] # evidence of any other kind of machine is refused, whatever it proves"
    if codes:
        yield from comment(
            "",
            "Warnings that this evidence gets from this policy. A secret goes out in spite of those that you list here, and of no others:",
        )
        yield "# allow-warnings:"
        for code in codes:
            yield f'#   {code}: "your reason"'


def _references(machines: Sequence[Machinery]) -> list[str]:
    sets: dict[str, list[str]] = {}
    for pin in PINS:
        if pin.style != "reference":
            continue
        shown: dict[str, str] = {}
        for one in machines:
            for part in one.parts(pin.section):
                if isinstance(part.get(pin.claim), str):
                    shown.setdefault(part[pin.claim], one.name)
        if not any(map(_measured, shown)):
            continue
        lines = [f"  {_set(pin)}:", f"    type: {pin.section}.{pin.claim}", "    values:"]
        for value, name in shown.items():
            said = quoted(f"shown by {escape(name)}, verified at {machines[0].at:%Y-%m-%dT%H:%M:%SZ}")
            lines.append(f"      - value: {quoted(value)}")
            lines.append("        state: observed # take this away when you know where the value comes from")
            lines.append(f"        origin: {said}")
        sets[_set(pin)] = lines
    head = [
        "references: # what may run; a set, so that the next version can be listed before it is rolled out"
    ]
    return [*head, *(line for lines in sets.values() for line in lines)] if sets else []


def _measured(value: str | None) -> bool:
    """Whether a register holds anything: nothing is no reference value, and pinned as it is."""
    return value is not None and bool(value.strip("0"))


def _set(pin: Pin) -> str:
    return f"{pin.section}-{pin.claim}"


# -- sections -----------------------------------------------------------------------------------------


def _sections(machines: Sequence[Machinery]) -> Iterator[str]:
    for section in _ORDER:
        shown = [(one, part) for one in machines for part in one.parts(section)]
        if not shown and section == "binding":
            shown = [(one, {}) for one in machines]  # what should be bound is said all the same
        if not shown:
            continue
        lines = [*_section(section, machines, shown)]
        if any(not line.lstrip().startswith("#") for line in lines):
            yield f"  {section}:"
            yield from lines
        else:
            # A section of comments alone would be an empty one.
            yield from _unasked(section, lines)


def _unasked(section: str, lines: Sequence[str]) -> Iterator[str]:
    """A section of which nothing was shown that could be asked for: its suggestions, as one line to uncomment."""
    suggested = []
    for line in lines:
        text = line.strip().removeprefix("# ")
        name, colon, _ = text.partition(": ")
        if colon and name in CLAIMS[section]:
            suggested.append(text)
        else:
            yield f"  # {text}"
    if suggested:
        yield f"  # {section}: {{{', '.join(suggested)}}}"


def _section(
    section: str, machines: Sequence[Machinery], shown: Sequence[tuple[Machinery, Mapping[str, Any]]]
) -> Iterator[str]:
    held = [one for one in DEFAULTS if one.section == section]
    unsafe = {name: one for machine in machines for name, one in machine.unsafe.items()}
    kept = [one for one in held if one.name not in unsafe]
    always, where_known = (
        "; ".join(f"{one.claim.name} {_default(one)}" for one in kept if one.absent_passes is absent)
        for absent in (False, True)
    )
    if always:
        yield from comment("    ", f"Held by default, without a line: {always}.")
    if where_known:
        yield from comment(
            "    ", f"Held by default where it is known, and passed over where it is not: {where_known}."
        )
    for name, one in unsafe.items():
        if one.section == section:
            found = sorted(
                {str(part.get(one.claim.name)) for machine, part in shown if name in machine.unsafe}
            )
            yield from comment(
                "    ",
                f"UNSAFE: shown {escape(', '.join(found))}. {_protects(section, one.claim.name)} The evidence is refused until this is mended; what cannot be mended needs a rule of your own with an override and its reason.",
            )
            yield f"    {one.claim.name}: {_operand(one)}"
    if section in DEVICE_SECTIONS:
        yield from _count(section, machines)
    if section == "snp":
        yield from _fixed([part for _, part in shown], machines[0].at)
    parts = [part for _, part in shown]
    products = [part.get("product") for part in parts]
    loose: list[Pin] = []
    for pin in PINS:
        if pin.section != section or f"{section}.{pin.claim}" in unsafe:
            continue
        values = [part.get(pin.claim) for part in parts]
        together = rule(pin, values, products)
        if not exact(pin, values, products):
            loose.append(pin)
        if together is None:
            yield from _suggestion(pin, values)
            continue
        why = _protects(section, pin.claim)
        yield from comment("    ", f"{_says(pin, together)} {why}".strip())
        if pin.claim == "tcb-evaluation":
            yield "    # Within all, so that the default stays beside it: it rises with floor data."
            yield f"    all: [{{{pin.claim}: {_value(pin, together, values)}}}]"
            continue
        yield f"    {pin.claim}: {_value(pin, together, values)}"
    yield from _alternatives(section, shown, loose, unsafe)
    if section == "binding":
        for claim, why in _WANTED.items():
            if all(claim not in part for part in parts):
                yield from comment("    ", f"{why} {_protects('binding', claim)}")
                yield f"    # {claim}: true"


def _count(section: str, machines: Sequence[Machinery]) -> Iterator[str]:
    counts = sorted({len(one.parts(section)) for one in machines if one.parts(section)})
    yield from comment("    ", f"As many as were shown. {_protects(section, 'count')}")
    listed = ", ".join(map(str, counts))
    yield f"    count: {listed}" if len(counts) == 1 else f"    count: {{one-of: [{listed}]}}"


def _fixed(parts: Sequence[Mapping[str, Any]], at: datetime) -> Iterator[str]:
    """The advisories whose fix all show; the others as lines to uncomment once the hosts are updated."""
    floors = Floors.shipped()
    met: list[str] = []
    for advisory in sorted(floors.advisories):
        findings = [judge_fixed(advisory, floors, part, part.get("product"), at) for part in parts]
        if all(finding.result == "P" for finding in findings):
            met.append(advisory)
            continue
        misses = [miss for finding in findings for miss in finding.misses]
        if misses:
            said = "; ".join(f"{want}, shown {found}" for want, found in dict.fromkeys(misses))
            yield from comment(
                "    ",
                f"NOT MET: {said}. {floors.titles.get(advisory, '')}. Once the host is updated, add it:",
            )
            yield f"    # fixed: [{advisory}]"
    if met:
        told = "; ".join(f"{advisory.upper()} ({floors.titles.get(advisory, '')})" for advisory in met)
        yield from comment(
            "    ",
            f"Fixed in what was shown, by floor data, which rises where a fix is found wanting: {told}. {_protects('snp', 'fixed')}",
        )
        yield f"    fixed: [{', '.join(met)}]"


def _alternatives(
    section: str,
    shown: Sequence[tuple[Machinery, Mapping[str, Any]]],
    loose: Sequence[Pin],
    unsafe: Mapping[str, Rule],
) -> Iterator[str]:
    """`any` with one member for each that was shown, of the claims in which they differ."""
    pins = [pin for pin in PINS if pin.section == section and f"{section}.{pin.claim}" not in unsafe]
    alone: list[dict[Pin, str | None]] = []
    for _, part in shown:
        alone.append({pin: rule(pin, [part.get(pin.claim)], [part.get("product")]) for pin in pins})
    differing = [pin for pin in pins if len({one[pin] for one in alone}) > 1]
    if not loose and len(differing) < 2:
        return
    branches = []
    for one, (_, part) in zip(alone, shown, strict=True):
        entries = {}
        for pin in differing:
            text = one[pin]
            if part.get(pin.claim) is None and pin.style != "good":
                text = ABSENT
            if text is not None:
                entries[pin.claim] = text
        if not entries:
            return  # it shows nothing to ask for, and what asks for nothing passes every mixture anyway
        if entries not in branches:
            branches.append(entries)
    if len(branches) < 2:
        return
    yield from comment(
        "    ",
        "What was shown together: one of these, and no mixture of them. Protects from the oldest part of one machine beside the newest of another.",
    )
    yield "    any:"
    for entries in branches:
        for index, (claim, text) in enumerate(entries.items()):
            yield f"      {'-' if index == 0 else ' '} {claim}: {text}"


# -- words --------------------------------------------------------------------------------------------


def _value(pin: Pin, text: str, values: Sequence[Any]) -> str:
    if pin.style == "reference" and any(map(_measured, values)):
        return f"{{in: {_set(pin)}}}"
    if pin.section == "gpu" and pin.claim == "mode" and "ppcie" in values:
        body = f"is: {text}" if not text.startswith("{") else text[1:-1]
        return f"{{{body}, override: {quoted(_WHOLE_FABRIC)}}}"
    return text


def _says(pin: Pin, text: str) -> str:
    if text == ABSENT:
        return "None was shown, so none may appear."
    return {
        "same": "Exactly what was shown.",
        "least": "Not lower than shown.",
        "branch": "Not older than shown, branch by branch; a newer branch passes.",
        "tcb": "No component lower than shown; another product fails.",
        "svn": "No component lower than shown, of the same module (byte 1).",
        "bits": "Every mitigation that was shown, and more where there are more.",
        "good": "Shown, and to stay.",
        "reference": "What was shown.",
    }[pin.style]


def _suggestion(pin: Pin, values: Sequence[Any]) -> Iterator[str]:
    """What would be safer than what was shown, as a line to uncomment."""
    if pin.style != "good" or all(value is None for value in values):
        return
    found = sorted({"nothing" if value is None else str(value) for value in values})
    if pin.claim == "rtmr3":
        yield from comment(
            "    ",
            "rtmr3 is left out: it is in use, and what a guest measures there may change at every start.",
        )
        return
    if pin.section == "evidence":
        return
    yield from comment(
        "    ",
        f"Shown: {escape(', '.join(found))}. Safer, where the machine can. {_protects(pin.section, pin.claim)}",
    )
    yield f"    # {pin.claim}: {pin.good}"


def _protects(section: str, claim: str) -> str:
    sentence = protects(section, claim)
    if not sentence:
        return ""
    if sentence[1:2].isupper():
        return f"Protects from {sentence}"
    return f"Protects from {sentence[:1].lower()}{sentence[1:]}"


def _default(one: Rule) -> str:
    operator = one.operators[0]
    text = operator.text
    shown = ", ".join(str(item) for item in text) if isinstance(text, list) else str(text)
    if len(shown) > 40:
        shown = "zero" if set(shown) == {"0"} else shown[:12] + "…"
    if operator.name == "no-bits":
        return "without reserved bits"
    return {"is": "", "one-of": "one of ", "none-of": "none of ", "at-most": "≤ ", "at-least": "≥ "}[
        operator.name
    ] + shown


def _operand(one: Rule) -> str:
    operator = one.operators[0]
    text = operator.text
    if isinstance(text, list):
        return f"{{{operator.name}: [{', '.join(quoted(str(item)) for item in text)}]}}"
    return quoted(str(text)) if operator.name == "is" else f"{{{operator.name}: {quoted(str(text))}}}"


def comment(indent: str, text: str) -> Iterator[str]:
    for line in textwrap.wrap(
        " ".join(text.split()), _WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False
    ):
        yield f"{indent}# {line}"


assert set(_ORDER) <= set(PARTS)
assert all(pin.claim in CLAIMS[pin.section] for pin in PINS)
