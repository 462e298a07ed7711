"""Veraison's Go package `ear` reads our results with its own code, as the Go proxy has it.

The program is built from tests/peers/go/readear, a module of its own; without Go, or where the modules cannot be
had, the tests say so and are skipped. What the package marshals again is compared with what we wrote: a member it
does not know would be missing there.
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
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.evidence import Evidence
from attest.policy import Policy, appraise
from attest.result import ear
from tests.conftest import ROOT
from tests.ear.conftest import AUDIENCE, ISSUER, NONCE, P256, P384, evidence_of, rejected
from tests.policy.conftest import GPU, SNP, policy_of, tree, verified_of

__all__ = ["evidence_of"]  # a fixture of the results' room

SOURCES = ROOT / "tests" / "peers" / "go" / "readear"
REGISTERED = {"iss", "aud", "exp", "nbf", "jti"}
"""JWT's own claims, which the package leaves to its JWT library."""
M = SNP["measurement"]
PINNED = f'{{snp: {{measurement: {{is: "{M}", covers: image}}}}}}'
TERMS = ear.Terms(ISSUER, AUDIENCE, NONCE)


@pytest.fixture(scope="session")
def readear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    out = tmp_path_factory.mktemp("readear") / "readear"
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
def ask(readear: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    def run(token: bytes, key: ear.SigningKey = P256) -> subprocess.CompletedProcess[bytes]:
        pem = tmp_path / "public.pem"
        pem.write_bytes(key.public.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return subprocess.run(
            [str(readear), key.public.algorithm, str(pem)],
            input=token,
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


def result_now(evidence: Evidence, claims: dict[str, Any], policy: Policy | None) -> ear.AttestationResult:
    """The package compares times with the clock, so the result is of now."""
    now = datetime.now(UTC).replace(microsecond=0)
    return ear.of_appraisal(appraise(verified_of(claims, at=now), policy, at=now), evidence)


def payload_of(token: bytes) -> dict[str, Any]:
    segment = token.split(b".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))
    return claims


@pytest.mark.parametrize("key", [P256, P384])
@pytest.mark.parametrize(
    ("require", "gpus", "status"),
    [
        (PINNED, 0, "affirming"),
        ("{snp: {vmpl: 0}}", 2, "warning"),
        ("{snp: {smt: {is: false, else: warn, until: 2099-01-31}}}", 1, "warning"),
        ("{snp: {smt: false}}", 1, "contraindicated"),
        ("{snp: {vmpl: 0}, gpu: {vbios: {at-least: 96.00.AF}}}", 2, "contraindicated"),
    ],
)
def test_veraison_s_package_reads_what_we_wrote(
    ask: Callable[..., Any],
    evidence_of: Callable[..., Evidence],
    key: ear.SigningKey,
    require: str,
    gpus: int,
    status: str,
) -> None:
    claims = tree(snp=SNP, gpu=[{**GPU, "id": f"{number:02x}" * 20} for number in range(gpus)] or None)
    evidence = evidence_of({**claims, "gpu": claims.get("gpu", [])})
    token = ear.issue(result_now(evidence, claims, policy_of(require)), TERMS, key=key, spelling="veraison")
    said = ask(token, key)
    assert said.returncode == 0, said.stderr
    read = json.loads(said.stdout)
    assert {part["ear.status"] for part in read["submods"].values()} == {status}
    assert len(read["submods"]) == gpus + 1
    ours = payload_of(token)
    assert read == {name: value for name, value in ours.items() if name not in REGISTERED}


def test_veraison_s_package_reads_a_refusal_of_what_is_not_genuine(
    ask: Callable[..., Any],
    evidence_of: Callable[..., Evidence],
) -> None:
    now = datetime.now(UTC)
    result = ear.of_rejected(rejected(), evidence_of(tree(snp=SNP)), at=now, simulated=False)
    said = ask(ear.issue(result, TERMS, key=P256, spelling="veraison"))
    assert said.returncode == 0, said.stderr
    part = json.loads(said.stdout)["submods"]["cpu0"]
    assert part["ear.status"] == "contraindicated"
    assert set(part["ear.trustworthiness-vector"].values()) == {99}


@pytest.mark.parametrize("make", [ear.of_malformed, ear.of_fault])
def test_veraison_s_package_reads_a_result_that_claims_nothing(
    ask: Callable[..., Any], make: Callable[..., ear.AttestationResult]
) -> None:
    said = ask(ear.issue(make(at=datetime.now(UTC)), TERMS, key=P256, spelling="veraison"))
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["submods"]["cpu0"]["ear.status"] == "none"


def test_veraison_s_package_refuses_what_was_changed(
    ask: Callable[..., Any],
    evidence_of: Callable[..., Evidence],
) -> None:
    claims = tree(snp=SNP)
    result = result_now(evidence_of(claims), claims, policy_of("{snp: {smt: false}}"))
    token = ear.issue(result, TERMS, key=P256, spelling="veraison")
    head, payload, signature = token.split(b".")
    raw = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    better = raw.replace(b"contraindicated", b"affirming")
    assert better != raw
    forged = b".".join([head, base64.urlsafe_b64encode(better).rstrip(b"="), signature])
    assert ask(forged).returncode == 1
    assert ask(token, P256).returncode == 0
    assert b"failed verifying" in ask(forged).stderr
