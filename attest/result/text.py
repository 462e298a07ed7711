"""The answer for a person at a terminal: the verdict first, then why, then what was and was not checked."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from attest.errors import Problem
from attest.problems import PROBLEMS
from attest.result.answer import Answer
from attest.untrusted import escape

_HEADLINE = {
    "conforms": ("green", "✔ CONFORMS"),
    "conforms-with-warnings": ("yellow", "✔ CONFORMS, WITH WARNINGS"),
    "refused": ("red", "✘ REFUSED"),
    "invalid": ("red", "✘ INVALID POLICY"),
    "malformed": ("red", "✘ MALFORMED"),
}
_CODES = {"green": "32", "yellow": "33", "red": "31", "bold": "1", "dim": "2"}

# What people look for first, by section.
_SHOWN = {
    "snp": (
        "product", "signing-key", "firmware", "tcb", "vmpl", "debug", "measurement", "host-data", "chip-id", "crl",
    ),
    "tdx": (
        "tcb-status", "advisories", "tcb-date", "fmspc", "debug", "mrtd", "rtmr0", "rtmr1", "rtmr2", "event-log", "crl",
    ),
    "azure": (
        "evidence-version", "user-data-bound", "secure-boot", "vm-id", "ak-cert", "pcr4", "pcr7", "pcr8", "pcr9",
        "pcr11",
    ),
    "boot": ("secure-boot", "kernel", "initrd", "cmdline"),
    "gpu": (
        "model", "architecture", "driver", "vbios", "mode", "measurements", "driver-rim", "vbios-rim", "cert", "id",
    ),
    "switch": ("model", "bios", "locked", "measurements", "id"),
    "binding": ("nonce", "key", "gpu-to-cpu", "gpu-strength", "protocol"),
}  # fmt: skip
_TITLES = {
    "snp": "AMD SEV-SNP",
    "tdx": "Intel TDX",
    "azure": "Azure, as its paravisor says",
    "boot": "Boot, from the event log",
    "gpu": "NVIDIA GPU",
    "switch": "NVIDIA NVSwitch",
    "binding": "Binding",
}


def render(answer: Answer, *, width: int = 100, colour: bool = False) -> str:
    """Lines of at most `width` columns; `colour` adds ANSI colours."""

    def paint(name: str, text: str) -> str:
        return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if colour else text

    colour_name, headline = _HEADLINE[answer.verdict]
    if answer.problems and all(problem.code == "usage" for problem in answer.problems):
        headline = "✘ WRONG USE"
    lines = [paint(colour_name, headline) + _subtitle(answer)]
    if answer.simulated:
        lines.append(paint("yellow", "  SIMULATED evidence: it proves nothing about hardware"))
    for problem in answer.problems:
        lines += _problem(problem, "✘", width)
    for warning in answer.warnings:
        lines += _problem(warning, "!", width)
    lines += release_lines(answer.release, width)
    lines += shadow_lines(answer.shadow, width)
    lines += unused_lines(answer.not_used, width)
    lines += _claims(answer.claims, width, paint)
    lines += _opinions(answer, width, paint)
    if answer.checks:
        lines.append("")
        counts = dict.fromkeys(("passed", "failed", "not-run"), 0)
        for record in answer.checks:
            counts[record.outcome] += 1
        lines.append(
            f"Checks: {counts['passed']} passed, {counts['failed']} failed, {counts['not-run']} not run"
        )
        passed = ", ".join(record.name for record in answer.checks if record.outcome == "passed")
        if passed:
            lines += textwrap.wrap(
                passed, width, initial_indent="  ✔ ", subsequent_indent="    ", break_on_hyphens=False
            )
        for record in answer.checks:
            if record.outcome != "passed":
                why = f": {escape(record.why)}" if record.why else ""
                lines.append(
                    f"  {'✘' if record.outcome == 'failed' else '–'} {record.name} {record.outcome}{why}"
                )
    return "\n".join(lines) + "\n"


def _subtitle(answer: Answer) -> str:
    authentic = "authentic" if answer.authentic else "not authentic"
    if answer.verdict in ("malformed", "invalid"):
        return ""
    name = answer.policy.get("name")
    policy = f", policy {name}" if answer.authentic and name else ""
    return f"  ({authentic}{policy}, at {answer.as_dict()['at']})"


def _problem(problem: Problem, mark: str, width: int) -> Iterator[str]:
    sentence = str(problem)
    yield from textwrap.wrap(
        f"{mark} {sentence}", width, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
    )
    # … and what to do.
    said = problem.remedy is None or problem.remedy in sentence
    foot = f"[{problem.code}]" + ("" if said else f" → {problem.remedy}")
    yield from textwrap.wrap(
        foot, width, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False
    )


def release_lines(release: dict[str, Any] | None, width: int) -> Iterator[str]:
    """Where `allow-warnings` has its effect: on releases, and not on the verdict above."""
    if release is None:
        return
    # A warning is named by its code, which stands in `found`; what a part must prove by its claim, with what a release
    # wants of it: the rule about the same claim may well have passed.
    against = [
        one["found"] if one["found"] in PROBLEMS else _unproved(one) or one["message"]
        for one in release["withheld"]
    ]
    said = (
        f"withheld, because of {', '.join(dict.fromkeys(against))}"
        if against
        else "nothing here withholds one"
    )
    allowed = f"; the policy allows {', '.join(release['allowed'])}" if release["allowed"] else ""
    text = (
        f"Release of a secret by kbs: {said}{allowed}. allow-warnings binds releases alone, not this verdict."
    )
    yield from textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False
    )


def _unproved(withheld: dict[str, Any]) -> str | None:
    if not withheld["where"]:
        return None
    return f"{withheld['where']} (found {withheld['found'] or 'nothing'}, a release needs {withheld['expected']})"


def shadow_lines(shadow: dict[str, Any] | None, width: int) -> Iterator[str]:
    """What the policy of --shadow would have said; the verdict above is not its."""
    if shadow is None:
        return
    name = escape(str(shadow["policy"]["name"]))
    same = "as above" if shadow["agrees"] else "NOT as above"
    yield from textwrap.wrap(
        f"Shadow policy {name} would have said: {shadow['verdict']} ({same}). It decides nothing here.",
        width,
        initial_indent="  ",
        subsequent_indent="      ",
        break_on_hyphens=False,
    )
    for problem in shadow["problems"]:
        yield from textwrap.wrap(
            f"✘ {problem['message']}",
            width,
            initial_indent="      ",
            subsequent_indent="        ",
            break_on_hyphens=False,
        )


def unused_lines(names: Sequence[str], width: int) -> Iterator[str]:
    """Given files that another vendor's or another machine's evidence would have needed."""
    if names:
        yield from textwrap.wrap(
            f"not used: {', '.join(escape(name) for name in names)}",
            width,
            initial_indent="  ",
            subsequent_indent="      ",
            break_on_hyphens=False,
            break_long_words=False,
        )


def _claims(claims: dict[str, Any], width: int, paint: Any) -> Iterator[str]:
    said = claims.get("raw", {}).get("azure", {}).get("paravisor_says", {})
    for section, names in _SHOWN.items():
        value = claims.get(section, said.get(section))
        parts = value if isinstance(value, list) else [value] if value else []
        for index, part in enumerate(parts):
            title = _TITLES[section] + (f" {index} of {len(parts)}" if len(parts) > 1 else "")
            if section not in claims:
                title += ": unknown, as the paravisor is not pinned"
            yield ""
            yield paint("bold", title)
            for name in names:
                if name in part:
                    yield f"  {name:<14} {_value(part[name], max(20, width - 17))}"
            if section == "binding" and "gpu-to-cpu" in claims.get("raw", {}).get("binding", {}):
                limit = escape(str(claims["raw"]["binding"]["gpu-to-cpu"]), 600)
                indent = " " * 17
                yield from textwrap.wrap(limit, width, initial_indent=indent, subsequent_indent=indent)


def _opinions(answer: Answer, width: int, paint: Any) -> Iterator[str]:
    """Who else was asked; what he said of a device only where he does not agree."""
    for opinion in answer.second_opinions:
        yield ""
        verdict = "agrees" if opinion["agrees"] else "does NOT agree"
        yield paint("bold", "Second opinion") + f"  {escape(opinion['who'])} {verdict}"
        for device in opinion["devices"]:
            if device["agrees"]:
                yield f"  {escape(device['name']):<14} agrees"
                continue
            for name, said in device["said"].items():
                label = f"{escape(device['name'])} {escape(name)}"
                yield f"  {label:<28} {_value(said, max(20, width - 31))}"


def _value(value: object, room: int) -> str:
    if isinstance(value, dict):
        text = ", ".join(f"{escape(str(k))} {escape(str(v))}" for k, v in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(escape(str(item)) for item in value) or "none"
    else:
        text = escape(str(value))
    return text if len(text) <= room else text[: room - 1] + "…"
