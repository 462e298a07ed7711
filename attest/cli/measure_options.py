"""What `attest measure snp` and `attest measure tdx` share: files, boots, and how results are printed."""

from __future__ import annotations

import argparse
import hashlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attest.errors import AttestError
from attest.untrusted import escape

if TYPE_CHECKING:
    from attest.measure import LinuxBoot, Measured

MAX_KERNEL = 512 << 20
MAX_INITRD = 2 << 30


class Wrong(Exception):
    """Wrong use, in one sentence."""


class Inputs:
    """Reads the files of a launch and keeps what they were, for the origin of the computed values."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def read(self, what: str, file: str, limit: int) -> bytes:
        """Raises Wrong when the file cannot be read or is larger than any of its kind."""
        try:
            with open(file, "rb") as stream:
                data = stream.read(limit + 1)
        except (OSError, ValueError) as error:
            raise Wrong(
                f"{escape(file)} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from None
        if len(data) > limit:
            raise Wrong(f"{escape(file)} is larger than any {what}: more than {limit} bytes")
        self.say(f"{what} {Path(file).name} sha256:{hashlib.sha256(data).hexdigest()}")
        return data

    def say(self, text: str) -> None:
        self._parts.append(text)

    def origin(self, tool: str) -> str:
        return "; ".join([tool, *self._parts])


def add_boot_arguments(parser: argparse.ArgumentParser) -> None:
    boot = parser.add_argument_group(
        "direct kernel boot (QEMU's -kernel; without it the firmware boots a disk)"
    )
    boot.add_argument("--kernel", metavar="FILE", help="the bzImage")
    boot.add_argument("--initrd", metavar="FILE")
    boot.add_argument("--append", metavar="TEXT", help="the kernel's command line, exactly")


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print as JSON")
    output.add_argument(
        "--reference", metavar="NAME", help="print YAML: a policy's reference set of this name"
    )
    parser.add_argument("--release", metavar="TEXT", help="with --reference: what people call this image")
    parser.add_argument(
        "--from", dest="begins", type=_day, metavar="DAY", help="with --reference: valid from; default today"
    )


def read_boot(args: argparse.Namespace, inputs: Inputs) -> LinuxBoot | None:
    """Raises Wrong."""
    from attest.measure import LinuxBoot

    if args.kernel is None:
        for option in ("initrd", "append"):
            if getattr(args, option) is not None:
                raise Wrong(f"--{option} goes with --kernel")
        return None
    kernel = inputs.read("kernel", args.kernel, MAX_KERNEL)
    initrd = None if args.initrd is None else inputs.read("initrd", args.initrd, MAX_INITRD)
    append = args.append or ""
    inputs.say(f"command line {append!r}")
    try:
        return LinuxBoot(kernel, initrd, append)
    except ValueError as error:
        raise Wrong(str(error)) from None


def number_argument(text: str) -> int:
    """A decimal or 0x number. Raises argparse.ArgumentTypeError."""
    try:
        value = int(text, 0)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number, decimal or 0x") from None
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is negative")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day like 2026-11-23") from None


def run(args: argparse.Namespace, kind: str, measure: Callable[[argparse.Namespace], Measured]) -> int:
    """Measure and print; status 2 with the reason where that cannot be."""
    from attest.measure import ToolMissing

    try:
        if args.reference is None and (args.release is not None or args.begins is not None):
            raise Wrong("--release and --from go with --reference")
        measured = measure(args)
        if args.reference is not None:
            begins = args.begins or datetime.now(UTC).date()
            text = measured.reference_sets(args.reference, release=args.release, begins=begins)
        elif args.json:
            import json

            text = json.dumps(measured.as_dict(), indent=1) + "\n"
        else:
            text = "\n".join(_lines(measured)) + "\n"
    except AttestError as error:
        return _refuse(args, kind, error)
    except (Wrong, ValueError, ToolMissing) as error:
        from attest.cli.options import usage

        return _refuse(args, kind, usage(str(error)))
    print(text, end="")
    return 0


def _refuse(args: argparse.Namespace, kind: str, error: AttestError) -> int:
    if args.json:
        from attest.cli.options import print_json
        from attest.result.answer import of_refusal

        print_json(of_refusal(error, datetime.now(UTC)).as_dict())
    for found in error.problems:
        print(f"attest measure {kind}: {found}", file=sys.stderr)
        if found.remedy and found.code != "usage":
            print(f"  {found.remedy}", file=sys.stderr)
    return 2


def _lines(measured: Measured) -> Iterator[str]:
    for value in measured.values:
        label = value.claim if value.variant is None else f"{value.claim} ({value.variant})"
        yield label
        yield f"  {value.value.hex()}"
        covers = f"covers {value.covers}: " if value.covers else ""
        yield from textwrap.wrap(covers + value.means, 98, initial_indent="  ", subsequent_indent="  ")
    for register, why in measured.left_out.items():
        yield from textwrap.wrap(f"{register} is not computed: {why}", 100, subsequent_indent="  ")
    yield "Not covered by any of these:"
    for limit in measured.limits:
        yield from textwrap.wrap(limit, 98, initial_indent="  - ", subsequent_indent="    ")
    yield from textwrap.wrap(
        "Computed by " + escape(measured.origin, 2000), 100, subsequent_indent="  ", break_on_hyphens=False
    )
