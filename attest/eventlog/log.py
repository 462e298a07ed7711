"""TCG2 crypto-agile event logs: the CCEL data of a TD, the measurement list of a TPM.

Nothing in a log is signed. Digests count where replaying them gives signed registers; types and data count
only where a rule ties them to a digest (`attest.eventlog.tie`).

Source: TCG PC Client Platform Firmware Profile, event logging; Intel TDX virtual firmware design guide, CCEL.
Integers are little-endian.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from attest.errors import Malformed
from attest.problems import malformed

MAX_LOG = 1 << 20
"""Bytes of a log, padding included; the areas seen are 64 and 256 KiB."""
MAX_EVENTS = 10_000
MAX_ALGORITHMS = 8

SHA1, SHA256, SHA384, SHA512 = 0x0004, 0x000B, 0x000C, 0x000D
DIGEST_SIZES: Mapping[int, int] = {SHA1: 20, SHA256: 32, SHA384: 48, SHA512: 64, 0x0012: 32}
"""TPM_ALG_ID → bytes. Other algorithms may stand in a log and are not replayed."""

EV_NO_ACTION = 3
RUNTIME_EVENT = 0x08000001
"""dstack's own type for what its guest measures into RTMR3."""

Form = Literal["ccel", "tpm", "dstack"]

_SIGNATURE = b"Spec ID Event03\0"
_HEADER = struct.Struct("<II20sI")
_SPEC_ID = struct.Struct("<16sIBBBBI")
_EVENT = struct.Struct("<III")
_REST = re.compile(rb"[\x00\xff]*+\Z")
_MAX_INDEX: Mapping[Form, int] = {"ccel": 4, "dstack": 4, "tpm": 23}


@dataclass(frozen=True, slots=True)
class Event:
    """One entry. index: measurement register, of a TD 0 MRTD and 1 to 4 RTMR0 to RTMR3, of a TPM the PCR.
    digests: algorithm → digest, as logged. data: what the logger says was measured; unsigned. name: of a
    dstack runtime event."""

    index: int
    type: int
    digests: tuple[tuple[int, bytes], ...]
    data: bytes
    name: str = ""

    def digest(self, algorithm: int) -> bytes | None:
        """The digest of this algorithm, or None."""
        return next((digest for known, digest in self.digests if known == algorithm), None)


@dataclass(frozen=True, slots=True)
class EventLog:
    """A parsed log, believed by nobody.

    form: whose registers `Event.index` numbers, and how it was written. raw: the bytes or the text it was
    read from, without padding. algorithms: TPM_ALG_ID → digest bytes, as declared. events: in log order,
    without the entry that declares the algorithms.
    """

    form: Form
    raw: bytes
    algorithms: tuple[tuple[int, int], ...]
    events: tuple[Event, ...]

    @classmethod
    def parse(cls, raw: bytes, where: str = "event log") -> EventLog:
        """A log in TCG2 binary form; the index of its first entry says whose: 1 a TD's, 0 a TPM's.

        Raises Malformed, with the offset: another layout, a digest of an undeclared algorithm, sizes past
        the end, more than MAX_LOG bytes or MAX_EVENTS events, anything but padding behind the last event.
        """
        if len(raw) > MAX_LOG:
            raise malformed(
                "The event log is too large",
                where=where,
                expected=f"≤ {MAX_LOG} bytes",
                found=len(raw),
                code="evidence.too-large",
            )
        form, algorithms, offset = _declaration(raw, where)
        sizes = dict(algorithms)
        events: list[Event] = []
        while offset < len(raw):
            if raw[offset : offset + 8] in (b"\xff" * 8, b"\0" * 8) and _REST.match(raw, offset):
                break
            if len(events) == MAX_EVENTS:
                raise _wrong("The event log has too many events", where, offset, expected=f"≤ {MAX_EVENTS}")
            event, offset = _event(raw, offset, form, sizes, where)
            events.append(event)
        return cls(form, raw[:offset], algorithms, tuple(events))


