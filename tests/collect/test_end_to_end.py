"""`attest collect`, then `attest verify` of what it wrote: each platform, CPU and GPUs together."""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attest.cli.collect import run
from attest.cli.main import build_parser, main
from attest.collect import Interfaces, Machine
from attest.collect.snp_device import Spacing
from attest.collect.tsm import TsmDirectory
from attest.simulator import Simulator
from attest.simulator.certificates import pem
from attest.snp.certificate_table import NAMES
from tests.collect.conftest import MetadataService, SoftwareTpm
from tests.collect.kernel import Clock, KernelTsm, certificate_table, snp_kernel
from tests.collect.test_azure import Guest
from tests.collect.test_nvidia import FakeNvml
from tests.collect.test_snp_device import Firmware
from tests.collect.test_tdx_device import Module, Service
from tests.conftest import NOON

NONCE = hashlib.sha256(b"a broker's challenge").digest()
GUIDS = {name: guid for guid, name in NAMES.items()}


def jwk(text: str = "workload") -> dict[str, str]:
    def coordinate(name: str) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).rstrip(b"=").decode()

    return {
        "alg": "ECDH-ES+A256KW",
        "crv": "P-256",
        "kty": "EC",
        "x": coordinate(text + "x"),
        "y": coordinate(text),
    }


def site_key() -> dict[str, str]:
    public = hashlib.sha256(b"a site's key").digest()

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return {
        "alg": "DHKEM-X25519-HKDF-SHA256",
        "crv": "X25519",
        "kid": encoded(hashlib.sha256(public).digest()[:16]),
        "kty": "OKP",
        "use": "direct",
        "x": encoded(public),
    }


def arguments(*given: str) -> argparse.Namespace:
    return build_parser("collect").parse(["collect", *given])


