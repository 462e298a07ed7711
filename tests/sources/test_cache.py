"""Answers on disk: whole or absent, for their own time, in a folder that is nobody else's."""

from __future__ import annotations

import fcntl
import gc
import multiprocessing
import os
import signal
import stat
import time
from datetime import timedelta
from pathlib import Path

import pytest

from attest.sources.cache import Entry, Store
from attest.sources.failure import FetchFailed
from attest.sources.folder import Folder
from tests.conftest import NOON
from tests.sources.conftest import Clock

HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return Store(tmp_path / "cache", now=clock.now)


def entry(key: str = "GET https://kds/crl", body: bytes = b"list", expires: timedelta = HOUR) -> Entry:
    return Entry(key, NOON, NOON + expires / 2, NOON + expires, body, b"chain")


def test_what_was_put_comes_back_with_its_dates(store: Store) -> None:
    store.put(entry())
    assert store.get(entry().key) == entry()
    assert store.get("another key") is None


def test_an_entry_ends_with_what_it_holds(store: Store, clock: Clock) -> None:
    store.put(entry())
    clock.forward(minutes=59, seconds=59)
    assert store.get(entry().key) is not None
    clock.forward(seconds=1)
    assert store.get(entry().key) is None


def test_entries_from_the_future_are_dropped(store: Store, clock: Clock) -> None:
    store.put(entry())
    clock.forward(hours=-2)
    assert store.get(entry().key) is None


def test_every_single_bit_of_an_entry_counts(store: Store) -> None:
    data = bytearray(entry().encode())
    for place in range(len(data)):
        flipped = bytes(data[:place]) + bytes([data[place] ^ 1]) + bytes(data[place + 1 :])
        assert Entry.decode(flipped) is None, place
    for size in range(len(data)):
        assert Entry.decode(bytes(data[:size])) is None, size


def test_a_corrupt_entry_is_dropped(store: Store) -> None:
    store.put(entry())
    file = store.path / store.name(entry().key)
    file.write_bytes(file.read_bytes()[:-1])
    assert store.get(entry().key) is None
    assert not file.exists()


def test_an_entry_of_another_key_is_none(store: Store) -> None:
    """Copied over another by whoever can write the folder: the key inside tells."""
    store.put(entry("one"))
    (store.path / store.name("one")).rename(store.path / store.name("two"))
    assert store.get("two") is None


def test_folder_and_files_are_their_owners_alone(store: Store) -> None:
    store.put(entry())
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in store.path.iterdir()} == {0o600}


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(FetchFailed) as refusal:
        Store(folder)
    assert refusal.value.codes == {"sources.cache"}


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(FetchFailed) as refusal:
        Store(tmp_path / "link")
    assert refusal.value.codes == {"sources.cache"}


def test_links_inside_are_neither_read_nor_written_through(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(entry().encode())
    place = store.path / store.name(entry().key)
    place.symlink_to(outside)
    assert store.get(entry().key) is None
    store.put(entry(body=b"other"))
    assert outside.read_bytes() == entry().encode()
    assert not place.is_symlink()


def test_a_pipe_or_folder_in_an_entrys_place_blocks_nobody(store: Store) -> None:
    os.mkfifo(store.path / store.name("a"))
    (store.path / store.name("b")).mkdir()
    assert store.get("a") is None
    assert store.get("b") is None


def test_the_longest_unused_make_room_and_the_newest_stays(store: Store) -> None:
    store.max_total = 5_000
    for index in range(6):
        store.put(entry(f"key {index}", bytes(1_000)))
        os.utime(store.path / store.name(f"key {index}"), (index + 1e9, index + 1e9))
    kept = [index for index in range(6) if store.get(f"key {index}") is not None]
    assert kept == [2, 3, 4, 5]
    store.max_entries = 1
    store.put(entry("last"))
    assert store.get("last") is not None
    store.max_total = 10
    store.put(entry("larger than all", bytes(100)))
    assert store.get("larger than all") is not None
    assert store.get("key 5") is None


def test_what_is_used_stays(store: Store, clock: Clock) -> None:
    old = entry("old", expires=timedelta(days=400))
    store.put(old)
    file = store.path / store.name("old")
    os.utime(file, (1e9, 1e9))
    store.used(old)
    assert file.stat().st_mtime == 1e9
    clock.forward(days=2)
    store.used(old)
    assert file.stat().st_mtime > 1e9


def test_what_a_dead_writer_left_is_removed(store: Store) -> None:
    left = store.path / ".tmp-0123456789abcdef"
    fresh = store.path / ".tmp-fedcba9876543210"
    for file in (left, fresh):
        file.write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)
    store.put(entry())
    assert not left.exists()
    assert fresh.exists()


