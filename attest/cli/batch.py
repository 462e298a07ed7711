"""`attest verify --batch DIR|-`: many machines in one run, one line of JSON each."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from attest.cli.fetching import memory_file
from attest.cli.options import asked, at_of, usage
from attest.cli.policy_reading import digest_of, floors_of, of_shadow, policy_of
from attest.cli.second_opinion import check_usage
from attest.errors import AttestError, Malformed
from attest.loader import read_file
from attest.problems import problem
from attest.result.answer import EXIT, of_refusal
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.fleet import Item, Job

_EVERY = 2.0
"""Seconds between two lines of progress."""


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many machines")
    group.add_argument(
        "--batch", metavar="DIR",
        help="each entry of DIR, a file or a folder of files, is one machine; - reads lines of JSON: "
        '{"id", "files": [{"name", "data"}] or "bundle", "nonce", "at"}',
    )  # fmt: skip
    group.add_argument(
        "--with", dest="shared", action="append", default=[], metavar="FILE",
        help="endorsements for all machines of a batch; may be given several times",
    )  # fmt: skip
    group.add_argument("--processes", type=int, metavar="N", help="default: one for each processor")
    group.add_argument(
        "--ray", nargs="?", const="", metavar="ADDRESS",
        help="spread the batch over a Ray cluster; without an address over one on this machine",
    )  # fmt: skip


def run_batch(args: argparse.Namespace) -> int:
    """One line for each machine on standard output, progress on standard error. The highest exit status."""
    try:
        job = _job(args)
        lines = _lines(args, job)
        return _write(lines, sys.stderr, _nothing(args.batch))
    except AttestError as error:
        answer = of_refusal(error, at_of(args), invalid_policy=error.codes <= {"policy.invalid"})
        print(json.dumps(answer.as_dict(), separators=(",", ":")))
        for found in error.problems:
            print(f"attest verify --batch: {found}", file=sys.stderr)
        return answer.exit_status


def _job(args: argparse.Namespace) -> Job:
    """Raises Malformed."""
    from attest.fleet import Job

    if args.files:
        raise usage("--batch names the machines: endorsements for all of them go with --with")
    if args.fetch:
        raise usage(
            "--batch does not fetch: put a bundle together with attest endorsements, and give it --with"
        )
    check_usage(args)
    if args.processes is not None and not 1 <= args.processes <= 1024:
        raise usage("--processes is 1 to 1024")
    question = asked(args)
    file = memory_file(args, question.anchors)
    policy, policy_files = _policy(args, args.policy)
    if policy is None and (args.param or args.require_signed):
        raise usage("--param and --require-signed speak of a policy: give --policy too")
    shadow, shadow_files = _policy(of_shadow(args), args.shadow)
    if shadow is None and args.shadow_param:
        raise usage("--shadow-param gives a value to a shadow policy: give --shadow too")
    floors = floors_of(args)
    return Job(
        at=at_of(args),
        shared=tuple((name, read_file(name)) for name in args.shared),
        expected=question.expected,
        simulator_roots=None if args.simulator_root is None else read_file(args.simulator_root),
        policy=policy,
        parameters=dict(args.param),
        policy_files=policy_files,
        shadow=shadow,
        shadow_parameters=dict(args.shadow_param),
        shadow_files=shadow_files,
        floors=floors,
        bundle_keys=tuple(read_file(name) for name in args.bundle_key),
        memory=None if file is None else file.read(),
    )


def _policy(
    args: argparse.Namespace, file: str | None
) -> tuple[tuple[str, bytes] | None, tuple[tuple[str, bytes], ...]]:
    """Name and text of a policy, and of the files it extends. Raises Malformed."""
    if file is None:
        return None, ()
    from attest.policy.document import files_beside

    # Read as `attest verify` reads it, so that a wrong policy is told in the same words.
    read = policy_of(args, file)
    text = read_file(file)
    if digest_of(text) != read.file_digest:
        # It was read twice: whoever may write it could have put another, and unsigned one, in between.
        raise Malformed(problem("policy.unsigned", where=file, found="a file that changed while it was read"))
    return (file, text), tuple(files_beside(Path(file), text).items())


def _lines(args: argparse.Namespace, job: Job) -> Iterator[bytes]:
    from attest.fleet import judge_all

    count = args.processes or os.cpu_count() or 1
    # Whoever writes lines may wait for answers: none is held back to fill a chunk.
    chunk = {"chunk": 1} if args.batch == "-" else {}
    items = _items(args.batch)
    try:
        if args.ray is None:
            yield from judge_all(items, job, processes=count, **chunk)
            return
        from attest.fleet.ray import RayMissing
        from attest.fleet.ray import judge_all as judge_on_ray

        try:
            yield from judge_on_ray(items, job, address=args.ray or None, workers=count, **chunk)
        except (RayMissing, ConnectionError) as error:
            raise usage(f"--ray: {error}") from None
    except (ValueError, RuntimeError) as error:
        raise usage(str(error)) from None


def _items(batch: str) -> Iterator[Item]:
    from attest.fleet import folder_items, line_items

    if batch == "-":
        yield from line_items(sys.stdin.buffer)
        return
    try:
        yield from folder_items(Path(batch))
    except OSError as error:
        raise Malformed(
            problem("evidence.unreadable", where=escape(batch), found=error.strerror or "not a folder")
        ) from None


def _nothing(batch: str) -> Malformed:
    """The error of a batch without a machine: nothing judged is nothing found good (T-EMPTY)."""
    if batch == "-":
        return Malformed(problem("fleet.empty", where="standard input", found="no line"))
    return Malformed(problem("fleet.empty", where=escape(batch), found="no entry but names with a dot first"))


def _write(lines: Iterator[bytes], progress: TextIO, nothing: Malformed) -> int:
    """Raises `nothing` where there is no line."""
    started = told = time.monotonic()
    counts = dict.fromkeys(EXIT, 0)
    for line in lines:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        counts[_verdict(line)] += 1
        now = time.monotonic()
        if now - told >= _EVERY:
            told = now
            _tell(counts, now - started, progress)
    if not any(counts.values()):
        raise nothing
    _tell(counts, time.monotonic() - started, progress)
    return max(EXIT[verdict] for verdict, count in counts.items() if count)


def _verdict(line: bytes) -> str:
    """The first member of this name: an id before it cannot hold an unescaped quotation mark."""
    return line.partition(b'"verdict":"')[2].partition(b'"')[0].decode()


def _tell(counts: dict[str, int], seconds: float, progress: TextIO) -> None:
    done = sum(counts.values())
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    rate = done / seconds if seconds > 0 else 0.0
    print(f"attest verify --batch: {done} done ({', '.join(parts)}), {rate:.0f}/s", file=progress)
