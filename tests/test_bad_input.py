"""Hostile and clumsy input: a typed problem and exit 1 or 2, under a second and 200 MB, never a traceback."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest.errors import AttestError, Malformed
from attest.recognise import Found, recognise
from tests.conftest import EVIDENCE, Sample
from tests.counts import tenth

MEGABYTE = 1 << 20
MEMORY_LIMIT = 200 * MEGABYTE


# Runs the command and writes its own peak memory beside the answer: the resource usage that a parent sees
# would count the parent's pages at the moment of the fork.
MEASURED = """
import re, sys, time
from attest.cli.main import main
try:
    status = main(sys.argv[1:])
except SystemExit as exit:
    status = exit.code
sys.stdout.flush()
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1)
print(peak, time.process_time(), file=sys.stderr)
sys.exit(status)
"""


def attest_command(
    *arguments: object, at: str = "2025-09-06T17:21:41Z"
) -> tuple[int, dict[str, Any], float, int]:
    """Exit status, JSON answer, seconds of processor time, and peak memory of the process in bytes.

    Its own time: on a machine that others use too, the clock on the wall says little of a command.
    """
    run = subprocess.run(
        [sys.executable, "-c", MEASURED, "verify", *map(str, arguments), "--at", at, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    measured = run.stderr.split()
    assert len(measured) == 2, run.stderr
    peak, took = measured
    return run.returncode, json.loads(run.stdout), float(took), int(peak) * 1024


def nested(depth: int) -> bytes:
    return b'{"quote":' * depth + b"1" + b"}" * depth


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


SNP = EVIDENCE / "snp-genoa"
TDX = EVIDENCE / "tdx-v4"
H100 = EVIDENCE / "h100"

CASES: dict[str, tuple[Any, int, set[str]]] = {
    "empty": (lambda make: [make("a", b"")], 2, {"evidence.malformed"}),
    "blank": (lambda make: [make("a", b" \n\n")], 2, {"evidence.malformed"}),
    "truncated report": (
        lambda make: [make("a", (SNP / "report.bin").read_bytes()[:1000])],
        2,
        {"evidence.malformed"},
    ),
    "report with a tail": (
        lambda make: [make("a", (SNP / "report.bin").read_bytes() + b"\0")],
        2,
        {"evidence.malformed"},
    ),
    "truncated quote": (
        lambda make: [make("a", (TDX / "quote.bin").read_bytes()[:3000])],
        2,
        {"evidence.malformed"},
    ),
    "truncated GPU report": (
        lambda make: [make("a", (H100 / "report.txt").read_bytes()[:4000])],
        2,
        {"nvidia.report.malformed"},
    ),
    "random text": (lambda make: [make("a", b"hello, world!\n")], 2, {"evidence.unrecognised"}),
    "a program": (
        lambda make: [Path(sys.executable).resolve()],
        2,
        {"evidence.unrecognised", "evidence.too-large"},
    ),
    "missing file": (lambda make: [SNP / "no-such-file"], 2, {"evidence.unreadable"}),
    "a folder": (lambda make: [SNP], 2, {"evidence.unreadable"}),
    "only endorsements": (lambda make: [SNP / "vcek.der"], 2, {"evidence.missing"}),
    "two reports": (
        lambda make: [
            SNP / "report.bin",
            make("b", (SNP / "report.bin").read_bytes()[:-1] + b"\1"),
            SNP / "vcek.der",
        ],
        2,
        {"evidence.several"},
    ),
    "mixed vendors": (
        lambda make: [SNP / "report.bin", TDX / "quote.bin", SNP / "vcek.der"],
        2,
        {"evidence.several"},
    ),
    "no certificate at all": (lambda make: [SNP / "report.bin"], 1, {"snp.leaf.missing"}),
    "deep JSON": (lambda make: [make("a", nested(100_000))], 2, {"evidence.malformed"}),
    "unbalanced JSON": (lambda make: [make("a", b"[" * 1_000_000)], 2, {"evidence.malformed"}),
    "JSON with a repeated key": (
        lambda make: [make("a", b'{"quote":"AA==","quote":"AA=="}')],
        2,
        {"evidence.malformed"},
    ),
    "JSON of something else": (lambda make: [make("a", b'{"hello":"world"}')], 2, {"evidence.unrecognised"}),
    "empty device list": (lambda make: [make("a", b'{"evidences":[]}')], 2, {"nvidia.no-devices"}),
    "XML with a DTD": (
        lambda make: [
            H100 / "report.txt",
            H100 / "chain.pem",
            make(
                "a.xml",
                b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;&a;">]>'
                b"<SoftwareIdentity>&c;</SoftwareIdentity>",
            ),
        ],
        2,
        {"nvidia.rim.dtd"},
    ),
    "PEM that is not base64": (
        lambda make: [make("a", b"-----BEGIN CERTIFICATE-----\n=AAA\n-----END CERTIFICATE-----\n")],
        2,
        {"x509.malformed"},
    ),
    "a private key": (
        lambda make: [make("a", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")],
        2,
        {"x509.malformed"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_t_dos_the_command_names_the_problem(case: str, make: Any) -> None:
    files, status, codes = CASES[case]
    got, answer, took, memory = attest_command(*files(make))
    found = {problem["code"] for problem in answer["problems"]}
    assert got == status, answer["problems"]
    assert found
    assert found <= codes
    assert answer["authentic"] is False
    assert answer["conforms"] is False
    assert answer["claims"] == {}
    assert answer["verdict"] == ("malformed" if status == 2 else "refused")
    assert took < 2, "under a second on an idle machine"
    assert memory < MEMORY_LIMIT


def test_a_hundred_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with open(path, "wb") as stream:
        os.truncate(stream.fileno(), 100 * MEGABYTE)
    status, answer, took, memory = attest_command(path)
    assert status == 2
    assert [problem["code"] for problem in answer["problems"]] == ["evidence.too-large"]
    assert took < 5
    assert memory < MEMORY_LIMIT


def test_the_certificate_of_another_chip(tmp_path: Path) -> None:
    other = EVIDENCE.parent.parent.parent / "shared/vectors/snp/snp-milan-v2-vcek-trustee/test-vcek.der"
    if not other.exists():
        pytest.skip("shared vectors are not beside this checkout (../shared/vectors)")
    status, answer, _, _ = attest_command(SNP / "report.bin", other)
    assert status == 1
    codes = {problem["code"] for problem in answer["problems"]}
    assert {"snp.signature.invalid", "snp.chip-id.mismatch", "snp.product.mismatch"} <= codes


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nonce", "xyz"],
        ["--at", "yesterday"],
        ["--nonce", "00"],
        ["--key", "{}"],
        ["--gpu-nonce", "00"],
        ["--report-data", "00" * 65],
        ["--fetch", "--pccs", "pccs.example"],
        ["--nonce", "00" * 32, "--report-data", "00"],
        ["--no-such-option"],
    ],
)
def test_wrong_use_is_status_2_and_still_json(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "attest.cli.main", "verify", str(SNP / "report.bin"), "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert [problem["code"] for problem in json.loads(run.stdout)["problems"]] == ["usage"]
    assert run.stderr == ""


@settings(max_examples=tenth(3000), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.binary(max_size=400)
    | st.binary(max_size=60).map(lambda tail: b"\x11\xe0\x01\xff" + tail)
    | st.binary(max_size=60).map(lambda tail: b"\x04\0\x02\0\x81\0\0\0" + tail)
    | st.binary(max_size=60).map(lambda tail: b"0\x82" + len(tail).to_bytes(2, "big") + tail)
    | st.binary(max_size=60).map(base64.b64encode)
    | st.text(max_size=60).map(lambda text: json.dumps({"quote": text, "evidences": text}).encode())
    | st.text(max_size=60).map(lambda text: f"<SoftwareIdentity>{text}</SoftwareIdentity>".encode())
)
def test_any_bytes_are_recognised_or_malformed(data: bytes) -> None:
    found = Found()
    try:
        recognise("any", data, found)
    except Malformed:
        return
    with contextlib.suppress(AttestError):
        found.evidence()


def test_evidence_given_twice_counts_once(td: Sample) -> None:
    found = Found()
    raw = td.read("quote.bin")
    recognise("raw", raw, found)
    recognise("hex", raw.hex().encode(), found)
    recognise("base64", base64.b64encode(raw), found)
    recognise("json", json.dumps({"quote": base64.b64encode(raw).decode()}).encode(), found)
    assert len(found.cpus) == 1
