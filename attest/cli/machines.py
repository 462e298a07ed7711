"""Real machines that several policies are asked about: folders of them, or the files of one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attest.errors import AttestError
    from attest.verified import Verified


def add_machine_arguments(parser: argparse.ArgumentParser) -> None:
    """How machines are verified, and the endorsements that all of them share."""
    from attest.cli.options import add_evidence_arguments

    add_evidence_arguments(parser, files="")
    parser.add_argument(
        "--endorsements", action="append", default=[], metavar="FILE",
        help="endorsements for all machines; may be given several times",
    )  # fmt: skip


def exit_of(error: AttestError) -> int:
    """1 for a machine that is refused, 2 for one that cannot be read."""
    from attest.errors import Rejected

    return 1 if isinstance(error, Rejected) else 2


def machines(args: argparse.Namespace, paths: Sequence[str]) -> Iterator[tuple[str, Verified | AttestError]]:
    """Name and outcome of each machine. paths: each a folder whose entries are machines, or else all together the files
    of one. Raises Malformed where what they share cannot be read."""
    from attest.cli.fetching import memory_file
    from attest.cli.options import asked, at_of, usage
    from attest.errors import AttestError
    from attest.fleet import Item, Job, Judge, folder_items
    from attest.fleet.items import Content, read_item
    from attest.loader import read_file

    if args.fetch:
        raise usage(
            "folders of machines are judged by the files given: put a bundle together with attest endorsements"
        )
    question = asked(args)
    file = memory_file(args, question.anchors)
    judge = Judge(
        Job(
            at=at_of(args),
            shared=tuple((name, read_file(name)) for name in args.endorsements),
            expected=question.expected,
            simulator_roots=None if args.simulator_root is None else read_file(args.simulator_root),
            bundle_keys=tuple(read_file(name) for name in args.bundle_key),
            memory=None if file is None else file.read(),
        )
    )
    folders = [path for path in paths if Path(path).is_dir()]
    alone = [path for path in paths if path not in folders]
    contents: list[Content | Item] = [item for path in folders for item in folder_items(Path(path))]
    if alone:
        contents.append(Content(alone[0], tuple((Path(path).name, read_file(path)) for path in alone), {}))
    if paths and not contents:
        from attest.errors import Malformed
        from attest.problems import problem

        raise Malformed(problem("fleet.empty", where=", ".join(paths), found="no entry"))
    for one in contents:
        name = Path(one.path).name if isinstance(one, Item) and one.path else ""
        try:
            content = one if isinstance(one, Content) else read_item(one)
            name = content.id
            yield name, judge.verified(content)
        except AttestError as error:
            yield name, error
