"""Collect from NVIDIA's libraries in a process of its own, for `test_nvidia_libraries`: what a library leaves
behind in a process is then no other test's business.

Arguments: nonce in hex, the file of NVML, the file of NSCQ, seconds for a call. Writes JSON: devices, or the code of what failed.
"""

from __future__ import annotations

import base64
import json
import sys

from attest.collect.errors import CollectError
from attest.collect.nvidia import collect_gpus, load
from attest.collect.nvswitch import collect_switches

if __name__ == "__main__":
    nonce, nvml, nscq = bytes.fromhex(sys.argv[1]), sys.argv[2], sys.argv[3]
    seconds = float(sys.argv[4])
    try:
        gpus = collect_gpus(nonce, load(nvml), seconds=seconds)
        devices = list(gpus.devices)
        if gpus.protected_pcie:
            devices += collect_switches(nonce, nscq, seconds=seconds)
    except CollectError as error:
        told = error.problems[0]
        sys.stdout.write(
            json.dumps({"code": told.code, "where": told.where, "found": told.found, "remedy": told.remedy})
        )
    else:
        sys.stdout.write(
            json.dumps(
                {
                    "protected_pcie": gpus.protected_pcie,
                    "devices": [device.member() for device in devices],
                    "reports": [base64.b64encode(device.report).decode() for device in devices],
                }
            )
        )
