"""Other projects' verifiers fetch from our service: go-sev-guest and go-tdx-guest, as the Go proxy has them.

Their programs are built here from tests/peers/go; without Go, or where the modules cannot be had, the tests
say so and are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.loader import load
from attest.sources.coverage import issuers_of
from attest.sources.serve import EndorsementServer
from attest.sources.shelf import Shelf
from tests.conftest import ROOT, Sample, Vectors

SOURCES = ROOT / "tests" / "peers" / "go"
LOWER_CASE_FMSPC = "tdx-v4-uptodate-nearai-20a06f"
"""go-tdx-guest compares the FMSPC as text, so it takes collateral that writes it in lower case only."""


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    out = tmp_path_factory.mktemp("go")
    built = subprocess.run(
        [go, "build", "-o", f"{out}/", "./..."],
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


@contextmanager
def serving(held: Endorsements) -> Iterator[tuple[str, list[str]]]:
    lines: list[str] = []
    shelf = Shelf(held, anchors=Anchors.production(), rim_ids={})
    with EndorsementServer(("127.0.0.1", 0), shelf.answer, lines.append) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server.url, lines
        server.shutdown()
        thread.join(5)


def ask(program: Path, evidence: Path, url: str, at: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [str(program), str(evidence), url, at],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def test_go_sev_guest_verifies_with_chain_vcek_and_list_from_here(programs: Path, genoa: Sample) -> None:
    with serving(genoa.endorsements) as (url, lines):
        report = genoa.folder / "report.bin"
        status, said = ask(programs / "kds", report, url, genoa.at.isoformat())
    assert (status, said[-1]) == (0, "verified")
    asked = [line.removeprefix("asked ").partition("?")[0] for line in said[:-1]]
    chip = report.read_bytes()[0x1A0:0x1E0].hex()
    assert asked == ["/vcek/v1/Genoa/cert_chain", f"/vcek/v1/Genoa/{chip}", "/vcek/v1/Genoa/crl"]
    assert len(lines) == 3
    assert all(" 200 " in line for line in lines)


def test_go_sev_guest_refuses_when_the_list_is_not_there(programs: Path, genoa: Sample) -> None:
    with serving(Endorsements(genoa.endorsements.certificates)) as (url, lines):
        status, said = ask(programs / "kds", genoa.folder / "report.bin", url, genoa.at.isoformat())
    assert status == 1
    assert "404" in said[-1]
    assert " 404 " in lines[-1]


def test_go_tdx_guest_verifies_with_collateral_and_lists_from_here(programs: Path, vectors: Vectors) -> None:
    files = vectors.cases[LOWER_CASE_FMSPC]["files"]
    quote = vectors.path(files["quote"])
    evidence, endorsements = load(quote, vectors.path(files["collateral"]))
    with serving(endorsements + Endorsements(issuers_of(evidence))) as (url, lines):
        status, said = ask(programs / "pcs", quote, url, vectors.at(LOWER_CASE_FMSPC).isoformat())
    assert (status, said[-1]) == (0, "verified")
    assert [line.removeprefix("asked ") for line in said if line.startswith("asked ")] == [
        "/tdx/certification/v4/tcb?fmspc=20a06f000000",
        "/tdx/certification/v4/qe/identity",
        "/sgx/certification/v4/pckcrl?ca=platform&encoding=der",
        "/IntelSGXRootCA.der",
    ]
    assert all(" 200 " in line for line in lines)
