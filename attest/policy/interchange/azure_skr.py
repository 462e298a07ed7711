"""Azure Key Vault's secure key release policy, version 1.0.0: claims of Azure Attestation's tokens.

Azure compares what its attestation service wrote into a token. Here the hardware's evidence itself is
verified, so an authority is not needed; a claim that is the service's own judgement has no counterpart.
"""

from __future__ import annotations

from dataclasses import dataclass

from attest.claims import CLAIMS, Claim
from attest.policy.author_rules import quoted
from attest.policy.interchange.draft import Choice, Draft, Entry
from attest.policy.interchange.json_lines import Located, read_located, wrong
from attest.untrusted import escape

_TEE = "x-ms-isolation-tee."
_MAX_DEPTH = 8
_MAX_CONDITIONS = 500

_SNP = {
    "is-debuggable": "debug",
    "migration-allowed": "migrate-ma",
    "smt-allowed": "smt-allowed",
    "guestsvn": "guest-svn",
    "vmpl": "vmpl",
    "launchmeasurement": "measurement",
    "hostdata": "host-data",
    "idkeydigest": "id-key",
    "authorkeydigest": "author-key",
    "familyId": "family-id",
    "imageId": "image-id",
    "reportid": "report-id",
}
_TCB = {
    "bootloader-svn": "bootloader",
    "tee-svn": "tee",
    "snpfw-svn": "snp",
    "microcode-svn": "microcode",
}
_TDX = {f"rtmr{index}": f"rtmr{index}" for index in range(4)} | {
    "mrtd": "mrtd",
    "mrseam": "mrseam",
    "mrconfigid": "mrconfigid",
    "mrowner": "mrowner",
    "mrownerconfig": "mrownerconfig",
    "td_attributes_debug": "debug",
    "td_attributes_septve_disable": "sept-ve-disable",
}
_PLATFORMS = {"sevsnpvm": "azure-snp", "tdxvm": "azure-tdx"}


@dataclass(frozen=True, slots=True)
class _Lost:
    line: int
    what: str
    why: str


def read_azure_skr(data: bytes) -> Draft:
    """Raises Malformed where `data` is not a release policy."""
    draft = Draft("Azure Key Vault's secure key release policy")
    root = read_located(data).members("the policy")
    _only(root, {"version", "anyof"}, 1)
    version = _member(root, "version")
    if version is not None and version.value != "1.0.0":
        raise wrong(version.line, "version is not 1.0.0")
    authorities = _member(root, "anyof")
    if authorities is None:
        raise wrong(1, "the policy has no anyOf")
    branches = authorities.items("anyOf")
    found = _platforms(authorities)
    draft.platforms = [found] if found else ["azure-snp"]
    for number, one in enumerate(branches):
        members = one.members("an authority")
        authority = _member(members, "authority")
        if authority is None:
            raise wrong(one.line, "a branch of the policy has no authority")
        authority.text("authority")
        draft.notes.append(
            f"line {authority.line}: the authority is not asked: the hardware's signature is verified here"
        )
        _only(members, {"authority", "anyof", "allof"}, one.line)
        if number:
            draft.lost(
                one.line,
                f"authority {authority.value}",
                "a further authority with conditions of its own; import it as a policy of its own",
            )
            continue
        _all(_condition(one, members), draft, platform=draft.platforms[0])
    if found is None:
        draft.lost(
            1,
            "x-ms-attestation-type",
            "the policy does not say sevsnpvm or tdxvm for all; azure-snp is taken",
        )
    _pin(draft)
    return draft


def _condition(one: Located, members: dict[str, Located]) -> tuple[str, Located]:
    kinds = [kind for kind in ("anyof", "allof") if _member(members, kind) is not None]
    if len(kinds) != 1:
        raise wrong(one.line, "wanted one of anyOf and allOf")
    conditions = _member(members, kinds[0])
    assert conditions is not None
    return kinds[0], conditions


