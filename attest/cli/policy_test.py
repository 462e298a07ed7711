"""`attest policy test SUITE...`: does the policy say what its owner means, and is every rule tried?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.errors import AttestError
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.policy import Policy
    from attest.policy.trial import Trial

_EPILOG = """\
A suite is a YAML file; prod.test.yaml tests the prod.yaml beside it:

  at: 2026-11-23T12:00:00Z
  evidence:
    good: {simulate: {kind: machine, gpus: 1}}          as `attest simulate`, bound to a challenge and a key
    ours: {files: [report.bin, vcek.der], report-data: HEX}
  tests:
    - {evidence: good, expect: conforms-with-warnings, release: true}
    - {evidence: good, set: {snp.debug: true}, expect: refused, because: [snp.debug]}
    - {evidence: good, unset: [gpu], expect: refused, because: [gpu.count, gpu.present]}

`set` and `unset` change claims after the evidence was verified: they try the policy, never the verifier.
`because` is exact. Coverage asks that each rule was seen passing and not passing, and that some test would fail
without it, and without each of its operators or branches.

Exit status: 0 every test passed, 1 one did not (or --require-coverage and a rule untried), 2 a suite or
policy that cannot be read."""


def add_parser(verbs: Any) -> None:
    from attest.cli.policy import add_parameters

    parser = verbs.add_parser(
        "test",
        help="run suites of evidence, change and expected verdict; say which rules are untried",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="+", metavar="SUITE", help="suites, NAME.test.yaml")
    add_parameters(parser)
    parser.add_argument(
        "--require-coverage",
        action="store_true",
        help="fail where a rule was not seen passing and failing, or would not be missed",
    )
    parser.add_argument(
        "--simulator-root", metavar="FILE", help="accept this simulator's root for evidence in files"
    )
    parser.add_argument(
        "--state",
        metavar="FILE",
        help="keep the simulator's keys here: the next run starts at once; private",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print every test, not only failures")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from attest.cli.options import print_json
    from attest.policy.nodes import Unreadable
    from attest.policy.trial import Unfit

    now = datetime.now(UTC).replace(microsecond=0)
    results: list[dict[str, Any]] = []
    status = 0
    for file in args.suites:
        shown = escape(file)
        try:
            policy, trial = _try(file, args, now)
        except Unreadable as error:
            messages = [
                f"{fault.place.within(shown)}: {escape(fault.message, 400)}" for fault in error.faults
            ]
        except AttestError as error:
            messages = [problem.message for problem in error.problems]
        except Unfit as error:
            messages = [f"{shown}, {escape(str(error), 400)}"]
        except (OSError, ValueError) as error:
            messages = [f"{shown}: {getattr(error, 'strerror', None) or escape(str(error))}"]
        else:
            results.append(_result(file, policy, trial))
            failed = not trial.passed or (args.require_coverage and trial.uncovered)
            status = max(status, 1 if failed else 0)
            if not args.json:
                for line in _lines(shown, policy, trial, args):
                    print(line)
            continue
        status = 2
        results.append({"suite": file, "verdict": "invalid", "messages": messages})
        if not args.json:
            for message in messages:
                print(message, file=sys.stderr)
    if args.json:
        print_json({"suites": results})
    return status


def _try(file: str, args: argparse.Namespace, now: datetime) -> tuple[Policy, Trial]:
    from attest.cli.options import simulated_anchors
    from attest.cli.policy_reading import policy_of
    from attest.cli.suite_evidence import Evidence
    from attest.policy.nodes import Fault, Place, Unreadable
    from attest.policy.suite import read_suite
    from attest.policy.trial import run
    from attest.policy.yaml_text import MAX_BYTES

    path = Path(file)
    with path.open("rb") as stream:
        suite = read_suite(stream.read(MAX_BYTES + 1))
    if suite.policy is not None:
        policy_path = path.parent / suite.policy
    elif path.name.endswith((".test.yaml", ".test.yml")):
        policy_path = path.with_name(path.name.replace(".test.", "."))
    else:
        raise Unreadable(
            [Fault(Place(1, 1), 'which policy? Say "policy: FILE", or call the suite NAME.test.yaml')]
        )
    policy = policy_of(args, str(policy_path), parameters=suite.parameters)
    if suite.simulator_root is not None and args.simulator_root is None:
        args = argparse.Namespace(**{**vars(args), "simulator_root": str(path.parent / suite.simulator_root)})
    evidence = Evidence(path.parent, simulated_anchors(args), Path(args.state) if args.state else None)
    trial = run(suite, policy, evidence, now=now)
    evidence.close()
    return policy, trial


def _result(file: str, policy: Policy, trial: Trial) -> dict[str, Any]:
    return {
        "suite": file,
        "policy": {"name": policy.name, "digest": policy.digest, "file": policy.file},
        "verdict": "passed" if trial.passed else "failed",
        "tests": [outcome.as_dict() for outcome in trial.outcomes],
        "coverage": [
            {
                "rule": rule.rule,
                "at": rule.at,
                "passed": rule.passed,
                "failed": rule.failed,
                "noticed": rule.noticed,
            }
            for rule in trial.coverage
        ],
        "covered": not trial.uncovered,
    }


def _lines(shown: str, policy: Policy, trial: Trial, args: argparse.Namespace) -> Iterator[str]:
    good = sum(outcome.passed for outcome in trial.outcomes)
    for outcome in trial.outcomes:
        if outcome.passed and not args.verbose:
            continue
        yield f"  {'✔' if outcome.passed else '✘'} {escape(outcome.name)} (line {outcome.line})"
        for fault in outcome.faults:
            yield f"      {escape(fault, 600)}"
        if not outcome.passed:
            for message in outcome.messages[:5]:
                yield f"      {message}"
        if outcome.changes:
            yield f"      changed after verification: {escape('; '.join(outcome.changes))}"
    for rule in trial.uncovered:
        yield f"  ○ {rule.rule} ({escape(rule.at)}): {rule.missing}"
    full = len(trial.coverage) - len(trial.uncovered)
    yield (
        f"{shown}: {good} of {len(trial.outcomes)} tests of {policy.name} passed, "
        f"{full} of {len(trial.coverage)} rules seen passing and not passing"
    )
