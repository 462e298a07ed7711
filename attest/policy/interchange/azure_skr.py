"""Azure Key Vault's secure key release policy, version 1.0.0: conditions on Azure Attestation's tokens.

Azure compares what its attestation service wrote into a token. Here the hardware's evidence itself is
verified, so an authority is not needed; a claim that is the service's own judgement has no counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from attest.policy.interchange.azure_claims import (
    COMPLIANCE,
    HARDWARE,
    OPERATORS,
    TEE,
    TYPE,
    Condition,
    hardware_of,
    rule_of,
)
from attest.policy.interchange.draft import Choice, Draft, Entry, Unmapped, listed
from attest.policy.interchange.json_lines import Located, read_located, wrong
from attest.policy.interchange.widening import defaults_hold
from attest.untrusted import escape

_MAX_DEPTH = 8
_MAX_CONDITIONS = 500
_CONTAINERS = frozenset({"azure-compliant-uvm", "azure-signed-katacc-uvm"})
"""Compliance of utility machines: containers on a report of their own, without a paravisor."""


@dataclass(slots=True)
class _Part:
    """What conditions ask together. kinds: attestation types they leave; None: not said."""

    line: int
    kinds: frozenset[str] | None = None
    entries: list[Entry] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    unmapped: list[Unmapped] = field(default_factory=list)


@dataclass(slots=True)
class _Seen:
    """What tells a container's report from the token of a machine with a paravisor."""

    containers: bool = False
    paravisor: bool = False
    conditions: int = 0


def read_azure_skr(data: bytes) -> Draft:
    """Raises Malformed where `data` is not a release policy, or one that no machine meets."""
    draft = Draft("Azure Key Vault's secure key release policy")
    root = read_located(data).members("the policy")
    _only(root, {"version", "anyof", "allof"})
    version = _member(root, "version")
    if version is not None and version.value != "1.0.0":
        raise wrong(
            version.line, f"version is {escape(str(version.value)[:20])}; 1.0.0 is the one that is documented"
        )
    kind, authorities = _kind(root, None)
    branches = authorities.items(kind)
    if kind == "allof" and len(branches) > 1:
        raise wrong(authorities.line, "allOf of several authorities: no token has two, so nothing passes")
    seen = _Seen()
    parts = [_authority(one, seen, draft) for one in branches]
    # The authority is not asked here: branches that differ in it alone are one.
    part = _joined(authorities.line, _distinct(branches, parts))
    draft.entries, draft.choices, draft.unmapped = part.entries, part.choices, part.unmapped
    _platforms(part, seen, draft)
    _pin(draft)
    return defaults_hold(draft)


def _authority(one: Located, seen: _Seen, draft: Draft) -> _Part:
    members = one.members("an authority")
    authority = _member(members, "authority")
    if authority is None:
        raise wrong(one.line, "a branch of the policy has no authority")
    name = authority.text("authority")
    if not draft.notes:
        draft.note(
            authority.line, f"authority {name}: none is asked, the hardware's own signature is verified here"
        )
    _only(members, {"authority", "anyof", "allof"})
    return _conditions(*_kind(members, one.line), seen, 0)


def _distinct(branches: Sequence[Located], parts: Sequence[_Part]) -> list[_Part]:
    found: list[tuple[Any, _Part]] = []
    for one, part in zip(branches, parts, strict=True):
        asked = {key: value for key, value in _plain(one).items() if key != "authority"}
        if all(asked != other for other, _ in found):
            found.append((asked, part))
    return [part for _, part in found]


def _plain(one: Located) -> Any:
    if isinstance(one.value, dict):
        return {key.lower(): _plain(value) for key, value in one.value.items()}
    return [_plain(item) for item in one.value] if isinstance(one.value, list) else one.value


def _kind(members: dict[str, Located], line: int | None) -> tuple[str, Located]:
    kinds = [(kind, found) for kind in ("anyof", "allof") if (found := _member(members, kind)) is not None]
    if len(kinds) != 1:
        raise wrong(line, "wanted one of anyOf and allOf")
    return kinds[0]


def _conditions(kind: str, conditions: Located, seen: _Seen, depth: int) -> _Part:
    if depth > _MAX_DEPTH:
        raise wrong(conditions.line, "conditions nested too deep")
    parts = []
    for one in conditions.items(kind):
        seen.conditions += 1
        if seen.conditions > _MAX_CONDITIONS:
            raise wrong(one.line, f"more than {_MAX_CONDITIONS} conditions")
        members = one.members("a condition")
        if _member(members, "claim") is not None:
            parts.append(_leaf(_condition(one, members), seen))
            continue
        _only(members, {"anyof", "allof"})
        parts.append(_conditions(*_kind(members, one.line), seen, depth + 1))
    return _joined(conditions.line, parts) if kind == "anyof" else _all(conditions.line, parts)


