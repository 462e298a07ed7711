"""A backup: lines of JSON that only a broker with the same wrapping key can restore.

    {"head":"…","kind":"kbs-backup/1","made":"…","mac-key":"…","schema":"…"}
    ["owners",{"name":"acme", …}]          a row a line, tables in an order that they can be put back in
    {"mac":"…","rows":123}

One form for both databases, made of our own tables in one read transaction: it moves a broker from SQLite to
PostgreSQL, needs no tool of the server's version, and holds no statements that somebody could add to. The MAC,
HMAC-SHA256 under a key that the broker's key store wraps, covers all lines before the last: a backup that was
cut off, or in which a rule was loosened or an administrator added, is not restored. What it holds is what the
database holds: ciphertext, hashes, policies and the audit trail.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Final

from attest.canonical import canonical, read_json
from attest.claims import instant, read_instant
from attest.errors import Malformed
from kbs.audit import Head
from kbs.keys import KeyStoreError, KeyStoreUnavailable
from kbs.keys.wrap import KeyWrap
from kbs.store.lasting import Row

KIND: Final = "kbs-backup/1"
_CONTEXT: Final = canonical({"kind": KIND})
_LINE: Final = 16 << 20


class BackupError(Exception):
    """A file is no backup, none of this broker, or does not fit where it should go."""


@dataclass(frozen=True, slots=True)
class About:
    """schema: the database's version when it was made. head: the last row of the audit trail in it."""

    schema: str
    head: Head
    made: datetime


def write_backup(stream: BinaryIO, about: About, rows: Iterator[Row], wrap: KeyWrap) -> int:
    """Returns the count of rows. Raises OSError and KeyStoreError."""
    mac_key = os.urandom(32)
    mac = hmac.new(mac_key, digestmod=hashlib.sha256)
    header = {
        "head": str(about.head),
        "kind": KIND,
        "mac-key": base64.b64encode(wrap.wrap(mac_key, _CONTEXT)).decode(),
        "made": instant(about.made),
        "schema": about.schema,
    }
    count = 0

    def line(content: Any) -> None:
        raw = json.dumps(content, separators=(",", ":")).encode() + b"\n"
        mac.update(raw)
        stream.write(raw)

    line(header)
    for row in rows:
        line(row)
        count += 1
    line({"mac": mac.hexdigest(), "rows": count})
    return count


class Backup:
    """A backup that is whole and was made by a broker with the same wrapping key."""

    def __init__(self, stream: BinaryIO, wrap: KeyWrap) -> None:
        """Reads all of it once. Raises BackupError, and KeyStoreUnavailable."""
        self._stream = stream
        header = _json(_line(stream))
        try:
            if header["kind"] != KIND:
                raise BackupError(f"this is no {KIND}")
            self.about = About(
                str(header["schema"]), Head.parse(header["head"]), read_instant(header["made"])
            )
            self._mac_key = wrap.unwrap(base64.b64decode(header["mac-key"], validate=True), _CONTEXT)
        except KeyStoreUnavailable:
            raise
        except KeyStoreError:
            raise BackupError(
                "it is of a broker with other keys: nothing in it could be opened with those given"
            ) from None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise BackupError(f"this is no {KIND}") from None
        for _ in self._authentic():
            pass

    def rows(self) -> Iterator[Row]:
        """Raises BackupError, at the last row at the latest, where the file changed since it was opened."""
        for raw in self._authentic():
            try:
                name, values = json.loads(raw)
            except ValueError:
                raise _changed() from None
            yield name, values

    def _authentic(self) -> Iterator[bytes]:
        """The rows' lines; what they were is known at the end only."""
        self._stream.seek(0)
        mac = hmac.new(self._mac_key, _line(self._stream), hashlib.sha256)
        while (raw := _line(self._stream)).startswith(b"["):
            mac.update(raw)
            yield raw
        last = _json(raw)
        given = str(last.get("mac")) if isinstance(last, dict) else ""
        if not hmac.compare_digest(given.encode(), mac.hexdigest().encode()) or self._stream.read(1):
            raise _changed()


def _changed() -> BackupError:
    return BackupError("it was changed since it was made, or added to")


def _line(stream: BinaryIO) -> bytes:
    raw = stream.readline(_LINE)
    if not raw.endswith(b"\n"):
        raise BackupError("it is cut off, or no backup")
    return raw


def _json(raw: bytes) -> Any:
    try:
        return read_json(raw, where="backup")
    except Malformed:
        raise BackupError(f"this is no {KIND}") from None
