"""The files under deploy/: units, container file, chart values, policy. The chart's templates are rendered by `make chart`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from attest.cli.main import main
from kbs.config import Config, InvalidConfig, read_config
from tests.conftest import ROOT
from tests.deploy.chart import BAD, GOOD, NEEDED, merged

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "kbs.service"
UNLOCK = DEPLOY / "attested" / "kbs-unlock.service"
CONFIGURATIONS = sorted(DEPLOY.glob("*/kbs.yaml"))
HARDENED = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "PrivateDevices": "yes",
    "PrivateTmp": "yes", "PrivateUsers": "yes", "ProtectClock": "yes", "ProtectControlGroups": "yes", "ProtectHome": "yes",
    "ProtectHostname": "yes", "ProtectKernelLogs": "yes", "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes",
    "ProtectProc": "invisible", "ProtectSystem": "strict", "RestrictNamespaces": "yes", "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native", "UMask": "0077", "LimitCORE": "0", "MemorySwapMax": "0",
    "StateDirectoryMode": "0700",
}  # fmt: skip


def unit(file: Path) -> dict[str, list[str]]:
    """Every setting with its values, whatever section it stands in."""
    found: dict[str, list[str]] = {}
    for line in file.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_is_hardened() -> None:
    settings = unit(UNIT)
    assert {name: settings[name] for name in HARDENED} == {name: [value] for name, value in HARDENED.items()}
    assert settings["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert settings["User"] == ["kbs"]
    assert set(settings["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}


def test_the_unit_waits_for_the_drain() -> None:
    config = read(DEPLOY / "systemd" / "kbs.yaml")
    longest = config.listen.drain_seconds + config.listen.finish_seconds
    assert int(unit(UNIT)["TimeoutStopSec"][0]) > longest
    assert config.listen.drain_seconds > 0


def test_systemd_rates_the_unit() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


def test_the_unlocking_unit_keeps_what_it_gets_in_memory() -> None:
    settings = unit(UNLOCK)
    for name in (
        "UMask",
        "LimitCORE",
        "MemorySwapMax",
        "NoNewPrivileges",
        "CapabilityBoundingSet",
        "ProtectSystem",
    ):
        assert settings[name] == [HARDENED[name]]
    assert settings["RuntimeDirectoryMode"] == ["0700"]
    added = unit(DEPLOY / "attested" / "kbs.service.d" / "attested.conf")
    assert added["Requires"] == added["After"] == ["kbs-unlock.service"]
    assert added["StateDirectory"] == [""]
    assert str(YAML(typ="safe").load((DEPLOY / "attested" / "kbs.yaml").read_text())["state"]) == "/run/kbs"


def read(file: Path) -> Config:
    """With its files taken for there: they are on the machine that it is for."""
    with pytest.MonkeyPatch.context() as patched:
        for name in ("is_file", "is_dir"):
            patched.setattr(Path, name, lambda _: True)
        return read_config(file.read_bytes(), file)


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda file: file.parent.name)
def test_each_configuration_is_one(file: Path) -> None:
    config = read(file)
    assert config.listen.tls is not None
    with pytest.raises(InvalidConfig, match="is no f"):
        read_config(file.read_bytes(), file)


def test_there_are_configurations() -> None:
    assert {file.parent.name for file in CONFIGURATIONS} == {"attested", "container", "systemd"}


def test_the_image_is_not_root_and_installs_by_hash() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    lines = re.sub(r" \\\n", " ", text).splitlines()
    final = lines[max(number for number, line in enumerate(lines) if line.startswith("FROM ")) :]
    (user,) = [line.split()[1] for line in final if line.startswith("USER ")]
    assert re.fullmatch(r"[1-9][0-9]+:[1-9][0-9]+", user), "a number: a name may be root's"
    assert not any(line.startswith(("RUN ", "ADD ")) for line in final)
    (base,) = [line for line in lines if line.startswith("ARG BASE=")]
    assert re.search(r":3\.\d+-slim-\w+$", base), "a version, in the place of a digest that is not known here"
    for line in lines:
        if " pip install " in line:
            for command in re.findall(r"pip install [^&]*", line):
                assert "--require-hashes -r requirements/" in command or "--no-deps /wheel" in command
        if line.startswith("COPY ") and "--from" not in line:
            assert all((ROOT / name).exists() for name in line.split()[1:-1])
    ignored = (DEPLOY / "container" / "Containerfile.dockerignore").read_text().splitlines()
    assert ignored[0] == "*", "what is not named is not sent: keys may stand beside a checkout"


SCHEMA = json.loads((DEPLOY / "helm" / "kbs" / "values.schema.json").read_text())
VALUES: dict[str, Any] = YAML(typ="safe").load((DEPLOY / "helm" / "kbs" / "values.yaml").read_text())


@pytest.mark.parametrize("name", GOOD)
def test_good_values_are_taken(name: str) -> None:
    assert list(Draft7Validator(SCHEMA).iter_errors(merged(merged(VALUES, NEEDED), GOOD[name]))) == []


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused(name: str) -> None:
    assert list(Draft7Validator(SCHEMA).iter_errors(merged(merged(VALUES, NEEDED), BAD[name])))


def test_what_has_no_default_is_asked_for() -> None:
    paths = {tuple(error.path) for error in Draft7Validator(SCHEMA).iter_errors(VALUES)}
    assert paths == {("image",), ("image", "repository"), ("database", "url")}


def test_no_value_is_a_secret() -> None:
    """Passwords, keys and PINs are named, by a Secret's name and a key in it."""
    text = json.dumps(VALUES).lower()
    assert set(re.findall(r"\"(\w*(?:secret|password|pin|token)\w*)\"", text)) == {
        "keyssecret", "passwordsecret", "secret", "password", "pullsecrets",
    }  # fmt: skip
    assert VALUES["database"]["passwordSecret"] == {"name": "kbs-database", "key": "password"}


def test_the_policy_of_the_attested_broker_has_a_suite_that_tries_every_rule(
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite = DEPLOY / "attested" / "policy.test.yaml"
    assert main(["policy", "test", str(suite), "--require-coverage"]) == 0, capsys.readouterr()


def test_each_way_has_a_page_and_links_that_lead_somewhere() -> None:
    pages = sorted(DEPLOY.rglob("README.md"))
    assert [str(page.parent.relative_to(DEPLOY)) for page in pages] == [
        ".", "attested", "container", "helm/kbs", "systemd",
    ]  # fmt: skip
    for page in [*pages, ROOT / "docs" / "broker-operate.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_unlocking_script_leaves_nothing_where_it_is_not_released_to(tmp_path: Path) -> None:
    client = tmp_path / "trustee-attester"
    client.write_text("#!/bin/sh\nexit 1\n")
    client.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "ROOT_BROKER": "https://root.example", "ROOT_CA": "ca.pem",
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
    }  # fmt: skip
    (tmp_path / "run").mkdir()
    script = DEPLOY / "attested" / "kbs-unlock"
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert [file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()] in ([], [b""])
