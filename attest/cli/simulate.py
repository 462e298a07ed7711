"""`attest simulate KIND`: evidence with endorsements under a root of your own, honest or with one fault."""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.cli.options import hex_argument, instant_argument
from attest.errors import AttestError

if TYPE_CHECKING:
    from attest.simulator import Simulated, Simulator

_KINDS = ("snp", "tdx", "gpu", "machine")
_ROOT = "simulator-root.pem"
_EPILOG = """\
examples:
  attest simulate snp -o demo --product milan --set reported_tcb.snp=20
  attest simulate tdx -o demo --set version=5 --set module_svn=5
  attest simulate machine -o demo --nonce HEX --set cpu=tdx --set gpus=2
  attest simulate gpu -o demo --fault gpu-nonce      one link broken, everything else right
  attest simulate --list-faults                      every fault, and the check that must refuse it

A keyword of --set is a field of the report or quote, or a setting: version, signing_key, driver, vbios,
mode … Numbers are decimal or 0x; bytes are hex: with `hex:` before them. What is made proves nothing: it is
accepted only under --simulator-root, and then says so everywhere."""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "simulate",
        help="make simulated evidence",
        description="Make byte-exact evidence and endorsements under a root of your own.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", nargs="?", choices=_KINDS, metavar="KIND", help=", ".join(_KINDS))
    parser.add_argument("-o", "--output", default=".", metavar="DIR", help="where to write; default here")
    parser.add_argument("--at", type=instant_argument, metavar="TIME", help="the time it is made for")
    parser.add_argument("--nonce", type=hex_argument, metavar="HEX", help="the challenge (gpu: 32 bytes)")
    parser.add_argument("--report-data", type=hex_argument, metavar="HEX", help="REPORT_DATA of snp or tdx")
    parser.add_argument("--product", metavar="NAME", help="milan, genoa, turin, bergamo or siena")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change one field")
    parser.add_argument("--fault", metavar="NAME", help="break one thing; see --list-faults")
    parser.add_argument(
        "--state", metavar="FILE", help="keep the roots' keys here, and use them again; private"
    )
    parser.add_argument("--list-faults", action="store_true", help="list all faults and stop")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.list_faults:
        _list_faults()
        return 0
    if args.kind is None:
        return _wrong("name a KIND: " + ", ".join(_KINDS))
    try:
        keywords = _keywords(args)
        simulator = _simulator(args)
        made: Simulated = getattr(simulator, args.kind)(fault=args.fault, **keywords)
        names = _write(Path(args.output), made)
        if args.state is not None:
            simulator.save(args.state)
    except (ValueError, TypeError, OSError, AttestError) as error:
        return _wrong(str(error))
    _tell(args, made, names, keywords)
    return 0


def _wrong(message: str) -> int:
    print(f"attest simulate: {message}", file=sys.stderr)
    return 2


def _simulator(args: argparse.Namespace) -> Simulator:
    from attest.simulator import Simulator

    at = args.at or datetime.now(UTC)
    if args.state is not None and Path(args.state).exists():
        return Simulator.load(args.state, at)
    return Simulator.create(at)


def _keywords(args: argparse.Namespace) -> dict[str, Any]:
    keywords: dict[str, Any] = {}
    for setting in args.set:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise ValueError(f"--set takes FIELD=VALUE, not {setting!r}")
        field, _, part = name.replace("-", "_").partition(".")
        if not part:
            keywords[field] = _value(text)
        elif not isinstance(keywords.setdefault(field, {}), dict):
            raise ValueError(f"--set gives {field} twice")
        else:
            keywords[field][int(part) if part.isdecimal() else part] = _value(text)
    if args.product is not None:
        keywords["product"] = args.product
    if args.report_data is not None:
        if args.kind not in ("snp", "tdx"):
            raise ValueError("--report-data is for snp and tdx; a machine's follows from --nonce")
        keywords["report_data"] = args.report_data
    if args.nonce is not None:
        if args.kind not in ("gpu", "machine"):
            raise ValueError("--nonce is for gpu and machine; give snp and tdx --report-data")
        keywords["nonce"] = args.nonce
    elif args.kind == "machine":
        keywords.setdefault("nonce", hashlib.sha256(os.urandom(32)).digest())
    return keywords


def _value(text: str) -> int | str | bytes:
    """A number, hex after `hex:`, or text."""
    if text.startswith("hex:"):
        return bytes.fromhex(text[4:])
    try:
        return int(text, 0)
    except ValueError:
        return text


def _write(folder: Path, made: Simulated) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {**made.files, _ROOT: made.roots_pem}.items():
        (folder / name).write_bytes(data)
    return list(made.files)


def _tell(args: argparse.Namespace, made: Simulated, names: list[str], keywords: dict[str, Any]) -> None:
    folder = Path(args.output)
    print(f"SIMULATED {args.kind} evidence for {made.at:%Y-%m-%dT%H:%M:%SZ}" + _broken(args.fault))
    for name in names:
        print(f"  {folder / name}  {len(made.files[name])} bytes")
    print(f"  {folder / _ROOT}  the roots it stands under")
    line = [
        "attest",
        "verify",
        *(str(folder / name) for name in names),
        "--simulator-root",
        str(folder / _ROOT),
    ]
    line += ["--at", f"{made.at:%Y-%m-%dT%H:%M:%SZ}"]
    if args.kind in ("snp", "tdx") and args.report_data is not None:
        line += ["--report-data", args.report_data.hex()]
    elif args.kind == "machine":
        line += ["--nonce", keywords["nonce"].hex()]
    elif args.kind == "gpu" and args.nonce is not None:
        line += ["--gpu-nonce", args.nonce.hex()]
    print("Verify it with:\n  " + shlex.join(line))


def _broken(fault: str | None) -> str:
    if fault is None:
        return ""
    from attest.simulator import FAULTS

    chosen = FAULTS[fault]
    return f", broken: {chosen.breaks} ({chosen.check})"


def _list_faults() -> None:
    from attest.simulator import FAULTS

    width = max(map(len, FAULTS))
    for fault in FAULTS.values():
        outcome = " ".join(sorted(fault.codes))
        if not outcome:
            told = [f"{name} {value}" for name, value in fault.claims.items()]
            outcome = "says " + ", ".join([*told, *sorted(fault.warnings)])
        print(f"{fault.name:<{width}}  {fault.check}: {fault.breaks} → {outcome}")
