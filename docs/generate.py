"""`make docs`: the reference pages, written from the tables that the code itself uses.

A page is a function of the tables alone, so that a test can compare what is committed with what is true.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from pydantic.fields import FieldInfo

from attest.check_table import CHECKS
from attest.claims import CLAIMS, Claim
from attest.policy.defaults import DEFAULTS
from attest.policy.model import Rule
from attest.problems import PROBLEMS
from attest.protects import protects
from attest.result.ear.spelling import SPELLINGS
from attest.result.ear.table import CATEGORIES_OF, VALUES
from attest.result.ear.vector import CATEGORIES, NOT_AUTHENTIC, UNEXPECTED_EVIDENCE, VERIFIER_FAULT, tier_of
from attest.simulator import FAULTS
from kbs.config import Config, Section
from kbs.config.section import is_list, kind_of, sections_of
from kbs.http.description import describe
from kbs.problems import PROBLEMS as KBS_PROBLEMS

FOLDER = Path(__file__).resolve().parent / "reference"
_NOTE = "<!-- Written by `make docs`. Change the table in the code, not this page. -->\n"

_VENDORS = {
    "snp": "AMD SEV-SNP",
    "tdx": "Intel TDX",
    "gpu": "NVIDIA GPUs",
    "switch": "NVIDIA switches",
    "machine": "Machines of several parts",
    "binding": "Binding",
    "devices": "Set of devices",
    "nvidia": "NVIDIA devices",
    "nras": "Tokens of NVIDIA's remote attestation service",
    "second-opinion": "Second opinions",
    "evidence": "Evidence and files",
    "x509": "Certification paths and revocation lists",
    "nonce": "Nonces of sample code",
    "policy": "Policies",
    "collect": "Collecting evidence",
    "corim": "Reference values in a CoRIM",
    "ear": "Attestation results",
    "issuer": "Tokens of other verifiers",
    "": "Warnings and wrong use",
}


def pages() -> Mapping[str, str]:
    """File name below docs/reference → its whole text."""
    return {
        "checks.md": _checks(),
        "problems.md": _problems(),
        "claims.md": _claims(),
        "faults.md": _faults(),
        "results.md": _results(),
        "configuration.md": _configuration(),
        "openapi.json": json.dumps(describe(), indent=1) + "\n",
    }


def _checks() -> str:
    parts = [
        "# Checks\n",
        _NOTE,
        "Each verification lists these under `checks`, in this order, with `passed`, `failed` or `not-run` and "
        "then the reason. With several devices a name carries its part: `gpu[1].signature`.\n",
    ]
    for vendor, names in groupby(CHECKS, lambda name: name.partition(".")[0]):
        rows = ([f"`{name}`", CHECKS[name]] for name in names)
        parts += [f"## {_VENDORS.get(vendor, vendor)}\n", _table(["Check", "The rule comes from"], rows)]
    return "\n".join(parts)


def _problems() -> str:
    parts = [
        "# Problems and warnings\n",
        _NOTE,
        "Codes are stable: they never change their meaning. The same code is a warning where it stands under "
        "`warnings`. The denial of a policy's rule has the code `policy.SECTION.CLAIM` and a sentence of its own.\n",
    ]
    by_kind: dict[str, list[list[str]]] = {}
    for code, meaning in PROBLEMS.items():
        head, dot, _ = code.partition(".")
        kind = {"endorsement": "evidence"}.get(head, head) if dot else ""
        by_kind.setdefault(kind, []).append([f"`{code}`", meaning.message, meaning.source, meaning.remedy])
    header = ["Code", "Meaning", "The rule comes from", "What to do"]
    by_kind[""] = by_kind.pop("")  # last
    for kind, rows in by_kind.items():
        parts += [f"## {_VENDORS.get(kind, kind)}\n", _table(header, rows)]
    broker = ([f"`{code}`", *texts] for code, texts in KBS_PROBLEMS.items())
    parts += ["## The broker's own, in audit rows\n", _table(header, broker)]
    return "\n".join(parts)


def _claims() -> str:
    parts = [
        "# Claims\n",
        _NOTE,
        "What a policy can speak of. Values are canonical text: bytes in lower-case hex, integers in decimal, "
        "`true` and `false`, RFC 3339, durations as `90s`. What is not known is left out, and does not pass a "
        "rule. `gpu` and `switch` are lists, one entry a device. *Default* is the rule that holds without any "
        "policy and until a rule of an owner replaces it; ° also passes where the claim is absent. Sections of "
        "evidence that this version does not read are never present: see [limitations](../limitations.md).\n",
    ]
    defaults = {rule.name: rule for rule in DEFAULTS}
    for section, claims in CLAIMS.items():
        rows = (
            [
                f"`{claim.name}`",
                claim.kind,
                _about(claim),
                _default(defaults.get(f"{section}.{claim.name}")),
                protects(section, claim.name) or "",
            ]
            for claim in claims.values()
        )
        parts += [f"## {section}\n"]
        if section == "azure":
            parts += [
                "Claims only where a policy pins the paravisor; until then they, and `boot` of such a machine, stand in\n"
                "`raw.azure.paravisor_says`: whoever launched it can have written them.\n"
            ]
        parts += [_table(["Claim", "Kind", "About", "Default", "A rule on it protects from"], rows)]
    return "\n".join(parts)


def _about(claim: Claim) -> str:
    about = claim.about
    if claim.size:
        about += f"; {' or '.join(map(str, claim.size))} bytes"
    if claim.values:
        about += ": " + ", ".join(f"`{value}`" for value in claim.values)
    return about


def _default(rule: Rule | None) -> str:
    if rule is None:
        return ""
    operator = rule.operators[0]
    if operator.name == "no-bits":
        value = f"{int(str(operator.text)):#x}"
    else:
        value = ", ".join(map(str, operator.text)) if isinstance(operator.text, list) else str(operator.text)
    if len(value) > 40 and not value.strip("0"):
        value = "zeros"
    return f"{operator.name} {value}{'°' if rule.absent_passes else ''}"


def _faults() -> str:
    parts = [
        "# Faults of the simulator\n",
        _NOTE,
        "`attest simulate KIND --fault NAME` makes evidence that is right but for this one thing. *Step* is the "
        "number in the vendor's list of checks. Where no problem follows, the evidence is genuine and a claim "
        "or a warning says what a policy must judge.\n",
    ]
    for vendor, faults in groupby(FAULTS.values(), lambda fault: fault.vendor):
        rows = []
        for fault in faults:
            outcome = [f"`{code}`" for code in sorted(fault.codes)]
            outcome += [f"{name} = {_short(value)}" for name, value in fault.claims.items()]
            outcome += [f"warning `{code}`" for code in sorted(fault.warnings)]
            rows.append([f"`{fault.name}`", fault.check, fault.breaks, ", ".join(outcome)])
        parts += [
            f"## {_VENDORS.get(vendor, vendor)}\n",
            _table(["Fault", "Step", "What is wrong", "What follows"], rows),
        ]
    return "\n".join(parts)


def _results() -> str:
    parts = [
        "# Attestation results\n",
        _NOTE,
        "What the numbers of a result stand for, and how its consumers spell it. How to read one: "
        "[results](../results.md).\n",
        "## Numbers\n",
        "Of each category the largest number counts. 0: no rule speaks of it. *Warned*: in grace, accepted or "
        f"observed. Throughout {NOT_AUTHENTIC}: the evidence is not authentic; {UNEXPECTED_EVIDENCE}: it cannot be "
        f"read; {str(VERIFIER_FAULT).replace('-', '−')}: the verifier's own fault.\n",
    ]
    rows = []
    for category in CATEGORIES:
        values = VALUES.get(category)
        if values is None:
            rows.append([f"`{category}`", *["0"] * 5])
            continue
        failed = [f"{name} {number}" for name, number in values.named.items()]
        numbers = [values.passed, values.by_default, values.warned, values.failed, values.unknown]
        cells = [f"{number} ({tier_of(number)})" for number in numbers]
        cells[3] += "".join(f"; {one}" for one in failed)
        rows.append([f"`{category}`", *cells])
    header = ["Category", "Pass", "Pass, only defaults", "Warned", "Fail", "Unknown"]
    parts += [_table(header, rows)]
    parts += [
        "## Rules by category\n",
        "Every other rule counts in `configuration`, and so do warnings of no rule.\n",
    ]
    by_category = (
        [f"`{category}`", " ".join(f"`{name}`" for name, of in CATEGORIES_OF.items() if category in of)]
        for category in CATEGORIES
        if any(category in of for of in CATEGORIES_OF.values())
    )
    parts += [_table(["Category", "Rules"], by_category), "## Spellings\n"]
    spellings = (
        [
            f"`{one.name}`",
            f"`{one.profile}`",
            f"`{one.jwt_type}`",
            " ".join(
                f"`{name}`" for name in (one.status, one.vector, one.policies, one.verifier, one.annotated)
            ),
            ", ".join(one.forms),
            "yes" if one.audience else "never",
        ]
        for one in SPELLINGS.values()
    )
    parts += [_table(["`--ear`", "`eat_profile`", "`typ`", "Claims", "Forms", "`aud`"], spellings)]
    return "\n".join(parts)


def _configuration() -> str:
    rows = [
        (
            f"`{key}`",
            "needed"
            if field.is_required()
            else "none"
            if field.default is None
            else f"`{_written(field.default)}`",
            (f"Kind `{kind}`: " if kind else "") + (field.description or ""),
        )
        for key, kind, field in _keys(Config, "", None)
    ]
    return (
        f"# The broker's configuration\n\n{_NOTE}\n"
        "`kbs serve --config FILE` reads it and `kbs config check FILE` checks it. YAML; unknown and repeated keys are "
        "refused. Relative paths count from the file's folder.\n\n"
        + _table(("Key", "Default", "Meaning"), rows)
    )


def _written(default: object) -> str:
    """As a file would say it."""
    if isinstance(default, tuple):
        return f"[{', '.join(default)}]"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _keys(section: type[Section], above: str, of: str | None) -> Iterator[tuple[str, str | None, FieldInfo]]:
    """Key, the kind of section it belongs to where there are several, and field."""
    for name, field in section.model_fields.items():
        key = f"{above}{field.alias or name}"
        below = sections_of(field.annotation)
        if not below:
            yield key, of, field
        key += "[]" if is_list(field.annotation) else ""
        for kind in below:
            yield from _keys(kind, f"{key}.", kind_of(kind) or of)


def _short(value: str | None) -> str:
    if value is None:
        return "absent"
    return f"{value[:12]}…" if len(value) > 40 else value


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