def _all(condition: tuple[str, Located], draft: Draft, *, platform: str, depth: int = 0) -> None:
    kind, conditions = condition
    if depth > _MAX_DEPTH:
        raise wrong(conditions.line, "conditions nested too deep")
    items = conditions.items(kind)
    if len(items) > _MAX_CONDITIONS:
        raise wrong(conditions.line, f"more than {_MAX_CONDITIONS} conditions")
    if kind == "anyof" and len(items) > 1:
        _any(conditions, items, draft, platform)
        return
    for one in items:
        members = one.members("a condition")
        if _member(members, "claim") is None:
            _only(members, {"anyof", "allof"}, one.line)
            _all(_condition(one, members), draft, platform=platform, depth=depth + 1)
            continue
        result = _leaf(one, members, platform)
        if isinstance(result, Entry):
            draft.entries.append(result)
        elif isinstance(result, _Lost):
            draft.lost(result.line, result.what, result.why)


def _any(conditions: Located, items: list[Located], draft: Draft, platform: str) -> None:
    """One branch is to hold. A branch that cannot be said whole is left out, which refuses more."""
    branches: list[tuple[Entry, ...]] = []
    for item in items:
        part = Draft("")
        members = item.members("a condition")
        if _member(members, "claim") is not None:
            result = _leaf(item, members, platform)
            if isinstance(result, Entry):
                part.entries.append(result)
            elif isinstance(result, _Lost):
                part.lost(result.line, result.what, result.why)
            else:
                part.lost(item.line, "anyOf", "a branch holds always here; leave the whole anyOf out")
        else:
            _only(members, {"anyof", "allof"}, item.line)
            _all(_condition(item, members), part, platform=platform, depth=1)
        if part.choices:
            part.lost(item.line, "anyOf", "a choice within a choice")
        if not part.unmapped and not part.entries:
            part.lost(item.line, "anyOf", "a branch holds always here; leave the whole anyOf out")
        draft.unmapped += part.unmapped
        if not part.unmapped:
            branches.append(tuple(part.entries))
    sections = {entry.section for branch in branches for entry in branch}
    if len(sections) == 1 and branches:
        draft.choices.append(Choice(sections.pop(), tuple(branches), f"line {conditions.line}: anyOf"))
    elif branches:
        draft.lost(conditions.line, "anyOf", "its branches speak of different parts of the machine")


def _leaf(one: Located, members: dict[str, Located], platform: str) -> Entry | _Lost | None:
    """None: what it asks holds here without a rule."""
    claim = _member(members, "claim")
    assert claim is not None
    name = claim.text("claim")
    operators = [key for key in members if key.lower() != "claim"]
    if len(operators) != 1:
        raise wrong(one.line, "a condition has a claim and one operator")
    operator, operand = operators[0].lower(), members[operators[0]]
    if operator not in (
        "equals",
        "notequals",
        "less",
        "lessorequals",
        "greater",
        "greaterorequals",
        "exists",
    ):
        raise wrong(one.line, f"no operator of the grammar: {operators[0]}")
    value = operand.value
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, (str, int)):
        raise wrong(one.line, f"the value of {operators[0]} is no text, whole number or truth value")
    text = str(value)
    bare = name.removeprefix(_TEE)
    if bare == "x-ms-attestation-type":
        if operator == "equals" and _PLATFORMS.get(text) == platform:
            return None
        return _Lost(one.line, name, f"only equals {' or '.join(_PLATFORMS)} can be said")
    if bare == "x-ms-compliance-status":
        return _Lost(
            one.line,
            name,
            "Azure's own judgement of the paravisor; pin id-key and guest-svn, or the measurement, instead",
        )
    found = _target(bare)
    if found is None:
        return _Lost(one.line, name, "no claim of this language says the same")
    target, component = found
    if target.section not in (platform.removeprefix("azure-"), "azure"):
        return _Lost(one.line, name, f"no claim of a machine of kind {platform}")
    said = f"line {one.line}: {name} {operators[0]} {text}"
    written = _operand(target, operator, text, component)
    if written is None:
        return _Lost(
            one.line, name, f"{operators[0]} {text[:80]} cannot be said of {target.section}.{target.name}"
        )
    return Entry(target.section, target.name, written, escape(said))


