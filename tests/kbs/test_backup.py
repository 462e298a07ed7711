"""A backup while serving, into the same or the other kind of database; and every file that is not restored."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kbs.administration import Administration
from kbs.audit import Head
from kbs.backup import Backup, BackupError
from kbs.broker import Broker
from kbs.cli.main import main
from kbs.clock import Clock
from kbs.console_sessions import ConsoleSessions
from kbs.domain import ResourcePath, hashed
from kbs.http.app import create_app
from kbs.keys.ring import KeyRing
from kbs.refusals import Refusal
from kbs.restore import restore
from kbs.store.address import Address, SqliteFile
from kbs.store.database import Store
from kbs.store.lasting import SHORT_LIVED
from kbs.store.rollback import RolledBack, require_heads
from kbs.store.tables import metadata
from tests.kbs.conftest import PATH, SECRET, SNP_POLICY, Bench
from tests.kbs.databases import KINDS, Postgres, run_sql
from tests.kbs.databases import both_kinds as both_kinds  # a fixture


@pytest.fixture
def backed_up(acme: Bench) -> Path:
    """acme's broker, with a guest that has its secret and one that asked to attest."""
    acme.guest().boot(PATH)
    acme.guest().auth()
    return backup(acme)


def backup(bench: Bench, name: str = "kbs.backup") -> Path:
    file = bench.folder / name
    assert main(["backup", "--config", str(bench.configuration()), "-o", str(file)]) == 0
    return file


@pytest.fixture
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Address]]:
    """Databases with nothing in them, of the kind that is asked for."""
    made = []

    def make(kind: str) -> Address:
        if kind == "sqlite":
            return SqliteFile(tmp_path / "restored.db")
        server: Postgres = request.getfixturevalue("postgres")
        made.append((server, server.make()))
        return made[-1][1]

    yield make
    for server, address in made:
        server.drop(address)


def put_back(bench: Bench, file: Path, address: Address, *heads: Head) -> Head:
    with file.open("rb") as stream:
        return restore(Backup(stream, bench.keys.wrap), address, heads, Clock(bench.clock))


@pytest.mark.parametrize("into", KINDS)
def test_restored_broker_goes_on_where_the_backup_was_made(
    acme: Bench, backed_up: Path, new: Callable[[str], Address], into: str
) -> None:
    address = new(into)
    before = acme.rows()
    head = put_back(acme, backed_up, address)
    store = Store.open(address)
    acme.opened.append(store)
    acme.store, acme.broker = (
        store,
        Broker(store, acme.keys, acme.broker._verification, clock=Clock(acme.clock)),
    )
    acme.administration = Administration(store, acme.keys, Clock(acme.clock))
    acme.app = create_app(acme.broker, acme.administration, store)
    assert acme.guest().boot(PATH) == SECRET
    (row,) = acme.rows("restored")
    assert acme.rows()[: len(before)] == before
    assert (row["number"], row["head"].split(":")[0]) == (len(before) + 1, str(len(before)))
    assert head.number == row["number"]
    assert acme.administration.record.proof(()).faults == ()
    (owner,) = acme.admin("GET", "owners").json()
    assert (owner["name"], owner["enabled"]) == ("acme", True)
    # New rows are numbered after those that came with a number of their own.
    assert acme.administration.put_rule("test", "acme", "acme/other/*", SNP_POLICY).id == 2


def test_guest_from_before_a_restore_attests_again(
    acme: Bench, new: Callable[[str], Address], kind: str
) -> None:
    """Also one whose challenge was open when the backup was made, and is answered now."""
    attested, waiting = acme.guest(), acme.guest()
    attested.boot(PATH)
    waiting.auth()
    cookie = waiting.http.cookies["kbs-session-id"]
    file = backup(acme)
    body = waiting.attestation()
    acme.broker.attest(cookie, body)
    address = new(kind)
    put_back(acme, file, address)
    store = Store.open(address)
    acme.opened.append(store)
    restored = Broker(store, acme.keys, acme.broker._verification, clock=Clock(acme.clock))
    with pytest.raises(Refusal, match="no open challenge"):
        restored.attest(cookie, body)
    with pytest.raises(Refusal, match="attest first"):
        restored.release(hashed(attested.http.cookies["kbs-session-id"]), ResourcePath.parse(PATH))


