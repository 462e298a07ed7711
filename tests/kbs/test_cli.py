"""The commands as a person types them, against a served broker."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from attest.simulator import Simulator
from tests.kbs.conftest import PATH, SECRET, SNP_POLICY
from tests.kbs.twin import refusal_of


@dataclass
class Served:
    folder: Path
    url: str

    def run(
        self, *arguments: str, key: bool = True, within: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "KBS_URL": self.url}
        if key:
            environment["KBS_ADMIN_KEY"] = (self.folder / "admin.key").read_text()
        return kbs(*arguments, environment=environment, within=within)

    def get(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        state = str(self.folder / "simulator.json")
        out = str(self.folder / "out")
        return self.run("guest", "get", "--path", PATH, "-o", out, "--simulate", state, *arguments, key=False)


def kbs(
    *arguments: str, environment: dict[str, str] | None = None, within: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """within: the folder that they are typed in."""
    return subprocess.run(
        [sys.executable, "-m", "kbs.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
        cwd=within,
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    simulator = Simulator.create(datetime.now(UTC))
    endorsements = folder / "endorsements"
    endorsements.mkdir()
    for name, content in simulator.machine(nonce=bytes(range(32))).files.items():
        if name != "simulated-machine.json":
            (endorsements / name).write_bytes(content)
    (folder / "root.pem").write_bytes(simulator.roots_pem)
    simulator.save(folder / "simulator.json")
    (folder / "policy.yaml").write_text(SNP_POLICY)
    (folder / "secret").write_bytes(SECRET)
    made = kbs("init", "--state", str(folder / "state"), "--admin-key-file", str(folder / "admin.key"))
    assert made.returncode == 0, made.stderr
    command = [sys.executable, "-m", "kbs.cli.main", "serve", "--state", str(folder / "state"), "--port", "0"]
    command += ["--endorsements", str(endorsements), "--simulator-root", str(folder / "root.pem")]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        assert server.stdout is not None
        found = re.match(r"serving (http://127\.0\.0\.1:\d+)", server.stdout.readline())
        assert found, (folder / "log").read_text()
        yield Served(folder, found[1])
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        server.stdout.close()


@pytest.fixture(scope="module")
def stocked(served: Served) -> Served:
    """Owner, policy and secret, put by commands."""
    for arguments in (
        ("owner", "add", "acme"),
        ("policy", "put", str(served.folder / "policy.yaml"), "--owner", "acme", "--path", "acme/*"),
        ("secret", "put", PATH, str(served.folder / "secret"), "--owner", "acme"),
    ):
        done = served.run(*arguments)
        assert done.returncode == 0, done.stderr
    return served


def test_guest_get_writes_the_secret_for_its_owner_alone(stocked: Served) -> None:
    done = stocked.get()
    assert done.returncode == 0
    told, receipt = done.stderr.splitlines()
    assert re.fullmatch(r"receipt [0-9]+:[0-9a-f]{64}", receipt)
    assert stocked.run("audit", "verify", "--head", receipt.removeprefix("receipt ")).returncode == 0
    assert told == (
        f"attested a SIMULATED SNP machine with 1 GPU to {stocked.url}; {PATH} written to {stocked.folder / 'out'}"
    )
    out = stocked.folder / "out"
    assert out.read_bytes() == SECRET
    assert out.stat().st_mode & 0o077 == 0


def test_old_firmware_is_refused_in_one_line_and_explained_to_the_owner(stocked: Served) -> None:
    (stocked.folder / "out").unlink(missing_ok=True)
    done = stocked.get("--set", "tcb.snp=19")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert not (stocked.folder / "out").exists()
    reason = re.search(r"reason ([0-9a-f]+)", done.stderr)
    assert reason
    why = stocked.run("why", reason[1])
    assert why.returncode == 0
    assert "SNP firmware is too old" in why.stdout
    assert "20" in why.stdout
    assert "19" in why.stdout


def test_lists_show_names_and_no_secret(stocked: Served) -> None:
    shown = stocked.run("secret", "list").stdout
    assert f"secret {PATH}: version 1, owners acme" in shown
    assert "rule 1: acme for acme/*, enabled" in stocked.run("policy", "list").stdout
    assert stocked.run("owner", "quota", "acme", "900").stdout.endswith("at most 900 releases an hour\n")
    assert "owner acme: enabled, at most 900 releases an hour" in stocked.run("owner", "list").stdout
    assert stocked.run("owner", "quota", "acme", "--default").stdout == "owner acme: enabled\n"
    assert "version 1" in stocked.run("secret", "versions", PATH).stdout
    everything = stocked.run("audit", "list").stdout + shown
    assert "the model key" not in everything


def test_audit_verify_follows_the_chain_and_a_kept_head(stocked: Served) -> None:
    first = stocked.run("audit", "verify")
    assert first.returncode == 0
    whole = re.fullmatch(r"whole in itself: (\d+) rows\. [^\n]*\nhead (\1:[0-9a-f]{64})\n", first.stdout)
    assert whole, first.stdout
    head = whole[2]
    stocked.run("owner", "add", "another")
    kept = stocked.run("audit", "verify", "--head", head)
    assert kept.returncode == 0
    assert f"from row {int(whole[1]) + 1} on nothing outside proves them" in kept.stdout
    number, _, digest = head.partition(":")
    other = f"{number}:{'0' * len(digest)}"
    cut = stocked.run("audit", "verify", "--head", other)
    assert cut.returncode == 1
    assert cut.stdout.startswith("NOT WHOLE: 1 fault")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("owner", "add", "acme"), 1),
        (("secret", "put", "a/b", "/dev/null", "--owner", "acme"), 2),
        (("secret", "put", "a/b/c", "/nonexistent", "--owner", "acme"), 2),
        (("owner", "list", "--url", "http://127.0.0.1:9"), 3),
        (("nonsense",), 2),
        (("why", "../owners"), 2),
    ],
)
def test_exit_status_says_what_went_wrong(stocked: Served, arguments: tuple[str, ...], status: int) -> None:
    done = stocked.run(*arguments)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--path", "acme/key/absent"), 4),
        (("--path", "not a path"), 2),
        (("--set", "nonsense=1"), 2),
        (("--url", "http://127.0.0.1:9"), 3),
        (("--url", "http://kbs.example"), 2),
        (("--gpus", "0"), 1),
    ],
)
def test_guest_get_has_an_exit_status_a_cause(
    stocked: Served, arguments: tuple[str, ...], status: int
) -> None:
    done = stocked.get(*arguments)
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_no_configured_proxy_says_is_not_read(served: Served) -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.1"}
    body = b'{"version":"0.4.0","tee":"snp","extra-params":""}'
    answer = httpx.post(f"{served.url}/kbs/v0/auth", content=body, headers=headers, trust_env=False)
    assert answer.is_success
    assert "secure" not in answer.headers["set-cookie"].lower(), (
        "the server believes whoever is on this machine"
    )


def test_client_that_sends_far_too_much_still_reads_why(served: Served) -> None:
    answer = httpx.post(f"{served.url}/kbs/v0/attest", content=bytes(40 << 20), trust_env=False)
    assert refusal_of(answer).status == 413


@pytest.mark.parametrize(
    "request_head",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /kbs/v0/auth HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /kbs/v0/resource/a/b/\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /kbs/v0/auth HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ],
    ids=["no HTTP", "long head", "bytes over 127", "websocket"],
)
def test_what_is_no_http_request_gets_a_readable_answer_too(served: Served, request_head: bytes) -> None:
    import contextlib

    port = int(served.url.rpartition(":")[2])
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request_head)
        with contextlib.suppress(ConnectionError):
            while not answer.endswith(b"}"):
                received = connection.recv(65536)
                if not received:
                    break
                answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    refusal = refusal_of(httpx.Response(int(head.split()[1]), content=body))
    assert refusal.status in (400, 405)


def test_a_guest_that_takes_its_time_for_evidence_finds_its_connection_open(served: Served) -> None:
    """`trustee-attester` uses the connection of its first request for the second, and takes a closed one for a failure."""
    url = httpx.URL(served.url)
    connection = HTTPConnection(url.host, url.port, timeout=20)
    connection.connect()
    connection.auto_open = 0  # what closed stays closed
    for pause in (0, 7):
        time.sleep(pause)
        connection.request("POST", "/kbs/v0/auth", b'{"version":"0.4.0","tee":"snp","extra-params":""}')
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


def test_key_and_secrets_do_not_leave_in_clear(served: Served) -> None:
    for arguments in (
        ("owner", "list"),
        ("secret", "put", PATH, str(served.folder / "secret"), "--owner", "a"),
    ):
        done = served.run(*arguments, "--url", "http://broker.invalid")
        assert (done.returncode, "--allow-http" in done.stderr) == (2, True)
    assert served.run("owner", "list", "--url", "http://broker.invalid", "--allow-http").returncode == 3


def test_init_that_cannot_write_the_key_makes_no_half_a_broker(tmp_path: Path) -> None:
    (tmp_path / "admin.key").write_text("somebody's")
    command = ("init", "--state", str(tmp_path / "state"), "--admin-key-file", str(tmp_path / "admin.key"))
    assert kbs(*command).returncode == 2
    assert not (tmp_path / "state").exists()
    nowhere = ("--admin-key-file", str(tmp_path / "no-such-folder" / "key"))
    assert kbs("init", "--state", str(tmp_path / "state"), *nowhere).returncode == 2
    assert not list((tmp_path / "state").iterdir())
    (tmp_path / "admin.key").unlink()
    assert kbs(*command).returncode == 0


def test_administration_needs_its_key(served: Served) -> None:
    assert served.run("owner", "list", key=False).returncode == 2


def test_simulated_machines_are_accepted_only_with_a_warning(served: Served) -> None:
    assert "SIMULATED machines are accepted" in (served.folder / "log").read_text()


def test_init_makes_a_broker_once_and_shows_the_key_once(tmp_path: Path) -> None:
    first = kbs("init", "--state", str(tmp_path / "s"))
    assert first.returncode == 0
    assert re.search(r"^kbsadm_[A-Za-z0-9_-]{43}$", first.stdout, re.MULTILINE)
    again = kbs("init", "--state", str(tmp_path / "s"))
    assert again.returncode == 2
    assert "kbsadm_" not in again.stdout
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "s").iterdir())


def test_serve_without_init_says_so(tmp_path: Path) -> None:
    done = kbs("serve", "--state", str(tmp_path))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("policy.debug=1", "policy has no part debug; it takes a number"),
        ("measurement.x=1", "measurement has no part x; it takes hex: and 48 bytes"),
        ("gpus=2", "use --gpus"),
        ("cpu=tdx", "use --cpu"),
        ("nonce=hex:00", "it follows from the broker's challenge"),
        ("vmpl=x", "vmpl takes a number"),
        ("vmpl", "--set takes FIELD=VALUE, not vmpl"),
    ],
)
def test_a_setting_that_means_nothing_is_refused_before_anybody_is_asked(
    stocked: Served, setting: str, said: str
) -> None:
    rows = stocked.run("audit", "list").stdout
    done = stocked.get("--set", setting)
    assert done.returncode == 2
    assert done.stderr.startswith("kbs guest get: --set ")
    assert said in done.stderr
    assert stocked.run("audit", "list").stdout == rows


@pytest.mark.parametrize("place", ["none/x", "."])
def test_a_secret_that_cannot_be_kept_is_not_asked_for(stocked: Served, place: str) -> None:
    """The trail would say that it was released."""
    rows = stocked.run("audit", "list").stdout
    done = stocked.get("-o", str(stocked.folder / place))
    assert done.returncode == 2
    assert "-o " in done.stderr
    assert "cannot be written" in done.stderr
    assert stocked.run("audit", "list").stdout == rows


def test_commands_wait_for_a_broker_that_is_starting(served: Served, tmp_path: Path) -> None:
    """`kbs serve &` and the first command stand in one script."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    state, key = str(tmp_path / "state"), tmp_path / "key"
    assert kbs("init", "--state", state, "--admin-key-file", str(key)).returncode == 0
    script = f"sleep 1.5; exec {sys.executable} -m kbs.cli.main serve --state {state} --port {port}"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as late:
        url = f"http://127.0.0.1:{port}"
        done = kbs("owner", "add", "acme", "--url", url, "--key-file", str(key))
        late.terminate()
    assert done.returncode == 0
    assert done.stderr == f"waiting for a broker at {url}\n"
    assert done.stdout == "owner acme: enabled\n"
