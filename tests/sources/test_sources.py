"""Asking: once for all who wait, from the cache while it is fresh, and the old one when the new cannot be had."""

from __future__ import annotations

import multiprocessing
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from attest.anchors import Anchors
from attest.simulator import Simulator
from attest.simulator.simulated import Simulated
from attest.sources import amd_kds, intel_pcs
from attest.sources.failure import FetchFailed
from attest.sources.hosts import Hosts
from attest.sources.question import Question
from attest.sources.sources import Sources
from tests.conftest import NOON
from tests.sources.conftest import Site
from tests.sources.vendors import Fault, Vendors

PATH = "IntelSGXRootCA"


@pytest.fixture
def question(site: Site, tdx: Simulated) -> Question:
    return intel_pcs.root_crl(site.vendors.hosts)


def test_the_second_time_nobody_is_asked(site: Site, question: Question) -> None:
    first, second = site.sources().ask(question), site.sources().ask(question)
    assert (first.kept, second.kept) == (False, True)
    assert [c.der for c in first.endorsements.crls] == [c.der for c in second.endorsements.crls]
    assert len(site.vendors.requests) == 1


@pytest.mark.parametrize(
    ("address", "pace"),
    [
        ("https://kdsintf.amd.com", 10.0),
        ("https://kdsintf.amd.com:443", 10.0),
        ("http://127.0.0.1:8081", 0.0),
        ("https://mirror.example/kdsintf.amd.com", 0.0),
    ],
)
def test_only_amds_own_service_is_asked_slowly(address: str, pace: float, simulator: Simulator) -> None:
    hosts = Hosts(kds=address)
    questions = [
        amd_kds.crl(hosts, "vcek", "genoa"),
        amd_kds.chain(hosts, "vcek", "genoa"),
        amd_kds.vcek(hosts, "genoa", bytes(range(64)), bytes(8)),
    ]
    assert {one.request.pace for one in questions} == {pace}
    assert all(one.request.url.startswith(f"{address}/vcek/v1/Genoa/") for one in questions)


def test_refresh_comes_ahead_of_the_end(site: Site, question: Question) -> None:
    site.sources().ask(question)
    site.clock.forward(hours=23, minutes=59)
    assert site.sources().ask(question).kept
    site.clock.forward(minutes=2)
    assert not site.sources().ask(question).kept
    assert len(site.vendors.requests) == 2


def test_the_old_one_serves_while_it_is_valid_and_the_new_cannot_be_had(
    site: Site, question: Question
) -> None:
    site.sources().ask(question)
    site.clock.forward(days=2)
    site.vendors.fail(PATH, *[Fault("status", 500)] * 4)
    item = site.sources().ask(question)
    assert item.kept
    assert item.note is not None
    assert item.note.code == "sources.stale-served"
    asked = len(site.vendors.requests)
    # Not every run asks a service that is down: for a while the old one serves without a word.
    assert site.sources().ask(question).note is None
    assert len(site.vendors.requests) == asked
    site.clock.forward(minutes=6)
    assert not site.sources().ask(question).kept


def test_after_its_end_the_old_one_serves_nobody(site: Site, question: Question) -> None:
    site.sources().ask(question)
    site.clock.forward(days=400)
    site.vendors.fail(PATH, *[Fault("status", 500)] * 4)
    with pytest.raises(FetchFailed) as failure:
        site.sources().ask(question)
    assert failure.value.codes == {"sources.status"}


def test_who_asks_anew_is_served_the_old_one_only_when_that_fails(site: Site, question: Question) -> None:
    site.sources().ask(question)
    assert not site.sources().ask(question, renew=True).kept
    assert not site.sources(renew=True).ask(question).kept
    site.vendors.fail(PATH, Fault("status", 404))
    assert site.sources().ask(question, renew=True).kept


