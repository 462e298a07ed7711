"""The commands around the language: signed policies, floor data, the schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from attest.cli.main import main
from attest.dsse import seal_envelope
from attest.policy.builtin import floor_data
from attest.policy.floors import Floors
from tests.conftest import ROOT

DEMO = ROOT / "policies" / "demo.yaml"


class Key:
    """A key pair in two files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.private, self.public = folder / f"{name}.key", folder / f"{name}.pub"
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.private.write_bytes(pem)
        os.chmod(self.private, 0o600)
        public = self.key.public_key()
        self.public.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@pytest.fixture
def ours(tmp_path: Path) -> Key:
    return Key(tmp_path, "ours")


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "p.yaml"
    file.write_bytes(DEMO.read_bytes())
    return file


def check(*arguments: object) -> int:
    return main(["policy", "check", *map(str, arguments)])


# -- signed policies --------------------------------------------------------------------------------


def test_a_policy_that_must_be_signed(policy: Path, ours: Key, tmp_path: Path, capsys: Any) -> None:
    assert check(policy, "--require-signed", ours.public) == 2
    assert "policy.unsigned" in capsys.readouterr().out
    assert main(["policy", "sign", str(policy), "--key", str(ours.private)]) == 0
    assert check(policy, "--require-signed", ours.public) == 0
    theirs = Key(tmp_path, "theirs")
    assert check(policy, "--require-signed", theirs.public) == 2
    policy.write_bytes(policy.read_bytes() + b"# one byte more\n")
    capsys.readouterr()
    assert check(policy, "--require-signed", ours.public, "--json") == 2
    (problem,) = json.loads(capsys.readouterr().out)["policies"][0]["problems"]
    assert (problem["code"], problem["found"]) == (
        "policy.unsigned",
        "a signature over another file, or an earlier one",
    )


def test_a_policy_that_is_swapped_after_its_signature_was_checked(
    policy: Path, ours: Key, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attest.cli import policy_reading

    assert main(["policy", "sign", str(policy), "--key", str(ours.private)]) == 0
    capsys.readouterr()
    plain = policy_reading.check_signature

    def then_swapped(*given: Any) -> str | None:
        signed = plain(*given)
        policy.write_bytes(policy.read_bytes() + b"# another\n")
        return signed

    monkeypatch.setattr(policy_reading, "check_signature", then_swapped)
    assert (
        main(["verify", str(policy), "--policy", str(policy), "--require-signed", str(ours.public), "--json"])
        == 2
    )
    answer = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in answer["problems"]] == ["policy.unsigned"]
    assert "changed" in answer["problems"][0]["found"]


def test_t_sigtype_a_signature_of_another_kind_signs_no_policy(policy: Path, ours: Key) -> None:
    from attest.cli.policy_reading import statement

    envelope = seal_envelope("floors", statement(policy.read_bytes()), ours.key)
    policy.with_name("p.yaml.dsse").write_bytes(envelope)
    assert check(policy, "--require-signed", ours.public) == 2


