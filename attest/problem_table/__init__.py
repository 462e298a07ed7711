"""Every stable problem code, one file a room; `attest.problems` joins them."""

from __future__ import annotations

from attest.problem_table import (
    azure,
    binding,
    bundles,
    collect,
    corim,
    devices,
    ear,
    eventlog,
    fleet,
    input,
    issuer,
    measure,
    nras,
    nvidia,
    policy,
    snp,
    sources,
    tdx,
    warnings,
    x509,
)
from attest.problem_table.meaning import Meaning

_ROOMS = (
    input,
    x509,
    snp,
    tdx,
    azure,
    eventlog,
    nvidia,
    nras,
    binding,
    devices,
    sources,
    bundles,
    collect,
    measure,
    fleet,
    policy,
    corim,
    ear,
    issuer,
    warnings,
)

PROBLEMS: dict[str, Meaning] = {code: meaning for room in _ROOMS for code, meaning in room.PROBLEMS.items()}
