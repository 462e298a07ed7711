"""The sections `keys` and `former-keys`, and the commands that act on them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbs.config import Config, InvalidConfig, read_config
from kbs.config.keys import FileKeys, Pkcs11Keys, TransitKeys
from kbs.keys import KeyStoreError
from kbs.keys.configured import key_wrap
from kbs.keys.ring import KeyRing
from kbs.service import build
from tests.kbs.keys.conftest import HsmBench
from tests.kbs.test_cli import Served, kbs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    for name in ("module.so", "pin.file", "token.file", "ca.pem"):
        (tmp_path / name).write_text("")
    return tmp_path


def read(folder: Path, keys: str) -> Config:
    return read_config(f"state: state\n{keys}".encode(), folder / "kbs.yaml")


PKCS11 = "{kind: pkcs11, module: module.so, token: our token, pin: pin.file}"
TRANSIT = "{kind: transit, server: 'https://bao:8200', token: token.file}"


def test_files_are_what_is_not_said(folder: Path) -> None:
    assert read(folder, "").keys == FileKeys()
    assert read(folder, "keys: {kind: file, folder: state}\n").keys == FileKeys(folder=folder / "state")


def test_each_kind_reads_and_files_count_from_the_configuration(folder: Path) -> None:
    config = read(folder, f"keys: {PKCS11}\nformer-keys:\n  - {{kind: file}}\n  - {TRANSIT}\n")
    assert isinstance(config.keys, Pkcs11Keys)
    assert (config.keys.module, config.keys.label, config.keys.seconds) == (folder / "module.so", "kbs", 5.0)
    file, transit = config.former_keys
    assert isinstance(file, FileKeys)
    assert isinstance(transit, TransitKeys)
    assert (transit.token, transit.mount, transit.key) == (folder / "token.file", "transit", "kbs")


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ("keys: {kind: cloud}", "kbs.yaml:2:1: keys: "),
        ("keys: {folder: state}", "keys: needs the key kind"),
        ("keys: [a]", "keys: is a map of keys"),
        ("keys: {kind: pkcs11, token: t, pin: pin.file}", "module: is missing"),
        (f"keys: {PKCS11.replace('pin.file', 'absent')}", "absent is no file"),
        (f"keys: {PKCS11[:-1]}, pin-code: 1234}}", "is no key that is known here"),
        (f"keys: {PKCS11[:-1]}, seconds: 0}}", "greater than or equal to 0.1"),
        (f"keys: {PKCS11[:-1]}, label: 'a/b'}}", "should match pattern"),
        (f"keys: {TRANSIT.replace('https', 'http')}", "the token would cross the network in clear"),
        (f"keys: {TRANSIT.replace('bao:8200', 'bao:8200/v1')}", "without a path"),
        (f"keys: {TRANSIT.replace('bao:8200', 'me:word@bao')}", "a server is https://HOST:PORT"),
        (f"keys: {TRANSIT.replace('bao:8200', 'bao:99999')}", "a server is https://HOST:PORT"),
        (f"keys: {TRANSIT.replace('https', 'ftp')}", "a server is https://HOST:PORT"),
        (f"keys: {TRANSIT[:-1]}, mount: '../sys'}}", "should match pattern"),
        ("former-keys: {kind: file}", "former-keys"),
        ("former-keys: [{kind: cloud}]", "kbs.yaml:2:"),
    ],
)
def test_each_fault_names_its_line(folder: Path, keys: str, fault: str) -> None:
    with pytest.raises(InvalidConfig) as raised:
        read(folder, f"{keys}\n")
    assert any(fault in one and one.startswith(f"{folder}/kbs.yaml:2:") for one in raised.value.faults), (
        raised.value.faults
    )


@pytest.mark.parametrize("server", ["http://127.0.0.1:8200", "http://localhost:8200", "http://[::1]:8200"])
def test_a_server_on_this_machine_may_do_without_tls(folder: Path, server: str) -> None:
    config = read(folder, f"keys: {TRANSIT.replace('https://bao:8200', server)}\n")
    assert isinstance(config.keys, TransitKeys)
    assert config.keys.server == server


def test_two_stores_whose_keys_have_the_same_names_are_refused(folder: Path) -> None:
    config = read(folder, f"keys: {TRANSIT}\nformer-keys: [{TRANSIT.replace('//bao', '//other')}]\n")
    with pytest.raises(KeyStoreError, match=r"two key stores are transit:transit/kbs/v: .* told apart"):
        key_wrap(config.keys, config.former_keys, folder)
    config = read(folder, "former-keys: [{kind: file}]\n")
    with pytest.raises(KeyStoreError, match="two key stores are file:"):
        key_wrap(config.keys, config.former_keys, folder)


def test_a_broker_does_not_start_on_a_store_that_binds_nothing(
    tmp_path: Path, faulty_hsm: HsmBench, empty_file: bytes
) -> None:
    store = faulty_hsm.store()
    store.rotate(datetime.now(UTC))
    store.close()
    KeyRing.create(tmp_path / "state" / "keys")
    (tmp_path / "state" / "broker.db").write_bytes(empty_file)
    address = faulty_hsm.address
    keys = f"keys: {{kind: pkcs11, module: {address.module}, token: {address.token}, pin: {address.pin}, seconds: 20}}\n"
    config = read(tmp_path, keys)
    build(config).close()
    (faulty_hsm.faults / "forgetful").touch()
    with pytest.raises(KeyStoreError, match="does not bind a key to its context"):
        build(config)


# -- commands ----------------------------------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Served]:
    """A broker that serves, with no guest in sight."""
    yield from serve(tmp_path, "")


def serve(folder: Path, keys: str) -> Iterator[Served]:
    if not (folder / "state").exists():
        made = kbs("init", "--state", str(folder / "state"), "--admin-key-file", str(folder / "admin.key"))
        assert made.returncode == 0, made.stderr
    (folder / "kbs.yaml").write_text(f"state: state\nlisten: {{port: 0}}\n{keys}")
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "kbs.cli.main", "serve", "--config", str(folder / "kbs.yaml")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert server.stdout is not None
        found = re.match(r"serving (http://127\.0\.0\.1:\d+)", server.stdout.readline())
        assert found, (folder / "log").read_text()
        yield Served(folder, found[1])
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        server.stdout.close()


def put(broker: Served, count: int) -> None:
    broker.run("owner", "add", "acme")
    (broker.folder / "secret").write_bytes(b"a secret")
    for number in range(count):
        done = broker.run(
            "secret", "put", f"acme/key/n{number}", str(broker.folder / "secret"), "--owner", "acme"
        )
        assert done.returncode == 0, done.stderr


def test_list_rotate_rewrap_retire_as_typed(broker: Served) -> None:
    put(broker, 3)
    first = re.match(
        r"key (file:[0-9a-f]{32}): wraps, 3 versions\ntoken key (\S+): signs\n$",
        broker.run("keys", "list").stdout,
    )
    assert first
    rotated = broker.run("keys", "rotate")
    second = re.match(
        r"key (file:[0-9a-f]{32}) wraps; for what older keys wrap: kbs keys rewrap\n$", rotated.stdout
    )
    assert second
    shown = broker.run("keys", "list").stdout
    assert f"key {first[1]}: unwraps, 3 versions\n" in shown
    assert f"key {second[1]}: wraps, 0 versions, since 20" in shown
    denied = broker.run("keys", "retire", first[1])
    assert (denied.returncode, "may still be on its way" in denied.stderr) == (1, True)
    assert broker.run("keys", "rewrap").stdout == "rewrapped 3 versions, 0 left under older keys\n"
    assert json.loads(broker.run("keys", "rewrap", "--json").stdout) == {"done": 0, "left": 0, "failed": []}
    token = broker.run("keys", "rotate", "--token")
    assert re.match(r"token key \S+ signs; the one before counts for ten minutes\n$", token.stdout)
    assert f"token key {first[2]}: still counts\n" in broker.run("keys", "list").stdout
    assert broker.run("keys", "rotate", "--session").returncode == 0
    trail = broker.run("audit", "list").stdout
    for event in ("key-rotated", "keys-rewrapped", "token-key-rotated", "session-key-rotated"):
        assert event in trail
    assert broker.run("keys", "list", key=False).returncode == 2


def test_rewrap_says_what_is_left_and_ends_with_status_1(broker: Served) -> None:
    import sqlite3

    put(broker, 2)
    with sqlite3.connect(broker.folder / "state" / "broker.db") as database:
        database.execute("UPDATE secret_versions SET wrapped_key = x'00' WHERE path = 'acme/key/n0'")
    broker.run("keys", "rotate")
    done = broker.run("keys", "rewrap")
    assert done.returncode == 1
    assert "rewrapped 1 version, 1 left" in done.stdout
    assert "- acme/key/n0 version 1: " in done.stdout
    assert "key unreadable: NOT OPEN" in broker.run("keys", "list").stdout


def test_create_makes_the_first_key_of_a_token_and_serve_uses_it(hsm: HsmBench) -> None:
    folder, address = hsm.folder, hsm.address
    keys = f"keys: {{kind: pkcs11, module: {address.module}, token: {address.token}, pin: {address.pin}, seconds: 20}}\n"
    assert (
        kbs(
            "init", "--state", str(folder / "state"), "--admin-key-file", str(folder / "admin.key")
        ).returncode
        == 0
    )
    (folder / "kbs.yaml").write_text(f"state: state\n{keys}")
    environment = {"PATH": os.environ["PATH"], "SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"]}
    config = ("--config", str(folder / "kbs.yaml"))
    early = kbs("serve", *config, environment=environment)
    assert (early.returncode, early.stderr) == (
        2,
        "kbs serve: the key store has no key yet: kbs keys create makes the first\n",
    )
    made = kbs("keys", "create", *config, environment=environment)
    assert re.fullmatch(rf"key pkcs11:{address.token}/kbs/[0-9a-f]{{16}}\n", made.stdout), made.stderr
    again = kbs("keys", "create", *config, environment=environment)
    assert (again.returncode, "there is a key already" in again.stderr) == (1, True)
    for broker in serve(folder, keys):
        put(broker, 1)
        assert re.match(r"key pkcs11:.*: wraps, 1 version, since", broker.run("keys", "list").stdout)
        assert broker.run("keys", "rotate").returncode == 0
        assert broker.run("keys", "rewrap").stdout == "rewrapped 1 version, 0 left under older keys\n"