def test_backup_holds_ciphertext_and_hashes_for_its_owner_alone(acme: Bench) -> None:
    guest = acme.guest()
    guest.auth()
    token = guest.attest()
    assert guest.resource(PATH) == SECRET
    administration = acme.administration
    console = ConsoleSessions(
        acme.store, administration.acts, administration.sign_in, timedelta(minutes=5)
    ).begin(acme.admin_key)
    file = backup(acme)
    assert file.stat().st_mode & 0o077 == 0
    content = file.read_bytes()
    for private in (
        SECRET[:12],
        acme.admin_key.encode(),
        token.encode(),
        guest.nonce.encode(),
        console.encode(),
    ):
        assert private not in content
    names = {json.loads(line)[0] for line in content.splitlines() if line.startswith(b"[")}
    short = {table.name for table in SHORT_LIVED}
    filled = {table.name for table in metadata.sorted_tables if acme.sql(f"SELECT * FROM {table.name}")}
    assert names == filled - short
    assert short - filled == {"kept_evidence"}, "kept where it is asked for"


def test_backup_is_one_moment_while_others_write(acme: Bench) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            acme.administration.add_owner("test", f"owner-{number}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        files = [backup(acme, f"{number}.backup") for number in range(3)]
    finally:
        stop.set()
        writer.join()
    for file in files:
        with file.open("rb") as stream:
            read = Backup(stream, acme.keys.wrap)
            rows = list(read.rows())
        audit = [values for name, values in rows if name == "audit"]
        owners = [values for name, values in rows if name == "owners"]
        assert len(audit) == read.about.head.number
        # acme, its rule and its secret; then a row for each owner that was added.
        assert len(owners) - 1 == len(audit) - 3


def test_backup_is_whole_or_not_at_all(acme: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    file = backup(acme)
    content = file.read_bytes()
    with pytest.raises(SystemExit) as ended:
        backup(acme)
    assert ended.value.code == 2
    assert "never overwritten" in capsys.readouterr().err
    assert file.read_bytes() == content
    acme.sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SystemExit):
        backup(acme, "second.backup")
    assert "came after this program" in capsys.readouterr().err
    assert not list(acme.folder.glob("second*"))


# -- what is not restored --------------------------------------------------------------------------------


def lines(file: Path) -> list[bytes]:
    return file.read_bytes().splitlines(keepends=True)


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "cut off": lambda rows: rows[:-1],
    "cut off in a line": lambda rows: [*rows[:-1], rows[-1][:-1]],
    "rows taken out": lambda rows: rows[:-3] + rows[-1:],
    "a row twice": lambda rows: [*rows[:-1], rows[-2], rows[-1]],
    "rows in another order": lambda rows: [rows[0], rows[2], rows[1], *rows[3:]],
    "added to": lambda rows: [*rows, b"[]\n"],
    "a row changed": lambda rows: [row.replace(b'"enabled":true', b'"enabled":false') for row in rows],
    "header changed": lambda rows: [rows[0].replace(b'"made":"20', b'"made":"21'), *rows[1:]],
    "no MAC": lambda rows: [*rows[:-1], b'{"mac":"","rows":1}\n'],
    "no header": lambda rows: rows[1:],
    "empty header": lambda rows: [b"{}\n", *rows[1:]],
    "half a header": lambda rows: [b'{"kind":"kbs-backup/1"}\n', *rows[1:]],
    "no text": lambda _: [b"\xff\x00" * 100],
    "empty": lambda _: [],
    "deep": lambda _: [b"[" * 100_000 + b"\n"],
}


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize("change", CHANGES)
def test_file_that_was_changed_is_not_restored(
    acme: Bench, backed_up: Path, new: Callable[[str], Address], change: str
) -> None:
    before = lines(backed_up)
    after = CHANGES[change](before)
    assert after != before
    backed_up.write_bytes(b"".join(after))
    address = new("sqlite")
    assert isinstance(address, SqliteFile)
    with pytest.raises(BackupError):
        put_back(acme, backed_up, address)
    assert not address.path.exists()


@pytest.mark.parametrize("kind", ["sqlite"])
def test_every_row_is_under_the_mac(acme: Bench, backed_up: Path) -> None:
    whole = lines(backed_up)
    for number in range(len(whole) - 1):
        changed = list(whole)
        changed[number] = changed[number].replace(b"a", b"b", 1)
        if changed == whole:
            continue
        backed_up.write_bytes(b"".join(changed))
        with backed_up.open("rb") as stream, pytest.raises(BackupError):
            Backup(stream, acme.keys.wrap)


