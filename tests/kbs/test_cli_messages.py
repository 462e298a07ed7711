"""What the commands say when something is wrong, missing, or done."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kbs.conftest import PATH, SNP_POLICY
from tests.kbs.test_cli import Served, kbs
from tests.kbs.test_cli import served as served  # a fixture


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("messages")
    assert kbs("init", "--state", str(folder / "state")).returncode == 0
    (folder / "no.pem").write_text("not PEM")
    return folder / "state"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--port 99999", "a port is 0 to 65535"),
        ("--port -1", "a port is 0 to 65535"),
        ("--tls-cert {folder}/no.pem --tls-key {folder}/no.pem", "no certificate chain and its key"),
        ("--tls-cert {folder}/absent --tls-key {folder}/no.pem", "absent is no file"),
        ("--endorsements {folder}/absent", "absent is no folder: make it"),
        ("--simulator-root {folder}/absent", "--simulator-root: {folder}/absent is no file"),
        ("--port {taken}", "Address already in use"),
        ("--host broker.invalid", "cannot listen on broker.invalid"),
        ("--state {folder}/absent", "--state: {folder}/absent is no folder"),
        ("--state {folder}", "make one, kbs init --state"),
    ],
)
def test_serve_says_what_is_wrong_in_a_sentence(state: Path, taken: int, options: str, sentence: str) -> None:
    given = options.format(folder=state.parent, taken=taken).split()
    done = kbs("serve", "--state", str(state), *given)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence.format(folder=state.parent) in done.stderr
    assert done.stderr.startswith("kbs serve: ")
    assert len(done.stderr.splitlines()) <= 2


def test_t_ct_a_secret_named_as_a_root_by_mistake_is_not_quoted(state: Path) -> None:
    secret = state.parent / "admin.key"
    secret.write_text("kbsadm_not-for-logs\n")
    done = kbs("serve", "--state", str(state), "--port", "0", "--simulator-root", str(secret))
    assert done.returncode == 2
    assert "admin.key: not certificates in PEM" in done.stderr
    assert "not-for-logs" not in done.stdout + done.stderr


def test_serve_says_that_its_database_is_none(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    assert kbs("init", "--state", str(broken)).returncode == 0
    (broken / "broker.db").write_bytes(b"no database at all".ljust(4096, b"!"))
    done = kbs("serve", "--state", str(broken), "--port", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("kbs serve: the broker's database cannot be used")


def test_wrong_use_says_the_error_first_and_where_help_is() -> None:
    done = kbs("policy", "put", "x", "--owner", "a")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "kbs policy put: the following arguments are required: --path",
        "see kbs policy put --help",
    ]


def test_version() -> None:
    assert re.fullmatch(r"kbs \S.*\n", kbs("--version").stdout)


def test_wrong_key_is_called_wrong(served: Served) -> None:
    environment = {"PATH": os.environ["PATH"], "KBS_URL": served.url, "KBS_ADMIN_KEY": "kbsadm_other"}
    done = kbs("owner", "list", environment=environment)
    assert (done.returncode, "wrong key" in done.stderr) == (1, True)


@pytest.mark.parametrize("url", ["foo", "http://", "ftp://x", "http://[", "https://x:port", "127.0.0.1:8080"])
def test_url_that_is_none_is_named(served: Served, url: str) -> None:
    for done in (served.run("owner", "list", "--url", url), served.get("--url", url)):
        assert (done.returncode, f"{url} is not a URL" in done.stderr) == (2, True)


def test_guest_names_the_broker_that_does_not_answer(served: Served) -> None:
    assert "http://127.0.0.1:9: no broker answers" in served.get("--url", "http://127.0.0.1:9").stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--gpus", "-1"), "0 to 64 GPUs"),
        (("--simulate", "{folder}/policy.yaml"), "policy.yaml is no state file: make one, attest simulate"),
        (("--simulate", "{folder}/absent"), "absent: No such file"),
    ],
)
def test_guest_says_what_is_wrong_with_its_machine(
    served: Served, options: tuple[str, ...], sentence: str
) -> None:
    done = served.get(*(option.format(folder=served.folder) for option in options))
    assert (done.returncode, sentence in done.stderr) == (2, True)


def test_bad_policy_has_an_error_a_line_with_the_file_as_given(served: Served) -> None:
    served.run("owner", "add", "picky")
    file = served.folder / "bad.yaml"
    file.write_text(SNP_POLICY.replace("[snp]", "[snq]") + 'unknown: "a"\n')
    done = served.run("policy", "put", str(file), "--owner", "picky", "--path", "picky/*")
    assert done.returncode == 2
    *errors, last = done.stderr.splitlines()
    assert len(errors) == 2
    for error in errors:
        assert re.match(re.escape(str(file)) + r":\d+:\d+: ", error)
        assert error.count(str(file)) == 1
    assert last == "kbs policy put: the policy does not load; nothing was changed"
    assert "picky" not in served.run("policy", "list").stdout


def test_acts_are_confirmed_and_the_trail_says_of_what_and_by_whom(served: Served) -> None:
    """One story: a secret before its policy, then the rule's life, then the secret's end."""
    policy, secret = str(served.folder / "policy.yaml"), str(served.folder / "secret")
    served.run("owner", "add", "acme")
    early = served.run("secret", "put", PATH, secret, "--owner", "acme")
    assert early.returncode == 0
    assert "nobody will get it until acme has an enabled policy for it: kbs policy put" in early.stderr
    put = served.run("policy", "put", policy, "--owner", "acme", "--path", "acme/*")
    found = re.match(r"rule (\d+): ", put.stdout)
    assert found
    number = found[1]
    assert served.run("secret", "put", PATH, secret, "--owner", "acme").stderr == ""

    assert served.run("policy", "disable", number).stdout == f"rule {number}: disabled\n"
    assert "nobody will get it" in served.run("secret", "put", PATH, secret, "--owner", "acme").stderr
    assert served.run("policy", "enable", number).stdout == f"rule {number}: enabled\n"
    assert served.run("secret", "delete", PATH).stdout == f"secret {PATH}: deleted\n"

    absent = served.get()
    assert absent.returncode == 4
    reason = re.search(r"reason ([0-9a-f]+)", absent.stderr)
    assert reason
    why = served.run("why", reason[1]).stdout
    assert "no such secret: never put, or deleted" in why
    assert "SIMULATED" in why

    assert served.run("policy", "delete", number).stdout == f"rule {number}: deleted\n"
    listed = served.run("audit", "list").stdout
    for event in ("put", "disabled", "enabled", "deleted"):
        assert re.search(rf"rule-{event} +rule {number} acme/\* of acme by first-admin", listed)
    assert re.search(rf"secret-put +{PATH} of acme by first-admin", listed)
    assert re.search(rf"secret-deleted +{PATH} by first-admin", listed)
