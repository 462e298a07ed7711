"""Key files that follow one another in a folder: the newest is used, those before it are still read.

`token.pem` is the first; `token-20261201T093000Z.pem` took over from it when its name says. A file is
written once and never changed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from kbs.keys import KeyStoreError, KeyStoreUnavailable
from kbs.keys.files import write_beside, write_new

OVERLAP: Final = timedelta(minutes=10)
"""How long a key counts after another took over: twice the life of what it sealed or signed."""
_FORM: Final = "%Y%m%dT%H%M%SZ"
_INSTANT: Final = re.compile(r"-(\d{8}T\d{6}Z)")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """created: None for the first."""

    path: Path
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Succession:
    """Files `STEM SUFFIX` and `STEM-INSTANT SUFFIX` of one folder."""

    folder: Path
    stem: str
    suffix: str

    def files(self) -> list[KeyFile]:
        """Oldest first. Raises KeyStoreError where the folder cannot be read."""
        try:
            names = os.listdir(self.folder)
        except OSError as error:
            raise KeyStoreError(f"{self.folder}: {error.strerror}") from None
        found = [(self._instant(name), name) for name in names if self._is_ours(name)]
        first = datetime.min.replace(tzinfo=UTC)
        found.sort(key=lambda one: one[0] or first)
        return [KeyFile(self.folder / name, created) for created, name in found]

    def newest(self) -> Path:
        """The file in use. Raises KeyStoreError where there is none."""
        files = self.files()
        if not files:
            raise KeyStoreError(f"there is no {self.stem}{self.suffix} in {self.folder}: kbs init makes it")
        return files[-1].path

    def counting(self, now: datetime) -> list[Path]:
        """Newest first: the one in use, and those whose successor is younger than `OVERLAP`."""
        ended = self._ended(now)
        return [file.path for file in reversed(self.files()) if file.path not in ended]

    def start(self, content: bytes) -> None:
        """The first file. Raises KeyStoreError where it is there."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(self.folder / f"{self.stem}{self.suffix}", content)

    def add(self, content: bytes, now: datetime) -> KeyFile:
        """A file that takes over now. Raises KeyStoreError."""
        files = self.files()
        now = now.astimezone(UTC).replace(microsecond=0)
        if files and files[-1].created and files[-1].created >= now:
            raise KeyStoreUnavailable(
                f"{files[-1].path} is not older than this moment: look at the clock, or wait"
            )
        path = self.folder / f"{self.stem}-{now.strftime(_FORM)}{self.suffix}"
        write_beside(path, content)
        return KeyFile(path, now)

    def remove_ended(self, now: datetime) -> list[Path]:
        """Delete the files that count no more; returns them. Raises KeyStoreError."""
        ended = self._ended(now)
        for path in ended:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise KeyStoreError(f"{path}: {error.strerror}") from None
        return ended

    def _ended(self, now: datetime) -> list[Path]:
        return [
            file.path
            for file, successor in pairwise(self.files())
            if successor.created and successor.created + OVERLAP <= now
        ]

    def _is_ours(self, name: str) -> bool:
        middle = name.removeprefix(self.stem).removesuffix(self.suffix)
        return name == f"{self.stem}{middle}{self.suffix}" and (not middle or self._instant(name) is not None)

    def _instant(self, name: str) -> datetime | None:
        found = _INSTANT.fullmatch(name.removeprefix(self.stem).removesuffix(self.suffix))
        if found is None:
            return None
        try:
            return datetime.strptime(found[1], _FORM).replace(tzinfo=UTC)
        except ValueError:
            return None
