"""`attest simulate KIND`: evidence with endorsements under a root of your own, honest or with one fault."""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest.cli.inputs import key_file
from attest.cli.options import check_length, hex_argument, instant_argument, read_key
from attest.errors import AttestError
from attest.outputs import check_not_read

if TYPE_CHECKING:
    from attest.simulator import Simulated, Simulator

_KINDS = ("snp", "tdx", "azure", "gpu", "switch", "fabric", "nras", "machine", "site")
_DEVICES = ("gpu", "switch", "fabric", "nras")
"""Kinds without a CPU: their challenge is the 32 bytes a device is asked with."""
_CHALLENGED = ("azure", "machine", "site")
"""Kinds that answer a challenge, as the guest protocol or a site binds it."""
_ROOT = "simulator-root.pem"
_TOKEN, _JWKS = "simulated-nras.json", "simulated-nras-jwks.json"
_ELSEWHERE = {
    name: f"use --{name.replace('_', '-')}" for name in ("nonce", "report_data", "key", "fault", "product")
} | {"reportdata": "use --report-data"}
_EPILOG = """\
examples:
  attest simulate snp -o demo --product milan --set reported_tcb.snp=20
  attest simulate tdx -o demo --set version=5 --set module_svn=5
  attest simulate machine -o demo --nonce HEX --set cpu=tdx --set gpus=2
  attest simulate gpu -o demo --set architecture=blackwell --set mode=mpt
  attest simulate fabric -o demo                     eight GPUs, four switches, protected PCIe
  attest simulate azure -o demo --set kind=tdx --set version=2
  attest simulate azure -o demo --fault azure-forged-paravisor
  attest simulate nras -o demo --nonce HEX           a GPU, and what NVIDIA's remote service would say of it
  attest simulate site -o demo --set origin=https://site.example
  attest simulate gpu -o demo --fault gpu-nonce      one link broken, everything else right
  attest simulate --list-faults                      every fault, and the check that must refuse it

A keyword of --set is a field of the report or quote, or a setting: version, signing_key, driver, vbios,
mode … Numbers are decimal or 0x; bytes are hex: with `hex:` before them; parts go as reported_tcb.snp=20. A field
that there is not is answered with those that there are. What is made proves nothing: it is accepted only under
--simulator-root, and then says so everywhere."""


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
    parser.add_argument("--nonce", type=hex_argument, metavar="HEX", help="the challenge (devices: 32 bytes)")
    parser.add_argument("--report-data", type=hex_argument, metavar="HEX", help="REPORT_DATA of snp or tdx")
    parser.add_argument(
        "--key", metavar="JWK", help="the workload's public key, JSON text or a file (azure, machine, site)"
    )
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
        made = _make(simulator, args, keywords)
        try:
            names = _write(args, made)
        except OSError as error:
            return _wrong(f"-o {args.output} cannot be written: {error.strerror}")
        if args.state is not None:
            simulator.save(args.state)
    except AttestError as error:
        return _wrong("; ".join(problem.message for problem in error.problems))
    except OSError as error:
        return _wrong(f"--state {args.state} cannot be read and written: {error.strerror}")
    except ValueError as error:
        return _wrong(str(error))
    _tell(args, made, names, keywords)
    return 0


def _wrong(message: str) -> int:
    print(f"attest simulate: {message}", file=sys.stderr)
    return 2


def _make(simulator: Simulator, args: argparse.Namespace, keywords: dict[str, Any]) -> Simulated:
    """Raises ValueError that speaks of fields and options."""
    if args.kind == "nras":
        return _with_service(simulator, args, keywords)
    made: Simulated = getattr(simulator, args.kind)(fault=args.fault, **keywords)
    return made


def _with_service(simulator: Simulator, args: argparse.Namespace, keywords: dict[str, Any]) -> Simulated:
    """GPUs, and the remote service's answer about them with its key set."""
    answer = simulator.nras(fault=args.fault, **keywords)
    first = answer.asked[0]
    made = simulator.gpus(len(answer.asked), answer.nonce, driver=first.driver, vbios=first.vbios)
    keywords["nonce"] = answer.nonce
    return replace(made, files={**made.files, _TOKEN: answer.answer, _JWKS: answer.jwks})


def _simulator(args: argparse.Namespace) -> Simulator:
    from attest.simulator import Simulator

    at = args.at or datetime.now(UTC)
    if args.state is not None and Path(args.state).exists():
        return Simulator.load(args.state, at)
    return Simulator.create(at)


def _keywords(args: argparse.Namespace) -> dict[str, Any]:
    from attest.simulator.settings import assigned, fields_of, read_settings

    keywords = read_settings(args.kind, assigned(args.set), elsewhere=_ELSEWHERE, option="--set ")
    if args.product is not None:
        if "product" not in fields_of(args.kind, keywords.get("cpu") or keywords.get("kind") or "snp"):
            raise ValueError("--product is for SEV-SNP: snp, or azure, machine and site with that CPU")
        keywords["product"] = args.product
    if args.report_data is not None:
        if args.kind not in ("snp", "tdx"):
            raise ValueError("--report-data is for snp and tdx; a machine's follows from --nonce")
        keywords["report_data"] = args.report_data
    if args.nonce is not None:
        if args.kind not in (*_DEVICES, *_CHALLENGED):
            raise ValueError(
                "--nonce is for devices, azure, machine and site; give snp and tdx --report-data"
            )
        keywords["nonce"] = args.nonce
    elif args.kind in _CHALLENGED:
        keywords["nonce"] = hashlib.sha256(os.urandom(32)).digest()
    if args.kind in _CHALLENGED:
        check_length("--nonce", args.nonce, 16, 64)
    if args.key is not None:
        if args.kind not in _CHALLENGED:
            raise ValueError("--key is for azure, machine and site")
        keywords["key"] = read_key(args.key)
    return keywords


def _write(args: argparse.Namespace, made: Simulated) -> list[str]:
    """Raises Malformed (`usage`) for a file that is read, OSError."""
    folder = Path(args.output)
    files = {folder / name: data for name, data in {**made.files, _ROOT: made.roots_pem}.items()}
    check_not_read((("-o", file) for file in files), [args.state, key_file(args.key)])
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in files.items():
        file.write_bytes(data)
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
        *(str(folder / name) for name in names if name not in (_TOKEN, _JWKS)),
        "--simulator-root",
        str(folder / _ROOT),
    ]
    line += ["--at", f"{made.at:%Y-%m-%dT%H:%M:%SZ}"]
    if args.kind in ("snp", "tdx") and args.report_data is not None:
        line += ["--report-data", args.report_data.hex()]
    elif args.kind in _CHALLENGED:
        line += ["--nonce", keywords["nonce"].hex()]
        if args.kind == "site":
            line += ["--origin", keywords.get("origin", "https://site.example")]
        if args.key is not None:
            line += ["--key", args.key]
    elif args.kind in _DEVICES and "nonce" in keywords:
        line += ["--gpu-nonce", keywords["nonce"].hex()]
    if args.kind == "nras":
        line += ["--second-opinion", "nvidia"]
        line += ["--nras-token", str(folder / _TOKEN), "--nras-jwks", str(folder / _JWKS)]
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
