"""One served broker over its whole life: ready, watched, given a new certificate, and ended in order."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from tests.interop.tls import write_certificates
from tests.kbs.test_cli import kbs

_SECONDS = 20.0


@dataclass
class Life:
    folder: Path
    process: subprocess.Popen[str]
    port: int
    metrics: str

    def connect(self, authority: str) -> ssl.SSLSocket:
        """A client that trusts the one authority and keeps its connection. It names no server, as those do that know an
        address only."""
        trusted = ssl.create_default_context(cafile=str(self.folder / authority / "ca.pem"))
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=_SECONDS)
        return trusted.wrap_socket(plain, server_hostname="127.0.0.1")

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def log_has(self, text: str) -> None:
        end = time.monotonic() + _SECONDS
        while text not in self.log():
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("life")
    for name in ("first", "second"):
        (folder / name).mkdir()
        write_certificates(folder / name)
        pair = (folder / name / "server.pem").read_text()
        certificate, begin, key = pair.partition("-----BEGIN PRIVATE KEY-----")
        (folder / name / "server.pem").write_text(certificate)
        (folder / name / "server.key").write_text(begin + key)
    for name in ("server.pem", "server.key"):
        shutil.copy(folder / "first" / name, folder / name)
    (folder / "outside").mkdir()
    made = kbs("init", "--state", str(folder / "state"), "--admin-key-file", str(folder / "admin.key"))
    assert made.returncode == 0, made.stderr
    (folder / "kbs.yaml").write_text(
        "state: state\n"
        "listen: {port: 0, drain-seconds: 1, finish-seconds: 2, tls: {certificate: server.pem, key: server.key}}\n"
        "record: {checkpoints: [{folder: outside}]}\n"
        "metrics: {port: 0}\nlog: {level: debug}\nconsole: {session-minutes: 5}\n"
    )
    command = [sys.executable, "-m", "kbs.cli.main", "serve", "--config", str(folder / "kbs.yaml")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        served = re.match(r"serving https://127\.0\.0\.1:(\d+)", process.stdout.readline())
        assert served, (folder / "log").read_text()
        watched = re.match(r"metrics (http://127\.0\.0\.1:\d+/metrics)", process.stdout.readline())
        assert watched, (folder / "log").read_text()
        yield Life(folder, process, int(served[1]), watched[1])
        if process.poll() is None:
            process.kill()
        process.wait(20)
        process.stdout.close()


def ask(connection: ssl.SSLSocket, path: str, method: str = "GET", key: str = "", body: str = "") -> str:
    """One request on a connection that stays; status and body."""
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {key}\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096)
    began, _, rest = answer.partition(b"\r\n\r\n")
    (length,) = re.findall(rb"content-length: (\d+)", began)
    while len(rest) < int(length):
        rest += connection.recv(4096)
    return began.split(b" ")[1].decode() + " " + rest.decode()


def serial(connection: ssl.SSLSocket) -> int:
    der = connection.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def serial_in(file: Path) -> int:
    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


def put(life: Life, name: str, *files: str) -> None:
    for file in files:
        new = life.folder / f"{file}.new"
        shutil.copy(life.folder / name / file, new)
        os.replace(new, life.folder / file)


def test_one_life(life: Life) -> None:
    stays = life.connect("first")
    assert serial(stays) == serial_in(life.folder / "first" / "server.pem")
    assert ask(stays, "/healthz") == '200 {"status":"serving"}'
    assert ask(stays, "/readyz") == '200 {"status":"ready"}'
    assert ask(stays, "/console/sign-in").startswith("200 <!doctype html>")

    key = (life.folder / "admin.key").read_text().strip()
    assert ask(stays, "/admin/v1/owners", "POST", key, '{"name": "acme"}').startswith("201 ")

    # Metrics on their own address, and nowhere else.
    shown = httpx.get(life.metrics, trust_env=False).text
    assert 'kbs_requests_total{method="GET",route="/readyz",status="200"} 1.0' in shown
    assert 'kbs_ready{check="key-store"} 1.0' in shown
    assert re.search(r"^kbs_audit_head [0-9.]+$", shown, re.MULTILINE)
    memory = re.search(r"^process_resident_memory_bytes ([0-9.e+]+)$", shown, re.MULTILINE)
    assert memory
    assert 20e6 < float(memory[1]) < 150e6
    assert ask(stays, "/metrics").startswith("404 ")

    # Half a pair, then a whole one.
    put(life, "second", "server.pem")
    life.process.send_signal(signal.SIGHUP)
    life.log_has("the new certificate is not taken")
    with life.connect("first") as other:
        assert serial(other) == serial_in(life.folder / "first" / "server.pem")
    put(life, "second", "server.key")
    life.process.send_signal(signal.SIGHUP)
    life.log_has("a new certificate is served")
    with life.connect("second") as other:
        assert serial(other) == serial_in(life.folder / "second" / "server.pem")
        assert ask(other, "/healthz").startswith("200 ")
    assert ask(stays, "/healthz").startswith("200 "), "a connection of before goes on"

    # The end: first it is not ready, then it takes nobody new, and what runs is finished.
    running = life.connect("second")
    running.sendall(b"POST /kbs/v0/auth HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
    life.process.send_signal(signal.SIGTERM)
    while (answer := ask(stays, "/readyz")).startswith("200 "):
        assert life.process.poll() is None
    assert answer.startswith("503 ")
    assert '"not ready"' in answer
    with life.connect("second") as other:
        assert ask(other, "/healthz").startswith("200 "), "those who come meanwhile are still served"
    end = time.monotonic() + _SECONDS
    while accepted(life):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert life.process.poll() is None, "a request is still running"
    running.sendall(b"}")
    assert running.recv(100).startswith(b"HTTP/1.1 400 ")
    assert life.process.wait(_SECONDS) == 0
    assert len(list((life.folder / "outside").iterdir())) == 1, (
        "the last checkpoint is brought before it ends"
    )
    lines = life.log().splitlines()
    assert lines
    assert all(line.startswith("{") for line in lines), life.log()


def accepted(life: Life) -> bool:
    try:
        socket.create_connection(("127.0.0.1", life.port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True
