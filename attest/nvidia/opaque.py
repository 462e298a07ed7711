"""Opaque data of a report: NVIDIA's own fields, signed with the measurements.

Ids 22 to 26 mean different things on a GPU and on a switch, so a table is picked by the verified device
family. A known field of the wrong length is refused; an unknown one is kept as it is.
Source: NVIDIA attestation SDK, opaque data field ids.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from attest.nvidia.family import Section
from attest.problems import malformed
from attest.untrusted import Untrusted

ENABLED, DISABLED = 0xAA, 0x55

_NAMES = {
    1: "cert_issuer_name",
    2: "cert_authority_key_identifier",
    3: "driver_version",
    4: "gpu_info",
    5: "sku",
    6: "vbios_version",
    7: "manufacturer_id",
    8: "tamper_detection",
    9: "smc",
    10: "vpr",
    11: "nvdec0_status",
    12: "msrscnt",
    13: "cprinfo",
    14: "board_id",
    15: "chip_sku",
    16: "chip_sku_mod",
    17: "project",
    18: "project_sku",
    19: "project_sku_mod",
    20: "fwid",
    21: "protected_pcie_status",
    22: "switch_pdi",
    23: "floorswept_ports",
    24: "position_id",
    25: "lock_switch_status",
    32: "gpu_link_conn",
    33: "sys_enable_status",
    34: "opaque_data_version",
    35: "chip_info",
    36: "feature_flag",
}
_SWITCH_NAMES = _NAMES | {22: "device_pdi", 23: "disabled_ports", 26: "switch_gpu_pdis"}
_TEXTS = frozenset(
    {"driver_version", "chip_sku", "chip_sku_mod", "project", "project_sku", "project_sku_mod", "chip_info"}
)
_INTEGERS = {"opaque_data_version": 2, "feature_flag": 2, "position_id": 2, "lock_switch_status": 2}
_TEXT = re.compile(rb"[\x20-\x7e]{0,64}")
_VBIOS = re.compile(r"[0-9A-F]{2}(\.[0-9A-F]{2}){4}")
PDI = 8
GPU_PDIS = 18
SWITCH_GPUS, SWITCH_PORTS = 8, 64
_UNUSED = 0xFF


@dataclass(frozen=True, slots=True)
class Opaque:
    """Decoded fields; None where the device sent none.

    texts and numbers: by field name. pdis: GPU: 18 identifiers of 8 bytes, one a link; switch: its own.
    gpu_pdis: switch: the identifiers of the eight GPUs behind its ports.
    version: 0 where absent. unknown: ids no table has. raw: name → bytes, `opaque_<id>` for unknown ids.
    """

    texts: Mapping[str, Untrusted]
    numbers: Mapping[str, int]
    vbios_version: str | None
    nvdec0_status: int | None
    protected_pcie_status: int | None
    fwid: bytes | None
    pdis: tuple[bytes, ...] | None
    gpu_pdis: tuple[bytes, ...] | None
    unknown: tuple[int, ...]
    raw: Mapping[str, bytes]

    @property
    def driver_version(self) -> Untrusted | None:
        return self.texts.get("driver_version")

    @property
    def version(self) -> int:
        return self.numbers.get("opaque_data_version", 0)

    @property
    def feature_flag(self) -> int | None:
        return self.numbers.get("feature_flag")

    @classmethod
    def read(cls, fields: tuple[tuple[int, bytes], ...], section: Section) -> Opaque:
        """Decode by the table of `section`. Raises Malformed for a known field that cannot be what it says."""
        names = _NAMES if section == "gpu" else _SWITCH_NAMES
        raw: dict[str, bytes] = {}
        texts: dict[str, Untrusted] = {}
        numbers: dict[str, int] = {}
        unknown = []
        for kind, value in fields:
            name = names.get(kind)
            if name is None:
                unknown.append(kind)
                raw[f"opaque_{kind}"] = value
                continue
            raw[name] = value
            if name in _TEXTS:
                if text := _text(name, value):
                    texts[name] = text
            elif name in _INTEGERS:
                if len(value) != _INTEGERS[name]:
                    _refuse(name, f"{_INTEGERS[name]} bytes", value)
                numbers[name] = int.from_bytes(value, "little")
        return cls(
            texts=texts,
            numbers=numbers,
            vbios_version=_vbios(raw.get("vbios_version"), section),
            nvdec0_status=_switch_byte("nvdec0_status", raw),
            protected_pcie_status=_switch_byte("protected_pcie_status", raw),
            fwid=_sized("fwid", 48, raw),
            pdis=_pdis(raw, section),
            gpu_pdis=_gpu_pdis(raw) if section == "switch" else None,
            unknown=tuple(unknown),
            raw=raw,
        )

    def measurement_counts(self) -> tuple[int, ...]:
        """MSRSCNT: how often each measurement was extended; informative."""
        value = self.raw.get("msrscnt", b"")
        return struct.unpack(f"<{len(value) // 4}I", value[: len(value) // 4 * 4])


def _text(name: str, value: bytes) -> Untrusted:
    """ASCII, padded with NUL on the right; all NUL is no text."""
    text = value.rstrip(b"\0")
    if not _TEXT.fullmatch(text):
        _refuse(name, "printable ASCII, padded with NUL", value)
    return Untrusted(text.decode("ascii"))


def _vbios(value: bytes | None, section: Section) -> str | None:
    """A GPU packs five bytes, 3 2 1 0 then 4; a switch writes the text itself."""
    if value is None:
        return None
    if section == "switch":
        text = value.rstrip(b"\0").decode("ascii", "replace").upper()
        if not _VBIOS.fullmatch(text):
            _refuse("vbios_version", "five hex bytes with dots", value)
        return text
    if len(value) != 8:
        _refuse("vbios_version", "8 bytes", value)
    return ".".join(f"{value[i]:02X}" for i in (3, 2, 1, 0, 4))


def _switch_byte(name: str, raw: Mapping[str, bytes]) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if value not in (b"\xaa", b"\x55"):
        _refuse(name, "aa or 55", value)
    return value[0]


def _sized(name: str, size: int, raw: Mapping[str, bytes]) -> bytes | None:
    value = raw.get(name)
    if value is not None and len(value) != size:
        _refuse(name, f"{size} bytes", value)
    return value


def _pdis(raw: Mapping[str, bytes], section: Section) -> tuple[bytes, ...] | None:
    if section == "switch":
        own = _sized("device_pdi", PDI, raw)
        return None if own is None else (own,)
    value = _sized("switch_pdi", GPU_PDIS * PDI, raw)
    if value is None:
        return None
    return tuple(value[i : i + PDI] for i in range(0, len(value), PDI))


def _gpu_pdis(raw: Mapping[str, bytes]) -> tuple[bytes, ...] | None:
    """Eight identifiers, then for each port which of them is behind it, or 0xFF."""
    value = _sized("switch_gpu_pdis", SWITCH_GPUS * PDI + SWITCH_PORTS, raw)
    if value is None:
        return None
    ports = value[SWITCH_GPUS * PDI :]
    if any(port >= SWITCH_GPUS and port != _UNUSED for port in ports):
        _refuse("switch_gpu_pdis", "ports of 0 to 7, or ff", ports)
    return tuple(value[i : i + PDI] for i in range(0, SWITCH_GPUS * PDI, PDI))


def _refuse(name: str, expected: str, found: bytes) -> NoReturn:
    raise malformed(
        "A field of the report's opaque data cannot be what its name says",
        where=f"opaque.{name}",
        expected=expected,
        found=f"{len(found)} bytes {found[:32].hex()}",
        code="nvidia.opaque.malformed",
    )
