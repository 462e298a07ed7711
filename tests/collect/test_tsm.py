"""configfs-tsm by the kernel's rules: what is written, what is checked, what is asked again."""

from __future__ import annotations

import errno
import hashlib
import threading
from typing import Any

import pytest

from attest.collect.errors import CollectError
from attest.collect.tsm import TsmReport, collect_report, provider_of, report_data_of
from attest.simulator import Simulator
from tests.collect.kernel import SVSM_MANIFEST, Clock, KernelTsm, snp_kernel, tdx_kernel

DATA = bytes(range(64))


def asked(kernel: KernelTsm, data: bytes = DATA, **keywords: Any) -> TsmReport:
    clock = Clock()
    return collect_report(kernel, data, clock=clock, sleep=clock.sleep, **keywords)


def refused(kernel: KernelTsm, data: bytes = DATA, **keywords: Any) -> str:
    with pytest.raises(CollectError) as failure:
        asked(kernel, data, **keywords)
    return failure.value.code


@pytest.fixture(params=["snp", "tdx"])
def kernel(request: pytest.FixtureRequest, simulator: Simulator) -> KernelTsm:
    return (snp_kernel if request.param == "snp" else tdx_kernel)(simulator)


def test_one_fresh_entry_one_write_and_nothing_left_behind(kernel: KernelTsm) -> None:
    report = asked(kernel)
    assert report_data_of(report.tee, report.outblob) == DATA
    assert [data for attribute, data in kernel.writes if attribute == "inblob"] == [DATA]
    assert len(kernel.made) == 1
    assert kernel.made[0].startswith("attest-")
    assert kernel.entries == {}


def test_each_request_has_an_entry_of_its_own(kernel: KernelTsm) -> None:
    asked(kernel)
    asked(kernel)
    assert len(set(kernel.made)) == 2


@pytest.mark.parametrize("size", [0, 63, 65])
def test_report_data_are_64_bytes(kernel: KernelTsm, size: int) -> None:
    assert refused(kernel, bytes(size)) == "collect.bad-request"
    assert kernel.made == []


def test_the_level_asked_with_is_the_guests_own_in_ascii(simulator: Simulator) -> None:
    """It is 0 unless written: a guest at VMPL 2 that does not write it gets EINVAL."""
    kernel = snp_kernel(simulator, floor=2)
    report = asked(kernel)
    assert ("privlevel", b"2") in kernel.writes
    assert report.outblob[0x30] == 2


def test_a_level_below_the_floor_is_the_kernels_refusal(simulator: Simulator) -> None:
    kernel = snp_kernel(simulator, floor=2)
    kernel.attributes = lambda: {"inblob", "outblob", "auxblob", "provider", "generation"}  # type: ignore[method-assign]
    assert refused(kernel) == "collect.bad-request"


def test_a_service_module_is_asked_by_name_and_its_manifest_kept(simulator: Simulator) -> None:
    kernel = snp_kernel(simulator, floor=2)
    plain = kernel.answer
    kernel.answer = lambda data, level: plain(hashlib.sha512(data + SVSM_MANIFEST).digest(), level)
    report = asked(kernel, service_provider="svsm")
    assert ("service_provider", b"svsm") in kernel.writes
    assert report.manifest == SVSM_MANIFEST
    assert any("--report-data" in note for note in report.notes)


def test_a_service_modules_own_rule_refuses_nothing_and_is_said(simulator: Simulator) -> None:
    kernel = snp_kernel(simulator, floor=2)
    plain = kernel.answer
    kernel.answer = lambda _, level: plain(bytes(64), level)
    assert any("could not be compared" in note for note in asked(kernel, service_provider="svsm").notes)


def test_a_service_module_is_of_snp_alone(simulator: Simulator) -> None:
    assert refused(tdx_kernel(simulator), service_provider="svsm") == "collect.bad-request"


def test_an_answer_to_somebody_elses_request_is_not_ours(kernel: KernelTsm) -> None:
    """The counter tells; a second entry is then asked, and nothing of the first is used."""
    kernel.second_writer = 1
    report = asked(kernel)
    assert report_data_of(report.tee, report.outblob) == DATA
    assert len(kernel.made) == 2


def test_races_are_not_lost_for_ever(kernel: KernelTsm) -> None:
    kernel.second_writer = 99
    assert refused(kernel) == "collect.race"
    assert len(kernel.made) == 4
    assert kernel.entries == {}


def test_without_the_counter_the_answer_itself_tells(kernel: KernelTsm) -> None:
    """Report data inside the blob are compared too."""
    plain = kernel.answer
    kernel.answer = lambda data, level: plain(data[:-1] + b"\xff", level)
    assert refused(kernel) == "collect.inconsistent"


