"""CoRIMs made and signed by Veraison's Go packages, as the Go proxy has them, are read and checked here.

The program is built from tests/peers/go/makecorim, a module of its own, and reads the templates of that project's
command line tool; without Go, or where the modules cannot be had, the tests say so and are skipped. Version 1.1.2
writes the form between drafts: a map without tag 501, tags in byte strings, the profile in a list.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwcrypto.jwk import JWK

from attest.errors import Rejected
from attest.policy import Policy
from attest.policy.interchange.corim import read_corim, read_signers
from attest.policy.interchange.draft import Draft, write
from tests.conftest import ROOT

SOURCES = ROOT / "tests" / "peers" / "go" / "makecorim"
AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
MEASURED, OTHER, CHIP = b"\x5a" * 48, b"\x5b" * 48, b"\xc1" * 64
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
KEYS: dict[str, Key] = {
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    "PS256": rsa.generate_private_key(65537, 2048),
    "PS384": rsa.generate_private_key(65537, 2048),
    "PS512": rsa.generate_private_key(65537, 2048),
}
MANIFEST = {
    "corim-id": "5c57e8f4-46cd-421b-91c9-08cf93e13cfc",
    "profiles": ["tag:amd.com,2024:snp-corim-profile"],
    "validity": {"not-before": "2026-01-01T00:00:00Z", "not-after": "2027-12-31T00:00:00Z"},
    "entities": [{"name": "Vendor", "regid": "https://vendor.example", "roles": ["manifestCreator"]}],
}
META = {
    "signer": {"name": "Vendor", "uri": "https://vendor.example"},
    "validity": {"not-before": "2026-02-01T00:00:00Z", "not-after": "2027-06-30T00:00:00Z"},
}


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def digest(value: bytes) -> list[str]:
    return [f"sha-384;{b64(value)}"]


def measurement(key: int, value: dict[str, Any]) -> dict[str, Any]:
    return {"key": {"type": "uint", "value": key}, "value": value}


def report(measured: bytes, *more: dict[str, Any], instance: bytes | None = None) -> dict[str, Any]:
    environment: dict[str, Any] = {"class": {"id": {"type": "oid", "value": "1.3.6.1.4.1.3704.3.1"}}}
    if instance is not None:
        environment["instance"] = {"type": "bytes", "value": b64(instance)}
    return {
        "environment": environment,
        "measurements": [measurement(641, {"digests": digest(measured)}), *more],
    }


def module(*references: dict[str, Any]) -> dict[str, Any]:
    return {
        "lang": "en-GB",
        "tag-identity": {"id": "vendor.example/image", "version": 3},
        "entities": [{"name": "Vendor", "regid": "https://vendor.example", "roles": ["tagCreator"]}],
        "triples": {"reference-values": list(references)},
    }


@pytest.fixture(scope="session")
def makecorim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    out = tmp_path_factory.mktemp("makecorim") / "makecorim"
    built = subprocess.run(
        [go, "build", "-o", str(out), "."],
        cwd=SOURCES,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if built.returncode != 0:
        pytest.skip(f"the Go modules cannot be had or built here: {built.stderr.strip()[-300:]}")
    return out


@pytest.fixture
def make(makecorim: Path, tmp_path: Path) -> Callable[..., bytes]:
    def made(comid: dict[str, Any], manifest: dict[str, Any] = MANIFEST, name: str | None = None) -> bytes:
        """name: of the key in KEYS that signs."""
        files = {"corim.json": json.dumps(manifest), "comid.json": json.dumps(comid)}
        if name is not None:
            jwk = {**JWK.from_pyca(KEYS[name]).export_private(as_dict=True), "alg": name}
            files |= {"meta.json": json.dumps(META), "key.jwk": json.dumps(jwk)}
        paths = []
        for file, text in files.items():
            (tmp_path / file).write_text(text)
            paths.append(str(tmp_path / file))
        done = subprocess.run([str(makecorim), *paths], capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return made


def public(name: str) -> bytes:
    return KEYS[name].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def values(draft: Draft) -> dict[str, list[str]]:
    return {one.name: [value for value, _ in one.values] for one in draft.references}


def test_an_unsigned_corim_of_theirs(make: Callable[..., bytes]) -> None:
    tcb = {"svn": {"type": "min-value", "value": 0xD116000000000003}}
    draft = read_corim(
        make(module(report(MEASURED, measurement(647, tcb), instance=CHIP), report(OTHER, measurement(647, tcb), instance=CHIP))),
        at=AT,
    )  # fmt: skip
    assert not draft.unmapped
    assert values(draft) == {"measurement": [MEASURED.hex(), OTHER.hex()], "chip-id": [CHIP.hex()]}
    parts = "bootloader: 3, snp: 22, microcode: 209"
    assert {one.claim: one.operand for one in draft.entries}["tcb"] == (
        f"{{at-least: {{milan: {{{parts}}}, genoa: {{{parts}}}}}}}"
    )
    (value, *_) = Policy.from_text(write(draft, name="a")).body.references["measurement"].values
    assert (value.begins, value.ends) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 12, 31, tzinfo=UTC),
    )
    assert value.origin == "unsigned CoRIM 5c57e8f4-46cd-421b-91c9-08cf93e13cfc"
    assert value.name == "vendor.example/image"


@pytest.mark.parametrize("name", KEYS)
def test_a_signature_of_theirs(make: Callable[..., bytes], name: str) -> None:
    data = make(module(report(MEASURED)), name=name)
    draft = read_corim(data, at=AT, signers=read_signers(public(name)))
    (found,) = draft.references
    assert [value for value, _ in found.values] == [MEASURED.hex()]
    assert (found.begins, found.ends) == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2027, 6, 30, tzinfo=UTC))
    assert "signed by Vendor" in found.origin
    for other in KEYS:
        if other != name:
            with pytest.raises(Rejected) as refused:
                read_corim(data, at=AT, signers=read_signers(public(other)))
            assert refused.value.codes <= {"corim.algorithm", "corim.signature"}


def test_a_signature_of_theirs_over_other_bytes(make: Callable[..., bytes]) -> None:
    data = make(module(report(MEASURED)), name="ES384")
    changed = data.replace(MEASURED, OTHER)
    assert changed != data
    with pytest.raises(Rejected) as refused:
        read_corim(changed, at=AT, signers=read_signers(public("ES384")))
    assert refused.value.codes == {"corim.signature"}


def test_a_signature_of_theirs_after_its_end(make: Callable[..., bytes]) -> None:
    data = make(module(report(MEASURED)), name="ES256")
    with pytest.raises(Rejected) as refused:
        read_corim(data, at=datetime(2027, 7, 1, tzinfo=UTC), signers=read_signers(public("ES256")))
    assert refused.value.codes == {"corim.dates"}


def test_registers_of_theirs(make: Callable[..., bytes]) -> None:
    td = {
        "environment": {"class": {"vendor": "Vendor", "model": "guest"}},
        "measurements": [
            {
                "value": {
                    "integrity-registers": {
                        "mrtd": {"key-type": "text", "value": digest(MEASURED)},
                        "rtmr1": {"key-type": "text", "value": digest(OTHER)},
                    }
                }
            }
        ],
    }
    manifest = {name: value for name, value in MANIFEST.items() if name != "profiles"}
    draft = read_corim(make(module(td), manifest), at=AT, environment="tdx")
    assert values(draft) == {"mrtd": [MEASURED.hex()], "rtmr1": [OTHER.hex()]}


@pytest.mark.parametrize(
    ("key", "value", "claim", "operand"),
    [
        (0, {"version": {"value": "3", "scheme": "decimal"}}, "report-version", "3"),
        (1, {"svn": {"type": "exact-value", "value": 5}}, "guest-svn", "5"),
        (2, {"raw-value": {"type": "bytes", "value": b64(bytes(8))}, "raw-value-mask": b64(bytes([0, 0, 8, 0, 0, 0, 0, 0]))}, "debug", "false"),
        (5, {"raw-value": {"type": "bytes", "value": b64(bytes(4))}}, "vmpl", "0"),
        (3936, {"version": {"value": "1.55.29", "scheme": "semver"}}, "firmware", "1.55.29"),
    ],
)  # fmt: skip
def test_fields_of_theirs(
    make: Callable[..., bytes], key: int, value: dict[str, Any], claim: str, operand: str
) -> None:
    draft = read_corim(make(module(report(MEASURED, measurement(key, value)))), at=AT)
    assert {one.claim: one.operand for one in draft.entries}[claim] == operand
    assert not draft.unmapped


def test_a_corim_of_theirs_for_other_machines(make: Callable[..., bytes]) -> None:
    chip = {
        "environment": {"class": {"id": {"type": "uuid", "value": "dd6661f0-0928-4401-966b-589ea74e3272"}, "vendor": "V"}},
        "measurements": [{"value": {"svn": {"type": "exact-value", "value": 1}}}],
    }  # fmt: skip
    draft = read_corim(make(module(chip), {"corim-id": "x"}), at=AT)
    assert draft.platforms == []
    assert [one.what for one in draft.unmapped] == ["UUID dd6661f0-0928-4401-966b-589ea74e3272, V"]
