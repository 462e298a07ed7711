"""The database: its schema, what stands in it, and what it refuses to have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from attest.memory import Memory
from kbs.domain import ResourcePath
from kbs.keys import KeyStoreError
from kbs.keys.envelope import open_envelope
from kbs.keys.ring import KeyRing
from kbs.store.failures import Unavailable
from kbs.store.registry import Conflict
from kbs.store.repository import Repository
from kbs.store.tables import metadata
from tests.kbs.conftest import NOON, PATH, SECRET, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.twin import TwinRefused


def test_secrets_at_rest_do_not_contain_their_text(acme: Bench) -> None:
    acme.guest().boot(PATH)
    tables = [str(acme.sql(f"SELECT * FROM {table.name}")).encode() for table in metadata.sorted_tables]
    files = [file.read_bytes() for file in acme.folder.rglob("*") if file.is_file()]
    assert len(files) >= 3
    for text in (SECRET, SECRET[:12], SECRET.hex().encode(), acme.admin_key.encode()):
        assert all(text not in content for content in (*tables, *files))


def test_sealed_claims_do_not_stand_in_clear(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    ((sealed,),) = acme.sql("SELECT sealed FROM sessions")
    assert b"measurement" not in sealed


def test_secret_moved_to_another_path_or_version_does_not_open(acme: Bench) -> None:
    secret = acme.store.read(lambda tx: tx.registry.current(ResourcePath.parse(PATH)))
    assert secret is not None
    wrap = acme.keys.wrap
    assert open_envelope(secret, wrap) == SECRET
    with pytest.raises(KeyStoreError):
        open_envelope(replace(secret, version=2), wrap)
    with pytest.raises(KeyStoreError):
        open_envelope(replace(secret, path=ResourcePath.parse("acme/key/other")), wrap)
    KeyRing.create(acme.folder / "other")
    with pytest.raises(KeyStoreError):
        open_envelope(secret, KeyRing.open(acme.folder / "other").wrap)


def test_owner_removed_in_the_database_releases_nothing(acme: Bench) -> None:
    acme.owner("clinic", policy=None)
    acme.secret("acme", "clinic", path="acme/key/joint")
    guest = acme.guest()
    guest.auth()
    guest.attest()
    acme.sql("DELETE FROM secret_owners WHERE owner = 'clinic'")
    with pytest.raises(TwinRefused) as refusal:
        guest.resource("acme/key/joint")
    assert (refusal.value.status, refusal.value.kind) == (500, "InternalError")
    assert acme.rows("released") == []
    assert acme.rows("release-denied")[-1]["cause"].startswith("a wrapped key does not open")


def test_swapped_rows_release_nothing(acme: Bench) -> None:
    acme.secret("acme", path="acme/key/public", value=b"harmless")
    acme.sql(
        "UPDATE secret_versions SET (wrapped_key, iv, ciphertext) = "
        "(SELECT wrapped_key, iv, ciphertext FROM secret_versions WHERE path = 'acme/key/model') "
        "WHERE path = 'acme/key/public'"
    )
    guest = acme.guest()
    guest.auth()
    guest.attest()
    answer = guest.http.get("/kbs/v0/resource/acme/key/public")
    assert answer.status_code == 500
    assert SECRET not in answer.content
    assert acme.rows("release-denied")[-1]["cause"]


def test_owners_of_a_secret_are_fixed_also_after_deletion(acme: Bench) -> None:
    acme.owner("mallory")
    path = ResourcePath.parse(PATH)
    with pytest.raises(Conflict, match="fixed"):
        acme.store.write(lambda tx: tx.registry.next_version(path, ["acme", "mallory"], NOON))
    acme.administration.delete_secret("test", PATH)
    with pytest.raises(Conflict, match="fixed"):
        acme.store.write(lambda tx: tx.registry.next_version(path, ["mallory"], NOON))
    acme.secret("acme")
    (secret,) = acme.administration.secrets()
    assert secret.version == 2, "a version number is never used again"


def test_secret_without_an_owner_or_with_an_unknown_one_is_refused(acme: Bench) -> None:
    path = ResourcePath.parse("a/b/c")
    with pytest.raises(Conflict, match="at least one owner"):
        acme.store.write(lambda tx: tx.registry.next_version(path, [], NOON))
    with pytest.raises(Conflict, match="no owner nobody"):
        acme.store.write(lambda tx: tx.registry.next_version(path, ["nobody"], NOON))


def test_transaction_that_fails_leaves_nothing(acme: Bench) -> None:
    def half(tx: Repository) -> None:
        tx.registry.add_owner("half", NOON)
        tx.audit.append({"event": "x", "at": "y"})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        acme.store.write(half)
    assert [owner.name for owner in acme.administration.owners()] == ["acme"]
    assert acme.administration.record.proof(()).faults == ()


def test_collateral_memory_only_grows(acme: Bench) -> None:
    later, earlier = NOON, NOON.replace(year=2030)
    first = Memory({"a": later}, {"d/f/1": earlier})
    second = Memory({"a": earlier, "b": earlier}, {"d/f/1": later}, minimum_evaluation=99)
    acme.store.write(lambda tx: tx.sessions.remember(first))
    acme.store.write(lambda tx: tx.sessions.remember(second))
    memory = acme.store.read(lambda tx: tx.sessions.memory())
    assert memory == Memory({"a": later, "b": earlier}, {"d/f/1": later})


def test_attested_guests_feed_the_collateral_memory(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    guest.attest()
    assert acme.store.read(lambda tx: tx.sessions.memory()).crls


def test_expired_rows_are_forgotten(acme: Bench) -> None:
    acme.guest().boot(PATH)
    acme.clock.pass_seconds(301)
    acme.guest().auth()
    assert acme.sql("SELECT count(*) FROM sessions") == [(0,)]
    assert acme.sql("SELECT count(*) FROM challenges") == [(1,)]


def test_key_files_open_to_others_are_refused(tmp_path: Path) -> None:
    KeyRing.create(tmp_path)
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())
    with pytest.raises(KeyStoreError, match="never overwritten"):
        KeyRing.create(tmp_path)
    (tmp_path / "wrap.key").chmod(0o640)
    with pytest.raises(KeyStoreError, match="open to others"):
        KeyRing.open(tmp_path)


def test_keys_of_the_ring_differ(bench: Bench) -> None:
    session = bench.keys.session
    assert len({session.seal, session.cookie}) == 2
    assert session.session_cookie("a") != session.session_cookie("b")


def test_a_read_can_change_nothing(bench: Bench) -> None:
    with pytest.raises(Unavailable, match=r"read-?only"):
        bench.store.read(lambda tx: tx.registry.add_owner("sly", NOON))
    assert bench.administration.owners() == []