def test_the_counter_decides_even_where_the_report_data_fit(kernel: KernelTsm) -> None:
    """Somebody wrote our own bytes again: the answer could be of another level or service."""
    written = kernel.write

    def twice(entry: str, attribute: str, data: bytes) -> None:
        written(entry, attribute, data)
        if attribute == "inblob":
            written(entry, attribute, data)

    kernel.write = twice  # type: ignore[method-assign]
    assert refused(kernel) == "collect.race"


def test_a_store_that_was_thrown_away_is_a_race_not_a_wrong_request(kernel: KernelTsm) -> None:
    kernel.dropped = 1
    assert report_data_of(asked(kernel).tee, asked(kernel).outblob) == DATA
    kernel.dropped = 99
    assert refused(kernel) == "collect.race"


def test_a_busy_interface_is_asked_again_with_growing_pauses(kernel: KernelTsm) -> None:
    kernel.busy = 7
    clock = Clock()
    collect_report(kernel, DATA, clock=clock, sleep=clock.sleep)
    assert clock.slept == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert len(set(kernel.made)) == 8


def test_a_busy_interface_is_given_up_after_a_minute(kernel: KernelTsm) -> None:
    kernel.busy = 999
    clock = Clock()
    with pytest.raises(CollectError) as failure:
        collect_report(kernel, DATA, clock=clock, sleep=clock.sleep)
    assert failure.value.code == "collect.busy"
    assert 50 < clock.now - 1000 < 60


@pytest.mark.parametrize(
    ("attribute", "number", "code"),
    [
        ("mkdir", errno.ENOENT, "collect.unsupported"),
        ("mkdir", errno.EACCES, "collect.permission"),
        ("mkdir", errno.EPERM, "collect.permission"),
        ("provider", errno.ENXIO, "collect.no-provider"),
        ("inblob", errno.EFBIG, "collect.too-large"),
        ("outblob", errno.ETIMEDOUT, "collect.timeout"),
        ("outblob", errno.EINTR, "collect.timeout"),
        ("outblob", errno.EFBIG, "collect.too-large"),
        ("outblob", errno.EINVAL, "collect.bad-request"),
        ("outblob", errno.ENXIO, "collect.no-provider"),
        ("outblob", errno.EIO, "collect.failed"),
    ],
)
def test_what_the_kernel_says_has_a_code_and_is_not_asked_twice(
    kernel: KernelTsm, attribute: str, number: int, code: str
) -> None:
    kernel.fails[attribute] = number
    with pytest.raises(CollectError) as failure:
        asked(kernel)
    assert failure.value.code == code
    told = failure.value.problems[0]
    assert told.remedy
    assert errno.errorcode[number] in (told.found or "")
    assert len(kernel.made) <= 1
    assert kernel.entries == {}


def test_no_guest_driver(kernel: KernelTsm) -> None:
    kernel.provider = None
    assert refused(kernel) == "collect.no-provider"


def test_another_kind_of_provider_is_named_and_not_taken(kernel: KernelTsm) -> None:
    kernel.provider = "arm_cca_guest"
    with pytest.raises(CollectError) as failure:
        asked(kernel)
    assert failure.value.code == "collect.unsupported"
    assert failure.value.problems[0].found == "arm_cca_guest"


@pytest.mark.parametrize("size", [0, 1, 1019, 1183])
def test_a_short_answer_is_none(kernel: KernelTsm, size: int) -> None:
    """Of length 0 is what the kernel gives for a quote that the host refused."""
    kernel.answer = lambda data, level: bytes(size)
    assert refused(kernel) == "collect.inconsistent"


def test_an_answer_beyond_any_quote_is_refused(kernel: KernelTsm) -> None:
    kernel.answer = lambda data, level: bytes((64 << 10) + 1)
    assert refused(kernel) == "collect.too-large"


def test_an_empty_certificate_table_is_no_error(simulator: Simulator) -> None:
    assert asked(snp_kernel(simulator)).auxblob == b""


def test_a_hung_answer_is_left_to_itself_and_cleans_up_when_it_comes(kernel: KernelTsm) -> None:
    """No lock is held, nothing is repeated, and the entry goes when the kernel gives the answer."""
    go, reached = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        go.wait(20)

    kernel.before = hold
    with pytest.raises(CollectError) as failure:
        collect_report(kernel, DATA, total=0.05)
    assert failure.value.code == "collect.timeout"
    assert reached.wait(20)
    assert len(kernel.entries) == 1
    go.set()
    for thread in threading.enumerate():
        if thread.name == "collect outblob":
            thread.join(20)
    assert kernel.entries == {}
    assert len(kernel.made) == 1


def test_the_provider_is_asked_with_an_entry_that_goes_again(kernel: KernelTsm) -> None:
    assert provider_of(kernel) in ("snp", "tdx")
    assert kernel.entries == {}
