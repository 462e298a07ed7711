"""The section `database`: what it accepts, and that what it says is what happens."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from kbs.cli.main import main
from kbs.config import Config, InvalidConfig, read_config
from kbs.config.database import Url
from kbs.keys import KeyStoreError
from kbs.service import database_address
from kbs.store.address import PostgresServer, SqliteFile, Tls
from kbs.store.database import connected, migrate, whole
from kbs.store.failures import Unavailable
from kbs.store.kinds import Purpose
from kbs.store.schema import current
from tests.kbs.databases import Postgres, url_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    (tmp_path / "ca.pem").write_text("")
    (tmp_path / "password").write_text("open sesame\n")
    (tmp_path / "password").chmod(0o600)
    return tmp_path


def read(folder: Path, database: str) -> Config:
    return read_config(f"state: state\ndatabase: {database}\n".encode(), folder / "kbs.yaml")


def test_database_is_a_file_in_the_state_folder_unless_another_is_named(folder: Path) -> None:
    assert database_address(read(folder, "{wait-seconds: 10}")) == SqliteFile(folder / "state" / "broker.db")
    elsewhere = read(folder, "{url: 'sqlite:////var/lib/kbs/a%20b.db', wait-seconds: 3}")
    assert database_address(elsewhere) == SqliteFile(Path("/var/lib/kbs/a b.db"), 3)


def test_server_has_the_bounds_and_the_password_of_the_configuration(folder: Path) -> None:
    config = read(
        folder,
        "{url: 'postgresql://kbs@db.example:6432/broker', password-file: password, tls: {ca: ca.pem}, "
        "connections: 3, wait-seconds: 4, statement-seconds: 5}",
    )
    address = database_address(config)
    assert address == PostgresServer(
        "db.example", "broker", "kbs", 6432, "open sesame", Tls(folder / "ca.pem"), 3, 4, 5
    )
    assert "sesame" not in f"{address!r} {address} {config!r}"


def test_password_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / "password").chmod(0o640)
    config = read(folder, "{url: 'postgresql://kbs@127.0.0.1/broker', password-file: password}")
    with pytest.raises(KeyStoreError, match="open to others"):
        database_address(config)


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("{url: 'mysql://a@b/c'}", "database.url: is no URL of a database: postgresql://"),
        ("{url: 'postgresql://kbs:sesame@127.0.0.1/broker'}", "carries a password: put it into a file"),
        ("{url: 'postgresql://kbs@/broker'}", "is no URL of a database"),
        ("{url: 'postgresql://kbs@db.example'}", "is no URL of a database"),
        ("{url: 'postgresql://kbs@127.0.0.1/broker?sslmode=disable'}", "is no URL of a database"),
        ("{url: 'postgresql://kbs@127.0.0.1/broker?host=/run'}", "is no URL of a database"),
        ("{url: 'postgresql://kbs@/broker?host=db.example'}", "is no URL of a database"),
        ("{url: 'sqlite:///broker.db'}", "is no URL of a database"),
        ("{url: 'postgresql://kbs@db.example/broker'}", "db.example is another machine: name its CA"),
        ("{url: 'postgresql://kbs@10.0.0.1/broker'}", "10.0.0.1 is another machine: name its CA"),
        ("{password-file: password}", "SQLite asks nobody"),
        ("{url: 'postgresql://kbs@127.0.0.1/b', tls: {ca: ca.pem, key: ca.pem}}", "goes with its key"),
        ("{connections: 0}", "database.connections: Input should be greater"),
    ],
)
def test_each_fault_is_a_sentence_with_its_place(folder: Path, section: str, fault: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        read(folder, section)
    (sentence,) = raised.value.faults
    assert fault in sentence
    assert "kbs.yaml:2:" in sentence
    assert "sesame" not in sentence


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_server_of_this_machine_needs_no_tls(folder: Path, host: str) -> None:
    assert database_address(read(folder, f"{{url: 'postgresql://kbs@{host}/broker'}}"))


@given(st.text(max_size=60) | st.text(max_size=40).map("postgresql://{}".format))
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    try:
        url = Url.parse(text)
    except ValueError as error:
        assert "URL of a database" in str(error) or "password" in str(error)
    else:
        assert url.name


# -- a real server ---------------------------------------------------------------------------------------


@pytest.fixture
def made(postgres: Postgres) -> Iterator[PostgresServer]:
    address = postgres.make()
    yield address
    postgres.drop(address)


def ask(address: PostgresServer) -> str | None:
    with connected(address) as database:
        return whole(database, Purpose.READ, current)


def test_password_is_what_opens_the_server(made: PostgresServer, postgres: Postgres) -> None:
    """pg_hba.conf asks for a password in the database `protected` only."""
    postgres.do("CREATE DATABASE protected")
    postgres.do("CREATE ROLE guarded LOGIN PASSWORD 'open sesame'")
    protected = replace(made, database="protected", user="guarded")
    try:
        assert ask(replace(protected, password="open sesame")) is None
        for password in ("wrong", None):
            with pytest.raises(Unavailable, match="password") as refusal:
                ask(replace(protected, password=password))
            assert "sesame" not in str(refusal.value)
    finally:
        postgres.do("DROP DATABASE protected WITH (FORCE)")
        postgres.do("DROP ROLE guarded")


class Authority:
    """A CA of a test, and a server's certificate by it."""

    def __init__(self, folder: Path, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self._folder = folder
        certificate = self._certificate(self._name, self._key, ca=True)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool = False, host: str = ""
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
        )
        if host:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def server(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        chain = self._folder / f"server-{host}.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + self._certificate(subject, key, host=host).public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context


@contextlib.contextmanager
def tls_before(server: Path, context: ssl.SSLContext | None) -> Iterator[int]:
    """The server of these tests is built without TLS: this ends it before its socket, as a proxy would.

    context: None answers that there is none. Yields the port.
    """
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(65536):
                target.sendall(received)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            assert client.recv(8)[4:] == (80877103).to_bytes(4, "big")  # SSLRequest
            client.sendall(b"N" if context is None else b"S")
            if context is None:
                return
            with (
                context.wrap_socket(client, server_side=True) as inside,
                socket.socket(socket.AF_UNIX) as behind,
            ):
                behind.connect(str(server))
                back = threading.Thread(target=pump, args=(behind, inside))
                back.start()
                pump(inside, behind)
                back.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(10)


def test_server_must_have_a_certificate_of_the_named_ca_and_of_its_own_name(
    made: PostgresServer, postgres: Postgres, tmp_path: Path
) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    behind = postgres.folder / ".s.PGSQL.5432"

    def through(context: ssl.SSLContext | None) -> str | None:
        with tls_before(behind, context) as port:
            return ask(replace(made, host="127.0.0.1", port=port, tls=Tls(ours.file), wait_seconds=5))

    assert through(ours.server("127.0.0.1")) is None
    with pytest.raises(Unavailable, match="certificate verify failed"):
        through(theirs.server("127.0.0.1"))
    with pytest.raises(Unavailable, match="does not match host name"):
        through(ours.server("127.0.0.2"))
    with pytest.raises(Unavailable, match="does not support SSL"):
        through(None)


# -- commands --------------------------------------------------------------------------------------------


def test_check_asks_the_database_only_when_told(
    folder: Path, made: PostgresServer, postgres: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "kbs.yaml"
    file.write_text(f"state: state\ndatabase: {{url: '{url_of(made)}'}}\n")
    assert main(["config", "check", str(file), "--connect"]) == 0
    assert "answers: PostgreSQL 18" in (said := capsys.readouterr().err)
    assert "no broker yet: kbs init" in said
    migrate(made)
    assert main(["config", "check", str(file), "--connect"]) == 0
    assert "schema 0" in capsys.readouterr().err
    postgres.drop(made)
    assert main(["config", "check", str(file)]) == 0
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", str(file), "--connect"])
    assert ended.value.code == 2
    assert "does not exist" in capsys.readouterr().err


def test_init_makes_one_broker_in_a_server_and_serve_none(
    folder: Path, made: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "kbs.yaml"
    file.write_text(f"state: state\nlisten: {{port: 0}}\ndatabase: {{url: '{url_of(made)}'}}\n")
    with pytest.raises(SystemExit):
        main(["serve", "--config", str(file)])
    assert "there is no broker in database" in capsys.readouterr().err
    assert ask(made) is None, "tables were made on the way"
    assert main(["init", "--config", str(file), "--admin-key-file", str(folder / "admin.key")]) == 0
    assert ask(made) is not None
    second = folder / "second.yaml"
    (folder / "other").mkdir()
    second.write_text(f"state: other\ndatabase: {{url: '{url_of(made)}'}}\n")
    with pytest.raises(SystemExit):
        main(["init", "--config", str(second), "--admin-key-file", str(folder / "second.key")])
    assert "has a broker already; a replica of it takes a copy of its keys/" in capsys.readouterr().err
    assert not list((folder / "other").iterdir())
    assert not (folder / "second.key").exists()
