"""Ids of the manifests to ask NVIDIA's RIM service for; only from fields of a safe alphabet.

Source: NVIDIA RIM service, document ids; the parts of a switch's id are constants.
"""

from __future__ import annotations

import re

from attest.nvidia.family import Family
from attest.nvidia.opaque import Opaque

_ID_PART = re.compile(r"[A-Z0-9._]{1,64}")


def rim_ids(family: Family, opaque: Opaque) -> dict[str, str]:
    """Kind of manifest → id, without those that a device's fields make none of.

    Pure text: whether the fields are signed is for the caller to know.
    """
    texts = opaque.texts
    version = (opaque.vbios_version or "").replace(".", "")
    parts: dict[str, tuple[str, ...]] = {}
    if family.section == "switch":
        parts["bios"] = ("NV_SWITCH_BIOS_5612_0002_890", version)
    else:
        chip = texts.get("chip_info", "GB100")
        head = "NV_GPU_DRIVER_GH100" if family.architecture == "hopper" else f"NV_GPU_CC_DRIVER_{chip}"
        board = (texts.get(name, "") for name in ("project", "project_sku", "chip_sku"))
        parts["driver"] = (head, texts.get("driver_version", ""))
        parts["vbios"] = ("NV_GPU_VBIOS", *board, version)
    return {
        kind: "_".join(pieces).upper()
        for kind, pieces in parts.items()
        if all(_ID_PART.fullmatch(piece.upper()) for piece in pieces)
    }
