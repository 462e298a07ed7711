"""Confidential NVIDIA GPUs through NVML: every GPU of the machine, or none.

Source: NVIDIA Management Library, confidential computing queries. Reports that fewer GPUs gave than there
are would be a shorter list that verifies; so one that fails fails all.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from attest.binding import equal
from attest.collect.deadline import within
from attest.collect.errors import CollectError, failure
from attest.errors import Malformed
from attest.nvidia.family import Family
from attest.x509 import parse_certificates

SECONDS = 30.0
"""For one call: a lost GPU hangs its driver."""
MAX_REPORT, MAX_CHAIN = 0x2000, 0x1400
NONCE = 32
PROTECTED_PCIE = 1
"""multiGpuMode of the system's settings."""
_MAGIC = b"\x11\xe0\x01\xff"
_ARCHITECTURES = {"hopper": "HOPPER", "blackwell": "BLACKWELL", "ls10": "LS10"}

_CODES = {3: "gpu-mode", 4: "permission", 9: "gpu-library", 10: "timeout", 12: "gpu-library", 13: "gpu-mode"}
_REMEDIES = {
    4: "run as root, or give this user's group access to /dev/nvidia*",
    9: "load NVIDIA's kernel module: modprobe nvidia",
    12: "install NVIDIA's driver: libnvidia-ml.so.1 is not in the loader's path",
    15: "the GPU has fallen off the bus: restart the guest",
}
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Device:
    """One device's answer. report: SPDM request, response and signature. chain: PEM, leaf first."""

    report: bytes
    chain: bytes

    def member(self) -> dict[str, str]:
        """As guests of the key broker protocol send it. The architecture is read off the certificates."""
        entry = {
            "arch": "",
            "uuid": "unknown",
            "evidence": _base64(self.report),
            "certificate": _base64(self.chain),
        }
        try:
            family = Family.of_name(parse_certificates(self.chain, where="certificate")[0].common_name)
        except (Malformed, IndexError):
            family = None
        if family is None:
            raise failure("collect.gpu-failed", where="certificate", expected="a chain of an NVIDIA device")
        return {**entry, "arch": _ARCHITECTURES[family.architecture]}


@dataclass(frozen=True, slots=True)
class Gpus:
    """devices: in the library's order. protected_pcie: whether switches belong to them, None for unknown."""

    devices: tuple[Device, ...]
    protected_pcie: bool | None


def load(library: str | None = None) -> Any:
    """The Python interface of NVML. library: a file to use; its SONAME is libnvidia-ml.so.1.

    Raises CollectError (`collect.gpu-library`).
    """
    try:
        import pynvml
    except ModuleNotFoundError:
        raise failure(
            "collect.gpu-library",
            message="The package nvidia-ml-py is not installed",
            remedy="pip install 'attest[collect]'",
        ) from None
    if library is not None:
        try:
            # Loaded under its own name; the interface then finds it by that.
            ctypes.CDLL(library)
        except OSError as error:
            raise failure("collect.gpu-library", where=library, found=str(error)) from None
    return pynvml


def collect_gpus(nonce: bytes, nvml: Any, *, seconds: float = SECONDS) -> Gpus:
    """Reports of all GPUs over these 32 bytes, one after another. nvml: the module, or what acts like it.

    Raises CollectError: `collect.gpu-library` without library or driver, `collect.gpu-mode` where confidential
    computing is off, `collect.gpu-failed` when one of them does not answer.
    """
    if len(nonce) != NONCE:
        raise failure("collect.bad-request", where="GPU nonce", expected=f"{NONCE} bytes", found=len(nonce))
    session = _Session(nvml, seconds)
    session.call("nvmlInit", nvml.nvmlInit)
    try:
        state = session.call("nvmlSystemGetConfComputeState", nvml.nvmlSystemGetConfComputeState)
        if not state.ccFeature:
            raise failure(
                "collect.gpu-mode", where="nvmlSystemGetConfComputeState", expected="ccFeature 1", found=0
            )
        protected = session.protected_pcie()
        count = session.call("nvmlDeviceGetCount", nvml.nvmlDeviceGetCount)
        if count < 1:
            raise failure("collect.gpu-failed", where="nvmlDeviceGetCount", expected="≥ 1", found=count)
        return Gpus(tuple(session.device(index, nonce) for index in range(count)), protected)
    finally:
        # A hung library is not shut down either; the process ends without it.
        with contextlib.suppress(CollectError):
            session.call("nvmlShutdown", nvml.nvmlShutdown)


class _Session:
    def __init__(self, nvml: Any, seconds: float) -> None:
        self._nvml, self._seconds = nvml, seconds

    def call(self, name: str, call: Callable[[], _Value], where: str = "") -> _Value:
        place = f"{where} {name}".strip()
        try:
            return within(self._seconds, place, call)
        except self._nvml.NVMLError as error:
            number = int(error.value)
            raise failure(
                f"collect.{_CODES.get(number, 'gpu-failed')}",
                where=place,
                found=f"NVML error {number}: {error}",
                remedy=_REMEDIES.get(number),
            ) from None
        except AttributeError:
            # An interface older than the library knows fewer functions.
            raise failure("collect.gpu-library", where=place, remedy="pip install -U nvidia-ml-py") from None

    def protected_pcie(self) -> bool | None:
        """None where the driver is too old to say; such drivers know no protected PCIe."""
        nvml = self._nvml
        settings = nvml.c_nvmlSystemConfComputeSettings_v1_t()
        try:
            answer = self.call(
                "nvmlSystemGetConfComputeSettings",
                lambda: nvml.nvmlSystemGetConfComputeSettings(ctypes.byref(settings)),
            )
        except CollectError as error:
            if error.code in ("collect.gpu-mode", "collect.gpu-library"):
                return None
            raise
        return None if answer else int(settings.multiGpuMode) == PROTECTED_PCIE

    def device(self, index: int, nonce: bytes) -> Device:
        nvml, name = self._nvml, f"gpu[{index}]"
        try:
            handle = self.call(
                "nvmlDeviceGetHandleByIndex", lambda: nvml.nvmlDeviceGetHandleByIndex(index), name
            )
            certificate = self.call(
                "certificate", lambda: nvml.nvmlDeviceGetConfComputeGpuCertificate(handle), name
            )
            answer = self.call(
                "report", lambda: nvml.nvmlDeviceGetConfComputeGpuAttestationReport(handle, nonce), name
            )
        except CollectError as error:
            if error.code == "collect.gpu-mode":
                # The system said that it is on: one device that cannot is not left out.
                told = error.problems[0]
                raise failure("collect.gpu-failed", where=told.where, found=told.found) from None
            raise
        report = _cut(answer.attestationReport, answer.attestationReportSize, MAX_REPORT, f"{name} report")
        chain = _cut(
            certificate.attestationCertChain,
            certificate.attestationCertChainSize,
            MAX_CHAIN,
            f"{name} certificate",
        )
        check_nonce(report, nonce, name)
        return Device(report, chain)


def check_nonce(report: bytes, nonce: bytes, name: str) -> None:
    """Raises CollectError unless the report's own request carries `nonce`."""
    if report[:4] != _MAGIC or not equal(report[4:36], nonce):
        raise failure("collect.inconsistent", where=f"{name} nonce", expected=nonce, found=report[4:36])


def _cut(array: Any, size: int, most: int, where: str) -> bytes:
    if not 0 < int(size) <= most:
        raise failure("collect.inconsistent", where=where, expected=f"1 to {most} bytes", found=int(size))
    return bytes(array)[: int(size)]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
