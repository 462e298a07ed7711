"""`attest endorsements bundle|rims|serve` and `attest verify --bundle-key`, as an operator types them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from attest.cli.main import main
from attest.cli.remedies import remedy_for
from attest.dsse import Envelope, TrustedKey, TrustedKeys, open_envelope
from attest.problems import PROBLEMS, problem
from attest.simulator import Simulator
from tests.conftest import EVIDENCE, ROOT, Sample

AT = ("--at", "2026-11-23T12:00:00Z")


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = tmp_path / "ours.key", tmp_path / "ours.pub"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return str(private), str(public)


@pytest.fixture
def fleet(simulator: Simulator, tmp_path: Path) -> dict[str, Path]:
    """Files of three machines under one folder, and the simulator's root beside it."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    for made in (simulator.snp(), simulator.tdx(), simulator.gpu()):
        for name, data in made.files.items():
            (folder / name).write_bytes(data)
    root = tmp_path / "root.pem"
    root.write_bytes(simulator.roots_pem)
    return {"folder": folder, "root": root, "bundle": tmp_path / "fleet.bundle.json"}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def bundle(capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], key: str, *more: object) -> Any:
    return run(
        capsys, "endorsements", "bundle", *sorted(fleet["folder"].iterdir()), "--sign", key,
        "-o", fleet["bundle"], "--simulator-root", fleet["root"], *AT, *more,
    )  # fmt: skip


