"""Whether the hardware carries the digest of what the host gave the guest at launch.

The host writes init-data; only the digest that a signed field holds makes them the ones of this launch.
Source: Confidential Containers, Trustee `kbs/docs/initdata.md`.
"""

from __future__ import annotations

import hashlib

from attest.azure.facts import AzurePart
from attest.binding import equal
from attest.parts import Part

_FIELDS = {"snp": ("host-data", 32), "tdx": ("mrconfigid", 48)}
"""Section → the claim of the signed field, absent where the field is zero, and its bytes."""
_AZURE_REGISTER = 8


def carries_init_data(cpu: Part, digest: bytes) -> bool:
    """HOST_DATA of SNP, MRCONFIGID of TDX: `digest` cut or padded with zeros to the field; a field of zeros is
    unset and carries nothing. Azure: what extending PCR 8 once by a digest of 32 bytes gives."""
    if isinstance(cpu, AzurePart):
        register = (cpu.pcrs or {}).get(_AZURE_REGISTER)
        if register is None or len(digest) != 32:
            return False
        return equal(register, hashlib.sha256(bytes(32) + digest).digest())
    if cpu.section not in _FIELDS:
        return False
    claim, size = _FIELDS[cpu.section]
    field = cpu.claims().get(claim)
    return isinstance(field, str) and equal(bytes.fromhex(field), digest[:size].ljust(size, b"\0"))
