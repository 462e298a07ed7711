"""A new key takes over, what older ones wrap is brought under it while the broker serves, and they retire."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kbs import key_administration
from kbs.backup import About, Backup, BackupError, write_backup
from kbs.domain import ResourcePath
from kbs.keys import KeyStore, KeyStoreUnavailable
from kbs.keys.envelope import open_envelope
from kbs.keys.file import FileStore
from kbs.keys.wrap import KeyWrap
from kbs.keys.wrapped import read
from tests.kbs.conftest import PATH, SECRET, Bench
from tests.kbs.databases import both_kinds as both_kinds  # a fixture
from tests.kbs.keys.conftest import HsmBench, TransitBench
from tests.kbs.keys.interrupted import interrupted, use
from tests.kbs.twin import refusal_of


@pytest.fixture
def many(acme: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Twenty-three versions of twelve secrets, in pages of five and batches of three."""
    monkeypatch.setattr(key_administration, "_PAGE", 5)
    monkeypatch.setattr(key_administration, "_BATCH", 3)
    for number in range(11):
        for version in (1, 2):
            acme.secret("acme", path=f"acme/key/n{number}", value=f"{number} {version}".encode())
    return acme


def post(bench: Bench, path: str, **body: Any) -> Any:
    answer = bench.admin("POST", f"keys/{path}", **({"json": body} if body else {}))
    assert answer.is_success, answer.text
    return answer.json()


def listed(bench: Bench) -> list[dict[str, Any]]:
    return list(bench.admin("GET", "keys").json()["keys"])


def rewrap(
    bench: Bench, between: Callable[[int], None] = lambda count: None
) -> tuple[int, list[dict[str, Any]]]:
    """All batches, as `kbs keys rewrap` asks for them."""
    done, count, after = 0, 0, None
    failed: list[dict[str, Any]] = []
    while True:
        batch = post(bench, "rewrap", after=after)
        done, after, failed = done + batch["done"], batch["after"], failed + batch["failed"]
        count += 1
        if after is None:
            return done, failed
        between(count)


def wrapped_key(bench: Bench, path: str = PATH) -> bytes:
    """Of the first version that is there."""
    rows = bench.sql("SELECT wrapped_key FROM secret_versions WHERE path = :path ORDER BY version", path=path)
    return bytes(rows[0][0])


def set_wrapped_key(bench: Bench, path: str, raw: bytes) -> None:
    bench.sql(
        "UPDATE secret_versions SET wrapped_key = :raw WHERE path = :path AND version = 1", raw=raw, path=path
    )


def ids(bench: Bench) -> set[str]:
    return {read(bytes(raw)).key_id for (raw,) in bench.sql("SELECT wrapped_key FROM secret_versions")}


def all_open(bench: Bench) -> bool:
    paths = [ResourcePath.parse(f"acme/key/n{number}") for number in range(11)]
    current = bench.store.read(lambda tx: [tx.registry.current(path) for path in paths])
    opened = [open_envelope(secret, bench.keys.wrap) for secret in current if secret is not None]
    return opened == [f"{number} 2".encode() for number in range(11)]


def test_rotation_without_downtime(many: Bench) -> None:
    guest = many.guest()
    guest.boot(PATH)
    (old,) = listed(many)
    assert (old["versions"], old["wraps"]) == (23, True)
    new = post(many, "rotate")["id"]
    assert guest.resource(PATH) == SECRET
    many.secret("acme", path="acme/key/later", value=b"x")
    assert [(key["id"], key["versions"], key["wraps"]) for key in listed(many)] == [
        (old["id"], 23, False),
        (new, 1, True),
    ]

    def between(_: int) -> None:
        assert guest.resource(PATH) == SECRET

    assert rewrap(many, between) == (23, [])
    assert ids(many) == {new}
    assert all_open(many)
    assert rewrap(many) == (0, [])
    many.clock.pass_seconds(300)
    post(many, "retire", id=old["id"])
    assert [key["id"] for key in listed(many)] == [new]
    assert many.guest().boot(PATH) == SECRET
    assert many.administration.record.proof(()).faults == ()


def test_each_act_leaves_its_row(many: Bench) -> None:
    (old,) = listed(many)
    new = post(many, "rotate")["id"]
    rewrap(many)
    many.clock.pass_seconds(300)
    post(many, "retire", id=old["id"])
    rows = [row for row in many.rows() if "key" in row["event"]]
    assert {row["by"] for row in rows} == {"test"}
    assert [row["event"] for row in rows] == ["key-rotated", *["keys-rewrapped"] * 8, "key-retired"]
    assert rows[0]["key"] == new
    assert rows[-1]["key"] == old["id"]
    assert sum(row["versions"] for row in rows[1:-1]) == 23