@pytest.mark.parametrize(
    ("fault", "code", "seconds"),
    [
        (Fault("status", 404), "sources.not-found", 600),
        (Fault("status", 410), "sources.gone", 600),
        (Fault("html"), "sources.content", 60),
        (Fault("other-body", body=b"\x30\x03\x02\x01\x01"), "sources.content", 60),
        (Fault("status", 403), "sources.status", 15),
        (Fault("status", 429, {"Retry-After": "900"}), "sources.rate-limited", 900),
        (Fault("status", 429, {"Retry-After": "999999"}), "sources.rate-limited", 3600),
    ],
)
def test_a_refusal_is_remembered_for_its_time(
    site: Site, question: Question, fault: Fault, code: str, seconds: int
) -> None:
    site.vendors.fail(PATH, fault)
    for _ in range(3):
        with pytest.raises(FetchFailed) as failure:
            site.sources().ask(question)
        assert failure.value.codes == {code}
    assert len(site.vendors.requests) == 1
    site.clock.at = NOON + timedelta(seconds=seconds - 1)
    with pytest.raises(FetchFailed):
        site.sources().ask(question)
    site.clock.forward(seconds=1)
    assert site.sources().ask(question)


def test_what_leads_to_no_pinned_root_is_handed_on_and_not_kept(site: Site, question: Question) -> None:
    site.anchors = Anchors.production()
    for _ in range(2):
        item = site.sources().ask(question)
        assert not item.authentic
        assert not item.kept
    assert len(site.vendors.requests) == 2


def test_what_a_simulators_root_vouches_for_is_not_served_to_others(site: Site, question: Question) -> None:
    """T-CACHE"""
    assert site.sources().ask(question).authentic
    site.anchors = Anchors.production()
    item = site.sources().ask(question)
    assert (item.kept, item.authentic) == (False, False)


def test_a_stale_list_is_not_kept(site: Site, simulator: Simulator) -> None:
    site.vendors.serve(simulator.moved_to(NOON - timedelta(days=800)).tdx().endorsements)
    question = intel_pcs.root_crl(site.vendors.hosts)
    for _ in range(2):
        item = site.sources().ask(question)
        assert item.authentic
        assert item.ends is not None
        assert item.ends < NOON
        assert not item.kept


# -- many who wait -------------------------------------------------------------------------------------


def test_one_flight_for_many_threads(site: Site, question: Question) -> None:
    site.vendors.fail(PATH, Fault("slow", wait=0.3))
    sources = site.sources()
    answers: list[bool] = []

    def ask() -> None:
        answers.append(sources.ask(question).kept)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False] + [True] * 7
    assert len(site.vendors.requests) == 1


def test_those_who_waited_share_a_refusal(site: Site, question: Question) -> None:
    site.vendors.fail(PATH, Fault("status", 404), Fault("status", 404))
    sources = site.sources()
    failures: list[str] = []

    def ask() -> None:
        try:
            sources.ask(question)
        except FetchFailed as failure:
            failures.append(failure.reason.code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == ["sources.not-found"] * 6
    assert len(site.vendors.requests) == 1


def test_nobody_waits_for_a_renewal(site: Site, question: Question) -> None:
    sources = site.sources()
    sources.ask(question)
    site.clock.forward(days=2)
    with sources.store.folder.locked(sources.store.name(sources._key(question)), patience=0):
        assert site.sources().ask(question).kept
    assert len(site.vendors.requests) == 1


def _ask_in_a_process(folder: Path, vendors: Vendors, anchors: Anchors, go: object, out: object) -> None:
    sources = Sources.open(folder, hosts=vendors.hosts, anchors=anchors)
    sources.store.now = lambda: NOON
    go.wait(20)  # type: ignore[attr-defined] # an Event
    item = sources.ask(intel_pcs.root_crl(vendors.hosts))
    out.put((item.kept, item.endorsements.crls[0].der))  # type: ignore[attr-defined] # a Queue


def test_t_dos_one_flight_for_several_processes_at_one_cache(
    site: Site, tdx: Simulated, anchors: Anchors
) -> None:
    site.vendors.fail(PATH, Fault("slow", wait=0.5))
    context = multiprocessing.get_context("fork")
    go, out = context.Event(), context.Queue()
    processes = [
        context.Process(target=_ask_in_a_process, args=(site.folder, site.vendors, anchors, go, out))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    go.set()
    answers = [out.get(timeout=30) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert sorted(kept for kept, _ in answers) == [False, True, True, True]
    assert len({der for _, der in answers}) == 1
    assert len(site.vendors.requests) == 1