@pytest.mark.parametrize("kind", ["sqlite"])
def test_broker_with_other_keys_restores_nothing(acme: Bench, backed_up: Path, tmp_path: Path) -> None:
    KeyRing.create(tmp_path / "other")
    other = KeyRing.open(tmp_path / "other")
    with backed_up.open("rb") as stream, pytest.raises(BackupError, match="other keys"):
        Backup(stream, other.wrap)


def test_database_that_has_a_broker_is_left_alone(acme: Bench, backed_up: Path) -> None:
    with pytest.raises(BackupError, match="new database"):
        put_back(acme, backed_up, acme.address)
    assert acme.guest().boot(PATH) == SECRET
    assert acme.rows("restored") == []


@pytest.mark.parametrize("kind", ["sqlite"])
def test_schema_from_after_this_program_is_not_restored(
    acme: Bench, backed_up: Path, new: Callable[[str], Address]
) -> None:
    with backed_up.open("rb") as stream:
        newer = Backup(stream, acme.keys.wrap)
        newer.about = type(newer.about)("9999", newer.about.head, newer.about.made)
        with pytest.raises(BackupError, match="9999, which came after"):
            restore(newer, new("sqlite"), (), Clock(acme.clock))


def test_t_restore_backup_older_than_a_kept_head_is_refused(
    acme: Bench, backed_up: Path, new: Callable[[str], Address], kind: str
) -> None:
    kept = acme.administration.record.proof(()).head
    acme.administration.enable_owner("test", "acme", False)  # a revocation, which the backup would undo
    newer = acme.administration.record.proof(()).head
    address = new(kind)
    with pytest.raises(RolledBack, match=f"ends at row {kept.number}"):
        put_back(acme, backed_up, address, newer)
    put_back(acme, backed_up, address, kept)


def test_t_restore_database_that_went_back_is_told_by_a_kept_head(acme: Bench) -> None:
    kept = acme.administration.record.proof(()).head
    acme.administration.enable_owner("test", "acme", False)
    newer = acme.administration.record.proof(()).head
    acme.store.read(lambda tx: require_heads(tx, [kept, newer]))
    acme.sql("DELETE FROM audit WHERE number = :number", number=newer.number)
    acme.sql("UPDATE audit_head SET number = :number, hash = :hash", number=kept.number, hash=kept.hash)
    acme.store.read(lambda tx: require_heads(tx, [kept]))
    with pytest.raises(RolledBack, match="what was revoked since"):
        acme.store.read(lambda tx: require_heads(tx, [kept, newer]))
    forged = Head(kept.number, bytes(32))
    with pytest.raises(RolledBack):
        acme.store.read(lambda tx: require_heads(tx, [forged]))


def test_commands_restore_and_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, other, file = tmp_path / "first", tmp_path / "other", tmp_path / "kbs.backup"
    assert main(["init", "--state", str(first)]) == 0
    assert main(["backup", "--state", str(first), "-o", str(file)]) == 0
    said = re.search(r"audit head (1:[0-9a-f]{64})\n", capsys.readouterr().out)
    assert said
    other.mkdir()
    (first / "keys").rename(other / "keys")
    assert main(["restore", str(file), "--state", str(other), "--head", said[1]]) == 0
    assert "up to audit row 1; head now 2:" in capsys.readouterr().out
    assert (other / "broker.db").stat().st_mode & 0o077 == 0
    restored = SqliteFile(other / "broker.db")
    assert run_sql(restored, "SELECT name FROM principals") == [("first-admin",)]
    for wrong, sentence in (
        (["--state", str(other)], "restore into a new database"),
        (["--state", str(other), "--head", "12"], "NUMBER:HASH"),
        (["--state", str(first)], "No such file"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["restore", str(file), *wrong])
        assert ended.value.code == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["sqlite"])
def test_clock_behind_the_backup_restores_nothing(
    acme: Bench, backed_up: Path, new: Callable[[str], Address]
) -> None:
    acme.clock.pass_seconds(-11)
    address = new("sqlite")
    assert isinstance(address, SqliteFile)
    with pytest.raises(Refusal, match="does not know the time"):
        put_back(acme, backed_up, address)
    assert not address.path.exists()
