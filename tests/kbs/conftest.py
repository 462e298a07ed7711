"""A broker in this process, a clock to turn, and simulated machines to ask it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import structlog
from pydantic import TypeAdapter, ValidationError

from attest import Endorsements
from attest.composite import write_primary
from attest.simulator import Simulator
from attest.x509 import Certificate
from kbs.access import Principal
from kbs.administration import Administration
from kbs.broker import Broker, Settings, Verification
from kbs.clock import Clock
from kbs.collateral import Epoch
from kbs.http.answers import ANSWERS
from kbs.http.app import create_app
from kbs.http.auth import give_key, make_key
from kbs.keys.ring import KeyRing
from kbs.store.address import Address, SqliteFile
from kbs.store.database import Store, migrate
from kbs.store.sqlite import create_file
from tests.kbs.databases import Postgres, run_sql, url_of
from tests.kbs.databases import postgres as postgres  # a fixture
from tests.kbs.twin import Machine, TwinGuest, jcs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have httpx's successor
    from starlette.testclient import TestClient as TestClient

NOON = datetime(2040, 11, 23, 12, tzinfo=UTC)
"""Far ahead, because a cookie jar drops by the machine's own clock what expired."""
MEASUREMENT = hashlib.sha384(b"simulated launch").hexdigest()
ALLOWED = "{simulated: test, no-floors: test, os-unmeasured: test}"
SNP_POLICY = f"""\
policy: 1
name: snp-machines
platforms: [snp]
allow-warnings: {ALLOWED}
require:
  snp:
    measurement: {{is: "{MEASUREMENT}", covers: image}}
    tcb: {{at-least: {{genoa: {{snp: 20}}}}}}
  gpu: {{count: {{at-least: 1}}}}
  binding: {{key: true}}
"""
PATH = "acme/key/model"
ADMINISTRATOR = Principal("test", "administrator")
SECRET = b"the model key: \x00\x01\x02, and thirty-two more bytes of it"


class Turned:
    """A machine's clock that a test turns."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


class Kept:
    """Collateral that a test can change."""

    def __init__(self, endorsements: Endorsements) -> None:
        self.epoch = Epoch("first", endorsements)

    def current(self) -> Epoch:
        return self.epoch


@dataclass
class Bench:
    folder: Path
    simulator: Simulator
    address: Address
    store: Store
    keys: KeyRing
    clock: Turned
    collateral: Kept
    broker: Broker
    administration: Administration
    admin_key: str
    opened: list[Store] = field(default_factory=list)

    @cached_property
    def app(self) -> Any:
        """Made where a test comes by HTTP: its sixty routes take as long as the rest of a bench."""
        return create_app(self.broker, self.administration, self.store)

    def http(self) -> TestClient:
        return TestClient(self.app, raise_server_exceptions=False)

    def machine(self, *, cpu: str = "snp", gpus: int = 1, **keywords: Any) -> Machine:
        def evidence(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
            made = self.simulator.moved_to(self.clock.now).machine(
                cpu=cpu, gpus=gpus, nonce=base64.b64decode(nonce), key=key, **keywords
            )
            document = json.loads(made.files["simulated-machine.json"])
            return document["primary_evidence"], document["additional_evidence"]

        return evidence

    def old_machine(self, *, cpu: Literal["snp", "tdx"] = "snp", **keywords: Any) -> Machine:
        """A machine before 0.3.0, without devices: its report data is the digest of nonce and key alone."""

        def evidence(nonce: str, key: Mapping[str, Any]) -> tuple[Any, str]:
            bound = hashlib.sha384(jcs({"nonce": nonce, "tee-pubkey": dict(key)})).digest() + bytes(16)
            simulator = self.simulator.moved_to(self.clock.now)
            made = (simulator.snp if cpu == "snp" else simulator.tdx)(report_data=bound, **keywords)
            certificates = [Certificate(der) for der in made.certificates] if cpu == "snp" else []
            return write_primary(cpu, made.raw, certificates), ""

        return evidence

    def guest(self, *, cpu: str = "snp", http: httpx.Client | None = None, **keywords: Any) -> TwinGuest:
        return TwinGuest(http or self.http(), self.machine(cpu=cpu, **keywords), tee=cpu)

    def admin(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.admin_key}"}
        answer = self.http().request(method, f"/admin/v1/{path}", headers=headers, **request)
        if answer.is_success:
            as_described(method, answer)
        return answer

    def owner(self, name: str, policy: str | None = SNP_POLICY, path: str = "acme/*") -> None:
        self.administration.add_owner("test", name)
        if policy is not None:
            self.administration.put_rule("test", name, path, policy)

    def secret(self, *owners: str, path: str = PATH, value: bytes = SECRET) -> None:
        self.administration.put_secret("test", path, owners, value)

    def replica(self, clock: Callable[[], datetime] | None = None) -> Broker:
        """Another broker on the same database and keys, with a store of its own."""
        store = Store.open(self.address)
        self.opened.append(store)
        settings = self.broker._settings
        return Broker(store, self.keys, self.broker._verification, settings, Clock(clock or self.clock))

    def configuration(self) -> Path:
        """A file that names this broker's state and database, for commands."""
        file = self.folder / "kbs.yaml"
        file.write_text(f"state: {self.folder}\ndatabase: {{url: '{url_of(self.address)}'}}\n")
        return file

    def sql(self, statement: str, **values: Any) -> list[Any]:
        return run_sql(self.address, statement, **values)

    def rows(self, event: str | None = None) -> list[dict[str, Any]]:
        rows = [row.content for row in self.administration.record.rows(0, 1000)]
        return [row for row in rows if event in (None, row["event"])]

    def codes(self) -> set[str]:
        """Problem codes of the newest refusal in the trail."""
        refusals = [row for row in self.rows() if "problems" in row]
        return {problem["code"] for problem in refusals[-1]["problems"]}


