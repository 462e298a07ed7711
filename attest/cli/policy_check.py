"""`attest policy check FILE...`: every error at its place, and what is allowed and dangerous."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.errors import AttestError
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.policy.nodes import Node

_EPILOG = """\
Errors make a policy invalid. Lints are things that a policy may say and that are dangerous: each with its
code, what can happen, the threat of the threat model, and what to do.

Exit status: 0 no errors, 1 with --strict where there are lints, 2 an invalid policy or wrong use."""


def add_parser(verbs: Any) -> None:
    from attest.cli.policy import add_parameters

    parser = verbs.add_parser(
        "check",
        help="report every error, and what is dangerous, each at its place",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("policies", nargs="+", metavar="FILE", help="policy files")
    add_parameters(parser)
    parser.add_argument(
        "--at", type=_instant, metavar="TIME", help="look at dates from this time; default now"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 where there are lints")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=_run)


def _instant(text: str) -> datetime:
    from attest.cli.options import instant_argument

    return instant_argument(text)


def _run(args: argparse.Namespace) -> int:
    at = args.at or datetime.now(UTC).replace(microsecond=0)
    results = [_checked(args, file, at) for file in args.policies]
    if args.json:
        from attest.cli.options import print_json

        print_json({"policies": results})
    else:
        for line in _lines(results):
            print(line)
    if any(result["verdict"] == "invalid" for result in results):
        return 2
    return 1 if args.strict and any(result["lints"] for result in results) else 0


def _checked(args: argparse.Namespace, file: str, at: datetime) -> dict[str, Any]:
    from attest.cli.policy_reading import policy_of
    from attest.policy.lint import lint

    try:
        policy = policy_of(args, file)
    except AttestError as error:
        return {
            "file": file,
            "verdict": "invalid",
            "problems": [problem.as_dict() for problem in error.problems],
            "lints": [],
        }
    return {
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
        "lints": [found.as_dict() for found in lint(policy, _tree(file), at=at)],
    }


def _tree(file: str) -> Node:
    """For the places of what is no rule. What can be read once only, such as a pipe, has none."""
    from attest.policy.nodes import MapNode, Place, Unreadable
    from attest.policy.yaml_text import MAX_BYTES, parse_yaml

    try:
        with Path(file).open("rb") as stream:
            return parse_yaml(stream.read(MAX_BYTES))
    except (OSError, Unreadable):
        return MapNode((), Place(1, 1))


def _lines(results: list[dict[str, Any]]) -> Iterator[str]:
    for result in results:
        for problem in result["problems"]:
            yield problem["message"]
            if problem["code"] != "policy.invalid":
                yield f"    {problem['code']}: {problem['remedy']}"
            elif ": not YAML" in problem["message"]:
                yield "    nothing was read beyond this place: check again once it is mended"
        if result["verdict"] == "good":
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
        for found in result["lints"]:
            yield f"{found['at']}: {found['code']}: {found['message']}"
            yield f"    {found['why']} ({found['threat']})"
            yield f"    → {found['remedy']}"
