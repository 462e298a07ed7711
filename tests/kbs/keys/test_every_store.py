"""What each key store must do, whichever it is: files, a PKCS#11 token, a transit server."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from kbs.domain import Envelope, ResourcePath, SecretVersion
from kbs.keys import KEY_BYTES, KeyStore, KeyStoreError, Wrapped
from kbs.keys.envelope import open_envelope, seal
from kbs.keys.wrap import KeyWrap
from tests.kbs.keys.conftest import CONTEXT, Seconds

NewStore = Callable[[], KeyStore]
KEY = bytes(range(32))


@pytest.fixture
def store(new_store: NewStore, later: Seconds) -> KeyStore:
    store = new_store()
    store.rotate(later())
    return store


def test_a_place_without_a_key_says_how_to_make_the_first(new_store: NewStore, later: Seconds) -> None:
    store = new_store()
    assert store.keks() == []
    with pytest.raises(KeyStoreError, match="kbs keys create"):
        KeyWrap(store).current()
    made = store.rotate(later())
    assert store.keks() == [made]
    KeyWrap(store).prove()


def test_what_was_wrapped_opens_for_its_context_only(store: KeyStore) -> None:
    wrapped = store.wrap(KEY, CONTEXT)
    assert KEY not in wrapped.box
    assert store.unwrap(wrapped, CONTEXT) == KEY
    for other in (b"", CONTEXT + b" ", CONTEXT[:-1], b"x" * 5000):
        with pytest.raises(KeyStoreError, match="does not open"):
            store.unwrap(wrapped, other)
    assert store.unwrap(wrapped, CONTEXT) == KEY, "a refusal leaves the store well"


def test_long_contexts_count_to_their_last_byte(store: KeyStore) -> None:
    context = os.urandom(8000)
    wrapped = store.wrap(KEY, context)
    assert store.unwrap(wrapped, context) == KEY
    with pytest.raises(KeyStoreError, match="does not open"):
        store.unwrap(wrapped, context[:-1] + bytes([context[-1] ^ 1]))


def test_a_changed_box_does_not_open(store: KeyStore) -> None:
    wrapped = store.wrap(KEY, CONTEXT)
    for place in (12, len(wrapped.box) // 2, len(wrapped.box) - 3):
        box = bytearray(wrapped.box)
        box[place] = ord("A") if box[place] != ord("A") else ord("B")
        with pytest.raises(KeyStoreError, match="does not open"):
            store.unwrap(Wrapped(wrapped.key_id, bytes(box)), CONTEXT)


def test_two_wrappings_of_one_key_differ(store: KeyStore) -> None:
    assert store.wrap(KEY, CONTEXT).box != store.wrap(KEY, CONTEXT).box


def test_rows_that_were_swapped_do_not_open(store: KeyStore) -> None:
    wrap, one, two = KeyWrap(store), ResourcePath.parse("a/b/one"), ResourcePath.parse("a/b/two")
    first, second = (seal(b"secret", path, 1, ["acme"], wrap) for path in (one, two))
    assert open_envelope(SecretVersion(one, 1, ("acme",), first), wrap) == b"secret"
    mixed = Envelope(second.wrapped_key, first.iv, first.ciphertext)
    for path, version, owners, envelope in (
        (two, 1, ("acme",), first),
        (one, 2, ("acme",), first),
        (one, 1, ("acme", "clinic"), first),
        (one, 1, ("acme",), second),
        (one, 1, ("acme",), mixed),
    ):
        with pytest.raises(KeyStoreError):
            open_envelope(SecretVersion(path, version, owners, envelope), wrap)


def test_another_start_opens_what_was_wrapped_before(store: KeyStore, new_store: NewStore) -> None:
    assert new_store().unwrap(store.wrap(KEY, CONTEXT), CONTEXT) == KEY


def test_after_a_rotation_the_new_key_wraps_and_the_old_one_unwraps(
    store: KeyStore, new_store: NewStore, later: Seconds
) -> None:
    replica = new_store()
    before = store.wrap(KEY, CONTEXT)
    made = store.rotate(later())
    assert [kek.id for kek in store.keks()] == [before.key_id, made.id]
    assert store.keks() == replica.keks()
    for one in (store, replica):
        after = one.wrap(KEY, CONTEXT)
        assert after.key_id == made.id
        assert one.unwrap(after, CONTEXT) == KEY
        assert one.unwrap(before, CONTEXT) == KEY
    # Known to a replica that never saw it made.
    assert new_store().unwrap(after, CONTEXT) == KEY


def test_a_box_under_the_id_of_another_key_does_not_open(store: KeyStore, later: Seconds) -> None:
    box = store.wrap(KEY, CONTEXT).box
    newer = store.rotate(later())
    if not newer.id.startswith("transit:"):  # there the version stands in the box itself
        with pytest.raises(KeyStoreError, match="does not open"):
            store.unwrap(Wrapped(newer.id, box), CONTEXT)


def test_a_retired_key_opens_nothing_and_the_others_do(store: KeyStore, later: Seconds) -> None:
    old = store.wrap(KEY, CONTEXT)
    (first,) = store.keks()
    newer = store.rotate(later())
    new = store.wrap(KEY, CONTEXT)
    assert store.goes_with(first) == [first.id]
    store.retire(first)
    assert store.keks() == [newer]
    with pytest.raises(KeyStoreError):
        store.unwrap(old, CONTEXT)
    assert store.unwrap(new, CONTEXT) == KEY


def test_ids_are_its_own(store: KeyStore) -> None:
    (kek,) = store.keks()
    assert store.name(kek.id) == kek.id
    assert store.name("nobody:1") is None
    assert kek.id.isascii()
    assert len(kek.id) < 256


def test_the_door_takes_each_row_to_its_store(
    store: KeyStore, tmp_path_factory: pytest.TempPathFactory, later: Seconds
) -> None:
    from kbs.keys.file import FileStore

    former = FileStore(tmp_path_factory.mktemp("former"))
    former.rotate(later())
    before, key = KeyWrap(former), os.urandom(KEY_BYTES)
    row = before.wrap(key, CONTEXT)
    door = KeyWrap(store, [former])
    assert door.unwrap(row, CONTEXT) == key
    assert door.unwrap(door.wrap(key, CONTEXT), CONTEXT) == key
    assert door.current() == store.keks()[-1]
    assert door.keks() == [*former.keks(), *store.keks()]
    with pytest.raises(KeyStoreError, match=r"no key store holds file:[0-9a-f]{32}, .* former-keys"):
        KeyWrap(store).unwrap(row, CONTEXT)
