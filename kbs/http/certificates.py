"""The server's certificate, taken up anew from its files without a connection that ends.

Each new connection is given the newest pair that was found whole; those that stand keep theirs. A pair that is none keeps
the one before in force, and the log says so once for each change.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

_log = structlog.get_logger("kbs.http")
LOOK_SECONDS: Final = 60.0


class Certificates:
    """load: a context of the pair in the files as they are. Raises what `load` raises at first, never later."""

    def __init__(self, files: tuple[Path, Path], load: Callable[[], ssl.SSLContext]) -> None:
        self._files = files
        self._load = load
        self._seen = self._stamps()
        self._newest = load()
        self.context = load()
        """For the server, for ever: it hands each handshake on to the newest."""
        self.context.sni_callback = self._hand_on  # asked also where a client names no server

    def look(self) -> None:
        """Take up what changed."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        self._seen = stamps
        try:
            self._newest = self._load()
        except Exception as error:  # noqa: BLE001  (whatever it is, the pair before goes on)
            _log.error("the new certificate is not taken; the one before stays", cause=str(error))
        else:
            _log.info("a new certificate is served", file=str(self._files[0]))

    def _hand_on(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._newest

    def _stamps(self) -> tuple[object, ...]:
        found: list[object] = []
        for file in self._files:
            try:
                status = file.stat()
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
            except OSError:
                found.append(None)
        return tuple(found)
