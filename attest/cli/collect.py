"""`attest collect`: evidence of this machine, CPU and GPUs together, as one file for `attest verify`."""

from __future__ import annotations

import argparse
import secrets
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.cli.inputs import check_written
from attest.cli.options import check_length, hex_argument, print_json, read_key, usage
from attest.errors import AttestError, Malformed
from attest.outputs import write_file
from attest.untrusted import escape

if TYPE_CHECKING:
    from datetime import datetime

    from attest.collect import Broker, Collected, Interfaces, Machine, Site
    from attest.site import SiteStatement

_SOURCES = ("tsm", "tdx-guest", "sev-guest", "azure")
_EPILOG = """\
examples:
  attest collect --nonce HEX --key key.json -o machine.bundle.json      for a key broker
  attest collect --nonce HEX --site --key site.json --origin https://host -o site.bundle.json
  attest collect --gpus none -o machine.bundle.json                     a random nonce, printed

Run it inside the confidential VM, as root. It tries configfs-tsm (kernel 6.7 or newer), then /dev/tdx_guest
and /dev/sev-guest, then Azure's virtual TPM; --source names one. GPUs are asked through NVIDIA's library
(pip install 'attest[collect]') where confidential computing is on: all of them, or the command fails.

The nonce must come from whoever will verify: evidence for a nonce of your own proves nothing to others. It and
the key are hashed; there is no way to put bytes of your own into the report.

Exit status: 0 written, 1 this machine cannot prove itself (each reason, and what to do), 2 wrong use."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "collect",
        help="collect evidence inside a guest",
        description="Collect evidence of this machine, CPU and GPUs, bound to a challenge and a key.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="where the bundle is written")
    parser.add_argument(
        "--nonce",
        type=hex_argument,
        metavar="HEX",
        help="the verifier's challenge, 16 to 64 bytes; default random",
    )
    parser.add_argument("--key", metavar="JWK", help="the workload's public key, JSON text or a file")
    parser.add_argument(
        "--site", action="store_true", help="for a browser: a site's domain, needs --key and --origin"
    )
    parser.add_argument(
        "--origin", action="append", default=[], metavar="URL",
        help="with --site: an origin this machine serves, from its measured configuration; repeat for more",
    )  # fmt: skip
    parser.add_argument(
        "--source", choices=_SOURCES, help="the interface to use; default: the first that is there"
    )
    parser.add_argument(
        "--gpus", choices=("auto", "require", "none"), default="auto",
        help="auto: where they are in confidential mode (default); require: fail without; none",
    )  # fmt: skip
    parser.add_argument(
        "--service-provider",
        choices=("svsm",),
        help="ask the service module above an SNP guest (configfs-tsm)",
    )
    parser.add_argument("--json", action="store_true", help="print what was collected, or why not, as JSON")
    place = parser.add_argument_group("for tests and containers")
    place.add_argument(
        "--root", metavar="DIR", default="/", help="where /dev, /sys and /etc of the guest are"
    )
    place.add_argument("--nvml", metavar="FILE", help="NVIDIA's management library, libnvidia-ml.so.1")
    place.add_argument("--nscq", metavar="FILE", help="NVIDIA's switch library, libnvidia-nscq.so.2")
    parser.set_defaults(run=run)


def run(
    args: argparse.Namespace, machine: Machine | None = None, interfaces: Interfaces | None = None
) -> int:
    """machine, interfaces: in place of this machine's own."""
    from attest.collect import CollectError, Machine, collect

    drawn = args.nonce is None
    if drawn:
        args.nonce = secrets.token_bytes(32)
    machine = machine or Machine(root=Path(args.root), nvml=args.nvml, nscq=args.nscq)
    try:
        check_written(args, {"-o": args.output})
        layout = _layout(args, machine)
    except AttestError as error:
        return _refuse(args, error, 2)
    try:
        collected = collect(
            layout,
            machine,
            source=args.source,
            gpus=args.gpus,
            service_provider=args.service_provider,
            interfaces=interfaces,
        )
        write_file("-o", args.output, collected.bundle())
    except AttestError as error:
        return _refuse(args, error, 1 if isinstance(error, CollectError) else 2)
    if args.json:
        print_json(_answer(args, collected))
    else:
        _tell(args, collected, drawn)
    return 0


def _layout(args: argparse.Namespace, machine: Machine) -> Broker | Site:
    """Raises Malformed (`usage`) when options contradict each other, CollectError for an unfit key."""
    from attest.collect import Broker, Site

    check_length("--nonce", args.nonce, 16, 64)
    key = read_key(args.key)
    if not args.site:
        if args.origin:
            raise usage("--origin is for --site")
        return Broker(args.nonce, key)
    if key is None or not args.origin:
        raise usage("--site needs --key and --origin")
    check_length("--nonce", args.nonce, 32, 32)
    return Site(args.nonce, _statement(key, args.origin, machine.now()))


def _statement(key: dict[str, Any], origins: list[str], epoch_time: datetime) -> SiteStatement:
    """What this site says of itself, with a fresh epoch. Raises Malformed (`usage`)."""
    from attest.site import SiteStatement

    statement = SiteStatement(
        key, secrets.token_bytes(32), epoch_time.replace(microsecond=0), tuple(sorted(set(origins)))
    )
    try:
        return SiteStatement.read(statement.document(), where="--site")
    except Malformed as error:
        told = error.problems[0]
        option = "--origin" if "origins" in (told.where or "") else "--key"
        raise usage(f"{option}: {told}") from None


def _refuse(args: argparse.Namespace, error: AttestError, status: int) -> int:
    if args.json:
        print_json({"collected": False, "problems": [problem.as_dict() for problem in error.problems]})
        return status
    for problem in error.problems:
        print(f"attest collect: [{problem.code}] {problem}", file=sys.stderr)
        if problem.remedy:
            print(f"    → {problem.remedy}", file=sys.stderr)
    return status


def _answer(args: argparse.Namespace, collected: Collected) -> dict[str, Any]:
    return {
        "collected": True,
        "file": args.output,
        "source": collected.source,
        "tee": collected.tee,
        "devices": collected.devices,
        "nonce": args.nonce.hex(),
        "bound": collected.bound.hex(),
        "entries": [{"kind": kind, "size": len(data)} for kind, data in collected.entries],
        "notes": list(collected.notes),
    }


def _tell(args: argparse.Namespace, collected: Collected, drawn: bool) -> None:
    print(f"{args.output}: {collected.tee} by {collected.source}, {collected.devices} devices")
    for kind, data in collected.entries:
        print(f"  {kind}  {len(data)} bytes")
    if drawn:
        print(f"  nonce  {args.nonce.hex()}  (random: to others this evidence proves nothing)")
    for note in collected.notes:
        print(f"note: {escape(note, 600)}", file=sys.stderr)
    line = ["attest", "verify", args.output, "--nonce", args.nonce.hex()]
    if args.site:
        line += ["--origin", args.origin[0]]
    elif args.key is not None:
        line += ["--key", args.key]
    print("Verify it elsewhere, with certificates and lists beside it:\n  " + shlex.join(line))
