"""`attest policy init --from EVIDENCE...`: a policy that accepts what it was shown and nothing weaker."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attest.policy import Policy
    from attest.policy.author import Machinery

_EPILOG = """\
examples:
  attest policy init --from report.bin vcek.der --name payments -o payments.yaml --suite
  attest policy init --from a.bundle.json --from b.bundle.json --at 2026-11-23T12:00:00Z ark.crl

Each --from is one machine: its evidence and endorsements, in any order. Several give a policy that accepts
each. Endorsements that stand outside belong to all. The evidence is verified first; what is not genuine
writes nothing. Pass --nonce and --key, or --report-data, as to `attest verify`.

Exit status: 0 written, 1 the evidence is refused, or is written down as unsafe, 2 malformed input or wrong
use."""


def add_parser(verbs: Any) -> None:
    from attest.cli.options import add_evidence_arguments

    parser = verbs.add_parser(
        "init",
        help="write a commented policy from evidence",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--from",
        dest="machines",
        action="append",
        nargs="+",
        required=True,
        metavar="EVIDENCE",
        help="files of one machine; once for each machine",
    )
    parser.add_argument("--name", metavar="NAME", help="of the policy; default from the first file's name")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write here, never over a file; default prints"
    )
    parser.add_argument(
        "--suite", action="store_true", help="with -o NAME.yaml, write tests of it to NAME.test.yaml"
    )
    add_evidence_arguments(parser, files="*")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from attest.cli.options import at_of, print_json, usage
    from attest.errors import AttestError
    from attest.policy import Policy, appraise
    from attest.policy.author import author
    from attest.result.answer import of_refusal

    at = at_of(args)
    try:
        machines = [_shown(args, files) for files in args.machines]
        name = args.name or _name(machines[0].name)
        if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
            raise usage(f"--name {name!r}: a name is 1 to 64 of a-z, 0-9 and -")
        try:
            text = author(machines, name=name)
        except ValueError as error:
            raise usage(str(error)) from None
        policy = Policy.from_text(text, args.output or name)
        suite = _suite(args, machines, policy) if args.suite else None
        _write(args.output, text)
        if suite is not None:
            _write(str(_suite_path(args.output)), suite)
    except AttestError as error:
        answer = of_refusal(error, at)
        if args.json:
            print_json(answer.as_dict())
        else:
            for problem in answer.problems:
                print(f"{problem.code}: {problem}", file=sys.stderr)
            print(f"{answer.verdict}: nothing was written", file=sys.stderr)
        return answer.exit_status
    results = [(one, appraise(one.verified, policy, at=at)) for one in machines]
    if args.json:
        print_json(
            {
                "policy": text,
                "name": policy.name,
                "digest": policy.digest,
                "file": args.output,
                "machines": [
                    {
                        "evidence": one.name,
                        "verdict": appraisal.verdict,
                        "problems": [problem.as_dict() for problem in appraisal.problems],
                    }
                    for one, appraisal in results
                ],
            }
        )
    elif args.output is None:
        sys.stdout.write(text)
    else:
        print(f"{args.output}: {policy.name}, {policy.digest}")
        if suite is not None:
            print(f"{_suite_path(args.output)}: its tests; run attest policy test")
    for one, appraisal in results:
        print(f"{one.name}: {appraisal.verdict}", file=sys.stderr)
        for problem in appraisal.problems:
            print(f"    {problem.message}", file=sys.stderr)
    return 0 if all(appraisal.conforms for _, appraisal in results) else 1


def _shown(args: argparse.Namespace, files: list[str]) -> Machinery:
    """Raises Malformed and Rejected."""
    from attest.cli.options import at_of, verify_from
    from attest.policy.author import Machinery
    from attest.untrusted import escape

    own = argparse.Namespace(**{**vars(args), "files": [*files, *args.files]})
    return Machinery(verify_from(own), escape(Path(_evidence(files)).name), at_of(args))


def _suite_path(output: str) -> Path:
    return Path(output).with_suffix(".test.yaml")


def _suite(args: argparse.Namespace, machines: list[Machinery], policy: Policy) -> str:
    """Raises Malformed (`usage`)."""
    import os

    from attest.cli.options import usage
    from attest.policy.author_suite import Shown, author_suite
    from attest.policy.nodes import Unreadable

    if args.output is None or not args.output.endswith((".yaml", ".yml")):
        raise usage("--suite wants -o NAME.yaml: the tests go beside it")
    folder = Path(args.output).resolve().parent

    def beside(file: str) -> str:
        return os.path.relpath(Path(file).resolve(), folder)

    expected = {
        name.replace("_", "-"): value.hex()
        for name in ("nonce", "report_data", "gpu_nonce", "tpm_nonce")
        if (value := getattr(args, name)) is not None
    }
    if args.key is not None:
        expected["key"] = args.key if args.key.lstrip().startswith("{") else beside(args.key)
    if args.origin is not None:
        expected["origin"] = args.origin
    shown = [
        Shown(machine, [beside(file) for file in (*files, *args.files)], expected)
        for machine, files in zip(machines, args.machines, strict=True)
    ]
    root = beside(args.simulator_root) if args.simulator_root is not None else None
    try:
        return author_suite(shown, policy, simulator_root=root)
    except Unreadable:
        raise usage("--suite cannot name these files: a file's name is not UTF-8; rename it") from None


def _evidence(files: list[str]) -> str:
    """The file that the evidence is in, among the endorsements beside it."""
    from attest.errors import AttestError
    from attest.loader import read_file
    from attest.recognise import Found, recognise

    for file in files:
        found = Found()
        try:
            recognise(file, read_file(file), found)
        except AttestError:
            continue
        if found.cpus or found.devices:
            return file
    return files[0]


def _name(file: str) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", Path(file).name.partition(".")[0].lower()).strip("-")
    return stem[:64] or "policy"


def _write(output: str | None, text: str) -> None:
    """A policy that somebody has edited is not to be written over."""
    from attest.cli.options import usage

    if output is None:
        return
    try:
        with Path(output).open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise usage(f"-o {output} exists: choose another name, or move it away") from None
    except OSError as error:
        raise usage(f"-o {output} cannot be written: {error.strerror}") from None
