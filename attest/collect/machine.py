"""Where a guest's interfaces are. Every path, address and library is a value here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

METADATA = "http://169.254.169.254"
"""Azure's instance metadata service: link-local, plain HTTP, everything it says is untrusted."""


@dataclass(frozen=True)
class Machine:
    """root: what stands before every path, for tests and containers. metadata: base URL of the cloud's
    metadata service. nvml, nscq: files of NVIDIA's libraries, None for those of the loader's path.
    now: the time of day, for a site's
    epoch. clock: monotonic seconds. sleep: waits that many."""

    root: Path = Path("/")
    metadata: str = METADATA
    nvml: str | None = None
    nscq: str | None = None
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC), repr=False)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def path(self, absolute: str) -> Path:
        """The file that a guest knows by this absolute path."""
        return self.root / absolute.lstrip("/")

    @property
    def configfs(self) -> Path:
        return self.path("/sys/kernel/config")

    @property
    def tsm_report(self) -> Path:
        return self.path("/sys/kernel/config/tsm/report")

    @property
    def sev_guest(self) -> Path:
        return self.path("/dev/sev-guest")

    @property
    def vmpl(self) -> Path:
        """The guest's own privilege level, on kernels that tell it."""
        return self.path("/sys/devices/system/cpu/sev/vmpl")

    @property
    def tdx_guest(self) -> Path:
        return self.path("/dev/tdx_guest")

    @property
    def nitro(self) -> Path:
        return self.path("/dev/nsm")

    @property
    def tpm(self) -> Path:
        return self.path("/dev/tpmrm0")

    @property
    def quote_service_conf(self) -> Path:
        return self.path("/etc/tdx-attest.conf")

    @property
    def ccel(self) -> Path:
        """The event log itself; the ACPI table that announces it lies one folder up."""
        return self.path("/sys/firmware/acpi/tables/data/CCEL")

    @property
    def tpm_event_log(self) -> Path:
        return self.path("/sys/kernel/security/tpm0/binary_bios_measurements")
