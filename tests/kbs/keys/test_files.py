"""Key files: private, whole, never overwritten, and one after the other."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbs.keys import KeyStoreError, Wrapped
from kbs.keys.file import FileStore
from kbs.keys.files import read_private, write_beside, write_new
from kbs.keys.succession import OVERLAP, Succession
from kbs.keys.wrap import KeyWrap

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> Succession:
    succession = Succession(tmp_path, "token", ".pem")
    succession.start(b"first")
    return succession


@pytest.mark.parametrize("write", [write_new, write_beside])
def test_a_key_is_never_overwritten(tmp_path: Path, write: object) -> None:
    assert callable(write)
    write(tmp_path / "key", b"one")
    with pytest.raises(KeyStoreError, match="never overwritten"):
        write(tmp_path / "key", b"two")
    assert read_private(tmp_path / "key") == b"one"
    assert os.listdir(tmp_path) == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_key_that_others_may_touch_is_not_read(tmp_path: Path, mode: int) -> None:
    write_new(tmp_path / "wrap.key", bytes(32))
    (tmp_path / "wrap.key").chmod(mode)
    with pytest.raises(KeyStoreError, match="open to others; make it 0600"):
        FileStore(tmp_path).keks()


def test_the_newest_is_in_use_and_those_before_it_count_for_a_while(files: Succession) -> None:
    second = files.add(b"second", NOW)
    assert files.newest() == second.path
    assert second.path.name == "token-20261201T093000Z.pem"

    def names(now: datetime) -> list[bytes]:
        return [path.read_bytes() for path in files.counting(now)]

    assert names(NOW) == [b"second", b"first"]
    assert names(NOW + OVERLAP - timedelta(seconds=1)) == [b"second", b"first"]
    assert names(NOW + OVERLAP) == [b"second"]
    files.add(b"third", NOW + timedelta(minutes=1))
    assert names(NOW + timedelta(minutes=1)) == [b"third", b"second", b"first"]
    assert names(NOW + timedelta(days=1)) == [b"third"]


def test_files_that_ended_are_removed_and_no_others(files: Succession) -> None:
    files.add(b"second", NOW)
    other = files.folder / "session.key"
    other.write_bytes(b"")
    assert files.remove_ended(NOW + OVERLAP - timedelta(seconds=1)) == []
    (removed,) = files.remove_ended(NOW + OVERLAP)
    assert removed.name == "token.pem"
    assert sorted(os.listdir(files.folder)) == ["session.key", "token-20261201T093000Z.pem"]


def test_names_of_other_things_are_passed_over(files: Succession) -> None:
    for name in (
        "token-x.pem",
        "token-20261301T093000Z.pem",
        "token.pem.retired",
        ".token.pem.1",
        "tokens.pem",
    ):
        (files.folder / name).write_bytes(b"")
    assert [file.path.name for file in files.files()] == ["token.pem"]


def test_a_clock_that_went_back_makes_no_key_that_would_not_be_used(files: Succession) -> None:
    files.add(b"second", NOW)
    for moment in (NOW, NOW - timedelta(days=1)):
        with pytest.raises(KeyStoreError, match="look at the clock"):
            files.add(b"third", moment)


def test_a_key_of_another_length_is_refused(tmp_path: Path) -> None:
    write_new(tmp_path / "wrap.key", bytes(16))
    with pytest.raises(KeyStoreError, match="32 bytes"):
        FileStore(tmp_path).keks()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="absent: No such file"):
        FileStore(tmp_path / "absent").keks()


def test_an_id_follows_its_key_and_does_not_show_it(tmp_path: Path) -> None:
    key = os.urandom(32)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        write_new(tmp_path / name / "wrap.key", key)
    (here,), (there,) = FileStore(tmp_path / "here").keks(), FileStore(tmp_path / "there").keks()
    assert here.id == there.id
    assert key.hex()[:8] not in here.id


def test_a_row_without_an_id_opens_under_the_first_file_only(tmp_path: Path) -> None:
    """As this broker wrote them before: IV, key and tag, AES-256-GCM with the context."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    kek, data_key, iv = os.urandom(32), os.urandom(32), os.urandom(12)
    write_new(tmp_path / "wrap.key", kek)
    row = iv + AESGCM(kek).encrypt(iv, data_key, b"context")
    wrap = KeyWrap(FileStore(tmp_path))
    assert wrap.unwrap(row, b"context") == data_key
    wrap.rotate(NOW)
    assert wrap.unwrap(row, b"context") == data_key
    first, second = wrap.keks()
    assert wrap.named(["file"]) == {"file": first}
    with pytest.raises(KeyStoreError, match="does not open"):
        FileStore(tmp_path).unwrap(Wrapped(second.id, row), b"context")
    wrap.retire(first)
    with pytest.raises(KeyStoreError, match="no key store holds file"):
        wrap.unwrap(row, b"context")


def test_a_retired_file_can_be_brought_back(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    first = store.rotate(NOW)
    wrapped = store.wrap(bytes(32), b"")
    store.rotate(NOW)
    store.retire(first)
    (tmp_path / "wrap.key.retired").rename(tmp_path / "wrap.key")
    assert store.unwrap(wrapped, b"") == bytes(32)
