"""Files that were given and made no difference are named: a person gave them for a reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from attest.cli.main import main
from attest.simulator import Simulator
from tests.conftest import EVIDENCE

SNP = [str(EVIDENCE / "snp-genoa" / name) for name in ("report.bin", "vcek.der", "ark.crl")]
TDX = [str(EVIDENCE / "tdx-v4" / name) for name in ("quote.bin", "collateral.json")]
GPU = [
    str(EVIDENCE / "h100" / name) for name in ("report.txt", "chain.pem", "driver-rim.xml", "vbios-rim.xml")
]
AT = {"snp": "2025-09-06T17:21:41Z", "tdx": "2025-06-22T10:32:27Z", "gpu": "2025-10-24T18:00:00Z"}


def not_used(capsys: pytest.CaptureFixture[str], at: str, *files: str) -> list[str]:
    """As JSON says it, and the text the same."""
    arguments = [*files, "--at", at]
    assert main(["verify", *arguments, "--json"]) == 0
    said: list[str] = json.loads(capsys.readouterr().out).get("not_used", [])
    for command in (["verify"], ["policy", "explain", "defaults"]):
        main([*command, *arguments])
        text = " ".join(capsys.readouterr().out.split())
        assert ("not used: " + ", ".join(said) in text) if said else "not used" not in text
    return said


@pytest.mark.parametrize(
    ("at", "own", "others"),
    [
        ("snp", SNP, [*TDX[1:], *GPU[1:]]),
        ("tdx", TDX, [*SNP[1:], *GPU[1:]]),
        ("gpu", GPU, [*SNP[1:], *TDX[1:]]),
    ],
)
def test_another_vendors_files_are_named_and_none_of_its_own(
    at: str, own: list[str], others: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not_used(capsys, AT[at], *own) == []
    assert not_used(capsys, AT[at], *own, *others) == others


def written(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [str(folder / name) for name in files]


def test_another_chips_certificate_and_another_versions_manifest_are_named(
    simulator: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root,) = written(tmp_path, {"root.pem": simulator.roots_pem})
    for mine, other, kinds in (
        (simulator.snp(), simulator.snp(product="milan"), ("vcek", "ark")),
        (
            simulator.gpu(),
            simulator.gpu(driver="580.65.06", index=1),
            ("NV_GPU_DRIVER",),
        ),
        (simulator.gpu(), simulator.gpu(architecture="blackwell"), ("ocsp-gb100-provisioner", "VBIOS")),
    ):
        files = written(tmp_path / "mine", mine.files)
        strange = {name: data for name, data in other.files.items() if any(kind in name for kind in kinds)}
        strangers = written(tmp_path / "other", strange)
        assert strangers
        assert not_used(capsys, mine.at.isoformat(), *files, "--simulator-root", root) == []
        assert (
            not_used(capsys, mine.at.isoformat(), *files, *strangers, "--simulator-root", root) == strangers
        )
