"""Machines to collect from: a real TPM 2 stack in software, and a metadata service on this host."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from attest.collect.azure import AK, HCL_REPORT, USER_DATA
from attest.collect.tpm2 import Tpm

NEEDED = ("swtpm", "tpm2_createprimary", "tpm2_evictcontrol", "tpm2_readpublic", "tpm2_pcrextend")


class SoftwareTpm:
    """swtpm behind a UNIX socket; its state is one folder. Short paths: a socket's name is at most 108 bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "s"
        self._connection: socket.socket | None = None
        self._process = subprocess.Popen(
            [
                "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}",
                "--server", f"type=unixio,path={self._socket}",
                "--ctrl", f"type=unixio,path={self._socket}.ctrl",
                "--flags", "not-need-init,startup-clear",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            self._wait()
            self.tool("createprimary", "-C", "e", "-g", "sha256", "-G", "rsa2048:rsassa-sha256:null", "-a",
                      "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign|noda", "-c", "ak")  # fmt: skip
            self.tool("evictcontrol", "-C", "o", "-c", "ak", hex(AK))
            self.tool("readpublic", "-c", hex(AK), "-f", "pem", "-o", "ak.pem")
            self.tool("pcrextend", "0:sha256=" + "ab" * 32, "8:sha256=" + "cd" * 32)
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        for _ in range(200):
            if (self.folder / "s.ctrl").exists() and self._socket.exists():
                return
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise RuntimeError("swtpm does not start")

    def tool(self, name: str, *arguments: str) -> None:
        """A program of tpm2-tools on this TPM, which serves one connection at a time."""
        self.close()
        subprocess.run(
            [f"tpm2_{name}", *arguments],
            cwd=self.folder,
            check=True,
            capture_output=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "TPM2TOOLS_TCTI": f"swtpm:path={self._socket}"},
        )

    @property
    def ak(self) -> rsa.RSAPublicKey:
        key = load_pem_public_key((self.folder / "ak.pem").read_bytes())
        assert isinstance(key, rsa.RSAPublicKey)
        return key

    def __call__(self, command: bytes) -> bytes:
        """The transport: as /dev/tpmrm0, a command in and its answer out."""
        if self._connection is None:
            self._connection = socket.socket(socket.AF_UNIX)
            self._connection.settimeout(20)
            self._connection.connect(str(self._socket))
        self._connection.sendall(command)
        answer = self._connection.recv(4096)
        while len(answer) < 10 or len(answer) < int.from_bytes(answer[2:6], "big"):
            answer += self._connection.recv(4096)
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def stop(self) -> None:
        self.close()
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture(scope="module")
def swtpm() -> Iterator[SoftwareTpm]:
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (packages swtpm, tpm2-tools)")
    with tempfile.TemporaryDirectory(prefix="tpm") as folder:
        tpm = SoftwareTpm(Path(folder))
        try:
            yield tpm
        finally:
            tpm.stop()


class PlayedParavisor:
    """Stands between collector and TPM: what is written to the user data index becomes, by a thread of its own, the
    next report in the other one.

    report: user data → contents of NV 0x1400001. ignored: so many writes are not taken up. spoil: changes what the
    guest's write brought, as another writer of the shared index would.
    """

    def __init__(self, tpm: SoftwareTpm, report: Callable[[bytes], bytes]) -> None:
        self._tpm, self._report = tpm, report
        self._lock = threading.RLock()
        self._threads: list[threading.Thread] = []
        self.own = Tpm(self._locked)
        self.ignored = 0
        self.spoil: Callable[[bytes], bytes] = bytes
        self.commands: list[bytes] = []
        self.before_command: Callable[[bytes], None] = lambda _: None
        self.alter: Callable[[bytes], bytes] = bytes
        self._write(report(bytes(64)))

    def __call__(self, command: bytes) -> bytes:
        self.before_command(command)
        command = self.alter(command)
        self.commands.append(command)
        answer = self._locked(command)
        code, handles = command[6:10], command[10:18]
        wrote = code == (0x137).to_bytes(4, "big") and handles[4:] == USER_DATA.to_bytes(4, "big")
        if wrote and answer[6:10] == bytes(4):
            if self.ignored:
                self.ignored -= 1
            else:
                thread = threading.Thread(target=self._take_up)
                self._threads.append(thread)
                thread.start()
        return answer

    def sleep(self, _: float) -> None:
        """The collector's wait, which ends when the paravisor is done."""
        for thread in self._threads:
            thread.join(20)

    def _locked(self, command: bytes) -> bytes:
        with self._lock:
            return self._tpm(command)

    def _take_up(self) -> None:
        self._write(self._report(self.spoil(self.own.nv_read(USER_DATA))))

    def _write(self, report: bytes) -> None:
        with self._lock:
            define_and_write(self.own, HCL_REPORT, report)


def define_and_write(tpm: Tpm, index: int, data: bytes) -> None:
    forget(tpm, index)
    # 2600 bytes are more than the software TPM takes for an index of the common kind.
    tpm.nv_define(index, min(len(data), 2048))
    tpm.nv_write(index, data[:2048])


def forget(tpm: Tpm, index: int) -> None:
    from attest.collect.errors import CollectError

    try:
        tpm.nv_undefine(index)
    except CollectError as error:
        assert error.code == "collect.unsupported"


class MetadataService:
    """What Azure's service answers, for one machine. status: of every answer. times: how often an
    answer's body is repeated; sent: bytes that were taken. log: (method, path, headers)."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Callable[[bytes], bytes]] = {}
        self.status = 200
        self.times, self.sent = 1, 0
        self.location = ""
        self.log: list[tuple[str, str, dict[str, str]]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer("GET")

            def do_POST(self) -> None:
                self._answer("POST")

            def _answer(self, method: str) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.log.append((method, self.path, dict(self.headers)))
                make = service.answers.get((method, self.path))
                status = service.status if make and self.headers.get("Metadata") == "true" else 400
                self.send_response(status)
                if service.location:
                    self.send_header("Location", service.location)
                answer = make(body) if make and status == 200 else b"{}"
                self.send_header("Content-Length", str(len(answer) * service.times))
                self.end_headers()
                for _ in range(service.times):
                    try:
                        self.wfile.write(answer)
                    except OSError:
                        break
                    service.sent += len(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.01), daemon=True).start()

    def gives(self, method: str, path: str, document: Callable[[bytes], object]) -> None:
        self.answers[method, path] = lambda body: json.dumps(document(body)).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def metadata_service() -> Iterator[MetadataService]:
    service = MetadataService()
    yield service
    service.stop()
