"""Which interface is chosen, in which order, and what is said where there is none."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from attest.collect import Broker, CollectError, Interfaces, Machine, collect
from attest.collect.azure import HCL_REPORT
from attest.collect.detect import detect
from attest.collect.tpm2 import Tpm
from attest.simulator import Simulator
from tests.collect.conftest import MetadataService, SoftwareTpm, forget
from tests.collect.kernel import certificate_table, snp_kernel, tdx_kernel
from tests.collect.test_azure import Guest
from tests.collect.test_end_to_end import GUIDS, NONCE
from tests.collect.test_nvidia import FakeNvml


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(root=tmp_path)


def put(machine: Machine, path: str) -> None:
    file = machine.path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def test_nothing_is_an_error_that_says_what_is_missing_of_each(machine: Machine) -> None:
    """And never a sample."""
    with pytest.raises(CollectError) as failure:
        detect(machine)
    first, *others = failure.value.problems
    assert first.code == "collect.no-source"
    assert len(others) == 4
    said = " ".join(f"{problem} {problem.remedy}" for problem in others)
    for word in (
        "configfs",
        "kernel 6.7",
        "modprobe tdx-guest",
        "modprobe sev-guest",
        "/dev/tpmrm0",
        "Azure",
    ):
        assert word in said


def test_configfs_without_the_module_is_told_from_configfs_not_mounted(machine: Machine) -> None:
    put(machine, "/sys/kernel/config/usb_gadget/x")
    with pytest.raises(CollectError) as failure:
        detect(machine)
    told = failure.value.problems[1]
    assert told.message == "The kernel has no report interface"
    assert "modprobe" in (told.remedy or "")


def test_nitro_is_named_and_not_mixed(machine: Machine, simulator: Simulator) -> None:
    put(machine, "/dev/nsm")
    with pytest.raises(CollectError) as failure:
        detect(machine, tsm=snp_kernel(simulator))
    assert failure.value.code == "collect.other-technology"


def test_configfs_comes_before_devices(machine: Machine, simulator: Simulator) -> None:
    put(machine, "/dev/sev-guest")
    assert detect(machine, tsm=snp_kernel(simulator)) == "tsm"


def test_a_kernel_without_a_provider_leaves_it_to_the_devices(machine: Machine, simulator: Simulator) -> None:
    kernel = snp_kernel(simulator)
    kernel.provider = None
    put(machine, "/dev/sev-guest")
    assert detect(machine, tsm=kernel) == "sev-guest"
    put(machine, "/dev/tdx_guest")
    assert detect(machine, tsm=kernel) == "tdx-guest"


def test_azure_is_found_by_what_its_tpm_holds(
    machine: Machine, simulator: Simulator, swtpm: SoftwareTpm, metadata_service: MetadataService
) -> None:
    guest = Guest("snp", simulator, swtpm, metadata_service)
    assert detect(machine, tpm=Tpm(guest.played)) == "azure"
    put(machine, "/dev/sev-guest")
    assert detect(machine, tpm=Tpm(guest.played)) == "sev-guest"


def test_a_plain_tpm_is_not_taken_for_one_that_proves_anything(
    machine: Machine, simulator: Simulator, swtpm: SoftwareTpm, metadata_service: MetadataService
) -> None:
    guest = Guest("snp", simulator, swtpm, metadata_service)
    forget(guest.played.own, HCL_REPORT)
    with pytest.raises(CollectError) as failure:
        detect(machine, tpm=Tpm(guest.played))
    assert failure.value.problems[-1].message == "The TPM is not bound to a confidential machine"


def test_a_driver_that_does_not_know_protected_pcie_is_said(machine: Machine, simulator: Simulator) -> None:
    nvml = FakeNvml(simulator)
    nvml.fails["settings"] = 13
    given = Interfaces(tsm=snp_kernel(simulator), nvml=nvml)
    collected = collect(Broker(NONCE), machine, interfaces=given)
    assert collected.devices == 1
    assert any("switches were not asked" in note for note in collected.notes)


def test_a_device_that_may_not_be_opened_is_a_matter_of_permission() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        machine = Machine(root=Path(folder))
        put(machine, "/dev/sev-guest")
        machine.sev_guest.chmod(0)
        mine = os.geteuid()
        if mine == 0:
            os.setresuid(65534, 65534, 0)  # root may open everything
        try:
            with pytest.raises(CollectError) as failure:
                detect(machine)
        finally:
            if mine == 0:
                os.setresuid(0, 0, 0)
    assert "collect.permission" in failure.value.codes


def test_a_named_source_is_used_and_no_other(machine: Machine, simulator: Simulator) -> None:
    kernel = snp_kernel(simulator)
    with pytest.raises(CollectError) as failure:
        collect(Broker(NONCE), machine, source="tdx-guest", gpus="none", interfaces=Interfaces(tsm=kernel))
    assert failure.value.code == "collect.unsupported"
    assert kernel.made == []


def test_gpus_are_asked_before_the_cpu_which_covers_them(machine: Machine, simulator: Simulator) -> None:
    order: list[str] = []
    kernel = snp_kernel(simulator, before=lambda: order.append("cpu"))
    nvml = FakeNvml(simulator, 2)
    nvml.calls = order
    collect(Broker(NONCE), machine, interfaces=Interfaces(tsm=kernel, nvml=nvml))
    assert order.index("cpu") > max(at for at, call in enumerate(order) if call == "report")


def test_a_gpu_that_fails_is_not_left_out(machine: Machine, simulator: Simulator) -> None:
    nvml = FakeNvml(simulator, 2)
    nvml.fails["report"] = 15
    kernel = snp_kernel(simulator)
    with pytest.raises(CollectError) as failure:
        collect(Broker(NONCE), machine, interfaces=Interfaces(tsm=kernel, nvml=nvml))
    assert failure.value.code == "collect.gpu-failed"
    assert not [attribute for attribute, _ in kernel.writes if attribute == "inblob"]


@pytest.mark.parametrize(("mode", "fails"), [("auto", False), ("require", True)])
def test_without_confidential_gpus_it_is_said_or_refused(
    machine: Machine, simulator: Simulator, mode: str, fails: bool
) -> None:
    given = Interfaces(tsm=snp_kernel(simulator), nvml=FakeNvml(simulator, cc=0))
    if fails:
        with pytest.raises(CollectError) as failure:
            collect(Broker(NONCE), machine, gpus=mode, interfaces=given)  # type: ignore[arg-type]
        assert failure.value.code == "collect.gpu-mode"
        return
    collected = collect(Broker(NONCE), machine, gpus=mode, interfaces=given)  # type: ignore[arg-type]
    assert collected.devices == 0
    assert any("Confidential computing is off" in note for note in collected.notes)


def test_a_broken_certificate_table_is_left_out_and_said(machine: Machine, simulator: Simulator) -> None:
    kernel = snp_kernel(simulator, auxblob=b"\x01" * 100)
    collected = collect(Broker(NONCE), machine, gpus="none", interfaces=Interfaces(tsm=kernel))
    assert [kind for kind, _ in collected.entries] == ["snp-report"]
    assert any("certificate table" in note for note in collected.notes)


def test_what_the_host_wrote_and_nobody_can_read_is_left_out_and_said(
    machine: Machine, simulator: Simulator
) -> None:
    """It would make the whole bundle unreadable."""
    leaf = simulator.snp().certificates[0]
    table = certificate_table(
        {GUIDS["vcek"]: leaf, GUIDS["ask"]: b"no certificate", GUIDS["crl"]: b"no list"}
    )
    kernel = snp_kernel(simulator, auxblob=table)
    collected = collect(Broker(NONCE), machine, gpus="none", interfaces=Interfaces(tsm=kernel))
    assert [data for kind, data in collected.entries if kind == "certificates"] == [leaf]
    assert {note.split()[0] for note in collected.notes if "left out" in note} == {"certificates", "crl"}
    log = machine.ccel
    log.parent.mkdir(parents=True)
    log.write_bytes(b"no log" * 9)
    collected = collect(Broker(NONCE), machine, gpus="none", interfaces=Interfaces(tsm=tdx_kernel(simulator)))
    assert [kind for kind, _ in collected.entries] == ["tdx-quote"]
    assert any("ccel left out" in note for note in collected.notes)


def test_missing_event_log_is_said(machine: Machine, simulator: Simulator) -> None:
    collected = collect(Broker(NONCE), machine, gpus="none", interfaces=Interfaces(tsm=tdx_kernel(simulator)))
    assert any("no event log" in note for note in collected.notes)
