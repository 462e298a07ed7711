"""README.md: the commands of its sections one after the other as they are written, and what it says of lists."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.simulator import Simulator
from tests.conftest import NOON, ROOT
from tests.examples import blocks

README = (ROOT / "README.md").read_text()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("section", "left"),
    [
        ("Release keys", ("admin.key", "model.key", "received.key", "sim/simulated-vcek.der")),
        ("Try it without the hardware", ("out/simulated-machine.json",)),
    ],
)
def test_the_commands_of_a_section_run_as_written(
    section: str, left: tuple[str, ...], tmp_path: Path
) -> None:
    """In a folder that holds what a clone does; only the port is another, as somebody may use 8080 here."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    script, port = "\n".join(blocks(README, section)), str(free_port())
    script = script.replace("8080", port).replace("kbs serve ", f"kbs serve --port {port} ")
    folder = str(Path(sys.executable).parent)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("KBS_", "ATTEST_"))}
    env |= {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "ATTEST_CACHE": str(tmp_path / "cache")}
    output = tmp_path / "output"
    with output.open("w") as stream:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path, env=env, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            status = shell.wait(120)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)  # what it left in the background
    assert status == 0, output.read_text()
    assert "Traceback" not in output.read_text()
    assert all((tmp_path / name).exists() for name in left)


@pytest.mark.parametrize("kind", ["snp", "gpu"])
def test_a_list_left_out_warns_one_out_of_date_refuses_and_neither_releases(
    kind: str, simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What "Verify a machine" says of revocation lists, OCSP answers likewise."""
    said = " ".join(README.split())
    assert "Without a revocation list evidence conforms with the warning `revocation-unchecked`;" in said
    now = simulator.snp() if kind == "snp" else simulator.gpu()
    old = simulator.moved_to(NOON - timedelta(days=800))
    then = old.snp() if kind == "snp" else old.gpu()
    about_revocation = (".crl", "ocsp")
    root = tmp_path / "root.pem"
    root.write_bytes(simulator.roots_pem)

    def judged(stale: bool, *more: str) -> tuple[int, dict[str, object]]:
        files = {
            name: data for name, data in now.files.items() if not any(x in name for x in about_revocation)
        }
        if stale:
            files |= {
                name: data for name, data in then.files.items() if any(x in name for x in about_revocation)
            }
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        paths = [str(tmp_path / name) for name in files]
        status = main(
            ["verify", *paths, "--simulator-root", str(root), "--at", NOON.isoformat(), "--json", *more]
        )
        return status, json.loads(capsys.readouterr().out)

    status, answer = judged(False)
    assert (status, answer["verdict"]) == (0, "conforms-with-warnings")
    assert "revocation-unchecked" in {one["code"] for one in answer["warnings"]}  # type: ignore[attr-defined]
    status, answer = judged(True)
    assert (status, answer["verdict"]) == (1, "refused")
    section, claim, good = ("snp", "crl", "fresh") if kind == "snp" else ("gpu", "cert", "good")
    assert [one["code"] for one in answer["problems"]] == [f"policy.{section}.{claim}"]  # type: ignore[attr-defined]
    platform = "snp" if kind == "snp" else "none"
    policy = tmp_path / "p.yaml"
    head = f"policy: 1\nname: p\nplatforms: [{platform}]\nrequire: {{{section}: {{%s}}}}\n"
    policy.write_text(head % "product: genoa" if kind == "snp" else head % "count: 1")
    status, answer = judged(False, "--policy", str(policy))
    assert status == 0
    withheld = answer["release"]["withheld"]  # type: ignore[index]
    assert {"revocation-unchecked"} <= {one["found"] for one in withheld}
    policy.write_text(head % f"{claim}: {good}")
    assert judged(False, "--policy", str(policy))[0] == 1
    assert judged(True, "--policy", str(policy))[0] == 1