def as_described(method: str, answer: httpx.Response) -> None:
    """The answer has the form that is published for its route."""
    path = answer.url.path.removeprefix("/admin/v1")
    forms = [
        form
        for (of, template), form in ANSWERS.items()
        if of == method and re.fullmatch(re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(template)), path)
    ]
    for form in forms:
        with suppress(ValidationError):
            TypeAdapter(form).validate_json(answer.text, strict=True)
            return
    pytest.fail(f"{method} {path} is not answered as described: {answer.text}")


@pytest.fixture(scope="session")
def simulator(simulator: Simulator) -> Simulator:
    return simulator.moved_to(NOON)


@pytest.fixture(scope="session")
def endorsements(simulator: Simulator) -> Endorsements:
    """What an operator keeps for the machines of these tests."""
    kept = Endorsements()
    for cpu in ("snp", "tdx"):
        kept = kept + simulator.machine(cpu=cpu, gpus=1, nonce=bytes(range(32))).endorsements
    return kept


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Commands that run in this process send them to a stream which ends with the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def kind() -> str:
    """Which database; modules that import `both_kinds` run on each."""
    return "sqlite"


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A migrated database, made once: migrations are tested on their own."""
    file = tmp_path_factory.mktemp("empty") / "broker.db"
    create_file(file)
    migrate(SqliteFile(file))
    return file.read_bytes()


@pytest.fixture(scope="session")
def empty_template(postgres: Postgres) -> str:
    """The same of PostgreSQL, by its name."""
    made = postgres.make()
    migrate(made)
    return made.database


@pytest.fixture
def empty(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Address]:
    """A migrated database of the kind, with nothing in it."""
    if kind == "sqlite":
        file = tmp_path / "broker.db"
        file.write_bytes(request.getfixturevalue("empty_file"))
        yield SqliteFile(file)
        return
    server: Postgres = request.getfixturevalue("postgres")
    made = server.make(request.getfixturevalue("empty_template"))
    yield made
    server.drop(made)


@pytest.fixture
def bench(
    tmp_path: Path, simulator: Simulator, endorsements: Endorsements, empty: Address
) -> Iterator[Bench]:
    yield from make_bench(tmp_path, simulator, endorsements, empty, Settings())


def make_bench(
    folder: Path,
    simulator: Simulator,
    endorsements: Endorsements,
    empty: Address,
    settings: Settings,
    at: datetime = NOON,
) -> Iterator[Bench]:
    store = Store.open(empty)
    KeyRing.create(folder / "keys")
    keys = KeyRing.open(folder / "keys")
    clock, collateral, admin_key = Turned(), Kept(endorsements), make_key()
    clock.now = at
    verification = Verification(simulator.anchors(), collateral)
    broker = Broker(store, keys, verification, settings, Clock(clock))
    administration = Administration(store, keys, Clock(clock))
    store.write(lambda tx: give_key(tx, "test", admin_key, clock.now))
    bench = Bench(folder, simulator, empty, store, keys, clock, collateral, broker, administration, admin_key)
    yield bench
    for opened in (store, *bench.opened):
        opened.close()


@pytest.fixture
def acme(bench: Bench) -> Bench:
    """One owner with one rule and one secret."""
    bench.owner("acme")
    bench.secret("acme")
    return bench
