"""What one item of a batch is: an entry of a folder, or a line of JSON. Read where it is judged."""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from attest import strict_base64
from attest.bundle import is_bundle
from attest.canonical import read_json
from attest.errors import Malformed
from attest.loader import read_file
from attest.policy.suggest import did_you_mean
from attest.problems import malformed
from attest.untrusted import escape

MAX_FILES = 256
MAX_LINE = 64 << 20
MAX_TOTAL = 64 << 20
"""Bytes of all files of one machine: every worker holds them at once."""
_MEMBERS = {
    "id",
    "files",
    "bundle",
    "nonce",
    "report-data",
    "gpu-nonce",
    "tpm-nonce",
    "key",
    "at",
}
_SHAPE = 'one object: {"id", "files": [{"name", "data"}] or "bundle"}, and of ' + ", ".join(
    sorted(_MEMBERS - {"id", "files", "bundle"})
)
_ID = re.compile(rb'\s*\{\s*"id"\s*:\s*("(?:[^"\\\x00-\x1f]|\\.){1,1024}")')
"""An id that comes first, whatever becomes of the rest of the line."""
_SMALL = 1 << 20
"""A line that is read once more for its id alone."""
_HEX = {"nonce": (16, 64), "report-data": (1, 64), "gpu-nonce": (32, 32), "tpm-nonce": (1, 64)}


@dataclass(frozen=True, slots=True)
class Item:
    """index: in the order of the input, from 0. path: an entry of a folder. line: JSON, as it was read; empty
    where it was too large. number: of the line, from 1, blank ones counted. name: its id, where it was too large."""

    index: int
    path: str | None = None
    line: bytes | None = None
    number: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """id: the entry's name, or what the line says. files: name and bytes. expected: keywords of
    `attest.Expected` that this item has of its own. at: None for the batch's."""

    id: str
    files: tuple[tuple[str, bytes], ...]
    expected: dict[str, Any]
    at: datetime | None = None


def folder_items(folder: Path) -> Iterator[Item]:
    """One item for each entry, file or folder, by name; names that begin with a dot are left out.

    Raises OSError when the folder cannot be read.
    """
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    for index, name in enumerate(names):
        yield Item(index, path=str(folder / name))


def line_items(stream: IO[bytes]) -> Iterator[Item]:
    """One item for each line that is not blank. A line over MAX_LINE is one malformed item, and the last."""
    index = number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            yield Item(index, line=b"", number=number, name=_first_id(line))
            return
        if line.strip():
            yield Item(index, line=line, number=number)
            index += 1


def read_item(item: Item) -> Content:
    """Raises Malformed: unreadable files, more than MAX_FILES, a line that is no item (`fleet.item`)."""
    if item.path is not None:
        return _read_path(Path(item.path))
    where = place_of(item)
    if item.line == b"" and item.number is not None:
        raise malformed(
            "The line is too large for one machine",
            where=where,
            expected=f"≤ {MAX_LINE} bytes",
            found="more; nothing after it was read",
            code="fleet.item",
        )
    return _read_line(item.line or b"", where)


def place_of(item: Item) -> str:
    """Where an item stands, for messages."""
    if item.path is not None:
        return item.path
    return f"item {item.index}" if item.number is None else f"line {item.number}"


def name_of(item: Item) -> str | None:
    """What an item is called where it cannot be read: the entry's name, or the id of its line if that can be told."""
    if item.path is not None:
        return Path(item.path).name
    if item.name is not None or not item.line:
        return item.name
    first = _first_id(item.line)
    if first is not None or len(item.line) > _SMALL:
        return first
    try:
        document = read_json(item.line, where="line")
    except Malformed:
        return None
    found = document.get("id") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None if found is None else json.dumps(found)[:1024]


def _first_id(line: bytes) -> str | None:
    found = _ID.match(line)
    try:
        return None if found is None else str(json.loads(found[1]))
    except ValueError:
        return None


