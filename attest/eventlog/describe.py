"""A log as text for a person: every entry with its register and digest, and whether its data are tied to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest.eventlog.log import EV_NO_ACTION, RUNTIME_EVENT, SHA256, SHA384, Event, EventLog
from attest.eventlog.replay import HASHES
from attest.eventlog.tie import (
    EV_EFI_ACTION,
    EV_EFI_BOOT_SERVICES_APPLICATION,
    EV_EFI_GPT_EVENT,
    EV_EFI_HANDOFF_TABLES2,
    EV_EFI_PLATFORM_FIRMWARE_BLOB2,
    EV_EFI_VARIABLE_AUTHORITY,
    EV_EFI_VARIABLE_BOOT,
    EV_EFI_VARIABLE_DRIVER_CONFIG,
    EV_EVENT_TAG,
    EV_IPL,
    EV_PLATFORM_CONFIG_FLAGS,
    EV_SEPARATOR,
    Variable,
    tie,
)
from attest.untrusted import escape

MAX_SHOWN = 500
"""Entries; of each at most 200 characters of data."""

NAMES: Mapping[int, str] = {
    EV_NO_ACTION: "EV_NO_ACTION",
    EV_SEPARATOR: "EV_SEPARATOR",
    EV_EVENT_TAG: "EV_EVENT_TAG",
    0x00000008: "EV_S_CRTM_VERSION",
    EV_PLATFORM_CONFIG_FLAGS: "EV_PLATFORM_CONFIG_FLAGS",
    EV_IPL: "EV_IPL",
    0x00000011: "EV_NONHOST_INFO",
    EV_EFI_VARIABLE_DRIVER_CONFIG: "EV_EFI_VARIABLE_DRIVER_CONFIG",
    EV_EFI_VARIABLE_BOOT: "EV_EFI_VARIABLE_BOOT",
    EV_EFI_BOOT_SERVICES_APPLICATION: "EV_EFI_BOOT_SERVICES_APPLICATION",
    EV_EFI_GPT_EVENT: "EV_EFI_GPT_EVENT",
    EV_EFI_ACTION: "EV_EFI_ACTION",
    EV_EFI_PLATFORM_FIRMWARE_BLOB2: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
    EV_EFI_HANDOFF_TABLES2: "EV_EFI_HANDOFF_TABLES2",
    EV_EFI_VARIABLE_AUTHORITY: "EV_EFI_VARIABLE_AUTHORITY",
    RUNTIME_EVENT: "dstack runtime event",
}


def describe(log: EventLog) -> dict[str, Any]:
    """Text that is safe to print, at most MAX_SHOWN entries."""
    algorithm = SHA384 if log.form != "tpm" else next((one for one, _ in log.algorithms if one == SHA256), 0)
    return {
        "form": log.form,
        "algorithms": [HASHES.get(one, f"{one:#06x}") for one, _ in log.algorithms],
        "events": str(len(log.events)),
        "entries": [_entry(event, log, algorithm) for event in log.events[:MAX_SHOWN]],
        "left_out": str(max(0, len(log.events) - MAX_SHOWN)),
    }


def register_name(log: EventLog, index: int) -> str:
    """PCR 7, MRTD or RTMR0."""
    if log.form == "tpm":
        return f"PCR {index}"
    return "MRTD" if index == 0 else f"RTMR{index - 1}"


def _entry(event: Event, log: EventLog, algorithm: int) -> dict[str, str]:
    digest = event.digest(algorithm) or event.digests[0][1]
    tied = tie(event, algorithm)
    return {
        "register": register_name(log, event.index),
        "type": NAMES.get(event.type, f"{event.type:#010x}"),
        "digest": digest.hex(),
        "digest_is_over": tied or "something else: the data are a hint",
        "data": _data(event),
    }


def _data(event: Event) -> str:
    if event.type in (EV_EFI_VARIABLE_DRIVER_CONFIG, EV_EFI_VARIABLE_BOOT, EV_EFI_VARIABLE_AUTHORITY):
        variable = Variable.read(event.data)
        if variable is not None:
            return (
                escape(variable.name, 64)
                + f" = {variable.data[:64].hex() or 'empty'}"
                + (f"… ({len(variable.data)} bytes)" if len(variable.data) > 64 else "")
            )
    text = event.data[:256].rstrip(b"\0")
    name = f"{escape(event.name)}: " if event.name else ""
    if text and all(byte in b"\t\n" or 32 <= byte < 127 for byte in text):
        return name + escape(text.decode("ascii"))
    shown = event.data[:100].hex()
    return name + (shown or "empty") + (f"… ({len(event.data)} bytes)" if len(event.data) > 100 else "")
