"""What must hold between the devices of one machine: one driver, one mode, and in protected PCIe mode one node.

Eight Hopper GPUs and four NVSwitches name each other in signed fields by identifiers of 8 bytes (PDI): a GPU the
switch behind each of its 18 links, a switch the eight GPUs behind its ports. Names alone could be borrowed from
another node; they count because a PDI also stands in the serial number of its device's identity certificate.
Contradictions refuse. A set that is merely incomplete is said to be so, and warned of: which devices a machine
must have is a policy's word (`gpu.count`, `switch.count`).
Source: NVIDIA protected PCIe, topology of HGX Hopper; NVIDIA attestation report, opaque fields 21 to 26 and 36.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from attest.checks import CheckLog
from attest.nvidia.facts import DevicePart
from attest.nvidia.opaque import ENABLED
from attest.parts import device_names

GPUS, SWITCHES = 8, 4
_GPU_SERIAL, _SWITCH_SERIAL = b"\x41", b"\x50"
_CHECK = "devices.topology"
_Value = TypeVar("_Value")
_Names: TypeAlias = Mapping[int, str]
"""What each part of the submission is called, `gpu[3]`, by `id` of the part."""


def check_fabric(devices: Sequence[DevicePart], log: CheckLog) -> None:
    """Record every contradiction between verified devices of one submission, GPUs and switches in any order.

    Devices that stand twice are left to `devices.distinct`: with one of them the rest says little.
    """
    names = dict(zip(map(id, devices), device_names(part.section for part in devices), strict=True))
    _report_keys(devices, names, log)
    gpus = [part for part in devices if part.section == "gpu"]
    switches = [part for part in devices if part.section == "switch"]
    if len(gpus) > 1:
        _alike(gpus, lambda part: part.opaque.driver_version, "devices.driver", names, log)
        _alike(gpus, _mode, "devices.mode", names, log)
    protected = [part for part in gpus if part.opaque.protected_pcie_status == ENABLED]
    if not protected and not switches:
        return
    if len({part.identity for part in devices}) < len(devices):
        log.not_run(_CHECK, "a device stands twice")
        return
    before = len(log.problems)
    _check_gpus(protected, names, log)
    _check_switches(switches, names, log, together=len(switches) > 1 or bool(protected))
    if len(log.problems) == before and protected and switches:
        _both(protected, switches, names, log)
    if len(log.problems) > before:
        return
    if len(protected) == GPUS and len(switches) == SWITCHES:
        log.passed(_CHECK)
        return
    found = f"{len(protected)} of {GPUS} GPUs, {len(switches)} of {SWITCHES} switches"
    log.not_run(_CHECK, f"the set is not complete: {found} in protected PCIe mode")
    log.warn("nvidia.topology.incomplete", expected=f"{GPUS} GPUs and {SWITCHES} switches", found=found)


def _report_keys(devices: Sequence[DevicePart], names: _Names, log: CheckLog) -> None:
    """One key may sign for one device, whatever the devices call themselves."""
    seen: dict[bytes, DevicePart] = {}
    for part in devices:
        other = seen.setdefault(part.device.path.leaf.spki_sha256, part)
        if other.identity != part.identity:
            log.failed(
                "devices.distinct",
                "devices.duplicate",
                where=_place(part, names),
                found=f"same report key as {_place(other, names)}",
            )


def _alike(
    gpus: Sequence[DevicePart],
    what: Callable[[DevicePart], object],
    check: str,
    names: _Names,
    log: CheckLog,
) -> None:
    first = what(gpus[0])
    differing = [part for part in gpus if what(part) != first]
    for part in differing:
        log.failed(
            check,
            check,
            where=_place(part, names),
            expected=first or "none",
            found=what(part) or "none",
        )
    if not differing:
        log.passed(check)


def _mode(part: DevicePart) -> str:
    status = {ENABLED: "protected PCIe", None: "no status"}.get(
        part.opaque.protected_pcie_status, "no protected PCIe"
    )
    return part.mode.name or f"unknown ({status})"


def _pdi(part: DevicePart) -> bytes | None:
    """The identifier in the serial number of a device's identity certificate, after its first byte."""
    serial = bytes.fromhex(part.device.serial)
    head = _GPU_SERIAL if part.section == "gpu" else _SWITCH_SERIAL
    return serial[1:] if len(serial) == 9 and serial[:1] == head else None


