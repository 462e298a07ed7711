"""`attest policy check FILE...` and `attest policy explain POLICY EVIDENCE...`."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from attest.errors import Malformed

_EPILOG = """\
examples:
  attest policy check prod.yaml team.yaml
  attest policy explain prod.yaml report.bin vcek.der --at 2026-11-23T12:00:00Z

Exit status: 0 good (check) or conforms (explain), 1 refused, 2 an invalid policy, malformed input or
wrong use."""

_AUTHORING = ("fmt", "init", "test")
"""Commands that have a file of their own, `attest.cli.policy_NAME`."""

_MARKS = {"pass": ("32", "✔"), "observed": ("33", "◐"), "grace": ("33", "◔"), "deny": ("31", "✘")}


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "policy",
        help="check policies, explain their verdicts",
        description="Check policy files, and explain rule by rule what a policy says of evidence.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    check = verbs.add_parser("check", help="read policies and report every error, each at its place")
    check.add_argument("policies", nargs="+", metavar="FILE", help="policy files")
    add_parameters(check)
    check.add_argument("--json", action="store_true", help="print as JSON")
    check.set_defaults(run=_check)
    explain = verbs.add_parser("explain", help="verify evidence and show each rule with its result")
    explain.add_argument("policy", metavar="POLICY", help='a policy file, or "defaults"')
    add_parameters(explain)
    # Here and not above: these options bring the verifier with them, and `check` needs none of it.
    from attest.cli.options import add_evidence_arguments

    add_evidence_arguments(explain)
    explain.set_defaults(run=_explain)
    for name in _AUTHORING:
        import_module(f"attest.cli.policy_{name}").add_parser(verbs)


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """--param NAME=VALUE, wherever a policy is read."""
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        help="a value for a parameter of the policy; may be given several times",
    )


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


# -- check ------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    from attest.policy import Policy

    results: list[dict[str, Any]] = []
    for file in args.policies:
        try:
            policy = Policy.read(Path(file), parameters=dict(args.param))
        except Malformed as error:
            results.append(
                {
                    "file": file,
                    "verdict": "invalid",
                    "problems": [problem.as_dict() for problem in error.problems],
                }
            )
            continue
        results.append(
            {
                "file": file,
                "verdict": "good",
                "name": policy.name,
                "digest": policy.digest,
                "platforms": sorted(policy.platforms),
                "rules": {section: len(entries) for section, entries in policy.body.sections.items()},
                "allow-warnings": dict(policy.body.allow_warnings),
                "overrides": dict(policy.body.loosened),
                "problems": [],
            }
        )
    if args.json:
        from attest.cli.options import print_json

        print_json({"policies": results})
    else:
        for line in _lines_of_check(results):
            print(line)
    return 2 if any(result["verdict"] == "invalid" for result in results) else 0


def _lines_of_check(results: list[dict[str, Any]]) -> Iterator[str]:
    for result in results:
        for problem in result["problems"]:
            yield problem["message"]
            if problem["code"] != "policy.invalid":
                yield f"    {problem['code']}: {problem['remedy']}"
        if result["verdict"] == "good":
            from attest.untrusted import escape

            count = sum(result["rules"].values())
            yield f"{escape(result['file'])}: {result['name']}, {count} rules for {', '.join(result['platforms'])}"
            yield f"    {result['digest']}"
            for rule, reason in result["overrides"].items():
                yield f"    loosens the default of {rule}: {escape(reason)}"
            for code, reason in result["allow-warnings"].items():
                yield f"    releases in spite of {code}: {escape(reason)}"


# -- explain ----------------------------------------------------------------------------------------


def _explain(args: argparse.Namespace) -> int:
    from attest.cli.options import at_of, print_json, verify_from
    from attest.errors import AttestError
    from attest.policy import Policy, appraise
    from attest.result.answer import Answer, of_appraisal, of_refusal

    at = at_of(args)
    answer: Answer
    appraisal = None
    try:
        policy = (
            None if args.policy == "defaults" else Policy.read(Path(args.policy), parameters=dict(args.param))
        )
    except AttestError as error:
        answer = of_refusal(error, at, invalid_policy=True)
    else:
        try:
            appraisal = appraise(verify_from(args), policy, at=at)
            answer = of_appraisal(appraisal)
        except AttestError as error:
            answer = of_refusal(error, at)
    if args.json:
        print_json(answer.as_dict())
        return answer.exit_status
    if appraisal is None:
        for problem in answer.problems:
            print(f"{problem.code}: {problem}" if answer.verdict != "invalid" else problem.message)
        print(f"{answer.verdict}: the policy was not run")
        return answer.exit_status
    width = max(40, shutil.get_terminal_size((100, 24)).columns)
    for line in _tree(appraisal, width, colour=sys.stdout.isatty()):
        print(line)
    return answer.exit_status


def _tree(appraisal: Any, width: int, *, colour: bool) -> Iterator[str]:
    """Rules under their part, each with its mark; then denials as sentences, then warnings."""

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    yield f"{appraisal.policy['name']}  {appraisal.policy['digest']}"
    rules = appraisal.rules
    room = max((len(_claim(record["rule"])) for record in rules), default=0)
    part = None
    for record in rules:
        if _part(record["rule"]) != part:
            part = _part(record["rule"])
            yield f"├─ {part}"
        code, mark = _MARKS[record["outcome"]]
        text = f"{_cut(record['expected'])} · found {_cut(record['found'] or 'nothing')}"
        if record["at"] == "default" and record["outcome"] == "pass" and record["found"] is None:
            # A default that asks only what is there; nothing was.
            code, mark = "2", "–"
            text = f"{_cut(record['expected'])} · not judged: nothing carries it"
        head = f"│  {mark} {_claim(record['rule']):<{room}}"
        if record["outcome"] != "pass":
            text += f" · {record['outcome']}" + (f" until {record['until']}" if record["until"] else "")
        if record["at"] != "default":
            text += f" · {record['at']}"
        lines = textwrap.wrap(text, max(20, width - len(head) - 1)) or [""]
        yield f"{paint(code, head)} {lines[0]}"
        for line in lines[1:]:
            yield f"│  {'':<{room + 3}}{line}"
    for problem in appraisal.problems:
        yield from _sentence(paint("31", "✘"), problem.message, width)
    for warning in appraisal.warnings:
        where = f" ({warning.where})" if warning.where else ""
        yield from _sentence(paint("33", "!"), f"{warning.code}{where}: {warning.message}", width)
    yield f"└─ {paint('31' if appraisal.problems else '32', appraisal.verdict)}"


def _sentence(mark: str, text: str, width: int) -> Iterator[str]:
    for index, line in enumerate(textwrap.wrap(text, width - 5)):
        yield f"│  {mark if index == 0 else ' '} {line}"


def _part(rule: str) -> str:
    return rule.rpartition(".")[0] or "machine"


def _claim(rule: str) -> str:
    return rule.rpartition(".")[2]


def _cut(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else f"{text[: limit - 9]}…{text[-8:]}"
