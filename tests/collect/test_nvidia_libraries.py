"""NVIDIA's libraries as shared libraries: loaded by the loader, called through ctypes, answering real evidence.

The stand-ins are compiled here; they hold the vendors' structures, so that a wrong size or order shows.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attest.loader import load
from attest.nvidia.containers import DeviceEvidence
from attest.simulator import Simulator
from attest.simulator.certificates import pem
from tests.conftest import ROOT, Vectors

HERE = Path(__file__).parent
NONCE = bytes(range(32))


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libnvidia-ml.so.1, one of an old driver, and libnvidia-nscq.so.2."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-ins of NVIDIA's libraries with")
    folder = tmp_path_factory.mktemp("libraries")
    for target, source, soname, more in (
        ("nvml.so", "nvml_stub.c", "libnvidia-ml.so.1", []),
        ("old.so", "nvml_stub.c", "libnvidia-ml.so.1", ["-DOLD"]),
        ("nscq.so", "nscq_stub.c", "libnvidia-nscq.so.2", []),
    ):
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", f"-Wl,-soname,{soname}", *more, "-o", folder / target, HERE / source],
            check=True,
            timeout=60,
        )  # fmt: skip
    return folder


class Board:
    """What the stand-ins answer: a folder of files."""

    def __init__(self, folder: Path, libraries: Path) -> None:
        self.folder, self.libraries = folder, libraries

    def put(self, kind: str, index: int, report: bytes, chain: list[bytes]) -> None:
        (self.folder / f"{kind}{index}.report").write_bytes(report)
        (self.folder / f"{kind}{index}.pem").write_bytes(b"".join(map(pem, chain)))

    def state(self, text: str) -> None:
        (self.folder / "state").write_text(text)

    def put_evidence(self, kind: str, devices: list[DeviceEvidence]) -> bytes:
        """Real devices; returns the nonce they were asked with."""
        for index, device in enumerate(devices):
            self.put(kind, index, device.report.raw, [certificate.der for certificate in device.chain or ()])
        return devices[0].report.request_nonce

    def collect(
        self, nonce: bytes = NONCE, nvml: str = "nvml.so", nscq: str = "nscq.so", seconds: float = 10.0
    ) -> dict[str, Any]:
        files = [str(self.libraries / name) for name in (nvml, nscq)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.collect.loaded", nonce.hex(), *files, str(seconds)],
            cwd=ROOT,
            env={"STUB_DIR": str(self.folder), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer


@pytest.fixture
def board(tmp_path: Path, libraries: Path) -> Board:
    return Board(tmp_path, libraries)


@pytest.fixture
def two_gpus(board: Board, simulator: Simulator) -> Board:
    for index in range(2):
        device = simulator.plan_gpu(nonce=NONCE, index=index).build()
        board.put("gpu", index, device.report, device.chain)
    board.state("1 0 2")
    return board


def test_every_gpu_is_asked_with_the_nonce_and_its_answer_kept_whole(two_gpus: Board) -> None:
    answer = two_gpus.collect()
    assert answer["protected_pcie"] is False
    for index, (report, member) in enumerate(zip(answer["reports"], answer["devices"], strict=True)):
        assert (two_gpus.folder / f"gpu{index}.nonce").read_bytes() == NONCE
        assert base64.b64decode(report) == (two_gpus.folder / f"gpu{index}.report").read_bytes()
        assert base64.b64decode(member["certificate"]) == (two_gpus.folder / f"gpu{index}.pem").read_bytes()
        assert member["arch"] == "HOPPER"


def test_one_gpu_that_fails_fails_all(two_gpus: Board) -> None:
    """Fewer reports than there are GPUs would be a list that verifies."""
    for number, code in ((15, "gpu-failed"), (3, "gpu-failed"), (4, "permission"), (999, "gpu-failed")):
        (two_gpus.folder / "gpu1.error").write_text(str(number))
        answer = two_gpus.collect()
        assert answer["code"] == f"collect.{code}"
        assert "gpu[1]" in answer["where"]
        assert answer["remedy"]


def test_a_gpu_that_hangs_is_waited_for_so_long_and_no_longer(two_gpus: Board) -> None:
    (two_gpus.folder / "gpu1.error").write_text("10")
    assert two_gpus.collect(seconds=2.0)["code"] == "collect.timeout"


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("0 0 2", "collect.gpu-mode"),
        ("error 3", "collect.gpu-mode"),
        ("error 13", "collect.gpu-mode"),
        ("error 9", "collect.gpu-library"),
        ("error 4", "collect.permission"),
        ("1 0 0", "collect.gpu-failed"),
    ],
)
def test_a_machine_without_confidential_gpus(two_gpus: Board, state: str, code: str) -> None:
    two_gpus.state(state)
    assert two_gpus.collect()["code"] == code


def test_a_driver_too_old_to_know_protected_pcie(two_gpus: Board) -> None:
    answer = two_gpus.collect(nvml="old.so")
    assert answer["protected_pcie"] is None
    assert len(answer["devices"]) == 2


def test_a_library_that_is_not_there(two_gpus: Board) -> None:
    assert two_gpus.collect(nvml="none.so")["code"] == "collect.gpu-library"


def test_an_answer_to_another_nonce_is_refused(two_gpus: Board) -> None:
    assert two_gpus.collect(bytes(32)[:-1] + b"\x01")["code"] == "collect.inconsistent"


def test_real_gpus_pass_through_unchanged(board: Board, vectors: Vectors) -> None:
    evidence, _ = load(vectors.path(vectors.cases["gpu-hopper-multi4-sdk"]["files"]["evidence_json"]))
    devices: list[Any] = list(evidence.devices)
    nonce = board.put_evidence("gpu", devices)
    board.state(f"1 0 {len(devices)}")
    answer = board.collect(nonce)
    assert [base64.b64decode(report) for report in answer["reports"]] == [one.report.raw for one in devices]


@pytest.fixture
def eight_and_four(board: Board, vectors: Vectors) -> tuple[Board, bytes]:
    """A real protected PCIe machine: eight GPUs, four switches."""
    nonces = set()
    for kind, case in (("gpu", "ppcie-8gpu-hopper-nvtrust"), ("switch", "ppcie-4switch-nvtrust")):
        evidence, _ = load(vectors.path(vectors.cases[case]["files"]["evidence_json"]))
        devices: list[Any] = list(evidence.devices)
        nonces.add(board.put_evidence(kind, devices))
    board.state("1 1 8")
    (nonce,) = nonces
    return board, nonce


def test_protected_pcie_brings_all_gpus_and_all_switches_with_one_nonce(
    eight_and_four: tuple[Board, bytes],
) -> None:
    board, nonce = eight_and_four
    answer = board.collect(nonce)
    assert answer["protected_pcie"] is True
    assert [member["arch"] for member in answer["devices"]] == ["HOPPER"] * 8 + ["LS10"] * 4
    assert (board.folder / "switch.nonce").read_bytes() == nonce
    written = (board.folder / "switch3.report").read_bytes()
    assert base64.b64decode(answer["reports"][11]) == written


def test_protected_pcie_without_its_switches_is_no_evidence(eight_and_four: tuple[Board, bytes]) -> None:
    board, nonce = eight_and_four
    assert board.collect(nonce, nscq="none.so")["code"] == "collect.switches"
    (board.folder / "switch2.error").write_text("-7")
    assert board.collect(nonce)["code"] == "collect.switches"
    (board.folder / "nscq.error").write_text("1")
    assert "driver's" in board.collect(nonce)["remedy"]
    (board.folder / "nscq.error").write_text("0")
    for file in board.folder.glob("switch*"):
        file.unlink()
    assert board.collect(nonce)["code"] == "collect.switches"


def test_a_switch_that_answers_another_nonce_is_refused(two_gpus: Board, vectors: Vectors) -> None:
    evidence, _ = load(vectors.path(vectors.cases["ppcie-4switch-nvtrust"]["files"]["evidence_json"]))
    devices: list[Any] = list(evidence.devices)
    assert two_gpus.put_evidence("switch", devices) != NONCE
    two_gpus.state("1 1 2")
    answer = two_gpus.collect()
    assert (answer["code"], answer["where"][:6]) == ("collect.inconsistent", "switch")