def _check_gpus(gpus: Sequence[DevicePart], names: _Names, log: CheckLog) -> None:
    """Each names four switches behind its links, all the same four."""
    if len(gpus) > GPUS:
        _fail(log, "gpu", f"≤ {GPUS} GPUs", len(gpus))
    for part in gpus:
        if _pdi(part) is None:
            _fail(log, _place(part, names), "an identity serial 41 ‖ 8 bytes", part.device.serial)
        listed, first = _switches_of(part), _switches_of(gpus[0])
        if len(listed) != SWITCHES:
            _fail(log, _place(part, names, "switch_pdi"), f"{SWITCHES} switches", len(listed))
        elif listed != first:
            _fail(log, _place(part, names, "switch_pdi"), _shown(first), _shown(listed))


def _check_switches(switches: Sequence[DevicePart], names: _Names, log: CheckLog, *, together: bool) -> None:
    """Each is who it says; those of one node name the same eight GPUs, are locked and stand at different places.

    together: with other devices of the node; a switch alone is compared with its own certificate only.
    """
    if len(switches) > SWITCHES:
        _fail(log, "switch", f"≤ {SWITCHES} switches", len(switches))
    positions: set[int | None] = set()
    for part in switches:
        numbers = part.opaque.numbers
        own = part.opaque.pdis[0] if part.opaque.pdis else None
        if (own is not None or together) and (own is None or own != _pdi(part)):
            _fail(
                log, _place(part, names, "device_pdi"), f"that of serial {part.device.serial}", own or "none"
            )
        if not together:
            continue
        listed, first = _gpus_of(part), _gpus_of(switches[0])
        if len(listed) != GPUS:
            _fail(log, _place(part, names, "switch_gpu_pdis"), f"{GPUS} GPUs", len(listed))
        elif listed != first:
            _fail(log, _place(part, names, "switch_gpu_pdis"), _shown(first), _shown(listed))
        if numbers.get("lock_switch_status") != 1:
            _fail(
                log, _place(part, names, "lock_switch_status"), 1, numbers.get("lock_switch_status", "none")
            )
        position = numbers.get("position_id")
        if position is None or position in positions:
            found = "none" if position is None else position
            _fail(log, _place(part, names, "position_id"), "a position of its own", found)
        positions.add(position)


def _both(gpus: Sequence[DevicePart], switches: Sequence[DevicePart], names: _Names, log: CheckLog) -> None:
    """Each side's identities against what the other side names; both sides agree within themselves.

    Every present device must be named; where all of a kind are present the sets are then equal, as they have
    the same size and no device stands twice.
    """
    sides = ((switches, _switches_of(gpus[0]), "GPUs"), (gpus, _gpus_of(switches[0]), "switches"))
    for parts, named, by in sides:
        for part in parts:
            if _pdi(part) not in named:
                _fail(
                    log,
                    _place(part, names),
                    f"one of those the {by} name: {_shown(named)}",
                    part.device.serial,
                )


def _switches_of(part: DevicePart) -> frozenset[bytes]:
    """The switches behind a GPU's links. A GPU writes identifiers the other way round; unused links are zero."""
    return frozenset(pdi[::-1] for pdi in part.opaque.pdis or () if any(pdi))


def _gpus_of(part: DevicePart) -> frozenset[bytes]:
    return frozenset(part.opaque.gpu_pdis or ())


def _fail(log: CheckLog, where: str, expected: object, found: object) -> None:
    log.failed(_CHECK, "nvidia.topology", where=where, expected=expected, found=found)


def _shown(pdis: frozenset[bytes]) -> str:
    return " ".join(sorted(pdi.hex() for pdi in pdis))


def _place(part: DevicePart, names: _Names, field: str = "") -> str:
    """`gpu[3].switch_pdi, serial …`: the number as everywhere else, the serial for whoever stands before the machine."""
    return f"{names[id(part)]}{'.' if field else ''}{field}, serial {part.device.serial}"