def _target(bare: str) -> tuple[Claim, str | None] | None:
    prefix, _, rest = bare.partition("vm-")
    if prefix == "x-ms-sevsnp":
        if rest in _TCB:
            return CLAIMS["snp"]["tcb"], _TCB[rest]
        return (CLAIMS["snp"][_SNP[rest]], None) if rest in _SNP else None
    if bare.startswith("tdx_"):
        rest = bare.removeprefix("tdx_")
        return (CLAIMS["tdx"][_TDX[rest]], None) if rest in _TDX else None
    named = {
        "x-ms-azurevm-vmid": "vm-id",
        "secureboot": "secure-boot",
        "x-ms-runtime.vm-configuration.secure-boot": "secure-boot",
    }
    return (CLAIMS["azure"][named[bare]], None) if bare in named else None


def _operand(claim: Claim, operator: str, text: str, component: str | None) -> str | None:
    """In this language; None where it has no such operator or value."""
    if operator == "exists":
        return f"{{exists: {text}}}" if text in ("true", "false") and component is None else None
    if claim.kind in ("int", "tcb"):
        if not (text.isascii() and text.isdigit() and len(text) < 18):
            return None
        number = int(text)
        if operator in ("greater", "less"):
            number += 1 if operator == "greater" else -1
            operator += "orequals"
        if number < 0:
            return None
        if component is not None:
            side = {"greaterorequals": "at-least", "lessorequals": "at-most"}.get(operator)
            return f"{{{side}: {{{component}: {number}}}}}" if side and number < 256 else None
        text = str(number)
    if claim.kind == "bool" and text not in ("true", "false"):
        return None
    if claim.kind == "bytes":
        try:
            size = len(bytes.fromhex(text))
        except ValueError:
            return None
        if size not in claim.size or not text.isascii() or " " in text:
            return None
    written = {
        "equals": quoted(text),
        "notequals": f"{{none-of: [{quoted(text)}]}}",
        "greaterorequals": f"{{at-least: {text}}}" if claim.kind == "int" else None,
        "lessorequals": f"{{at-most: {text}}}" if claim.kind == "int" else None,
    }
    return written[operator]


def _platforms(branches: Located) -> str | None:
    """The one kind of machine that the conditions name."""
    found: set[str] = set()
    waiting = [branches]
    while waiting:
        one = waiting.pop()
        if isinstance(one.value, list):
            waiting += one.value
        elif isinstance(one.value, dict):
            waiting += one.value.values()
            claim, equals = _member(one.value, "claim"), _member(one.value, "equals")
            if claim and equals and isinstance(claim.value, str) and isinstance(equals.value, str):
                kind = _PLATFORMS.get(equals.value)
                if kind and claim.value.removeprefix(_TEE) == "x-ms-attestation-type":
                    found.add(kind)
    return found.pop() if len(found) == 1 else None


def _pin(draft: Draft) -> None:
    """Anybody can write Azure's runtime data: a policy of this language names the paravisor, or does not load."""
    operands = {(one.section, one.claim): one.operand for one in draft.entries}
    plain = {key for key, operand in operands.items() if not operand.startswith("{")}
    if draft.platforms == ["azure-tdx"]:
        wanted = [] if ("tdx", "mrtd") in plain else [("tdx", "mrtd", "${mrtd}", "mrtd")]
    elif ("snp", "measurement") in plain:
        wanted = []
    else:
        wanted = [
            entry
            for entry in (
                ("snp", "id-key", "${idk}", "idk"),
                ("snp", "guest-svn", "{at-least: ${svn}}", "svn"),
            )
            if entry[:2] not in operands
        ]
    if all(one.section != "azure" for one in draft.entries):
        said = "As the default asks: the paravisor tied its runtime data to the hardware's report."
        draft.entries.append(Entry("azure", "user-data-bound", "true", said))
    for section, claim, operand, name in wanted:
        operand = operand.replace(f"${{{name}}}", f'"${{{name}}}"')
        draft.params[name] = f"{section}.{claim}"
        draft.entries.append(
            Entry(section, claim, operand, f"Not in what was imported: give --param {name}=VALUE.")
        )


def _member(members: dict[str, Located], name: str) -> Located | None:
    """Azure reads keys in any case; two spellings of one key are refused."""
    found = [value for key, value in members.items() if key.lower() == name]
    if len(found) > 1:
        raise wrong(found[1].line, f"{name} stands twice")
    return found[0] if found else None


def _only(members: dict[str, Located], known: set[str], line: int) -> None:
    for key, value in members.items():
        if key.lower() not in known:
            raise wrong(value.line, f"unknown key {key}")