def test_an_unsigned_policy_verifies_nothing(policy: Path, ours: Key, capsys: Any) -> None:
    wanted = ["--policy", str(policy), "--require-signed", str(ours.public), "--json"]
    assert main(["verify", str(policy), *wanted]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"], answer["problems"][0]["code"]) == ("invalid", "policy.unsigned")
    assert main(["policy", "explain", str(policy), str(policy), *wanted[2:]]) == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "policy.unsigned"
    assert main(["verify", str(policy), "--require-signed", str(ours.public), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["problems"][0]["code"] == "usage"


def test_a_batch_wants_the_signature_too(policy: Path, ours: Key, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "fleet").mkdir()
    wanted = ["--policy", str(policy), "--require-signed", str(ours.public)]
    assert main(["verify", "--batch", str(tmp_path / "fleet"), *wanted]) == 2
    assert "policy.unsigned" in capsys.readouterr().out


def test_a_batch_judges_by_the_text_that_was_signed(
    policy: Path, ours: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "fleet").mkdir()
    assert main(["policy", "sign", str(policy), "--key", str(ours.private)]) == 0
    # Whoever may write the file changes it after its signature was checked.
    monkeypatch.setattr("attest.cli.batch.read_file", lambda _: b"policy: 1\n")
    wanted = ["--policy", str(policy), "--require-signed", str(ours.public)]
    assert main(["verify", "--batch", str(tmp_path / "fleet"), *wanted]) == 2
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["problems"][0]["code"], answer["problems"][0]["found"]) == (
        "policy.unsigned",
        "a file that changed while it was read",
    )


def test_a_policy_out_of_a_pipe_is_checked(capsys: Any) -> None:
    """It can be read once only, so nothing but its rules has a place."""
    ours, theirs = os.pipe()
    rule = "{snp: {smt: {is: false, else: warn, until: 2027-01-01}}}"
    os.write(theirs, f"policy: 1\nname: t\nplatforms: [snp]\nrequire: {rule}\n".encode())
    os.close(theirs)
    try:
        assert check(f"/dev/fd/{ours}", "--at", "2026-12-20T00:00:00Z") == 0
    finally:
        os.close(ours)
    said = capsys.readouterr().out
    assert f"/dev/fd/{ours}:4:17: grace-ends" in said
    assert f"/dev/fd/{ours}:1:1: key-unbound" in said


# -- floors -----------------------------------------------------------------------------------------


def envelope(path: Path, key: Key, kind: Any = "floors", **changes: object) -> Path:
    data = {**json.loads(floor_data()), **changes}
    path.write_bytes(seal_envelope(kind, json.dumps(data).encode(), key.key))
    return path


def floors(*arguments: object) -> int:
    return main(["floors", *map(str, arguments)])


def test_the_floors_shipped_are_shown_with_their_bulletins(capsys: Any) -> None:
    assert floors("show") == 0
    out = capsys.readouterr().out
    assert "genoa: snp ≥ 23, from 2024-01-01 (AMD-SB-3019)" in out
    assert "no floor is known" in out
    assert floors("show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["digest"] == Floors.shipped().digest


def test_an_update_is_kept_and_used(
    tmp_path: Path, policy: Path, ours: Key, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTEST_CACHE", str(tmp_path / "cache"))
    new = envelope(tmp_path / "f.dsse", ours, serial="5")
    assert floors("update", new) == 2  # whose?
    assert floors("update", new, "--floors-key", ours.public) == 0
    capsys.readouterr()
    # Without its key the kept file is nobody's.
    for arguments, serial in (([], "1"), (["--floors-key", ours.public], "5")):
        assert check(policy, "--json", *arguments) == 0
        assert json.loads(capsys.readouterr().out)["policies"][0]["floors"]["serial"] == serial
    monkeypatch.setenv("ATTEST_FLOORS_KEY", str(ours.public))
    assert floors("show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["serial"] == "5"
    old = envelope(tmp_path / "old.dsse", ours, serial="4")
    assert floors("update", old) == 1
    assert "floors.rollback" in capsys.readouterr().err
    assert floors("show", "--json") == 0
    assert json.loads(capsys.readouterr().out)["serial"] == "5"


def test_the_floors_of_the_package_do_not_go_back_either(
    tmp_path: Path, ours: Key, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTEST_CACHE", str(tmp_path / "cache"))
    forged = envelope(tmp_path / "f.dsse", ours, serial="1", expires="2099-01-01T00:00:00Z")
    assert floors("update", forged, "--floors-key", ours.public) == 1
    assert "floors.rollback" in capsys.readouterr().err


def test_kept_floors_that_no_longer_verify_are_an_error(
    tmp_path: Path, policy: Path, ours: Key, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ATTEST_FLOORS_KEY", str(ours.public))
    assert floors("update", envelope(tmp_path / "f.dsse", ours, serial="5")) == 0
    envelope(tmp_path / "cache" / "floors.dsse", Key(tmp_path, "theirs"), serial="6")
    capsys.readouterr()
    assert check(policy, "--json") == 2
    problems = json.loads(capsys.readouterr().out)["policies"][0]["problems"]
    assert [problem["code"] for problem in problems] == ["dsse.key"]
    assert main(["verify", str(policy), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "invalid"


def test_schema_is_printed(capsys: Any) -> None:
    assert main(["policy", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["$schema"].endswith("2020-12/schema")
