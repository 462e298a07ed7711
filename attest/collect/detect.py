"""Which interface proves this machine, tried in a fixed order; never a sample, never a guess.

1. the one that was named; 2. AWS Nitro Enclaves, named and refused; 3. configfs-tsm; 4. the devices of TDX and
SNP; 5. Azure's paravisor, found by what its TPM holds. A plain TPM is bound to no confidential machine and is
not taken for one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal, get_args

from attest.collect.azure import is_azure
from attest.collect.errors import CollectError, failure
from attest.collect.machine import Machine
from attest.collect.tpm2 import DeviceTransport, Tpm
from attest.collect.tsm import Tsm, TsmDirectory, provider_of
from attest.errors import Problem

Source = Literal["tsm", "tdx-guest", "sev-guest", "azure"]
SOURCES: tuple[str, ...] = get_args(Source)


def detect(machine: Machine, *, tsm: Tsm | None = None, tpm: Tpm | None = None) -> Source:
    """The first source that is there.

    tsm, tpm: in place of the machine's own. Raises CollectError with what was wrong of every one.
    """
    if os.path.lexists(machine.nitro):
        raise failure("collect.other-technology", where=str(machine.nitro))
    tried: list[tuple[Source, Callable[[], None]]] = [
        ("tsm", lambda: _tsm(machine, tsm)),
        ("tdx-guest", lambda: _device(machine.tdx_guest, "tdx-guest")),
        ("sev-guest", lambda: _device(machine.sev_guest, "sev-guest")),
        ("azure", lambda: _azure(machine, tpm)),
    ]
    problems: list[Problem] = []
    for source, look in tried:
        try:
            look()
        except CollectError as error:
            problems += error.problems
        else:
            return source
    raise CollectError(failure("collect.no-source").problems[0], *problems)


def _tsm(machine: Machine, tsm: Tsm | None) -> None:
    if tsm is None:
        check_tsm(machine)
        tsm = TsmDirectory(machine.tsm_report)
    provider_of(tsm)


def check_tsm(machine: Machine) -> None:
    """Raises CollectError that says whether the file system, the module or the kernel is what is missing."""
    if machine.tsm_report.is_dir():
        return
    configfs = machine.configfs
    try:
        mounted = any(configfs.iterdir())
    except OSError:
        mounted = False
    if mounted:
        raise failure(
            "collect.unsupported",
            message="The kernel has no report interface",
            where=str(machine.tsm_report),
            remedy="load the guest driver, modprobe sev-guest or tdx-guest, which loads the module tsm; it needs a "
            "kernel of 6.7 or newer",
        )
    raise failure(
        "collect.unsupported",
        message="configfs is not mounted, or no module uses it",
        where=str(configfs),
        remedy=f"mount -t configfs none {configfs}, then modprobe sev-guest or tdx-guest (kernel 6.7 or newer); in a "
        "container, mount it from the guest",
    )


def _device(device: os.PathLike[str], module: str) -> None:
    if not os.path.exists(device):
        raise failure("collect.unsupported", where=str(device), remedy=f"modprobe {module}")
    if not os.access(device, os.R_OK | os.W_OK):
        raise failure("collect.permission", where=str(device))


def _azure(machine: Machine, tpm: Tpm | None) -> None:
    if tpm is None:
        if not os.path.exists(machine.tpm):
            raise failure(
                "collect.unsupported",
                where=str(machine.tpm),
                remedy="on an Azure confidential VM: modprobe tpm_crb",
            )
        transport = DeviceTransport(machine.tpm)
        try:
            _is_azure(Tpm(transport, sleep=machine.sleep, name=str(machine.tpm)))
        finally:
            transport.close()
    else:
        _is_azure(tpm)


def _is_azure(tpm: Tpm) -> None:
    if not is_azure(tpm):
        raise failure(
            "collect.unsupported",
            message="The TPM is not bound to a confidential machine",
            where="NV 0x1400001",
            expected="an HCL report",
            remedy="a plain TPM, the cloud's or a board's, proves nothing about memory encryption",
        )