def is_event_log(data: bytes) -> bool:
    """Whether these bytes begin as a crypto-agile log does."""
    return (
        data[1:8] == b"\0\0\0\x03\0\0\0"
        and data[:1] in (b"\0", b"\1")
        and data[8:28] == bytes(20)
        and data[32:44] == b"Spec ID Even"
    )


def _declaration(raw: bytes, where: str) -> tuple[Form, tuple[tuple[int, int], ...], int]:
    """The first entry: in the old SHA-1 form, it names the algorithms of those that follow."""
    if len(raw) < _HEADER.size:
        raise _wrong("The event log is cut short", where, len(raw))
    index, kind, digest, size = _HEADER.unpack_from(raw)
    if index not in (0, 1) or kind != EV_NO_ACTION or any(digest):
        raise _wrong("The event log does not begin with its declaration", where, 0)
    end = _HEADER.size + size
    if end > len(raw) or size < _SPEC_ID.size + 1:
        raise _wrong("The event log's declaration has an impossible size", where, 28, found=size)
    signature, _, _, _, _, uintn, count = _SPEC_ID.unpack_from(raw, _HEADER.size)
    if signature != _SIGNATURE:
        raise _wrong("Not a crypto-agile event log", where, _HEADER.size, expected="Spec ID Event03")
    if uintn not in (1, 2) or not 1 <= count <= MAX_ALGORITHMS:
        raise _wrong("The event log declares no usable algorithms", where, _HEADER.size + 23, found=count)
    offset = _HEADER.size + _SPEC_ID.size
    if offset + 4 * count + 1 > end:
        raise _wrong("The event log's declaration is cut short", where, offset)
    algorithms = []
    for _ in range(count):
        algorithm, width = struct.unpack_from("<HH", raw, offset)
        if not 1 <= width <= 64 or DIGEST_SIZES.get(algorithm, width) != width:
            raise _wrong("A digest algorithm is declared with another size", where, offset, found=width)
        algorithms.append((algorithm, width))
        offset += 4
    if len(dict(algorithms)) != count:
        raise _wrong("A digest algorithm is declared twice", where, offset)
    if offset + 1 + raw[offset] != end:
        raise _wrong("The event log's declaration does not end where it says", where, offset)
    if index and SHA384 not in dict(algorithms):
        raise _wrong("A TD's event log has no SHA-384 digests", where, _HEADER.size)
    return ("ccel" if index else "tpm"), tuple(algorithms), end


def _event(raw: bytes, offset: int, form: Form, sizes: Mapping[int, int], where: str) -> tuple[Event, int]:
    start = offset
    if offset + _EVENT.size > len(raw):
        raise _wrong("An event is cut short", where, start)
    index, kind, count = _EVENT.unpack_from(raw, offset)
    if index > _MAX_INDEX[form]:
        raise _wrong(
            "An event names a register that is not there",
            where,
            start,
            expected=f"≤ {_MAX_INDEX[form]}",
            found=index,
        )
    if count != len(sizes):
        raise _wrong(
            "An event has another number of digests than the log declares",
            where,
            start + 8,
            expected=len(sizes),
            found=count,
        )
    offset += _EVENT.size
    digests: dict[int, bytes] = {}
    for _ in range(count):
        if offset + 2 > len(raw):
            raise _wrong("An event is cut short", where, start)
        algorithm = int.from_bytes(raw[offset : offset + 2], "little")
        if algorithm not in sizes or algorithm in digests:
            raise _wrong(
                "An event has a digest that the log does not declare", where, offset, found=algorithm
            )
        offset += 2
        digests[algorithm] = raw[offset : offset + sizes[algorithm]]
        offset += sizes[algorithm]
    if offset + 4 > len(raw):
        raise _wrong("An event is cut short", where, start)
    size = int.from_bytes(raw[offset : offset + 4], "little")
    offset += 4
    if size > len(raw) - offset:
        raise _wrong("An event's data reach past the end of the log", where, offset - 4, found=size)
    data = raw[offset : offset + size]
    return Event(index, kind, tuple(digests.items()), data), offset + size


def _wrong(
    message: str, where: str, offset: int, *, expected: object = None, found: object = None
) -> Malformed:
    return malformed(message, where=f"{where}+{offset}", expected=expected, found=found)