def test_a_rewrap_that_was_stopped_goes_on_where_it_was(many: Bench) -> None:
    post(many, "rotate")
    assert post(many, "rewrap", after=None)["done"] == 3
    assert sum(key["versions"] for key in listed(many) if not key["wraps"]) == 20
    assert rewrap(many) == (20, [])
    assert all_open(many)


def test_rows_that_change_meanwhile_are_left_as_they_are(many: Bench) -> None:
    store = interrupted(many)
    post(many, "rotate")
    before = wrapped_key(many, "acme/key/n0")

    def change() -> None:
        many.administration.delete_secret("test", PATH)
        set_wrapped_key(many, "acme/key/n0", before + b"\x00")

    store.at_unwrap.append(change)
    assert post(many, "rewrap", after=None)["done"] == 1
    assert wrapped_key(many, "acme/key/n0") == before + b"\x00"


def test_what_does_not_open_is_told_and_the_rest_goes_on(many: Bench) -> None:
    set_wrapped_key(many, "acme/key/n0", wrapped_key(many, "acme/key/n1"))
    set_wrapped_key(many, "acme/key/n2", b"\x00")
    (old,) = [key for key in listed(many) if key["open"]]
    post(many, "rotate")
    done, failed = rewrap(many)
    assert done == 21
    assert [(one["path"], one["version"]) for one in failed] == [("acme/key/n0", 1), ("acme/key/n2", 1)]
    assert "does not open" in failed[0]["cause"]
    assert "no wrapped key any more" in failed[1]["cause"]
    many.clock.pass_seconds(300)
    refusal = refusal_of(many.admin("POST", "keys/retire", json={"id": old["id"]}))
    assert (refusal.status, "still wraps 1 version" in refusal.detail) == (409, True)
    strange = [key for key in listed(many) if not key["open"]]
    assert [(key["id"], key["versions"]) for key in strange] == [("unreadable", 1)]


def test_what_was_done_until_the_store_failed_is_kept(acme: Bench, faulty_hsm: HsmBench) -> None:
    use(acme, KeyWrap(_first(acme, faulty_hsm.store()), [acme.keys.wrap._store]))
    for number in range(5):
        acme.secret("acme", path=f"acme/key/n{number}", value=b"x")
    post(acme, "rotate")
    before = acme.keys.wrap.unwrap
    calls: list[int] = []

    def counted(raw: bytes, context: bytes) -> bytes:
        calls.append(1)
        if len(calls) == 3:
            (faulty_hsm.faults / "removed").touch()
        return before(raw, context)

    acme.keys.wrap.unwrap = counted  # type: ignore[method-assign]
    answer = acme.admin("POST", "keys/rewrap", json={"after": None})
    assert refusal_of(answer).status == 503
    assert "fails with DeviceRemoved" in refusal_of(answer).detail
    assert acme.rows("keys-rewrapped")[-1]["versions"] == 2
    (faulty_hsm.faults / "removed").unlink()
    assert rewrap(acme)[0] == 4


def _first(bench: Bench, store: KeyStore) -> KeyStore:
    store.rotate(bench.clock.now - timedelta(minutes=10))
    return store


# -- retiring ----------------------------------------------------------------------------------------------


def test_a_key_that_still_wraps_a_row_cannot_be_retired(many: Bench) -> None:
    (old,) = listed(many)
    new = post(many, "rotate")["id"]
    many.clock.pass_seconds(300)
    for key_id, status, words in (
        (new, 409, "is the key that wraps"),
        (old["id"], 409, "still wraps 23 version(s): kbs keys rewrap"),
        ("file:00", 404, "no key store of this broker has such a key"),
    ):
        refusal = refusal_of(many.admin("POST", "keys/retire", json={"id": key_id}))
        assert (refusal.status, words in refusal.detail) == (status, True)
    assert len(listed(many)) == 2
    assert many.rows("key-retired") == []


def test_a_row_without_an_id_keeps_its_key_from_retiring(acme: Bench) -> None:
    (old,) = listed(acme)
    set_wrapped_key(acme, PATH, read(wrapped_key(acme)).box)
    assert acme.guest().boot(PATH) == SECRET
    assert listed(acme)[0]["versions"] == 1
    post(acme, "rotate")
    acme.clock.pass_seconds(300)
    assert refusal_of(acme.admin("POST", "keys/retire", json={"id": old["id"]})).status == 409
    assert rewrap(acme) == (1, [])
    post(acme, "retire", id=old["id"])
    assert acme.guest().boot(PATH) == SECRET


