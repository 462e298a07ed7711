"""JSON documents of the field that hold an event log beside a quote.

Confidential Containers: `{"quote": …, "cc_eventlog": base64 of the CCEL data, or null}`. dstack:
`{"quote" or "intel_quote": …, "event_log": JSON text, a list of entries}`.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Any

from attest import strict_base64
from attest.canonical import read_json as read_strict_json
from attest.eventlog.log import MAX_EVENTS, MAX_LOG, SHA384, Event, EventLog
from attest.problems import malformed

_MAX_TEXT = 4 << 20
_MAX_NAME = 256
_ENTRY = {"imr": int, "event_type": int, "digest": str, "event": str, "event_payload": str}


def read_json(document: Mapping[str, object], where: str) -> EventLog | None:
    """The log that a document holds; None where it holds none, or null.

    Raises Malformed when the member is there and is no event log, or both forms are.
    """
    coco, dstack = document.get("cc_eventlog"), document.get("event_log")
    if coco is not None and dstack is not None:
        raise malformed("Two event logs in one document", where=where)
    if coco is not None:
        return _from_base64(coco, f"{where} cc_eventlog")
    if dstack is not None:
        return read_dstack(dstack, f"{where} event_log")
    return None


def _from_base64(text: object, where: str) -> EventLog | None:
    if not isinstance(text, str):
        raise malformed("The event log is not text", where=where)
    if not text:
        return None  # older agents write this for none
    if len(text) > 4 * (MAX_LOG // 3 + 1):
        raise malformed(
            "The event log is too large",
            where=where,
            expected=f"≤ {MAX_LOG} bytes",
            found=f"{len(text)} characters",
            code="evidence.too-large",
        )
    try:
        raw = strict_base64.decode(text)
    except (binascii.Error, ValueError):
        raise malformed("The event log is not base64", where=where) from None
    return EventLog.parse(raw, where)


def read_dstack(value: object, where: str) -> EventLog | None:
    """dstack's log: JSON text, or the list itself. None for empty text. Raises Malformed."""
    raw = b""
    if isinstance(value, str):
        if not value:
            return None
        raw = value.encode("utf-8", "surrogatepass")
        value = read_strict_json(value, where=where, limit=_MAX_TEXT)
    if not isinstance(value, list):
        raise malformed("The event log is not a list of events", where=where)
    if len(value) > MAX_EVENTS:
        raise malformed(
            "The event log has too many events",
            where=where,
            expected=f"≤ {MAX_EVENTS}",
            found=len(value),
            code="evidence.too-large",
        )
    events = tuple(_entry(entry, f"{where}[{index}]") for index, entry in enumerate(value))
    return EventLog("dstack", raw, ((SHA384, 48),), events)


def _entry(entry: Any, where: str) -> Event:
    if not isinstance(entry, dict):
        raise malformed("An event is not an object", where=where)
    for member, kind in _ENTRY.items():
        if type(entry.get(member)) is not kind:
            raise malformed("An event lacks a member, or has one of another type", where=f"{where} {member}")
    if not 0 <= entry["imr"] <= 3:
        raise malformed("There is no such RTMR", where=f"{where} imr", expected="0 to 3", found=entry["imr"])
    if not 0 <= entry["event_type"] <= 0xFFFFFFFF:
        raise malformed("Not an event type", where=f"{where} event_type", found=entry["event_type"])
    if len(entry["event"]) > _MAX_NAME:
        raise malformed("The event's name is too long", where=f"{where} event", found=len(entry["event"]))
    digest = _hex(entry["digest"], f"{where} digest")
    if len(digest) != 48:
        raise malformed("A digest is 48 bytes", where=f"{where} digest", expected=48, found=len(digest))
    # Its registers are numbered as RTMRs; a TD's binary log counts MRTD as 0.
    return Event(
        entry["imr"] + 1,
        entry["event_type"],
        ((SHA384, digest),),
        _hex(entry["event_payload"], f"{where} event_payload"),
        entry["event"],
    )


def _hex(text: str, where: str) -> bytes:
    # fromhex alone would skip white space.
    if text and not (text.isascii() and text.isalnum()):
        raise malformed("Not hex", where=where)
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise malformed("Not hex", where=where) from None
