"""The folder of endorsements: read on change, never lost to a bad file."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest import Malformed
from attest.simulator import Simulator
from kbs.collateral import Folder, NoCollateral


@pytest.fixture
def folder(tmp_path: Path, simulator: Simulator) -> Path:
    for name, content in simulator.machine(nonce=bytes(range(32))).files.items():
        if name != "simulated-machine.json":
            (tmp_path / name).write_bytes(content)
    return tmp_path


def test_folder_is_read_and_keeps_its_epoch_while_nothing_changes(folder: Path) -> None:
    kept = Folder(folder)
    first = kept.current()
    assert first.endorsements.crls
    assert first.endorsements.rims
    assert kept.current() is first


def test_new_file_makes_a_new_epoch(folder: Path) -> None:
    crl = (folder / "simulated-ark.crl").read_bytes()
    (folder / "simulated-ark.crl").unlink()
    kept = Folder(folder)
    before = kept.current()
    assert not before.endorsements.crls
    (folder / "simulated-ark.crl").write_bytes(crl)
    after = kept.current()
    assert after.name != before.name
    assert after.endorsements.crls


def test_bad_file_keeps_the_last_good_content_until_it_is_repaired(folder: Path) -> None:
    kept = Folder(folder)
    before = kept.current()
    (folder / "bad").write_bytes(b"neither")
    assert kept.current() is before
    (folder / "bad").unlink()
    assert kept.current().name == before.name


def test_bad_file_or_evidence_at_start_is_an_error(folder: Path, simulator: Simulator) -> None:
    (folder / "bad").write_bytes(b"neither")
    with pytest.raises(Malformed):
        Folder(folder)
    machine = simulator.machine(nonce=bytes(range(32)))
    (folder / "bad").write_bytes(machine.files["simulated-machine.json"])
    with pytest.raises(Malformed):
        Folder(folder)


def test_without_a_folder_only_the_guests_own_endorsements_count() -> None:
    assert NoCollateral().current() == NoCollateral().current()