def _read_path(path: Path) -> Content:
    try:
        if not path.is_dir():
            return Content(path.name, ((path.name, _regular(path)),), {})
        inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise _unreadable("The folder cannot be read", path, error) from None
    if len(inside) > MAX_FILES:
        raise malformed(
            "Too many files for one machine",
            where=str(path),
            expected=f"≤ {MAX_FILES}",
            found=len(inside),
            code="evidence.too-large",
        )
    files = []
    total = 0
    for entry in inside:
        data = _regular(entry)
        total += len(data)
        if total > MAX_TOTAL:
            raise malformed(
                "The files are too large for one machine",
                where=str(path),
                expected=f"≤ {MAX_TOTAL} bytes together",
                found="more",
                code="evidence.too-large",
            )
        files.append((entry.name, data))
    return Content(path.name, tuple(files), {})


def _regular(path: Path) -> bytes:
    """A pipe or a device would hold its reader for ever."""
    try:
        if not path.is_file():
            raise _unreadable("This is no file, or it is gone", path)
    except OSError as error:  # under a folder that may not be searched, or through a link to no possible name
        raise _unreadable("This cannot be looked at", path, error) from None
    return read_file(path)


def _unreadable(message: str, path: Path, error: OSError | None = None) -> Malformed:
    found = None if error is None else error.strerror
    return malformed(message, where=str(path), found=found, code="evidence.unreadable")


def _read_line(line: bytes, where: str) -> Content:
    try:
        document = read_json(line, where=where, limit=MAX_LINE) if line else None
    except Malformed as error:
        raise wrong(f"it is no JSON, {error.problems[0].message}", where) from None
    if not isinstance(document, dict):
        raise wrong("it is JSON, and no object", where)
    if not isinstance(document.get("id"), str):
        raise wrong("it has no id, a text", where)
    unknown = sorted(document.keys() - _MEMBERS)
    if unknown:
        near = did_you_mean(unknown[0], sorted(_MEMBERS))
        raise wrong(f"unknown member {escape(unknown[0], 60)}{near}", where)
    if ("files" in document) == ("bundle" in document):
        raise wrong("either files or a bundle is wanted", where)
    if "bundle" in document:
        if not is_bundle(document["bundle"]):
            raise wrong("bundle is what attest collect writes", where)
        files: tuple[tuple[str, bytes], ...] = (("bundle", json.dumps(document["bundle"]).encode()),)
    else:
        files = _files(document["files"], where)
    return Content(document["id"], files, _expected(document, where), _at(document.get("at"), where))


def _files(value: object, where: str) -> tuple[tuple[str, bytes], ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_FILES:
        raise wrong(f"files is a list of 1 to {MAX_FILES}", where)
    files = []
    for entry in value:
        if not isinstance(entry, dict) or entry.keys() != {"name", "data"}:
            raise wrong("a file has name and data, base64", where)
        name, data = entry["name"], entry["data"]
        if not isinstance(name, str) or not isinstance(data, str):
            raise wrong("a file has name and data, base64", where)
        try:
            files.append((name, strict_base64.decode(data)))
        except (binascii.Error, ValueError):
            raise wrong("a file's data is not base64", where) from None
    return tuple(files)


def _expected(document: dict[str, Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (least, most) in _HEX.items():
        text = document.get(name)
        if text is None:
            continue
        try:
            value = bytes.fromhex(text) if isinstance(text, str) else b""
        except ValueError:
            value = b""
        if not least <= len(value) <= most:
            raise wrong(f"{name} is {least} to {most} bytes, hexadecimal", where)
        found[name.replace("-", "_")] = value
    if document.get("key") is not None:
        if not isinstance(document["key"], dict):
            raise wrong("key is a JWK", where)
        found["key"] = document["key"]
    return found


def _at(text: object, where: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
        # What is a little earlier or later must be a time too.
        if at is not None and at.tzinfo is not None and 1 < at.year < 9999:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise wrong("at is a time such as 2026-11-23T12:00:00Z", where)


def wrong(message: str, where: str) -> Malformed:
    """The error of an item that names no evidence. where: as `place_of`."""
    return malformed(
        f"{where[:1].upper()}{where[1:]} names no evidence: {message}",
        where=where,
        expected=_SHAPE,
        code="fleet.item",
    )
