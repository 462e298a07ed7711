"""`attest policy`: `check`, and the commands that have files of their own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from attest.errors import AttestError

_EPILOG = """\
examples:
  attest policy check prod.yaml team.yaml
  attest policy explain prod.yaml report.bin vcek.der --at 2026-11-23T12:00:00Z

Exit status: 0 good (check) or conforms (explain), 1 refused, 2 an invalid policy, malformed input or
wrong use. The policy's allow-warnings change none of this: they say in spite of which
warnings the broker (kbs) releases a secret."""

_OWN_FILES = ("explain", "diff", "advise", "schema", "sign")
"""Commands that have a file of their own, `attest.cli.policy_NAME`."""


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
    for name in _OWN_FILES:
        import_module(f"attest.cli.policy_{name}").add_parser(verbs)


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """What every command that reads a policy is told of it."""
    from attest.cli.policy_reading import add_policy_arguments

    add_policy_arguments(parser)


# -- check ------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    from attest.cli.policy_reading import policy_of

    results: list[dict[str, Any]] = []
    for file in args.policies:
        try:
            policy = policy_of(args, file)
        except AttestError as error:
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
                "file-digest": policy.file_digest,
                "extends": dict(policy.extended),
                "floors": policy.floors.about(),
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
            elif ": not YAML" in problem["message"]:
                yield "    nothing was read beyond this place: check again once it is mended"
        if result["verdict"] == "good":
            from attest.untrusted import escape

            count = sum(result["rules"].values())
            yield f"{escape(result['file'])}: {result['name']}, {count} rules for {', '.join(result['platforms'])}"
            yield f"    {result['digest']}"
            yield f"    to extend it: {result['file-digest']}"
            for name, digest in result["extends"].items():
                yield f"    extends {name} ({digest[:23]}…)"
            for rule, reason in result["overrides"].items():
                yield f"    loosens {rule}: {escape(reason)}"
            for code, reason in result["allow-warnings"].items():
                yield f"    releases in spite of {code}: {escape(reason)}"
            if result["allow-warnings"]:
                yield "    (that binds the broker's releases alone: attest verify warns, and exits, the same without it)"