def _condition(one: Located, members: dict[str, Located]) -> Condition:
    claim = _member(members, "claim")
    assert claim is not None
    name = claim.text("claim")
    operators = [key for key in members if key.lower() != "claim"]
    if len(operators) != 1:
        raise wrong(one.line, "a condition has a claim and one operator")
    operator, value = operators[0], members[operators[0]].value
    if operator.lower() not in OPERATORS:
        raise wrong(members[operator].line, f"no operator of the grammar: {escape(operator[:80])}")
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, (str, int)):
        raise wrong(
            members[operator].line, f"the value of {operator} is no text, whole number or truth value"
        )
    return Condition(claim.line, name, operator, str(value))


def _leaf(condition: Condition, seen: _Seen) -> _Part:
    part = _Part(condition.line)
    inner = condition.claim.startswith(TEE)
    equals = condition.operator.lower() == "equals"
    seen.paravisor |= inner or condition.bare.startswith(("x-ms-azurevm-", "x-ms-runtime.vm-", "secureboot"))
    if condition.bare == TYPE and equals and condition.text in HARDWARE:
        part.kinds = frozenset({condition.text})
        return part
    if condition.bare == TYPE and equals and condition.text == "azurevm" and not inner:
        seen.paravisor = True
        return part
    if condition.bare == COMPLIANCE:
        seen.containers |= equals and condition.text in _CONTAINERS
        seen.paravisor |= equals and condition.text not in _CONTAINERS
    if condition.bare.endswith("vm-configuration.tpm-enabled") and equals and condition.text == "true":
        return part  # the TPM's quote is part of the evidence
    if hardware := hardware_of(condition):
        part.kinds = frozenset({hardware})
    found = rule_of(condition)
    if isinstance(found, Entry):
        part.entries.append(found)
    else:
        part.unmapped.append(Unmapped(condition.line, escape(condition.claim, 120), escape(found)))
    return part


def _all(line: int, parts: Sequence[_Part]) -> _Part:
    whole = _Part(line)
    for part in parts:
        whole.entries += [one for one in part.entries if not _has(whole.entries, one)]
        whole.choices += part.choices
        whole.unmapped += part.unmapped
        if part.kinds is not None:
            whole.kinds = part.kinds if whole.kinds is None else whole.kinds & part.kinds
    if whole.kinds is not None and not whole.kinds:
        raise wrong(line, "no machine is of both kinds that are asked: nothing passes")
    return whole


def _joined(line: int, parts: Sequence[_Part]) -> _Part:
    """One of the parts is to hold. What all of them ask is asked for itself; a part that cannot be said whole is
    left out, which refuses more. Where none can, what can be said of each is asked, so that no condition goes
    unsaid."""
    if len(parts) == 1:
        return parts[0]
    whole = _Part(line)
    whole.entries = [one for one in parts[0].entries if all(_has(part.entries, one) for part in parts[1:])]
    lost_by_all = [
        one
        for losing in parts
        for one in losing.unmapped
        if all(
            any((one.what, one.why) == (other.what, other.why) for other in part.unmapped) for part in parts
        )
    ]
    whole.unmapped += lost_by_all
    told = {(one.what, one.why) for one in lost_by_all}
    sayable, rests = [], []
    for part in parts:
        lost = [one for one in part.unmapped if (one.what, one.why) not in told]
        if part.choices:
            lost.append(Unmapped(part.line, "anyOf", "a choice within a choice"))
        whole.unmapped += lost
        rests.append(
            _Part(part.line, part.kinds, [one for one in part.entries if not _has(whole.entries, one)])
        )
        if not lost:
            sayable.append(rests[-1])
    if not sayable:
        if not all(part.entries for part in rests):
            # A branch of which nothing can be said leaves nothing to ask of the others.
            for part in rests:
                whole.unmapped += [_unasked(one) for one in part.entries]
            return whole
        sayable = rests
    if all(part.kinds is not None for part in sayable):
        whole.kinds = frozenset().union(*(part.kinds or () for part in sayable))
    _choose(whole, sayable)
    return whole


def _unasked(one: Entry) -> Unmapped:
    what = escape(f"{one.section}.{one.claim}: {one.operand}", 120)
    return Unmapped(one.line, what, "in an anyOf of which another branch cannot be said")


def _has(entries: Sequence[Entry], one: Entry) -> bool:
    return any(
        (one.section, one.claim, one.operand) == (other.section, other.claim, other.operand)
        for other in entries
    )