def test_rows_without_ids_get_one_also_where_their_key_still_wraps(acme: Bench) -> None:
    (key,) = listed(acme)
    set_wrapped_key(acme, PATH, read(wrapped_key(acme)).box)
    assert rewrap(acme) == (1, [])
    assert ids(acme) == {key["id"]}


def test_a_secret_that_was_on_its_way_is_waited_for(acme: Bench) -> None:
    (old,) = listed(acme)
    post(acme, "rotate")
    rewrap(acme)
    for _ in range(2):
        refusal = refusal_of(acme.admin("POST", "keys/retire", json={"id": old["id"]}))
        assert (refusal.status, "may still be on its way" in refusal.detail) == (409, True)
        acme.clock.pass_seconds(299)
    acme.clock.pass_seconds(-298)
    post(acme, "retire", id=old["id"])


@pytest.mark.xdist_group("bao")
def test_a_version_of_a_server_keeps_those_after_it_from_retiring(acme: Bench, transit: TransitBench) -> None:
    """A server retires by a smallest version that opens: the first would go with the second."""
    server = transit.store()
    use(acme, KeyWrap(server, [FileStore(acme.folder / "keys")]))
    server.rotate(acme.clock.now)
    acme.secret("acme", path="acme/key/first", value=b"x")
    post(acme, "rotate")
    post(acme, "rotate")
    _, first, second, _ = listed(acme)
    assert (first["versions"], second["versions"]) == (1, 0)
    refusal = refusal_of(acme.admin("POST", "keys/retire", json={"id": second["id"]}))
    assert (refusal.status, f"{first['id']} still wraps" in refusal.detail) == (409, True)
    rewrap(acme)
    post(acme, "retire", id=second["id"])
    assert len(listed(acme)) == 2


# -- backups -----------------------------------------------------------------------------------------------


def backup(bench: Bench) -> io.BytesIO:
    stream = io.BytesIO()
    about = About("0001", bench.administration.record.proof(()).head, bench.clock.now)
    write_backup(stream, about, iter([("owners", {"name": "acme"})]), bench.keys.wrap)
    stream.seek(0)
    return stream


def test_a_backup_opens_with_the_keys_of_its_time(acme: Bench) -> None:
    (old,) = listed(acme)
    made = backup(acme)
    post(acme, "rotate")
    assert list(Backup(made, acme.keys.wrap).rows()) == [("owners", {"name": "acme"})]
    rewrap(acme)
    acme.clock.pass_seconds(300)
    post(acme, "retire", id=old["id"])
    made.seek(0)
    with pytest.raises(BackupError, match="other keys"):
        Backup(made, acme.keys.wrap)


def test_a_store_that_is_gone_does_not_make_a_backup_anothers(acme: Bench, faulty_hsm: HsmBench) -> None:
    use(acme, KeyWrap(_first(acme, faulty_hsm.store())))
    made = backup(acme)
    (faulty_hsm.faults / "removed").touch()
    with pytest.raises(KeyStoreUnavailable):
        Backup(made, acme.keys.wrap)


# -- from one store to another -----------------------------------------------------------------------------


@pytest.mark.xdist_group("bao")
def test_from_files_to_a_token_to_a_server_and_the_guest_does_not_notice(
    acme: Bench, hsm: HsmBench, transit: TransitBench
) -> None:
    guest = acme.guest()
    guest.boot(PATH)
    files = FileStore(Path(acme.folder / "keys"))
    token, server = hsm.store(), transit.store()
    token.rotate(acme.clock.now - timedelta(minutes=10))
    server.rotate(acme.clock.now)
    for store, former in ((token, files), (server, token), (files, server)):
        use(acme, KeyWrap(store, [former]))
        assert guest.resource(PATH) == SECRET
        acme.secret("acme", path="acme/key/more", value=b"x")
        assert sum(key["versions"] for key in listed(acme) if not key["wraps"]) > 0
        rewrap(acme)
        assert all(key["wraps"] or not key["versions"] for key in listed(acme))
        use(acme, KeyWrap(store))
        assert guest.resource(PATH) == SECRET
        assert guest.resource("acme/key/more") == b"x"


def test_a_row_of_a_store_that_nobody_names_is_told_to_the_owner_only(acme: Bench, hsm: HsmBench) -> None:
    use(acme, KeyWrap(_first(acme, hsm.store())))
    guest = acme.guest()
    guest.auth()
    guest.attest()
    answer = refusal_of(guest.http.get(f"/kbs/v0/resource/{PATH}"))
    assert answer.status == 500
    assert "file:" not in answer.detail
    assert "former-keys" in acme.rows("release-denied")[-1]["cause"]
    assert [key["open"] for key in listed(acme)] == [True, False]
