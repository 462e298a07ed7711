"""`kbs guest get`: the guest at boot."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from kbs.cli.admin_client import DEFAULT_URL, URL_HELP, CommandError, require_tls, tls

REFUSED, MISUSE, UNREACHABLE, NOT_FOUND, DOES_NOT_OPEN = 1, 2, 3, 4, 5


_ELSEWHERE = {
    "cpu": "use --cpu",
    "gpus": "use --gpus",
    **dict.fromkeys(("nonce", "report_data", "reportdata"), "it follows from the broker's challenge"),
    "key": "the guest makes a key for each attestation",
}


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "guest", help="the guest's side", description="What a guest does at boot: attest, and fetch a secret."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    get = actions.add_parser(
        "get",
        help="attest a simulated machine and fetch one secret",
        description="Attest a machine and fetch one secret. Only simulated machines can be played in this "
        "version: STATE comes from `attest simulate machine --state STATE`, and the broker must be "
        "served with --simulator-root.",
    )
    get.add_argument("--url", default=os.environ.get("KBS_URL", DEFAULT_URL), help=URL_HELP)
    get.add_argument("--ca", type=Path, metavar="PEM", help="accept only this CA's certificates")
    get.add_argument(
        "--allow-http", action="store_true", help="without TLS another machine may answer for the broker"
    )
    get.add_argument("--path", required=True, help="repository/type/tag")
    get.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="written whole or not at all; - for stdout",
    )
    get.add_argument(
        "--simulate",
        type=Path,
        required=True,
        metavar="STATE",
        help="the simulator that plays the machine, as kept by `attest simulate machine --state STATE`",
    )
    get.add_argument("--cpu", choices=("snp", "tdx"), default="snp", help="of the machine; snp unless given")
    get.add_argument(
        "--gpus", type=_gpus, default=1, metavar="COUNT", help="of the machine; 1 unless given, at most 64"
    )
    get.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="settings",
        help="change one field of the simulated machine, as tcb.snp=20 or driver=550.54.14; hex:… for bytes",
    )
    get.set_defaults(run=run)


def _gpus(text: str) -> int:
    if not text.isdecimal() or int(text) > 64:
        raise argparse.ArgumentTypeError("a machine has 0 to 64 GPUs")
    return int(text)


def run(args: argparse.Namespace) -> int:
    try:
        _get(args)
    except CommandError as error:
        print(f"kbs guest get: {error}", file=sys.stderr)
        return error.status
    return 0


def _get(args: argparse.Namespace) -> None:
    from attest.claims import instant
    from attest.errors import Malformed
    from attest.outputs import check_outputs
    from attest.simulator import Simulator
    from attest.simulator.settings import assigned, read_settings
    from kbs.domain import InvalidName, ResourcePath
    from kbs.guest.attester import SimulatedAttester
    from kbs.guest.client import BadAnswer, KbsClient, NotFound, Refused, Unreachable
    from kbs.guest.opening import CannotOpen

    require_tls(args)
    try:
        check_outputs({"-o": args.output}, [args.simulate, args.ca])
        resource = ResourcePath.parse(args.path)
        settings = read_settings(
            "machine", assigned(args.settings), cpu=args.cpu, elsewhere=_ELSEWHERE, option="--set "
        )
    except Malformed as error:
        raise CommandError(MISUSE, error.problems[0].message) from None
    except (InvalidName, ValueError) as error:
        raise CommandError(MISUSE, str(error)) from None
    try:
        simulator = Simulator.load(args.simulate)
    except OSError as error:
        raise CommandError(MISUSE, f"{args.simulate}: {error.strerror}") from None
    except ValueError:
        raise CommandError(
            MISUSE, f"{args.simulate} is no state file: make one, attest simulate machine --state FILE"
        ) from None
    attester = SimulatedAttester(simulator, cpu=args.cpu, gpus=args.gpus, settings=settings)
    client = KbsClient(args.url, attester, verify=tls(args.ca))
    try:
        received = client.get(resource)
    except NotFound as error:
        raise CommandError(NOT_FOUND, str(error)) from None
    except Refused as error:
        raise CommandError(REFUSED, str(error)) from None
    except (Unreachable, BadAnswer) as error:
        raise CommandError(UNREACHABLE, f"{args.url}: {error}") from None
    except CannotOpen as error:
        raise CommandError(DOES_NOT_OPEN, str(error)) from None
    except (OSError, ValueError) as error:
        raise CommandError(MISUSE, f"no evidence from this machine: {error}") from None
    finally:
        client.close()
    write(args.output, received.secret)
    machine = f"SIMULATED {args.cpu.upper()} machine with {args.gpus} GPU{'' if args.gpus == 1 else 's'}"
    place = "standard output" if str(args.output) == "-" else args.output
    print(f"attested a {machine} to {args.url}; {resource} written to {place}", file=sys.stderr)
    if received.receipt is not None:
        print(f"receipt {received.receipt}", file=sys.stderr)
    if received.lease is not None:
        print(f"lease until {instant(received.lease)}; then attest again, nothing erases it", file=sys.stderr)


def write(output: Path, secret: bytes) -> None:
    """Readable by its owner only, and in place only when whole."""
    from attest.errors import Malformed
    from attest.outputs import write_file

    if str(output) == "-":
        sys.stdout.buffer.write(secret)
        sys.stdout.buffer.flush()
        return
    try:
        write_file("-o", output, secret, private=True)
    except Malformed as error:
        raise CommandError(MISUSE, error.problems[0].message) from None