def _choose(whole: _Part, parts: Sequence[_Part]) -> None:
    """The rules of one part or another, for machines of each kind."""
    groups: dict[frozenset[str] | None, list[_Part]] = {}
    for part in parts:
        groups.setdefault(part.kinds, []).append(part)
    free = [part.kinds for part in parts if not part.entries]
    for kinds, group in groups.items():
        if any(held is None or (kinds is not None and kinds <= held) for held in free):
            continue  # a part holds for every machine of the kind, whatever the others ask
        sections = {one.section for part in group for one in part.entries}
        if len(sections) > 1 or (len(groups) > 1 and sections != {HARDWARE[kind] for kind in kinds or ()}):
            why = "its branches speak of different parts of the machine"
            whole.unmapped.append(Unmapped(whole.line, "anyOf", why))
        elif values := _one_of(group):
            whole.entries.append(values)
        else:
            branches = tuple(tuple(part.entries) for part in group)
            whole.choices.append(Choice(sections.pop(), branches, f"line {whole.line}: anyOf"))


def _one_of(group: Sequence[_Part]) -> Entry | None:
    """Several values of one claim are a list of values; else None."""
    entries = [one for part in group for one in part.entries]
    if len(entries) > len(group) or len({one.claim for one in entries}) > 1:
        return None
    if any(one.operand.startswith("{") for one in entries):
        return None
    first, values = entries[0], [one.operand.strip('"') for one in entries]
    said = "; ".join(one.said for one in entries)
    return Entry(first.section, first.claim, listed(values), said, first.line)


def _platforms(part: _Part, seen: _Seen, draft: Draft) -> None:
    kinds = part.kinds
    if kinds is None:
        kinds = frozenset({"sevsnpvm"})
        if not seen.containers:
            draft.lost(None, TYPE, "the policy does not say sevsnpvm or tdxvm for all; sevsnpvm is taken")
    if seen.containers and seen.paravisor:
        # What the one proves of itself the other's report does not, so one policy would take each for the other.
        raise wrong(None, "speaks of containers and of machines with a paravisor: import each of them apart")
    # A report of its own only where nothing speaks of a paravisor.
    plain = not seen.paravisor
    named = {"sevsnpvm": "snp" if plain else "azure-snp", "tdxvm": "azure-tdx"}
    draft.platforms = [named[kind] for kind in sorted(kinds)]
    if "snp" in draft.platforms:
        draft.notes.append(
            "the report is the container group's own, as on Azure Container Instances; a confidential VM of "
            "Azure, whose report is its paravisor's, is refused; that the machine is Azure's own, which its "
            "service may see to, is not asked"
        )
        if all(one.section != "snp" for one in draft.entries):
            draft.rule("snp", "debug", "false", None, "as the default asks")


def _pin(draft: Draft) -> None:
    """Anybody can write Azure's runtime data: a policy of this language names the paravisor, or does not load."""
    wanted: list[tuple[str, str, str, str]] = []
    if "azure-tdx" in draft.platforms and not _pins(draft, "tdx", "mrtd"):
        wanted.append(("tdx", "mrtd", '"${mrtd}"', "mrtd"))
    if "azure-snp" in draft.platforms and not _pins(draft, "snp", "measurement"):
        if not _pins(draft, "snp", "id-key"):
            wanted.append(("snp", "id-key", '"${idk}"', "idk"))
        if all("at-least" not in one.operand for one in draft.entries if one.claim == "guest-svn"):
            wanted.append(("snp", "guest-svn", '{at-least: "${svn}"}', "svn"))
    if draft.platforms != ["snp"] and all(one.section != "azure" for one in draft.entries):
        said = "As the default asks: the paravisor tied its runtime data to the hardware's report."
        draft.entries.append(Entry("azure", "user-data-bound", "true", said))
    for section, claim, operand, name in wanted:
        draft.params[name] = f"{section}.{claim}"
        draft.entries.append(
            Entry(section, claim, operand, f"Not in what was imported: give --param {name}=VALUE.")
        )


def _pins(draft: Draft, section: str, claim: str) -> bool:
    return any(
        (one.section, one.claim) == (section, claim) and not one.operand.startswith(("{none-of", "{exists"))
        for one in draft.entries
    )


def _member(members: dict[str, Located], name: str) -> Located | None:
    """Azure reads keys in any case; two spellings of one key are refused."""
    found = [value for key, value in members.items() if key.lower() == name]
    if len(found) > 1:
        raise wrong(found[1].line, f"{name} stands twice")
    return found[0] if found else None


def _only(members: dict[str, Located], known: set[str]) -> None:
    for key, value in members.items():
        if key.lower() not in known:
            raise wrong(value.line, f"unknown key {escape(key[:80])}")
