"""`attest verify --ear`: a service owner's command, and what it never signs."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from attest.claims import instant
from attest.cli.main import main
from attest.result import ear
from attest.simulator import Simulator
from tests.conftest import NOON, Sample
from tests.ear.conftest import NONCE, P256, P384


def private(key: ear.SigningKey, path: Path, mode: int = 0o600) -> Path:
    path.write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(mode)
    return path


class Bench:
    """One simulated machine with a GPU, and the command over it."""

    def __init__(self, folder: Path, simulator: Simulator, **machine: Any) -> None:
        self.folder = folder
        made = simulator.machine(nonce=NONCE, gpus=1, **machine)
        self.files = []
        for name, data in made.files.items():
            (folder / name).write_bytes(data)
            self.files.append(str(folder / name))
        self.key = private(P256, folder / "results.key")
        self.out = folder / "result"
        self.root = folder / "root.pem"
        self.root.write_bytes(simulator.roots_pem)

    def run(self, *more: str, nonce: bytes = NONCE, at: datetime = NOON, key: Path | None = None) -> int:
        asked = ["--simulator-root", str(self.root), "--nonce", nonce.hex(), "--at", instant(at), "--json"]
        signed = ["--ear-key", str(key or self.key), "-o", str(self.out)]
        return main(["verify", *self.files, *asked, *signed, *more])

    def read(self, key: ear.SigningKey = P256, **more: Any) -> ear.Attested:
        given = {"issuer": "attest", "audience": None, "at": NOON, "simulated": True, **more}
        return ear.read(self.out.read_bytes(), [key.public], **given)


@pytest.fixture
def bench(tmp_path: Path, simulator: Simulator) -> Bench:
    return Bench(tmp_path, simulator)


@pytest.mark.parametrize("spelling", ["ietf", "veraison", "trustee"])
def test_a_conforming_machine(bench: Bench, spelling: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--ear", spelling) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["verdict"] == "conforms-with-warnings"
    assert "warning" in said.err
    attested = bench.read(spelling=spelling, nonce=NONCE)
    assert (attested.status, set(attested.parts)) == ("warning", {"cpu0", "gpu0"})
    assert attested.simulated


def test_every_choice_is_in_the_token(bench: Bench) -> None:
    key = private(P384, bench.folder / "other.key")
    more = ["--ear-format", "cwt", "--ear-issuer", "us", "--ear-audience", "them", "--ear-lifetime", "60"]
    assert bench.run("--ear", "ietf", *more, key=key) == 0
    attested = bench.read(P384, form="cwt", issuer="us", audience="them")
    assert attested.expires - attested.issued == timedelta(seconds=60)


def test_the_key_set_for_relying_parties(bench: Bench) -> None:
    jwks = bench.folder / "jwks.json"
    assert bench.run("--ear", "trustee", "--ear-jwks", str(jwks)) == 0
    assert json.loads(jwks.read_text()) == {"keys": [P256.public.jwk()]}


def test_a_machine_that_the_policy_refuses_gets_a_result_that_says_so(bench: Bench) -> None:
    policy = bench.folder / "p.yaml"
    policy.write_text(
        "policy: 1\nname: strict\nplatforms: [snp]\nrequire: {snp: {measurement: '" + "00" * 48 + "'}}\n"
    )
    assert bench.run("--ear", "ietf", "--policy", str(policy)) == 1
    attested = bench.read()
    assert attested.status == "contraindicated"
    assert attested.parts["cpu0"].vector.values["executables"] == 96
    assert attested.parts["cpu0"].policies[0].startswith("strict@sha384:")


def test_a_machine_that_is_not_genuine_gets_a_result_that_says_so(bench: Bench) -> None:
    assert bench.run("--ear", "ietf", nonce=bytes(32)) == 1
    attested = bench.read()
    assert attested.status == "contraindicated"
    assert set(attested.parts["gpu0"].vector.values.values()) == {99}
    assert attested.simulated, "under a simulator's root nothing real is refused"


def test_a_machine_that_was_not_judged_gets_none(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--ear", "ietf") == 0
    broken = bench.folder / "broken.json"
    broken.write_text("{}")
    for files, more in (
        ([str(broken)], []),
        (bench.files, ["--policy", str(broken)]),
        (bench.files, ["--report-data", "00"]),
    ):
        bench.out.write_text("an earlier result")
        kept, bench.files = bench.files, list(files)
        assert bench.run("--ear", "ietf", *more) == 2
        bench.files = kept
        assert not bench.out.exists(), "an earlier result is not what this run found"
        assert "not judged" in capsys.readouterr().err


def test_what_could_not_be_fetched_counts_in_the_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token says what the answer says, also where something beside the policy spoke."""
    from dataclasses import replace

    from attest.cli import verify

    plain = verify.answer_for
    monkeypatch.setattr(verify, "answer_for", lambda args: replace(plain(args), verdict="refused"))
    assert bench.run("--ear", "ietf") == 1
    assert bench.read().status == "contraindicated"