class Bench:
    """One simulated machine: where its files are, and a folder with its endorsements."""

    def __init__(self, folder: Path, simulator: Simulator) -> None:
        self.folder, self.simulator = folder, simulator
        self.root = folder / "root"
        self.root.mkdir()
        self.bundle = folder / "machine.bundle.json"
        self.key = folder / "key.json"
        self.key.write_text(json.dumps(jwk()))
        self.interfaces: dict[str, Any] = {}
        self.machine: dict[str, Any] = {}
        self.endorsements: dict[str, bytes] = {}

    def put(self, path: str, data: bytes = b"") -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def collect(self, *more: str, nonce: bytes = NONCE) -> int:
        clock = Clock()
        machine: dict[str, Any] = {
            "root": self.root,
            "now": lambda: NOON,
            "clock": clock,
            "sleep": clock.sleep,
        }
        machine |= self.machine
        return run(
            arguments("-o", str(self.bundle), "--nonce", nonce.hex(), *more),
            Machine(**machine),
            Interfaces(**self.interfaces),
        )

    def verify(self, capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
        """The answer of `attest verify` on the bundle and the endorsements beside it."""
        roots = self.folder / "roots.pem"
        roots.write_bytes(self.simulator.roots_pem)
        files = []
        for name, data in self.endorsements.items():
            file = self.folder / name
            file.write_bytes(data)
            files.append(str(file))
        capsys.readouterr()
        main(["verify", str(self.bundle), *files, "--simulator-root", str(roots), "--at", NOON.isoformat(), "--json", *more])  # fmt: skip
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    def kinds(self) -> list[str]:
        return [entry["kind"] for entry in json.loads(self.bundle.read_bytes())["entries"]]


Made = Callable[[], Bench]


@pytest.fixture
def bench(tmp_path: Path, simulator: Simulator) -> Bench:
    return Bench(tmp_path, simulator)


@pytest.fixture
def snp(bench: Bench, simulator: Simulator) -> Bench:
    """A host that gives certificates, and a folder with the list."""
    made = simulator.snp()
    leaf, ask, ark = made.certificates
    table = certificate_table({GUIDS["vcek"]: leaf, GUIDS["ask"]: pem(ask), GUIDS["ark"]: ark})
    bench.interfaces["tsm"] = snp_kernel(simulator, auxblob=table.ljust(0x4000, b"\0"))
    bench.endorsements = {"ark.crl": made.files["simulated-ark.crl"]}
    return bench


@pytest.fixture
def tdx(bench: Bench, simulator: Simulator) -> Bench:
    made = simulator.tdx(event_log=True)
    bench.interfaces["tsm"] = KernelTsm(
        "tdx_guest", lambda data, _: simulator.tdx(event_log=True, report_data=data).raw
    )
    bench.put("/sys/firmware/acpi/tables/data/CCEL", made.files["simulated-ccel.bin"])
    apart = ("simulated-quote.bin", "simulated-ccel.bin")
    bench.endorsements = {name: data for name, data in made.files.items() if name not in apart}
    return bench


def with_gpus(bench: Bench, simulator: Simulator, count: int = 2) -> Bench:
    bench.interfaces["nvml"] = FakeNvml(simulator, count)
    made = simulator.gpu()
    bench.endorsements |= {n: d for n, d in made.files.items() if n != "simulated-gpu-evidence.json"}
    return bench


def told(answer: dict[str, Any]) -> Any:
    return answer["authentic"], answer["problems"]


def test_snp_by_configfs(snp: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert snp.collect("--key", str(snp.key)) == 0
    assert snp.kinds() == ["snp-report", "certificates", "certificates", "certificates"]
    answer = snp.verify(capsys, "--nonce", NONCE.hex(), "--key", str(snp.key))
    assert told(answer) == (True, [])
    assert answer["claims"]["binding"] == {"nonce": "true", "key": "true"}


def test_tdx_by_configfs_with_its_event_log(tdx: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert tdx.collect("--key", str(tdx.key)) == 0
    assert tdx.kinds() == ["tdx-quote", "ccel"]
    answer = tdx.verify(capsys, "--nonce", NONCE.hex(), "--key", str(tdx.key))
    assert told(answer) == (True, [])
    assert answer["claims"]["tdx"]["event-log"] == "replayed"


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_cpu_and_gpus_together(
    kind: str, request: pytest.FixtureRequest, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = with_gpus(request.getfixturevalue(kind), simulator)
    assert bench.collect("--key", str(bench.key), "--gpus", "require") == 0
    assert "additional-evidence" in bench.kinds()
    answer = bench.verify(capsys, "--nonce", NONCE.hex(), "--key", str(bench.key))
    assert told(answer) == (True, [])
    assert len(answer["claims"]["gpu"]) == 2
    assert answer["claims"]["binding"]["gpu-to-cpu"] == "true"


def test_without_a_key_none_is_bound(snp: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert snp.collect() == 0
    answer = snp.verify(capsys, "--nonce", NONCE.hex())
    assert answer["claims"]["binding"] == {"nonce": "true", "key": "false"}


@pytest.mark.parametrize("other", ["nonce", "key"])
def test_another_challenge_or_key_refuses_what_was_collected(
    snp: Bench, other: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert snp.collect("--key", str(snp.key)) == 0
    nonce = NONCE[::-1] if other == "nonce" else NONCE
    key = jwk("another") if other == "key" else jwk()
    answer = snp.verify(capsys, "--nonce", nonce.hex(), "--key", json.dumps(key))
    assert {problem["code"] for problem in answer["problems"]} == {"binding.report-data"}


def test_a_site_is_collected_in_its_own_domain(
    snp: Bench, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-CROSS: the browser takes it, a broker does not."""
    bench = with_gpus(snp, simulator, 1)
    bench.key.write_text(json.dumps(site_key()))
    origins = ["--origin", "https://chat.example", "--origin", "https://a.example"]
    assert bench.collect("--site", "--key", str(bench.key), *origins) == 0
    assert "site-statement" in bench.kinds()
    asked = ["--nonce", NONCE.hex()]
    statement = next(
        json.loads(base64.b64decode(entry["data"]))
        for entry in json.loads(bench.bundle.read_bytes())["entries"]
        if entry["kind"] == "site-statement"
    )
    assert statement["origins"] == ["https://a.example", "https://chat.example"]
    answer = bench.verify(capsys, *asked, "--origin", "https://chat.example")
    assert told(answer) == (True, [])
    answer = bench.verify(capsys, *asked, "--origin", "https://evil.example")
    assert "binding.origin" in {problem["code"] for problem in answer["problems"]}
    answer = bench.verify(capsys, *asked)
    assert "binding.domain" in {problem["code"] for problem in answer["problems"]}


def test_snp_by_its_device(bench: Bench, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    made = simulator.snp()
    clock = Clock()
    leaf, ask, ark = made.certificates
    table = certificate_table({GUIDS["vcek"]: leaf, GUIDS["ask"]: ask, GUIDS["ark"]: ark})
    firmware = Firmware(lambda data, vmpl: simulator.snp(report_data=data, vmpl=vmpl).raw, table)
    bench.interfaces |= {"ioctl": firmware, "spacing": Spacing(2.0, clock, clock.sleep)}
    bench.put("/dev/sev-guest")
    assert bench.collect("--key", str(bench.key)) == 0
    bench.endorsements = {"ark.crl": made.files["simulated-ark.crl"]}
    assert told(bench.verify(capsys, "--nonce", NONCE.hex(), "--key", str(bench.key))) == (True, [])


def test_the_device_is_asked_at_the_guests_own_level(bench: Bench, simulator: Simulator) -> None:
    firmware = Firmware(lambda data, vmpl: simulator.snp(report_data=data, vmpl=vmpl).raw)
    bench.interfaces |= {"ioctl": firmware, "spacing": Spacing(0.0)}
    bench.put("/dev/sev-guest")
    bench.put("/sys/devices/system/cpu/sev/vmpl", b"2\n")
    assert bench.collect() == 0
    report = base64.b64decode(json.loads(bench.bundle.read_bytes())["entries"][0]["data"])
    assert report[0x30] == 2


def test_tdx_by_its_device_and_the_hosts_quoting_service(
    bench: Bench, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    service = Service(lambda report: simulator.tdx(report_data=report[128:192]).raw)
    bench.interfaces |= {"ioctl": Module(), "quote_service": service.connect}
    bench.put("/dev/tdx_guest")
    assert bench.collect("--key", str(bench.key)) == 0
    files = simulator.tdx().files
    bench.endorsements = {name: data for name, data in files.items() if name != "simulated-quote.bin"}
    assert told(bench.verify(capsys, "--nonce", NONCE.hex(), "--key", str(bench.key))) == (True, [])


@pytest.mark.parametrize("kind", ["snp", "tdx"])
def test_azure_by_its_tpm(
    kind: str,
    bench: Bench,
    simulator: Simulator,
    swtpm: SoftwareTpm,
    metadata_service: MetadataService,
    capsys: pytest.CaptureFixture[str],
) -> None:
    guest = Guest(kind, simulator, swtpm, metadata_service)
    bench.interfaces["tpm"] = guest.played
    bench.machine |= {"metadata": metadata_service.url, "sleep": guest.played.sleep}
    assert bench.collect("--key", str(bench.key)) == 0
    assert bench.kinds()[0] == "azure-evidence"
    made = (simulator.snp if kind == "snp" else simulator.tdx)()
    apart = ("simulated-report.bin", "simulated-quote.bin")
    bench.endorsements = {name: data for name, data in made.files.items() if name not in apart}
    answer = bench.verify(capsys, "--nonce", NONCE.hex(), "--key", str(bench.key))
    assert told(answer)[0], answer["problems"]
    assert answer["claims"]["binding"]["nonce"] == "true"
    assert answer["claims"]["raw"]["azure"]["paravisor_says"]["azure"]["user-data-bound"] == "true"


def test_a_directory_with_the_kernels_attributes(
    bench: Bench, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Real files below --root, so that the opens, reads and writes are those of the kernel's tree."""
    kernel = snp_kernel(simulator)
    folder = bench.root / "sys/kernel/config/tsm/report"
    folder.mkdir(parents=True)
    bench.interfaces["tsm"] = Played(folder, kernel)
    assert bench.collect("--key", str(bench.key)) == 0
    assert list(folder.iterdir()) == []
    made = simulator.snp()
    bench.endorsements = {n: d for n, d in made.files.items() if n != "simulated-report.bin"}
    assert told(bench.verify(capsys, "--nonce", NONCE.hex(), "--key", str(bench.key))) == (True, [])


class Played(TsmDirectory):
    """The kernel's part in a plain folder: attributes appear with the entry, change with each write, and go with it."""

    def __init__(self, report: Path, kernel: KernelTsm) -> None:
        super().__init__(report)
        self._folder, self._kernel = report, kernel

    def _show(self, entry: str) -> None:
        for attribute in self._kernel.attributes():
            try:
                data = self._kernel.read(entry, attribute, 1 << 20)
            except OSError:
                data = b""
            (self._folder / entry / attribute).write_bytes(data)

    def mkdir(self, entry: str) -> None:
        super().mkdir(entry)
        self._kernel.mkdir(entry)
        self._show(entry)

    def write(self, entry: str, attribute: str, data: bytes) -> None:
        super().write(entry, attribute, data)
        written = (self._folder / entry / attribute).read_bytes()[: len(data)]
        self._kernel.write(entry, attribute, written)
        self._show(entry)

    def rmdir(self, entry: str) -> None:
        for file in (self._folder / entry).iterdir():
            os.unlink(file)
        super().rmdir(entry)
        self._kernel.rmdir(entry)
