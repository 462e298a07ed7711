"""The examples of `kbs --help`, one after the other, against a served broker."""

from __future__ import annotations

import shlex
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kbs.cli.main import build_parser
from tests.examples import of_help
from tests.kbs.test_cli import Served, kbs, served  # noqa: F401  # a fixture

NOT_RUN = {
    "kbs serve": "the fixture serves",
    "kbs audit replay": "of a session whose evidence was kept: test_evidence_replay.py",
    "kbs restore": "into another place, under a head that was kept: test_backup.py",
}
STATED = {"policy put": {"p.yaml": "policy.yaml"}, "secret put": {"FILE": "secret"}}


def test_the_examples_of_the_help_do_what_they_say(served: Served, tmp_path: Path) -> None:  # noqa: F811
    examples = list(of_help(build_parser()))
    assert len(examples) == 68
    assert all(any(one.startswith(name) for one in examples) for name in NOT_RUN)
    (tmp_path / "kbs.yaml").write_text("state: state\n")
    for name in ("ann", "bob"):
        key = ed25519.Ed25519PrivateKey.generate()
        (tmp_path / f"{name}.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pub").write_bytes(public)
    for example in examples:
        if example.startswith(tuple(NOT_RUN)):
            continue
        name = " ".join(example.split()[1:3])
        files = {word: str(served.folder / file) for word, file in STATED.get(name, {}).items()}
        files |= {
            "kbs.yaml": str(tmp_path / "kbs.yaml"),
            "/etc/kbs/kbs.yaml": str(tmp_path / "kbs.yaml"),
            "kbs-2026-12-01.backup": str(tmp_path / "kbs-2026-12-01.backup"),
            "DIR": str(tmp_path / "state"),
            "STATE": str(served.folder / "simulator.json"),
        }
        files.setdefault("FILE", str(tmp_path / ("backup" if name.startswith("backup") else "out")))
        if example.startswith("openssl"):
            continue
        words = [files.get(word, word) for word in shlex.split(example)[1:]]
        done = kbs(*words) if words[0] == "init" else served.run(*words, within=tmp_path)
        assert done.returncode == 0, example + done.stderr
        assert "Traceback" not in done.stderr
    assert (tmp_path / "out").read_bytes() == (served.folder / "secret").read_bytes()