def test_an_answer_that_is_no_judgement_is_not_signed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from attest.cli import verify

    plain = verify.answer_for
    monkeypatch.setattr(verify, "answer_for", lambda args: replace(plain(args), verdict="malformed"))
    assert bench.run("--ear", "ietf") == 2
    assert not bench.out.exists()


def test_a_bundle_that_is_refused_is_no_judgement_of_the_machine(bench: Bench, tmp_path: Path) -> None:
    from attest.dsse import seal_envelope

    theirs, ours = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    bundle, key = tmp_path / "bundle.json", tmp_path / "ours.pub"
    bundle.write_bytes(seal_envelope("endorsements", b"{}", theirs))
    key.write_bytes(ours.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    bench.files.append(str(bundle))
    assert bench.run("--ear", "ietf", "--bundle-key", str(key)) == 1
    assert not bench.out.exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--ear-lifetime", "301", "--ear", "ietf"], "five minutes"),
        (["--ear-audience", "x", "--ear", "trustee"], "audience"),
        (["--ear-format", "cwt", "--ear", "trustee"], "not cwt"),
        ([], "belongs to --ear"),
    ],
)
def test_wrong_use(bench: Bench, more: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(*more) == 2
    answer = json.loads(capsys.readouterr().out)
    assert [problem["code"] for problem in answer["problems"]] == ["usage"]
    assert words in answer["problems"][0]["message"]
    assert not bench.out.exists()


def test_the_output_is_none_of_the_inputs(bench: Bench) -> None:
    before = Path(bench.files[0]).read_bytes()
    bench.out = Path(bench.files[0])
    assert bench.run("--ear", "ietf") == 2
    bench.out = bench.key
    assert bench.run("--ear", "ietf") == 2
    assert Path(bench.files[0]).read_bytes() == before


def test_nobody_signs_what_a_machine_will_be(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run("--ear", "ietf", at=datetime.now(UTC) + timedelta(minutes=3)) == 2
    assert "later than now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: private(P256, path, 0o644), "can be read by others"),
        (lambda path: private(ear.SigningKey(ec.derive_private_key(5, ec.SECP256R1())), path) and path.write_text("x"), "not a private key"),
        (
            lambda path: path.write_bytes(
                ec.generate_private_key(ec.SECP521R1()).private_bytes(
                    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
                )
            ),
            "P-256 or P-384",
        ),
        (lambda path: path.write_bytes(P256.public.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)), "not a private key"),
    ],
)  # fmt: skip
def test_keys_that_are_none(bench: Bench, make: Any, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    key = bench.folder / "k"
    make(key)
    os.chmod(key, 0o644 if words.startswith("can") else 0o600)
    assert bench.run("--ear", "ietf", key=key) == 2
    assert words in capsys.readouterr().out


def test_old_evidence_gets_a_result_of_its_own_time(genoa: Sample, tmp_path: Path) -> None:
    key = private(P256, tmp_path / "results.key")
    out = tmp_path / "result.jwt"
    files = [str(file) for file in genoa.files]
    asked = ["--at", genoa.at.isoformat(), "--ear", "ietf", "--ear-key", str(key), "-o", str(out)]
    assert main(["verify", *files, *asked]) == 0
    attested = ear.read(out.read_bytes(), [P256.public], issuer="attest", audience=None, at=genoa.at)
    assert not attested.simulated
    assert attested.issued == genoa.at


def test_a_batch_has_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main(["verify", "--batch", str(tmp_path), "--ear", "ietf", "--ear-key", "k", "-o", "x"])
    assert left.value.code == 2
    assert "not with --batch" in capsys.readouterr().err
