"""The commands of the pages about consents and revocation, one after the other as they stand there."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from kbs.keys.ring import KeyRing
from tests.conftest import ROOT
from tests.examples import blocks, of_blocks
from tests.kbs.conftest import SNP_POLICY
from tests.kbs.test_cli import Served, kbs, served, stocked  # noqa: F401  # fixtures


def test_the_attested_broker_is_unlocked_by_a_root_broker(stocked: Served, tmp_path: Path) -> None:  # noqa: F811
    """deploy/attested/kbs-unlock, with `kbs guest get` on a simulated machine in the place of the guests' client: what it
    leaves is a state that a broker serves from."""
    made = kbs("init", "--state", str(tmp_path / "state"), "--admin-key-file", str(tmp_path / "admin.key"))
    assert made.returncode == 0
    subprocess.run(
        ["tar", "--create", "--file", "state.tar", "-C", "state", "keys"], check=True, cwd=tmp_path
    )
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "policy.yaml").write_text(SNP_POLICY)
    for command in (
        "owner add root",
        "policy put --owner root --path root/broker/* policy.yaml",
        "secret put root/broker/pin --owner root pin",
        "secret put root/broker/state --owner root state.tar",
    ):
        done = stocked.run(*command.split(), within=tmp_path)
        assert done.returncode == 0, done.stderr
    client = tmp_path / "bin" / "trustee-attester"
    client.parent.mkdir()
    client.write_text(
        '#!/bin/sh\nset -e\n[ "$1 $3 $5 $6" = "--url --cert-file get-resource --path" ]\n'
        f'{sys.executable} -m kbs.cli.main guest get --url "$2" --path "$7" -o "{tmp_path}/$$" '
        f'--simulate "{stocked.folder}/simulator.json" >&2\nbase64 "{tmp_path}/$$"\n'
    )
    client.chmod(0o755)
    run = tmp_path / "run"
    run.mkdir()
    environment = {
        "PATH": f"{client.parent}:{os.environ['PATH']}", "ROOT_BROKER": stocked.url, "ROOT_CA": "ca.pem",
        "RUNTIME_DIRECTORY": str(run),
    }  # fmt: skip
    script = ROOT / "deploy" / "attested" / "kbs-unlock"
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (run / "pin").read_text() == "1234"
    KeyRing.open(run / "keys")
    assert {file.stat().st_mode & 0o077 for file in run.rglob("*")} == {0}
    assert stocked.run("stop", "owner", "root", "--reason", "the image is old").returncode == 0
    done = subprocess.run([str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert stocked.run("stop", "lift", "root").returncode == 0


def test_the_pages_do_what_they_say(stocked: Served, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "demo.yaml").write_text(SNP_POLICY)
    (tmp_path / "model.key").write_bytes((stocked.folder / "secret").read_bytes())
    for page in ("broker-audit.md", "broker-people.md", "broker-consents.md", "broker-revocation.md"):
        commands = list(of_blocks(blocks((ROOT / "docs" / page).read_text())))
        assert len(commands) > 4
        for command in commands:
            words = shlex.split(command)
            if words[0] == "kbs":
                done = stocked.run(*words[1:], within=tmp_path)
            else:
                done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
            assert done.returncode == 0, f"{page}: {command}: {done.stderr}"
    listed = stocked.run("stop", "list").stdout
    assert listed == "nothing is stopped\n"
    done = stocked.get()
    assert done.returncode == 1
    reason = done.stderr.rpartition("reason ")[2].partition(")")[0]
    why = stocked.run("why", reason).stdout
    assert "Something that this release rests on is revoked" in why
