"""What a launch of a given firmware, kernel and machine will measure, before it runs.

    launch = SnpLaunch(firmware, vcpus=4, vcpu_signature=vcpu_signature("EPYC-v4"))
    launch_digest(launch)                           snp.measurement
    registers(TdxLaunch(firmware, boot=LinuxBoot(kernel, initrd, "console=hvc0")))   tdx.mrtd, rtmr0 to 2

Pure functions of bytes. `Measured` turns their results into reference values of a policy.
"""

from __future__ import annotations

from attest.measure.id_block import IdBlock, SignedIdBlock, key_digest
from attest.measure.linux_boot import LinuxBoot
from attest.measure.reference import LaunchValue, Measured
from attest.measure.snp import SnpLaunch, ToolMissing, launch_digest, vcpu_signature
from attest.measure.tdx import AcpiTables, Register, TdxLaunch, registers
from attest.measure.template import registers_of_log

__all__ = [
    "AcpiTables",
    "IdBlock",
    "LaunchValue",
    "LinuxBoot",
    "Measured",
    "Register",
    "SignedIdBlock",
    "SnpLaunch",
    "TdxLaunch",
    "ToolMissing",
    "key_digest",
    "launch_digest",
    "registers",
    "registers_of_log",
    "vcpu_signature",
]
