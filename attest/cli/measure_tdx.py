"""`attest measure tdx`: MRTD of a TDX firmware, and RTMR0 to 2 of a direct kernel boot."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any, Literal

from attest.cli.measure_options import (
    Inputs,
    Wrong,
    add_boot_arguments,
    add_output_arguments,
    read_boot,
    run,
)

if TYPE_CHECKING:
    from attest.eventlog.log import EventLog
    from attest.measure import Measured, Register, TdxLaunch
    from attest.measure.mrtd import PageOrder
    from attest.measure.tdx import SetupHeader

_EPILOG = """\
examples:
  attest measure tdx --firmware OVMF.fd                                    MRTD
  attest measure tdx --firmware OVMF.fd --kernel bzImage --initrd initrd --append "console=hvc0" \\
      --memory 16G --qemu-version 9.2 --reference web
  attest measure tdx … --acpi table-loader rsdp tables                     and RTMR0

The three files of --acpi are what a guest reads at /sys/firmware/qemu_fw_cfg/by_name/etc/table-loader/raw,
etc/acpi/rsdp/raw and etc/acpi/tables/raw. They depend on QEMU's version, vCPUs, memory and devices."""

_LIMITS = (
    "MRCONFIGID, MROWNER and MROWNERCONFIG, which the host chooses: require them by their own rules",
    "TDATTRIBUTES (debug), XFAM and the TDX module: they have claims of their own",
    "RTMR3, which the running system extends",
    "disks: bind one by its root hash in the command line (dm-verity)",
)
_MEANING = {
    "mrtd": "the firmware's code and the layout of the first memory",
    "rtmr0": "firmware configuration, memory size, Secure Boot variables (none enrolled), ACPI tables, boot entries",
    "rtmr1": "the kernel, started directly by the firmware",
    "rtmr2": "command line and initrd, by a kernel whose EFI stub measures both; "
    "where the log has no such events they are not measured",
}
_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "tdx",
        help="MRTD and RTMRs of a TD",
        description="Compute MRTD of a TDX firmware, and RTMR0 to 2 of a direct kernel boot under QEMU.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--firmware", required=True, metavar="FILE", help="the TDVF or td-shim image, whole")
    parser.add_argument("--memory", type=_size, metavar="SIZE", help="of the machine: bytes, or with K M G T")
    parser.add_argument(
        "--acpi", nargs=3, metavar=("LOADER", "RSDP", "TABLES"), help="QEMU's three ACPI files (fw_cfg)"
    )
    parser.add_argument(
        "--event-log", metavar="FILE",
        help="of a machine started in this way once: whatever is not computed is taken from it, and observed",
    )  # fmt: skip
    add_boot_arguments(parser)
    vmm = parser.add_argument_group("what depends on versions")
    vmm.add_argument(
        "--qemu-version", type=_version, metavar="X.Y", help="sets the next two; default as for 9.2"
    )
    vmm.add_argument(
        "--page-order", choices=("page", "section"), help="how pages are added: section before QEMU 9"
    )
    vmm.add_argument(
        "--setup-header",
        choices=("qemu", "file"),
        help="who wrote the kernel's setup header: qemu before 10.2",
    )
    vmm.add_argument(
        "--initrd-argument", choices=("after", "before", "none"), default="after",
        help="where the firmware puts initrd=initrd into the command line; newer edk2: before",
    )  # fmt: skip
    vmm.add_argument(
        "--edk2", choices=("before-202505", "later"), default="before-202505", help="the firmware's release"
    )
    add_output_arguments(parser)
    parser.set_defaults(run=lambda args: run(args, "tdx", _measure))


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,15})([KMGT]?)(i?B)?", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 16G or 17179869184")
    return int(match[1]) * _SIZES[match[2]]


def _version(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 9.2")
    return tuple(map(int, text.split(".")))


def _measure(args: argparse.Namespace) -> Measured:
    from importlib.metadata import PackageNotFoundError, version

    from attest.measure import LaunchValue, Measured, registers, registers_of_log

    inputs = Inputs()
    launch = _launch(args, inputs)
    found = registers(launch)
    if args.event_log is not None:
        found = registers_of_log(launch, _read_log(args.event_log, inputs))
    try:
        tool = f"attest {version('attest')} measure tdx"
    except PackageNotFoundError:
        tool = "attest measure tdx"
    values = tuple(
        LaunchValue(
            f"tdx.{register.name}",
            register.value,
            _covers(register),
            _meaning(register),
            observed=register.observed,
        )
        for register in found
        if register.value is not None
    )
    left_out = {register.name: register.why or "" for register in found if register.value is None}
    return Measured("tdx", values, inputs.origin(tool), _LIMITS, left_out)


def _covers(register: Register) -> Literal["firmware", "image"]:
    return "image" if register.name in ("rtmr1", "rtmr2") else "firmware"


def _meaning(register: Register) -> str:
    if not register.observed:
        return _MEANING[register.name]
    taken = ", ".join(dict.fromkeys(register.observed))
    return f"what the given log has; {len(register.observed)} of its events are not computed ({taken})"


def _read_log(file: str, inputs: Inputs) -> EventLog:
    """Raises Wrong, Malformed."""
    from attest.recognise import MAX_FILE, Found, recognise

    found = Found()
    recognise(file, inputs.read("event log", file, MAX_FILE), found)
    if len(found.event_logs) != 1:
        raise Wrong(f"{file} does not hold one event log")
    return found.event_logs[0]


def _launch(args: argparse.Namespace, inputs: Inputs) -> TdxLaunch:
    """Raises Wrong, ValueError."""
    from attest.measure import AcpiTables, TdxLaunch
    from attest.measure.guided_table import MAX_FIRMWARE

    firmware = inputs.read("firmware", args.firmware, MAX_FIRMWARE)
    acpi = None
    if args.acpi is not None:
        names = ("ACPI table-loader", "ACPI rsdp", "ACPI tables")
        acpi = AcpiTables(
            *(inputs.read(name, file, 1 << 24) for name, file in zip(names, args.acpi, strict=True))
        )
    boot = read_boot(args, inputs)
    if boot is None and args.event_log is None and (args.acpi is not None or args.memory is not None):
        raise Wrong("--memory and --acpi go with --kernel or --event-log: MRTD depends on neither")
    qemu = args.qemu_version or (9, 2)
    order: PageOrder = args.page_order or ("section" if qemu < (9,) else "page")
    header: SetupHeader = args.setup_header or ("qemu" if qemu < (10, 2) else "file")
    inputs.say(f"pages by {order}")
    if boot is not None or args.event_log is not None:
        memory = "unsaid" if args.memory is None else f"{args.memory} bytes"
        inputs.say(
            f"memory {memory}, setup header by {header}, initrd= {args.initrd_argument}, edk2 {args.edk2}"
        )
    return TdxLaunch(firmware, args.memory, acpi, boot, order, header, args.initrd_argument, args.edk2)
