"""What a program loads is what it uses: heavy libraries come with the rooms that need them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, Sample

HEAVY = ("fastapi", "httpx", "lxml", "pydantic", "ruamel", "signxml", "sqlalchemy", "uvicorn")
REPORT = f"""
import json, sys
print(json.dumps([name for name in {HEAVY} if name in sys.modules]), file=sys.stderr)
"""


def loaded_by(program: str, *arguments: str) -> list[str]:
    """The heavy libraries that a fresh interpreter holds after `program`."""
    done = subprocess.run(
        [sys.executable, "-c", program + REPORT, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    heavy: list[str] = json.loads(done.stderr.splitlines()[-1])
    return heavy


def verify(sample: Sample, *more: str) -> list[str]:
    program = "import sys; from attest.cli.main import main; assert main(sys.argv[1:]) == 0"
    files = [str(file) for file in sample.files]
    return loaded_by(program, "verify", *files, "--at", sample.at.isoformat(), *more)


def test_the_probe_sees_what_is_loaded() -> None:
    assert loaded_by("import lxml, pydantic") == ["lxml", "pydantic"]


@pytest.mark.parametrize(
    "program",
    [
        "import attest",
        "from attest import Cache, Expected, load, verify",
        "from attest import appraise",
        "import kbs",
        "import attest.collect",
        "from attest.cli.main import build_parser; build_parser('collect')",
    ],
)
def test_an_import_brings_no_heavy_library(program: str) -> None:
    assert loaded_by(program) == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_snp_report_is_verified_without_heavy_libraries(genoa: Sample, form: list[str]) -> None:
    assert verify(genoa, *form) == []


def test_manifests_bring_the_xml_libraries_and_nothing_else(h100: Sample) -> None:
    assert verify(h100) == ["lxml", "signxml"]
