"""`kbs audit`: what was released and refused, why, and whether the trail is whole."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from attest.untrusted import reshown
from kbs.cli import audit_replay
from kbs.cli.admin_client import CommandError, add_connection, ask, command, read_input

_EXAMPLES = """\
examples:
  kbs audit list --after 0 --limit 20
  kbs audit search --event release-denied --owner acme
  kbs audit checkpoint -o head.checkpoint.json        keep it where the broker's people cannot write
  kbs audit checkpoint-key -o checkpoint.pub          once, and keep it too
  kbs audit export -o trail.jsonl
  kbs audit verify                                    the chain alone
  kbs audit verify trail.jsonl --checkpoint head.checkpoint.json --checkpoint-key checkpoint.pub
  kbs audit replay SESSION --endorsements endorsements

A receipt is what each release answered (kbs-receipt, NUMBER:HASH). Receipts and checkpoints prove the trail up to their rows;
verify says from which row on nothing outside proves it. Status 1 where it is not whole."""
_PAGE = 1000


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "audit",
        help="verify, list, search and export the trail",
        description="The trail of every act and decision, chained by hash.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)

    verify = actions.add_parser(
        "verify",
        help="is the trail whole, and up to which row does somebody outside say so?",
        description="Follow the chain from the first row to the last, and compare what was kept outside. Status 1 where it is "
        "not whole. With an export no broker is asked.",
    )
    verify.add_argument("export", nargs="?", type=Path, metavar="EXPORT", help="a file of kbs audit export")
    verify.add_argument(
        "--head", "--receipt", action="append", default=[], dest="heads", metavar="NUMBER:HASH",
        help="a receipt, or a head that was kept elsewhere; may be given again",
    )  # fmt: skip
    verify.add_argument(
        "--checkpoint", action="append", default=[], type=Path, dest="checkpoints", metavar="FILE",
        help="a checkpoint that was kept elsewhere; may be given again",
    )  # fmt: skip
    verify.add_argument(
        "--checkpoint-key",
        type=Path,
        metavar="PEM",
        help="the key that checkpoints are signed with, kept elsewhere",
    )
    add_connection(verify)
    verify.set_defaults(run=command("audit verify", _verify))

    export = actions.add_parser(
        "export",
        help="the whole trail as JSON lines",
        description="Write the whole trail, a row and its hash a line.",
    )
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="a new file; - for stdout"
    )
    add_connection(export)
    export.set_defaults(run=command("audit export", _export))

    checkpoint = actions.add_parser(
        "checkpoint",
        help="the head of now, signed, to keep elsewhere",
        description="Write the head of the trail, signed by the broker. Keep it where its people cannot write.",
    )
    key = actions.add_parser(
        "checkpoint-key",
        help="the key that checkpoints are signed with",
        description="Write the public key, PEM.",
    )
    for action, name, act in (
        (checkpoint, "audit checkpoint", _checkpoint),
        (key, "audit checkpoint-key", _key),
    ):
        action.add_argument(
            "-o", "--output", type=Path, required=True, metavar="FILE", help="a new file; - for stdout"
        )
        add_connection(action)
        action.set_defaults(run=command(name, act))

    listing = actions.add_parser("list", help="rows, oldest first", description="Rows, oldest first.")
    search = actions.add_parser(
        "search",
        help="rows of an owner, a path, a session, an event, a time",
        description="Rows for which all that is given holds, oldest first.",
    )
    for name, about in (
        ("event", "as attested, released, repeat, release-denied, attest-refused"),
        ("owner", "of the secret or the rule, or blamed for a denial"),
        ("path", "of the secret or the rule"),
        ("session", "as rows have it"),
        ("policy", "its digest"),
        ("since", "an instant, as 2026-12-31T18:00:00Z"),
        ("until", "an instant"),
        ("text", "anywhere in the row: a measurement, a chip"),
    ):
        search.add_argument(f"--{name}", help=about)
    for action in (listing, search):
        action.add_argument("--after", type=int, default=0, metavar="NUMBER", help="only rows after this one")
        action.add_argument(
            "--limit", type=int, default=200, metavar="COUNT", help="at most so many rows, 200 unless given"
        )
        add_connection(action)
    audit_replay.add_action(actions)
    listing.set_defaults(run=command("audit list", _list))
    search.set_defaults(run=command("audit search", _search))


def _verify(args: argparse.Namespace) -> None:
    witnesses = _witnesses(args)
    if args.export is not None:
        proof = _proof_of_file(args.export, witnesses)
    else:
        proof = ask(args, "GET", "audit/verify", params={"head": [str(one.head) for one in witnesses]})
    if args.json:
        print(json.dumps(proof, indent=1))
    else:
        print(proof["sentence"])
        for fault in proof["faults"]:
            print(f"- {fault}")
        print(f"head {proof['head']}")
    if proof["faults"]:
        raise CommandError(1, "the trail is not whole")


def _witnesses(args: argparse.Namespace) -> list[Any]:
    from attest.dsse import TrustedKey, TrustedKeys
    from attest.errors import AttestError
    from kbs.audit import Head
    from kbs.audit_proof import Witness
    from kbs.checkpoint import LIMIT, read_checkpoint

    found = []
    for text in args.heads:
        try:
            head = Head.parse(text)
        except ValueError as error:
            raise CommandError(2, str(error)) from None
        found.append(Witness(head, f"receipt {head.number}"))
    if args.checkpoints and args.checkpoint_key is None:
        raise CommandError(
            2,
            "a checkpoint is believed by its key: --checkpoint-key PEM, as kbs audit checkpoint-key wrote it",
        )
    for file in args.checkpoints:
        try:
            key = TrustedKey.read("checkpoint", read_input(args.checkpoint_key, LIMIT))
            checkpoint = read_checkpoint(read_input(file, LIMIT), TrustedKeys([key]))
        except AttestError as error:
            raise CommandError(1, f"{file}: {error}") from None
        except ValueError as error:
            raise CommandError(2, f"{args.checkpoint_key}: {error}") from None
        found.append(Witness(checkpoint.head, str(checkpoint)))
    return found


def _proof_of_file(file: Path, witnesses: list[Any]) -> dict[str, Any]:
    from attest.errors import Malformed
    from kbs.audit_proof import examine
    from kbs.export import LINE, rows_of

    try:
        with file.open("rb") as stream:
            proof = examine(rows_of(iter(lambda: stream.readline(LINE), b"")), None, witnesses)
    except OSError as error:
        raise CommandError(2, f"{file}: {error.strerror}") from None
    except Malformed as error:
        raise CommandError(2, f"{file}: {error}") from None
    return {
        "rows": proof.rows,
        "head": str(proof.head),
        "faults": list(proof.faults),
        "proved": proof.proved,
        "sentence": proof.sentence,
    }


def _export(args: argparse.Namespace) -> None:
    from kbs.export import line

    def lines() -> Iterator[bytes]:
        after = 0
        while page := ask(args, "GET", "audit", params={"after": after, "limit": _PAGE}):
            for entry in page:
                yield line(entry)
            after = page[-1]["row"]["number"]

    count = _write_new(args.output, lines())
    print(f"{count} rows written to {args.output}", file=sys.stderr)


def _checkpoint(args: argparse.Namespace) -> None:
    answer = ask(args, "GET", "audit/checkpoint")
    _write_new(args.output, [base64.b64decode(answer["document"])])
    print(f"head {answer['head']} written to {args.output}", file=sys.stderr)


def _key(args: argparse.Namespace) -> None:
    _write_new(args.output, [ask(args, "GET", "audit/checkpoint-key")["key"].encode()])
    print(f"the public key written to {args.output}", file=sys.stderr)


def _write_new(output: Path, parts: Iterable[bytes]) -> int:
    """How many parts were written. What was kept is not written over. Raises CommandError."""
    count = 0
    try:
        with nullcontext(sys.stdout.buffer) if str(output) == "-" else output.open("xb") as stream:
            for part in parts:
                stream.write(part)
                count += 1
            stream.flush()
    except FileExistsError:
        raise CommandError(2, f"{output} exists: what was kept is not written over") from None
    except OSError as error:
        raise CommandError(2, f"{output}: {error.strerror}") from None
    return count


def _list(args: argparse.Namespace) -> None:
    rows = ask(args, "GET", "audit", params={"after": args.after, "limit": args.limit})
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        _show(rows)


def _search(args: argparse.Namespace) -> None:
    names = ("event", "owner", "path", "session", "policy", "since", "until", "text")
    wanted = {name: value for name in names if (value := getattr(args, name)) is not None}
    found: list[dict[str, Any]] = []
    after: int | None = args.after
    while after is not None and len(found) < args.limit:
        page = ask(
            args,
            "GET",
            "audit/search",
            params={**wanted, "after": after, "limit": min(_PAGE, args.limit - len(found))},
        )
        found += page["rows"]
        after = page["after"]
    if args.json:
        print(json.dumps(found, indent=1))
    else:
        _show(found)
        if after is not None:
            print(f"more may follow: --after {found[-1]['row']['number']}", file=sys.stderr)


_LINE = 2000
"""Characters of a line: whoever can write into the database writes no more than that onto a terminal, and nothing that it obeys."""


def _show(rows: list[dict[str, Any]]) -> None:
    for entry in rows:
        row = entry["row"]
        said = f"{row['number']:>5}  {row['at']}  {row['event']:<15} {about(row)}".rstrip()
        print(reshown(said, _LINE))
        for problem in row.get("problems", ()):
            print(f"       {reshown(problem['message'], _LINE)}")


def about(row: dict[str, Any]) -> str:
    """What the row speaks of, of whom, and by whom."""
    parts = [str(row[name]) for name in ("resource", "path", "tee") if row.get(name)]
    if "rule" in row:
        parts.insert(0, f"rule {row['rule']}")
    owners = [row["owner"]] if row.get("owner") else list(row.get("owners") or ())
    if owners:
        parts.append(("of " if parts else "") + ", ".join(owners))
    who = row.get("by") or row.get("principal")
    if who:
        parts.append(f"by {who}")
    if "first" in row:
        parts.append(f"again, as in row {row['first']}")
    if row.get("simulated"):
        parts.append("SIMULATED")
    return " ".join(parts)