def test_a_fleets_bundle_is_made_and_each_machine_verifies_with_it(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    status, out, err = bundle(capsys, fleet, keys[0])
    assert (status, err) == (0, "")
    assert out.count("✔") == 3
    for name in ("simulated-report.bin", "simulated-quote.bin", "simulated-gpu-evidence.json"):
        status, out, _ = run(
            capsys, "verify", fleet["folder"] / name, fleet["bundle"], "--bundle-key", keys[1],
            "--simulator-root", fleet["root"], *AT, "--json",
        )  # fmt: skip
        answer = json.loads(out)
        assert (status, answer["authentic"]) == (0, True), name
        checks = {check["name"]: check["outcome"] for check in answer["checks"]}
        assert checks["bundle.signature"] == checks["bundle.dates"] == "passed"


def test_what_is_missing_is_listed_for_each_evidence(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    for path in list(fleet["folder"].iterdir()):
        if path.suffix == ".crl" or "VBIOS" in path.name:
            path.unlink()
    status, out, _ = bundle(capsys, fleet, keys[0])
    assert status == 1
    assert "list of ARK-Genoa: missing" in out
    assert "VBIOS manifest 96.00.9F.00.01: missing" in out
    status, out, _ = bundle(capsys, fleet, keys[0], "--json")
    document = json.loads(out)
    (quote,) = (needs for file, needs in document["evidence"].items() if file.endswith("quote.bin"))
    assert [need["state"] for need in quote] == ["held", "held", "missing", "missing"]
    assert all("data" not in entry for entry in document["entries"])


def test_each_entry_is_told_with_its_end_and_the_bundle_keeps_none_longer(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    status, out, _ = bundle(capsys, fleet, keys[0])
    assert status == 0
    assert "the bundle itself opens until 2026-12-23T12:00:00Z" in out
    ends = [line.split()[1] for line in out.splitlines() if line.startswith("    until ")]
    entries = json.loads(open_(fleet["bundle"], keys[1]))["entries"]
    assert ends == sorted(entry["next-update"] for entry in entries)
    early = sum(end < "2026-12-23T12:00:00Z" for end in ends)
    assert early > 5
    assert f"{early} of {len(ends)} endorsements end before it" in out
    # As docs/offline.md says: answers of yesterday refuse the GPU, and the bundle serves the CPU as before.
    late = ("--bundle-key", keys[1], "--simulator-root", fleet["root"], "--at", "2026-11-25T12:00:00Z")
    status, out, _ = run(
        capsys, "verify", fleet["folder"] / "simulated-gpu-evidence.json", fleet["bundle"], *late
    )
    assert status == 1
    assert "Revocation of the device is out of date" in out
    status, out, _ = run(capsys, "verify", fleet["folder"] / "simulated-report.bin", fleet["bundle"], *late)
    assert status == 0


def test_what_has_ended_when_the_bundle_is_made_is_told_and_how_to_mend_it(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    status, out, _ = run(
        capsys, "endorsements", "bundle", *sorted(fleet["folder"].iterdir()), "--sign", keys[0],
        "-o", fleet["bundle"], "--simulator-root", fleet["root"], "--at", "2026-11-25T12:00:00Z",
    )  # fmt: skip
    assert status == 1
    assert "until 2026-11-24T12:00:00Z  ✘ ended: ocsp " in out
    assert "ended 2026-11-24T12:00:00Z" in out
    assert "→ `attest endorsements fetch EVIDENCE -o vendor/`" in out


def test_nothing_authentic_makes_no_bundle_and_the_reason_is_told(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    status, _, err = run(
        capsys, "endorsements", "bundle", fleet["folder"] / "simulated-vcek.der", "--sign", keys[0],
        "-o", fleet["bundle"], *AT,
    )  # fmt: skip
    assert status == 2
    assert "nothing to put into a bundle; certificate SEV-VCEK: no path to a pinned root" in err
    assert not fleet["bundle"].exists()


def test_a_public_key_is_not_called_a_leaked_one(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    status, _, err = bundle(capsys, fleet, keys[1])
    assert (status, "not a private key" in err, "can be read by others" in err) == (2, True, False)


def test_a_bundle_is_verified_entry_by_entry(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    bundle(capsys, fleet, keys[0])
    asked = ("endorsements", "verify", fleet["bundle"], "--simulator-root", fleet["root"])
    status, _, err = run(capsys, *asked, *AT)
    assert status == 2
    assert "bundle.key-missing" in err
    status, out, err = run(capsys, *asked, *AT, "--bundle-key", keys[1])
    assert (status, err) == (0, "")
    assert out.count("✔") == len(json.loads(open_(fleet["bundle"], keys[1]))["entries"])
    status, out, err = run(capsys, *asked, "--at", "2027-06-01T00:00:00Z", "--bundle-key", keys[1])
    assert status == 1
    assert "bundle.expired" in err
    fleet["root"].with_name("junk").write_text("junk")
    status, _, _ = run(
        capsys,
        *asked,
        fleet["root"].with_name("junk"),
        "--at",
        "2027-06-01T00:00:00Z",
        "--bundle-key",
        keys[1],
    )
    assert status == 2


def test_manifests_of_a_bundle_become_measurements(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str], tmp_path: Path
) -> None:
    bundle(capsys, fleet, keys[0])
    status, out, err = run(
        capsys, "endorsements", "rims", fleet["bundle"], "--bundle-key", keys[1], "-o", tmp_path / "rims.json",
        "--simulator-root", fleet["root"], *AT,
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "2 manifests" in out
    assert out.count("not revoked") == 2
    assert "→" not in out


@pytest.mark.parametrize("root", [True, False])
def test_nothing_to_hand_out_is_not_served(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], root: bool, tmp_path: Path
) -> None:
    """An empty folder, and one of a simulator whose root was not named."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "ark.crl").write_bytes((fleet["folder"] / "simulated-ark.crl").read_bytes())
    folder = tmp_path / ("empty" if root else "strange")
    status, out, err = run(capsys, "endorsements", "serve", folder, "--listen", "127.0.0.1:0")
    assert (status, out) == (2, "")
    said = "it holds no endorsement" if root else "nothing in it leads to a pinned root"
    assert f"{folder}: {said}, so there is nothing to hand out" in err


def test_what_is_not_authentic_is_left_out_and_told(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    status, out, _ = bundle(capsys, fleet, keys[0])
    first = json.loads(open_(fleet["bundle"], keys[1]))
    crl = next(path for path in fleet["folder"].iterdir() if path.name == "simulated-ark.crl")
    broken = bytearray(crl.read_bytes())
    broken[-1] ^= 1
    crl.write_bytes(broken)
    status, out, _ = bundle(capsys, fleet, keys[0])
    assert status == 1
    assert "left out: crl" in out
    assert len(json.loads(open_(fleet["bundle"], keys[1]))["entries"]) == len(first["entries"]) - 1


def open_(path: Path, public: str, kind: Any = "endorsements") -> bytes:
    keys = TrustedKeys([TrustedKey.read(kind, Path(public).read_bytes())])
    return open_envelope(Envelope.parse(path.read_bytes()), kind, keys).payload


def test_verify_refuses_a_bundle_without_key_and_of_another(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str], tmp_path: Path
) -> None:
    bundle(capsys, fleet, keys[0])
    asked = ("verify", fleet["folder"] / "simulated-report.bin", fleet["bundle"],
             "--simulator-root", fleet["root"], *AT, "--json")  # fmt: skip
    status, out, _ = run(capsys, *asked)
    assert (status, [p["code"] for p in json.loads(out)["problems"]]) == (2, ["bundle.key-missing"])
    other = tmp_path / "other.pub"
    other.write_bytes(
        ed25519.Ed25519PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    status, out, _ = run(capsys, *asked, "--bundle-key", other)
    answer = json.loads(out)
    assert (status, [p["code"] for p in answer["problems"]]) == (1, ["dsse.key"])
    assert answer["claims"] == {}
    assert [c["outcome"] for c in answer["checks"] if c["name"] == "bundle.signature"] == ["failed"]
    late = list(asked)
    late[late.index("2026-11-23T12:00:00Z")] = "2027-06-01T00:00:00Z"
    status, out, _ = run(capsys, *late, "--bundle-key", keys[1])
    assert (status, [p["code"] for p in json.loads(out)["problems"]]) == (1, ["bundle.expired"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--days", "0"), "--days is 1 to 366"),
        (("--days", "367"), "--days is 1 to 366"),
        (("--serial", "-1"), "a serial has at most 19 digits"),
        (("-o", "/nowhere/at/all"), "cannot be written"),
    ],
)
def test_wrong_use_is_named(
    more: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], fleet: dict[str, Path],
    keys: tuple[str, str],
) -> None:  # fmt: skip
    status, _, err = bundle(capsys, fleet, keys[0], *more)
    assert status == 2
    assert message in err


def test_a_key_that_others_can_read_signs_nothing(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    os.chmod(keys[0], 0o644)
    status, _, err = bundle(capsys, fleet, keys[0])
    assert status == 2
    assert "can be read by others" in err
    assert not fleet["bundle"].exists()
    status, _, err = bundle(capsys, fleet, keys[1])
    assert status == 2


def test_rims_are_written_plain_or_signed(
    capsys: pytest.CaptureFixture[str], h100: Sample, keys: tuple[str, str], tmp_path: Path
) -> None:
    rims = sorted((EVIDENCE / "h100").glob("*.xml"))
    plain, signed = tmp_path / "rims.json", tmp_path / "rims.signed.json"
    at = ("--at", h100.at.isoformat())
    status, out, _ = run(capsys, "endorsements", "rims", *rims, "-o", plain, *at)
    assert status == 0
    assert "GPU GH100 550.90.07: 21 measurements" in out
    assert out.count("their revocation not checked") == 2
    assert "→ give the OCSP answers about these signers too" in out
    assert run(capsys, "endorsements", "rims", *rims, "-o", signed, *at, "--sign", keys[0])[0] == 0
    assert open_(signed, keys[1], "rims") == plain.read_bytes()
    assert json.loads(plain.read_text())["rims"][0]["version"] == "550.90.07"
    late = tmp_path / "late.json"
    status, _, err = run(capsys, "endorsements", "rims", *rims, "-o", late, "--at", "2028-01-01T00:00:00Z")
    assert status == 1
    assert "x509.expired" in err
    assert not late.exists()
    assert run(capsys, "endorsements", "rims", EVIDENCE / "snp-genoa" / "vcek.der", "-o", late)[0] == 2


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "::1:80", "a b:1"])
def test_listen_takes_host_and_port(listen: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = run(capsys, "endorsements", "serve", tmp_path, "--listen", listen)
    assert status == 2
    assert "is no HOST:PORT" in err


def test_serve_hands_a_folder_out_and_ends_when_told(tmp_path: Path) -> None:
    for file in (EVIDENCE / "snp-genoa").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with subprocess.Popen(
        [sys.executable, "-m", "attest.cli.main", "endorsements", "serve", str(tmp_path), "--listen", "127.0.0.1:0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{url}/vcek/v1/Genoa/crl", timeout=10) as answer:
            assert answer.read() == (EVIDENCE / "snp-genoa" / "ark.crl").read_bytes()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err.endswith(" 127.0.0.1 GET /vcek/v1/Genoa/crl 200 890\n")


def test_manifests_without_an_id_are_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "rims"
    folder.mkdir()
    for index, file in enumerate(sorted(fleet["folder"].glob("*.xml"))):
        (folder / f"rim-{index}.xml").write_bytes(file.read_bytes())
    made = run(capsys, "endorsements", "bundle", *folder.iterdir(), "--sign", keys[0], "-o", fleet["bundle"],
               "--simulator-root", fleet["root"])  # fmt: skip
    assert made[0] == 0, made
    for source, remedy in (
        (
            folder,
            f"put the evidence of the GPU or switch into {folder} beside them, or call each file ID.xml",
        ),
        (fleet["bundle"], "make the bundle again with the evidence of the GPU or switch among its FILE"),
    ):
        # A listener that cannot be: everything is said before it.
        _, _, err = run(capsys, "endorsements", "serve", source, "--bundle-key", keys[1], "--simulator-root",
                        fleet["root"], "--listen", "192.0.2.1:9")  # fmt: skip
        assert "not handed out: 2 manifests whose id is not known" in err
        assert f"→ {remedy}" in " ".join(err.split())


def test_no_command_advises_an_option_that_it_lacks() -> None:
    serve, verify = Namespace(listen="x", bundle_key=[]), Namespace(at=None, fetch=False)
    told = {code: remedy_for(serve, problem(code)) for code in PROBLEMS}
    assert not [code for code, remedy in told.items() if re.search(r"--(at|fetch|renew|memory)\b", remedy)]
    assert told["bundle.expired"] == "get the current bundle from its signer"
    assert told["x509.crl.stale"] == "give a current list"
    assert told["bundle.key-missing"] == PROBLEMS["bundle.key-missing"].remedy
    assert remedy_for(verify, problem("x509.crl.stale")) == PROBLEMS["x509.crl.stale"].remedy


def test_serve_opens_a_bundle_with_its_key_only(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    bundle(capsys, fleet, keys[0])
    status, _, err = run(capsys, "endorsements", "serve", fleet["bundle"])
    assert status == 2
    assert "bundle.key-missing" in err
    late = "--at", "2000-01-01T00:00:00Z"
    old = fleet["folder"].parent / "old.json"
    run(capsys, "endorsements", "bundle", fleet["folder"] / "simulated-ark.crl", "--sign", keys[0], "-o", old,
        "--simulator-root", fleet["root"], *late)  # fmt: skip
    status, _, err = run(capsys, "endorsements", "serve", old, "--bundle-key", keys[1])
    assert status == 1
    assert "bundle.expired" in err
    assert "--at" not in err, "serve has no such option"
    status, _, err = run(capsys, "endorsements", "serve", EVIDENCE / "snp-genoa" / "vcek.der")
    assert "is no signed bundle" in err


@pytest.mark.parametrize("verb", ["bundle", "serve", "rims"])
def test_help_teaches(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["endorsements", verb, "--help"])
    assert f"attest endorsements {verb} " in capsys.readouterr().out


def test_show_says_what_a_bundle_holds_without_believing_it(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str]
) -> None:
    bundle(capsys, fleet, keys[0])
    status, out, _ = run(capsys, "show", fleet["bundle"], "--json")
    shown = json.loads(out)
    (contents,) = shown["contents"]
    assert (status, shown["verified"], contents["endorsement"]) == (0, False, "signed bundle")
    assert {entry["kind"] for entry in contents["fields"]["entries"]} == {
        "certificate", "crl", "intel-collateral", "rim", "ocsp",
    }  # fmt: skip
    status, out, _ = run(capsys, "show", fleet["bundle"])
    assert out.startswith("UNVERIFIED contents")


def test_a_memory_file_keeps_a_bundle_from_going_back(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str], tmp_path: Path
) -> None:
    asked = (
        "verify", fleet["folder"] / "simulated-report.bin", fleet["bundle"], "--bundle-key", keys[1],
        "--simulator-root", fleet["root"], "--memory", tmp_path / "memory.json", *AT, "--json",
    )  # fmt: skip
    bundle(capsys, fleet, keys[0], "--serial", "8")
    assert run(capsys, *asked)[0] == 0
    assert run(capsys, *asked)[0] == 0
    bundle(capsys, fleet, keys[0], "--serial", "7")
    status, out, _ = run(capsys, *asked)
    assert (status, [p["code"] for p in json.loads(out)["problems"]]) == (1, ["bundle.rollback"])


def test_a_bundle_beside_refused_evidence_does_not_go_back_either(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str], tmp_path: Path
) -> None:
    """Whoever was refused by what a bundle brought would show the one before it."""
    asked = (
        "verify", fleet["folder"] / "simulated-report.bin", fleet["bundle"], "--bundle-key", keys[1],
        "--simulator-root", fleet["root"], "--memory", tmp_path / "memory.json", *AT, "--json",
    )  # fmt: skip
    bundle(capsys, fleet, keys[0], "--serial", "8")
    assert run(capsys, *asked, "--report-data", "00" * 32 + "01")[0] == 1
    bundle(capsys, fleet, keys[0], "--serial", "7")
    status, out, _ = run(capsys, *asked)
    assert (status, [p["code"] for p in json.loads(out)["problems"]]) == (1, ["bundle.rollback"])


def test_an_earlier_bundle_is_taken_over_with_its_key(
    capsys: pytest.CaptureFixture[str], fleet: dict[str, Path], keys: tuple[str, str], tmp_path: Path
) -> None:
    bundle(capsys, fleet, keys[0])
    later = tmp_path / "later.json"
    asked = ("endorsements", "bundle", fleet["bundle"], "--sign", keys[0], "-o", later,
             "--simulator-root", fleet["root"], *AT)  # fmt: skip
    status, _, err = run(capsys, *asked)
    assert status == 2
    assert "bundle.key-missing" in err
    assert run(capsys, *asked, "--bundle-key", keys[1])[0] == 0
    entries = [json.loads(open_(path, keys[1]))["entries"] for path in (fleet["bundle"], later)]
    assert entries[0] == entries[1]
