"""docs/broker-operate.md by a shell, from its first line to its last."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.examples import blocks


def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "broker-operate.md").read_text()
    (config,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.M | re.S)
    commands = "".join(blocks(page))
    ports = free_ports(2)
    for stated, port in zip(("8443", "9464"), ports, strict=True):
        config, commands = config.replace(stated, port), commands.replace(f":{stated}", f":{port}")
    (tmp_path / "kbs.yaml").write_text(config)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = f"set -em\ntrap 'kill %1 2>/dev/null || true' EXIT\n{commands}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr + (tmp_path / "kbs.log").read_text()
    assert done.stdout.count('{"status":"ready"}') == 2
    assert done.stdout.count('{"status":"serving"}') == 2
    names = set(re.findall(r"kbs_[a-z_]+(?<!_)", page.partition("| |")[0] + page.partition("Alerts")[0]))
    missing = {name for name in names if name.removesuffix("_total") not in done.stdout}
    # No endorsement is in a folder here: test_readiness.py has one that ends.
    assert missing == {"kbs_endorsements_first_end_seconds"}
    log = (tmp_path / "kbs.log").read_text()
    assert "a new certificate is served" in log


def free_ports(count: int) -> list[str]:
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [str(one.getsockname()[1]) for one in opened]
    for one in opened:
        one.close()
    return found
