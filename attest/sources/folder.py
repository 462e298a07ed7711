"""A folder of our own: nobody else can write it, no link leads out of it, every file is whole or absent.

All access goes through one descriptor of the folder, so that a folder swapped for a link between two
calls changes nothing. A file is written beside its place, flushed to the disk and renamed: a reader, or a
machine that lost its power, sees the old bytes or the new ones.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from attest.sources.failure import failed

LOCK = ".lock"
"""What follows a name in the name of its lock."""
_TEMPORARY = ".tmp-"
_ABANDONED = 3600
"""Seconds after which a half-written file has nobody left who writes it."""
_NAME_BYTES = 200


def _instead(path: Path) -> str:
    """What stands where a folder is wanted."""
    for part in (path, *path.parents):
        if part.is_symlink():
            return f"a link: {part}" if part != path else "a link"
        if part.is_file():
            return "a file" if part == path else f"a file in its place: {part}"
    return "no folder"


class Folder:
    """Opened, or made with mode 0700. Raises FetchFailed (`sources.cache`) when it is unsafe or unusable.

    shared: the caller named a file in a folder of his choice, so who else may write there is his business.
    """

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            # O_NOFOLLOW says ENOTDIR or ELOOP for a link.
            what = _instead(path) if error.errno in (errno.ELOOP, errno.ENOTDIR) else error.strerror
            raise failed("sources.cache", where=str(path), found=what, temporary=False) from None
        state = os.fstat(self._fd)
        if not shared and (state.st_uid != os.geteuid() or state.st_mode & 0o022):
            self.close()  # and remembered as closed: the number is somebody else's at once
            raise failed(
                "sources.cache",
                where=str(path),
                expected="owned by you, writable by nobody else",
                found=f"owner {state.st_uid}, mode {stat.S_IMODE(state.st_mode):04o}",
                temporary=False,
            )

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            self.close()

    def has(self, name: str) -> bool:
        """Whether there is anything of this name, a dangling link included.

        Raises FetchFailed (`sources.cache`) where that cannot be said: in a folder that may not be searched a
        memory would look as if it had never been kept.
        """
        try:
            os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise failed(
                "sources.cache", where=str(self.path), found=error.strerror, temporary=False
            ) from None
        return True

    def read(self, name: str, limit: int) -> bytes | None:
        """The bytes; None when there is no regular file of this name, or a larger one."""
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._fd
            )
        except OSError:
            return None
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode) or state.st_size > limit:
                return None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(limit + 1)
        except OSError:
            return None
        finally:
            os.close(descriptor)
        return data if len(data) <= limit else None

    def obstacle(self, name: str, limit: int) -> str:
        """Why `read` gave nothing, in words."""
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self._fd
            )
        except OSError as error:
            return "a link" if error.errno == errno.ELOOP else error.strerror or type(error).__name__
        state = os.fstat(descriptor)
        os.close(descriptor)
        return f"more than {limit} bytes" if stat.S_ISREG(state.st_mode) else "no regular file"

    def write(self, name: str, data: bytes) -> None:
        """Put `data` in place as a whole, mode 0600. Raises FetchFailed (`sources.cache`)."""
        temporary = f"{_TEMPORARY}{secrets.token_hex(8)}"
        try:
            descriptor = os.open(
                temporary,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
                dir_fd=self._fd,
            )
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=self._fd)
                raise
            os.fsync(self._fd)
        except OSError as error:
            raise failed("sources.cache", where=str(self.path), found=error.strerror) from None

    def remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._fd)

    def touch(self, name: str) -> None:
        """Say that the file was of use now."""
        with contextlib.suppress(OSError):
            os.utime(name, dir_fd=self._fd, follow_symlinks=False)

    def sizes(self) -> list[tuple[str, int, float]]:
        """(name, bytes, time of last change) of each file; what a dead writer left behind is removed."""
        found = []
        with os.scandir(self._fd) as entries:
            for entry in entries:
                try:
                    state = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if entry.name.startswith(_TEMPORARY):
                    # Age by the clock that stamped the file: the file system's own.
                    if time.time() - state.st_mtime > _ABANDONED:
                        self.remove(entry.name)
                elif stat.S_ISREG(state.st_mode):
                    found.append((entry.name, state.st_size, state.st_mtime))
        return found

    @contextlib.contextmanager
    def locked(
        self,
        name: str,
        *,
        patience: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[bool]:
        """Hold the lock of this name among all threads and processes; False when it was not to be had.

        patience: seconds to wait, 0 for one try. The system drops the lock of a process that dies.
        """
        if len(name) > _NAME_BYTES:
            raise ValueError("a lock's name is short")
        held = False
        waited, pause = 0.0, 0.02
        descriptor = self._open_lock(name)
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if waited >= patience:
                        break
                    sleep(pause)
                    waited += pause
                    pause = min(pause * 1.5, 0.25)
                else:
                    if self._is_lock(name, descriptor):
                        held = True
                        os.utime(descriptor)  # in use: not to be tidied away
                        break
                    # Removed between opening and locking: the next one would lock another file.
                    os.close(descriptor)
                    descriptor = -1
                    descriptor = self._open_lock(name)
            yield held
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def remove_lock(self, name: str) -> None:
        """Remove the file of a lock, unless somebody holds it."""
        with contextlib.suppress(OSError):
            descriptor = self._open(f"{name}{LOCK}", os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_lock(name, descriptor):
                    os.unlink(f"{name}{LOCK}", dir_fd=self._fd)
            finally:
                os.close(descriptor)

    def _open_lock(self, name: str) -> int:
        try:
            return self._open(f"{name}{LOCK}", os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise failed("sources.cache", where=str(self.path), found=error.strerror) from None

    def _open(self, name: str, flags: int) -> int:
        return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._fd)

    def _is_lock(self, name: str, descriptor: int) -> bool:
        """Whether the file that was locked still bears the lock's name."""
        try:
            there = os.stat(f"{name}{LOCK}", dir_fd=self._fd, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(descriptor))
