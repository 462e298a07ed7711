"""Measurement registers that are extended, event by event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def extended(digests: Iterable[bytes]) -> bytes:
    """A register that started as 48 zero bytes, after these 48-byte digests in order.

    Source: Intel TDX module ABI, TDG.MR.RTMR.EXTEND.
    """
    register = bytes(48)
    for digest in digests:
        register = hashlib.sha384(register + digest).digest()
    return register
