"""A broker of its own for each way of serving, and what the client must say and the trail must show."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attest.simulator import Simulator
from tests.interop.tls import write_certificates
from tests.kbs.conftest import ALLOWED, MEASUREMENT, PATH, SECRET

PLAIN = f"""\
policy: 1
name: interop
platforms: [snp, tdx]
allow-warnings: {ALLOWED[:-1]}, no-workload-identity: test}}
require:
  snp: {{measurement: {{is: "{MEASUREMENT}", covers: image}}}}
  tdx: {{debug: false}}
  binding: {{key: true}}
"""
WITH_GPU = PLAIN.replace("  binding:", "  gpu: {count: {at-least: 1}}\n  binding:")
INIT_DATA = 'version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\n"aa.toml" = "x"\n'
DEVICES = frozenset({"0.3.0", "0.4.0"})


@dataclass
class Broker:
    folder: Path
    url: str
    environment: dict[str, str] = field(default_factory=dict)

    def kbs(self, *arguments: str) -> str:
        key = (self.folder / "admin.key").read_text()
        done = subprocess.run(
            [sys.executable, "-m", "kbs.cli.main", *arguments, *self.ca()],
            env={**os.environ, "KBS_URL": self.url, "KBS_ADMIN_KEY": key},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def ca(self) -> list[str]:
        return ["--ca", str(self.folder / "ca.pem")] if self.url.startswith("https") else []

    def policy(self, text: str) -> None:
        file = self.folder / "policy.yaml"
        file.write_text(text)
        self.kbs("policy", "put", str(file), "--owner", "acme", "--path", "acme/*")

    def events(self) -> list[str]:
        rows = json.loads(self.kbs("audit", "list", "--limit", "1000", "--json"))
        wanted = ("attested", "attest-refused", "released", "release-denied", "repeat")
        return [entry["row"]["event"] for entry in rows if entry["row"]["event"] in wanted]


@cache
def _simulator() -> Simulator:
    """One for all brokers of a run: keys take long to make."""
    return Simulator.create(datetime.now(UTC))


@contextmanager
def broker(version: str, *, tls: bool = False, deny_status: int = 403) -> Iterator[Broker]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        simulator = _simulator()
        kept = folder / "endorsements"
        kept.mkdir()
        for cpu in ("snp", "tdx"):
            for file, content in (
                simulator.moved_to(datetime.now(UTC)).machine(cpu=cpu, nonce=bytes(range(32))).files.items()
            ):
                if file != "simulated-machine.json":
                    (kept / f"{cpu}-{file}").write_bytes(content)
        (folder / "root.pem").write_bytes(simulator.roots_pem)
        simulator.save(folder / "simulator.json")
        write_certificates(folder)
        served = ["0.4.0", *({version} - {"0.4.0"})]
        config = "state: state\nendorsements: endorsements\nsimulator-root: root.pem\nlisten:\n  port: 0\n"
        config += "  tls: {certificate: server.pem, key: server.pem}\n" if tls else ""
        config += f"guests:\n  protocols: [{', '.join(served)}]\n  deny-status: {deny_status}\n"
        config += "  rsa1-5: true\n" if version.startswith("0.1.") else ""
        (folder / "kbs.yaml").write_text(config)
        kbs = [sys.executable, "-m", "kbs.cli.main"]
        made = [*kbs, "init", "--state", str(folder / "state"), "--admin-key-file", str(folder / "admin.key")]
        subprocess.run(made, check=True, capture_output=True)
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [*kbs, "serve", "--config", str(folder / "kbs.yaml")],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert server.stdout is not None
            found = re.match(r"serving (https?://127\.0\.0\.1:\d+)", server.stdout.readline())
            assert found, (folder / "log").read_text()
            one = Broker(folder, found[1])
            try:
                one.kbs("owner", "add", "acme")
                (folder / "secret").write_bytes(SECRET)
                one.kbs("secret", "put", PATH, str(folder / "secret"), "--owner", "acme")
                one.policy(PLAIN)
                yield one
            finally:
                server.send_signal(signal.SIGTERM)
                server.wait(20)


@dataclass
class Runs:
    client: str
    version: str
    failures: int = 0

    def ask(
        self, one: Broker, *, tee: str | None = "snp", gpu: bool = False, path: str = PATH, **more: Any
    ) -> tuple[int, bytes, str]:
        """Exit status, secret and log of one run of the client."""
        program = one.folder / "evidence.sh"
        program.write_text(
            f'#!/bin/sh\ncd {Path.cwd()} && exec {sys.executable} -m tests.interop evidence {one.folder}/simulator.json "$@"\n'
        )
        program.chmod(0o755)
        environment = {"PATH": os.environ["PATH"], "RUST_LOG": "info", "EVIDENCE_FROM": str(program)}
        if tee is None:
            del environment["EVIDENCE_FROM"]
        else:
            environment["EVIDENCE_TEE"] = tee
        if gpu:
            environment["ENABLE_SAMPLE_DEVICE"] = "1"
        if "fields" in more:
            environment["EVIDENCE_FIELDS"] = json.dumps(more["fields"])
        command = [self.client, "--url", one.url]
        if one.url.startswith("https"):
            command += ["--cert-file", str(one.folder / "ca.pem")]
        command += ["get-resource", "--path", path]
        if "init_data" in more:
            command += ["--initdata", more["init_data"]]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        out = done.stdout.strip().splitlines()[-1:] or [""]
        secret = base64.b64decode(out[0]) if done.returncode == 0 else b""
        return done.returncode, secret, done.stdout + done.stderr

    def expect(self, what: str, holds: bool, said: str = "") -> None:
        print(f"{'as expected' if holds else 'NOT AS EXPECTED'}: {what}", flush=True)
        if not holds:
            self.failures += 1
            print(said[-2000:])


def run(client: str, version: str) -> int:
    runs = Runs(client, version)
    with broker(version) as one:
        status, secret, said = runs.ask(one)
        runs.expect("an SNP machine gets the secret", (status, secret) == (0, SECRET), said)
        runs.expect(
            "one attestation, one release", one.events() == ["attested", "released"], str(one.events())
        )
        if version == "0.4.0":  # older clients know the bare path alone
            status, secret, said = runs.ask(one, path=f"kbs:///{PATH}")
            runs.expect("by the address with a scheme too", (status, secret) == (0, SECRET), said)
        status, secret, said = runs.ask(one, tee="tdx")
        runs.expect("a TD gets the secret", (status, secret) == (0, SECRET), said)
        before = len(one.events())
        status, secret, said = runs.ask(one, path="acme/key/absent")
        runs.expect("a resource that is not there is not found", status != 0 and "ound" in said, said)
        runs.expect(
            "and is not asked for again", one.events()[before:] == ["attested", "release-denied"], said
        )
        before = len(one.events())
        status, secret, said = runs.ask(one, fields={"measurement": "00" * 48})
        runs.expect("another program gets nothing", (status != 0, secret) == (True, b""), said)
        runs.expect(
            "and asks once (403)", one.events()[before:] == ["attested", "release-denied"], str(one.events())
        )
        before = len(one.events())
        status, secret, said = runs.ask(one, tee=None)
        runs.expect("the sample attester gets nothing", status != 0, said)
        runs.expect("and no evidence of it is looked at", one.events()[before:] == [], str(one.events()))
        if version in DEVICES:
            one.policy(WITH_GPU)
            status, secret, said = runs.ask(one, gpu=True)
            runs.expect("an SNP machine with a GPU gets the secret", (status, secret) == (0, SECRET), said)
            status, secret, said = runs.ask(one)
            runs.expect("without the GPU it does not", status != 0, said)
            one.policy(PLAIN)
        if version == "0.4.0":
            digest = hashlib.sha256(INIT_DATA.encode()).hexdigest()
            status, secret, said = runs.ask(one, init_data=INIT_DATA, fields={"host_data": digest})
            runs.expect(
                "init-data that the hardware carries are taken", (status, secret) == (0, SECRET), said
            )
            status, secret, said = runs.ask(one, init_data=INIT_DATA)
            runs.expect("and refused where it does not", status != 0, said)
    with broker(version, deny_status=401) as one:
        status, secret, said = runs.ask(one, fields={"measurement": "00" * 48})
        count = one.events().count("attested")
        runs.expect(f"a denial by 401 makes it attest again ({count} times)", status != 0 and count > 1, said)
    with broker(version, tls=True) as one:
        status, secret, said = runs.ask(one)
        runs.expect("over TLS under a CA of ours", (status, secret) == (0, SECRET), said)
    print("all as expected" if not runs.failures else f"{runs.failures} not as expected")
    return min(runs.failures, 1)
