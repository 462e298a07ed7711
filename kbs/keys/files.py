"""Files that hold keys: 0600, never overwritten."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from kbs.keys import KeyStoreError


def write_new(path: Path, content: bytes) -> None:
    """Raises KeyStoreError if the file is there: a key is never overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyStoreError(f"{path} exists; a key is never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def write_beside(path: Path, content: bytes) -> None:
    """As `write_new`, where others may be listing the folder: they see the whole file or none."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new(unfinished, content)
        os.link(unfinished, path)
    except FileExistsError:
        raise KeyStoreError(f"{path} exists; a key is never overwritten") from None
    except OSError as error:
        raise KeyStoreError(f"{path}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(path.parent)


def read_private(path: Path) -> bytes:
    """Raises KeyStoreError if the file is missing or open to group or others."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyStoreError(f"{path} is open to others; make it 0600")
            return file.read(1 << 16)
    except OSError as error:
        raise KeyStoreError(f"{path}: {error.strerror}") from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
