"""What of an event's data its digest vouches for.

A log's holder can write any type and any data beside a digest. Only data that hash to it by one of these
rules were measured; the rest is a hint.

Source: TCG PC Client Platform Firmware Profile, event types; edk2 and TDVF for boot variables; GRUB for its own
entries; dstack for runtime events.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Literal

from attest.eventlog.log import RUNTIME_EVENT, SHA384, Event
from attest.eventlog.replay import HASHES

EV_SEPARATOR = 0x00000004
EV_EVENT_TAG = 0x00000006
EV_PLATFORM_CONFIG_FLAGS = 0x0000000A
EV_IPL = 0x0000000D
EV_EFI_VARIABLE_DRIVER_CONFIG = 0x80000001
EV_EFI_VARIABLE_BOOT = 0x80000002
EV_EFI_BOOT_SERVICES_APPLICATION = 0x80000003
EV_EFI_GPT_EVENT = 0x80000006
EV_EFI_ACTION = 0x80000007
EV_EFI_PLATFORM_FIRMWARE_BLOB2 = 0x8000000A
EV_EFI_HANDOFF_TABLES2 = 0x8000000B
EV_EFI_VARIABLE_AUTHORITY = 0x800000E0

GRUB_PREFIXES = (b"grub_cmd: ", b"kernel_cmdline: ")
LINUX_INITRD_TAG, LOAD_OPTIONS_TAG, AAEL_TAG = 0x8F3B22EC, 0x8F3B22ED, 0x4141454C

Tie = Literal["data", "variable data", "text", "runtime"]
"""What the digest is over: all data, a boot variable's value, the text behind GRUB's prefix, or dstack's
type ‖ ":" ‖ name ‖ ":" ‖ payload."""

_WHOLE = frozenset(
    {
        EV_SEPARATOR,
        EV_EFI_ACTION,
        EV_EFI_GPT_EVENT,
        EV_EFI_VARIABLE_DRIVER_CONFIG,
        EV_EFI_VARIABLE_AUTHORITY,
    }
)


def tie(event: Event, algorithm: int = SHA384) -> Tie | None:
    """How `event.data` is bound to the digest of `algorithm`; None where it is only a hint."""
    digest, bank = event.digest(algorithm), HASHES.get(algorithm)
    if digest is None or bank is None:
        return None

    def measured(data: bytes) -> bool:
        return hashlib.new(bank, data).digest() == digest

    if event.type in _WHOLE:
        return "data" if measured(event.data) else None
    if event.type == EV_EFI_VARIABLE_BOOT:
        variable = Variable.read(event.data)
        if variable is not None and measured(variable.data):
            return "variable data"
        return "data" if measured(event.data) else None
    if event.type == EV_IPL:
        text = grub_text(event)
        # Older GRUB hashed the final NUL too.
        return "text" if text is not None and (measured(text) or measured(text + b"\0")) else None
    if event.type == EV_EVENT_TAG:
        # Runtime events of confidential containers; the kernel's tags name what was measured instead.
        return "data" if tag_of(event) == AAEL_TAG and measured(event.data) else None
    if event.type == RUNTIME_EVENT:
        return "runtime" if runtime_digest(event.name, event.data, bank) == digest else None
    return None


def runtime_digest(name: str, payload: bytes, bank: str = "sha384") -> bytes:
    """The digest of a dstack runtime event."""
    head = RUNTIME_EVENT.to_bytes(4, "little") + b":" + name.encode("utf-8", "surrogatepass") + b":"
    return hashlib.new(bank, head + payload).digest()


def grub_text(event: Event) -> bytes | None:
    """The text that GRUB measured: behind its prefix, without the final NUL. None for other entries."""
    for prefix in GRUB_PREFIXES:
        if event.data.startswith(prefix) and event.data.endswith(b"\0"):
            return event.data[len(prefix) : -1]
    return None


def tag_of(event: Event) -> int | None:
    """The identifier of a tagged event that is exactly as long as it says; None otherwise."""
    if event.type != EV_EVENT_TAG or len(event.data) < 8:
        return None
    tag, size = struct.unpack_from("<II", event.data)
    return tag if size == len(event.data) - 8 else None


def tagged(tag: int, content: bytes) -> bytes:
    """The data of a tagged event."""
    return struct.pack("<II", tag, len(content)) + content


def load_options(command_line: str) -> bytes:
    """What the kernel's EFI stub measures as LOADED_IMAGE::LoadOptions: UTF-16LE with its two NUL bytes."""
    return command_line.encode("utf-16-le") + b"\0\0"


@dataclass(frozen=True, slots=True)
class Variable:
    """UEFI_VARIABLE_DATA. guid: 16 bytes as they stand. name: UTF-16LE, decoded."""

    guid: bytes
    name: str
    data: bytes

    @classmethod
    def read(cls, raw: bytes) -> Variable | None:
        """None where the sizes do not add up or the name is no UTF-16."""
        if len(raw) < 32:
            return None
        characters, size = struct.unpack_from("<QQ", raw, 16)
        if characters > len(raw) or 32 + 2 * characters + size != len(raw):
            return None
        try:
            name = raw[32 : 32 + 2 * characters].decode("utf-16-le")
        except UnicodeDecodeError:
            return None
        return cls(raw[:16], name, raw[32 + 2 * characters :])

    def encode(self) -> bytes:
        name = self.name.encode("utf-16-le")
        return self.guid + struct.pack("<QQ", len(name) // 2, len(self.data)) + name + self.data
