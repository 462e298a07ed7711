"""Comparing a device's measurements with the golden ones its manifests state.

A manifest numbers measurements from 0, the device its blocks from 1: index i is block i + 1. All-zero is a
value like any other, not an absence.
Source: NVIDIA reference manifests; DMTF DSP0274 measurement blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from attest.nvidia.opaque import DISABLED

NVDEC0_INDEX = 35
"""Measures the first video decoder; the device leaves it out while that decoder is disabled."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """index: in the manifest's numbering. found: None where the device has no such block."""

    index: int
    expected: bytes
    found: bytes | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """compared: indexes that were compared, mismatches included. skipped: indexes left out by rule."""

    compared: tuple[int, ...]
    skipped: tuple[int, ...]
    mismatches: tuple[Mismatch, ...]


def compare(
    golden: Mapping[int, tuple[bytes, ...]], measurements: Mapping[int, bytes], nvdec0_status: int | None
) -> Comparison:
    """Each golden index against the device's block; any one alternative suffices. measurements: by block.

    A block that is missing is a mismatch. Index 35 is skipped, and counted as skipped, only where the
    report itself says that NVDEC0 is disabled.
    """
    compared, skipped, mismatches = [], [], []
    for index, alternatives in golden.items():
        if index == NVDEC0_INDEX and nvdec0_status == DISABLED:
            skipped.append(index)
            continue
        compared.append(index)
        found = measurements.get(index + 1)
        if found not in alternatives:
            mismatches.append(Mismatch(index, alternatives[0], found))
    return Comparison(tuple(compared), tuple(skipped), tuple(mismatches))
