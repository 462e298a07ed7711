"""A folder of machines: good ones, one under other roots, one that is nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Sample


@pytest.fixture
def fleet(tmp_path: Path, genoa: Sample) -> Path:
    folder = tmp_path / "fleet"
    folder.mkdir()
    for number in range(5):
        shutil.copytree(genoa.folder, folder / f"machine-{number}")
    tampered = folder / "machine-2" / report_of(genoa)
    data = bytearray(tampered.read_bytes())
    data[0x90] ^= 1
    tampered.write_bytes(data)
    (folder / "nothing").write_bytes(b"no evidence")
    (folder / ".hidden").write_bytes(b"left out")
    return folder


def report_of(genoa: Sample) -> str:
    """The name of the report among the sample's files."""
    return next(file.name for file in genoa.files if file.stat().st_size == 1184)
