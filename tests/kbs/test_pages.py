"""The commands of the pages about consents and revocation, one after the other as they stand there."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from tests.conftest import ROOT
from tests.examples import blocks, of_blocks
from tests.kbs.conftest import SNP_POLICY
from tests.kbs.test_cli import Served, served, stocked  # noqa: F401  # fixtures


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
