"""Bits of TDATTRIBUTES and XFAM (Intel TDX module ABI specification, TD attributes).

Both are kept as one u64: rules that assemble "reserved" from single bytes have lost bits in other verifiers.
"""

from __future__ import annotations

DEBUG = 0xFF
"""Byte 0 is "TD under debug": any of its bits lets the host into the TD."""
LASS = 1 << 27
SEPT_VE_DISABLE = 1 << 28
MIGRATABLE = 1 << 29
PKS = 1 << 30
KL = 1 << 31
TPA = 1 << 62
PERFMON = 1 << 63

RESERVED = ((1 << 64) - 1) & ~(DEBUG | LASS | SEPT_VE_DISABLE | MIGRATABLE | PKS | KL | PERFMON)
"""Bits a default policy refuses: 8 to 26 and 32 to 62. TPA is among them until an owner names it."""

XFAM_FIXED_1 = 0x3
"""x87 and SSE state are always enabled in a TD."""
