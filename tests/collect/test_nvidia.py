"""GPUs through NVML's Python interface, with a stand-in of the same function names."""

from __future__ import annotations

import base64
import ctypes
from types import SimpleNamespace
from typing import Any

import pytest

from attest.collect.errors import CollectError
from attest.collect.nvidia import collect_gpus
from attest.loader import load
from attest.simulator import Simulator
from attest.simulator.certificates import pem
from tests.conftest import Vectors

NONCE = bytes(range(32))


class FakeNvmlError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


class Settings(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint), ("rest", ctypes.c_uint * 3), ("multiGpuMode", ctypes.c_uint))


class FakeNvml:
    """count GPUs of the simulator. cc: ccFeature. fails: function → what it raises. calls: in order.
    canned: a report and chain that answer whatever is asked."""

    NVMLError = FakeNvmlError
    c_nvmlSystemConfComputeSettings_v1_t = Settings

    def __init__(self, simulator: Simulator, count: int = 1, *, cc: int = 1) -> None:
        self._simulator, self._count, self._cc = simulator, count, cc
        self.fails: dict[str, int] = {}
        self.calls: list[str] = []
        self.canned: tuple[bytes, bytes] | None = None
        self.sizes: tuple[int, int] | None = None

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.fails:
            raise FakeNvmlError(self.fails[name])

    def nvmlInit(self) -> None:
        self._called("nvmlInit")

    def nvmlShutdown(self) -> None:
        self._called("nvmlShutdown")

    def nvmlSystemGetConfComputeState(self) -> Any:
        self._called("state")
        return SimpleNamespace(environment=1, ccFeature=self._cc, devToolsMode=0)

    def nvmlSystemGetConfComputeSettings(self, settings: Any) -> int:
        self._called("settings")
        settings._obj.multiGpuMode = 0
        return 0

    def nvmlDeviceGetCount(self) -> int:
        self._called("count")
        return self._count

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        self._called("handle")
        return index

    def nvmlDeviceGetConfComputeGpuCertificate(self, handle: int) -> Any:
        self._called("certificate")
        chain = b"".join(map(pem, self._simulator.plan_gpu(index=handle).build().chain))
        chain = self.canned[1] if self.canned else chain
        size = self.sizes[1] if self.sizes else len(chain)
        return SimpleNamespace(
            certChainSize=1,
            attestationCertChainSize=size,
            certChain=bytes(0x1000),
            attestationCertChain=chain.ljust(0x1400, b"x"),
        )

    def nvmlDeviceGetConfComputeGpuAttestationReport(self, handle: int, nonce: bytes) -> Any:
        self._called("report")
        report = (
            self.canned[0]
            if self.canned
            else self._simulator.plan_gpu(index=handle, nonce=nonce).build().report
        )
        size = self.sizes[0] if self.sizes else len(report)
        return SimpleNamespace(attestationReportSize=size, attestationReport=report.ljust(0x2000, b"x"))


def code_of(nvml: FakeNvml, nonce: bytes = NONCE) -> str:
    with pytest.raises(CollectError) as failure:
        collect_gpus(nonce, nvml)
    assert failure.value.problems[0].remedy
    return failure.value.code


def test_gpus_one_after_another_and_the_library_is_closed(simulator: Simulator) -> None:
    nvml = FakeNvml(simulator, 3)
    gpus = collect_gpus(NONCE, nvml)
    assert len({device.report for device in gpus.devices}) == 3
    assert nvml.calls[:4] == ["nvmlInit", "state", "settings", "count"]
    assert nvml.calls[4:] == ["handle", "certificate", "report"] * 3 + ["nvmlShutdown"]


def test_the_attestation_chain_is_taken_not_the_other_one(simulator: Simulator) -> None:
    (device,) = collect_gpus(NONCE, FakeNvml(simulator)).devices
    assert device.chain == b"".join(map(pem, simulator.plan_gpu().build().chain))


@pytest.mark.parametrize(
    ("function", "number", "code"),
    [
        ("nvmlInit", 9, "collect.gpu-library"),
        ("nvmlInit", 12, "collect.gpu-library"),
        ("state", 3, "collect.gpu-mode"),
        ("state", 13, "collect.gpu-mode"),
        ("count", 4, "collect.permission"),
        ("handle", 15, "collect.gpu-failed"),
        ("report", 10, "collect.timeout"),
        ("report", 3, "collect.gpu-failed"),
        ("certificate", 13, "collect.gpu-failed"),
        ("settings", 999, "collect.gpu-failed"),
    ],
)
def test_the_librarys_errors_have_codes(simulator: Simulator, function: str, number: int, code: str) -> None:
    nvml = FakeNvml(simulator)
    nvml.fails[function] = number
    assert code_of(nvml) == code


def test_confidential_computing_off(simulator: Simulator) -> None:
    nvml = FakeNvml(simulator, cc=0)
    assert code_of(nvml) == "collect.gpu-mode"
    assert "report" not in nvml.calls


@pytest.mark.parametrize("size", [0, 0x2001])
def test_a_size_beyond_the_structure_is_refused(simulator: Simulator, size: int) -> None:
    nvml = FakeNvml(simulator)
    nvml.sizes = (size, 100)
    assert code_of(nvml) == "collect.inconsistent"
    nvml.sizes = (100, size)
    assert code_of(nvml) == "collect.inconsistent"


def test_a_nonce_is_32_bytes(simulator: Simulator) -> None:
    assert code_of(FakeNvml(simulator), NONCE[:31]) == "collect.bad-request"


def test_real_bytes_for_another_nonce_are_inconsistent(simulator: Simulator, vectors: Vectors) -> None:
    evidence, _ = load(vectors.path(vectors.cases["gpu-hopper-590-sdk"]["files"]["evidence_json"]))
    device: Any = evidence.devices[0]
    nvml = FakeNvml(simulator)
    nvml.canned = device.report.raw, b"".join(pem(certificate.der) for certificate in device.chain)
    assert code_of(nvml) == "collect.inconsistent"
    (collected,) = collect_gpus(device.report.request_nonce, nvml).devices
    assert base64.b64decode(collected.member()["evidence"]) == device.report.raw


def test_a_chain_of_no_nvidia_device_is_refused(simulator: Simulator) -> None:
    nvml = FakeNvml(simulator)
    nvml.canned = simulator.plan_gpu(nonce=NONCE).build().report, pem(simulator.snp().certificates[0])
    (device,) = collect_gpus(NONCE, nvml).devices
    with pytest.raises(CollectError):
        device.member()
