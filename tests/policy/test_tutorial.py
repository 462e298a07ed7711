"""docs/tutorial-policy.md, its commands as they are written, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from attest.policy import Policy
from tests.conftest import ROOT

TUTORIAL = ROOT / "docs" / "tutorial-policy.md"


def test_the_tutorials_commands_run_as_written(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 9
    folder = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    script = "".join(f"echo '== {number}'\n{block}" for number, block in enumerate(blocks))
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = re.split(r"^== [0-9]+\n", done.stdout, flags=re.MULTILINE)[1:]
    assert "inference.yaml: inference, sha384:" in outputs[1]
    assert "simulated-machine.json: conforms-with-warnings" in done.stderr
    assert "driver: {at-least: {550: 550.90.07, newer: ok}}" in outputs[2]
    lints = re.findall(r"^inference\.yaml:[0-9]+:[0-9]+: ([a-z-]+):", outputs[4], re.MULTILINE)
    assert lints == ["key-unbound"], "the tutorial speaks of one lint"
    assert "○" not in outputs[6], "what `init` wrote tries every rule"
    assert "This machine conforms to inference" in outputs[8]
    assert 'take "state: observed" away' in (tmp_path / "inference.yaml").read_text(), "the header stays"
    policy = Policy.read(tmp_path / "inference.yaml")
    assert policy.body.references["snp-measurement"].values[0].covers == "image"