# -- processes -----------------------------------------------------------------------------------------


def _write_until_killed(path: Path, started: object) -> None:
    store = Store(path, now=lambda: NOON)
    number = 0
    while True:
        number += 1
        store.put(entry(body=b"%d" % number * 50_000))
        started.set()  # type: ignore[attr-defined] # an Event


def test_kill_9_in_mid_write_leaves_a_whole_entry(tmp_path: Path) -> None:
    """Ten writers are killed, each somewhere in a write; a reader never sees half of one."""
    context = multiprocessing.get_context("fork")
    for _ in range(10):
        started = context.Event()
        writer = context.Process(target=_write_until_killed, args=(tmp_path / "cache", started))
        writer.start()
        assert started.wait(20)
        assert writer.pid is not None
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        store = Store(tmp_path / "cache", now=lambda: NOON)
        found = store.get(entry().key)
        assert found is not None
        assert found.body == found.body[: len(found.body) // 50_000] * 50_000


def test_a_half_written_file_is_no_entry(store: Store) -> None:
    """What a crash between write and rename leaves behind is under another name."""
    store.put(entry())

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            store.put(entry(body=b"newer"))
    assert store.get(entry().key) == entry()


def _hold(path: Path, holds: object, release: object) -> None:
    with Folder(path).locked("name", patience=0) as held:
        assert held
        holds.set()  # type: ignore[attr-defined] # an Event
        release.wait(20)  # type: ignore[attr-defined]


def test_a_lock_holds_against_another_process_and_ends_with_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    holds, release = context.Event(), context.Event()
    folder = Folder(tmp_path / "cache")
    other = context.Process(target=_hold, args=(tmp_path / "cache", holds, release))
    other.start()
    assert holds.wait(20)
    with folder.locked("name", patience=0) as held:
        assert not held
    assert other.pid is not None
    os.kill(other.pid, signal.SIGKILL)
    other.join()
    with folder.locked("name", patience=0) as held:
        assert held


def test_making_room_takes_no_lock_from_whom_holds_it(store: Store) -> None:
    """Looked at before it was taken it was old; removed after that it would be held twice, and one of two
    updates of a memory lost."""
    folder = store.folder
    with folder.locked("name", patience=0) as held:
        assert held
        os.utime(store.path / "name.lock", (0, 0))
        store.put(entry())
        with folder.locked("name", patience=0) as twice:
            assert not twice
    os.utime(store.path / "name.lock", (0, 0))
    store.put(entry())
    assert not folder.has("name.lock")


def test_a_lock_that_was_removed_while_it_was_waited_for_is_none(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = store.folder
    take = fcntl.flock

    def removed_before(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", take)
        folder.remove("name.lock")
        take(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    with folder.locked("name", patience=0) as held:
        assert held
        with folder.locked("name", patience=0) as twice:
            assert not twice


def test_a_refused_folder_closes_nothing_of_anybody_else(tmp_path: Path) -> None:
    """A number closed twice is by then another file's, or another thread's connection."""
    path = tmp_path / "open-to-all"
    path.mkdir()
    path.chmod(0o777)
    refused: FetchFailed | None = None
    try:
        Folder(path)
    except FetchFailed as error:
        refused = error  # its traceback keeps the refused folder alive
    assert refused is not None
    with (tmp_path / "other").open("w") as other:
        refused = None
        gc.collect()
        os.fstat(other.fileno())
