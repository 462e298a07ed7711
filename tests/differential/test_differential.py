"""The differential run itself: what it draws, what it asks, and that nothing goes unexplained."""

from __future__ import annotations

import random
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from attest.simulator import FAULTS
from tests.conftest import ROOT, Vectors
from tests.differential.cases import Case, read
from tests.differential.cases import Vectors as Read
from tests.differential.compare import Compared, chunk, mutation
from tests.differential.compare import vectors as all_vectors
from tests.differential.mutations import mutate, readable, strata_of
from tests.differential.ours import Ours, judge
from tests.differential.page import page, unexplained
from tests.differential.peers import GO, PEERS, Lines, Peer, Theirs
from tests.differential.reasons import REASONS
from tests.differential.simulated import simulated


@pytest.fixture(scope="module")
def cases(vectors: Vectors) -> list[Case]:
    return read(vectors.folder).cases


def test_every_vector_is_asked_about_or_left_with_a_reason(vectors: Vectors) -> None:
    found = read(vectors.folder)
    asked = {case.name.partition("[")[0].removesuffix("+crl") for case in found.cases}
    assert asked | found.left.keys() == vectors.cases.keys()
    assert not asked & found.left.keys()


def test_our_verdict_is_the_manifests(vectors: Vectors, cases: list[Case]) -> None:
    """On evidence as it is, at its own time; what a case without its own upper layer or its fellows cannot show is named."""
    elsewhere = {
        "az-snp-vtpm-ak-mismatch-trustee": "the layer above the report",
        "switch-ls10-multi4-duplicate-sdk": "the other devices",
        "gpu-hopper-535-vbios-rim-match": "one manifest of two",
        "gpu-blackwell-signature-only-sdk": "no manifest",
        "gpu-hopper-580-coco-trustee": "no manifest",
        "gpu-hopper-590-sdk": "no manifest",
        "gpu-hopper-multi4-sdk": "no manifest",
        "ppcie-8gpu-hopper-nvtrust": "no manifest",
        "ppcie-4switch-nvtrust": "no manifest",
        "snp-milan-v3-vlek-aws-trustee": "VMPL 1, which the default policy does not take",
    }
    for case in cases:
        name = case.name.partition("[")[0]
        expected = vectors.cases.get(name, {}).get("expect", {}).get("verdict")
        if expected in ("accept", "reject") and name not in elsewhere:
            assert (judge(case).verdict == "accepted") == (expected == "accept"), case.name


@pytest.mark.parametrize("platform", ["snp", "tdx"])
def test_simulated_evidence_is_refused_for_its_fault_and_nothing_else(platform: str) -> None:
    """The root that the peers can read, in place of the simulator's marked one, changes nothing for us."""
    made = simulated(platform)
    assert sum(case.name.startswith("simulated:honest") for case in made) >= 2
    for case in made:
        fault = FAULTS.get(case.name.removeprefix("simulated:"))
        ours = judge(case)
        if fault is None:
            assert ours.verdict == "accepted", case.name
        else:
            assert set(ours.codes if ours.verdict == "refused" else ()) == fault.codes, case.name


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_mutation_is_a_function_of_its_seed_and_changes_something(vectors: Vectors, peer: Peer) -> None:
    originals = {case.name: case for case in read(vectors.folder).cases}
    for number in range(40):
        made = mutation(peer, number)
        assert made == mutation(peer, number)
        before = originals[made.case.name]
        assert (made.case.parts, made.case.at, made.case.nonce) != (before.parts, before.at, before.nonce)


@pytest.mark.parametrize("platform", ["snp", "tdx", "nvidia"])
def test_every_structure_is_drawn(cases: list[Case], platform: str) -> None:
    mine = [case for case in cases if case.platform == platform and readable(case)]
    rng = random.Random(7)
    drawn = {mutate(mine, mine, rng).stratum for _ in range(1500)}
    assert {stratum for case in mine for stratum in strata_of(case)} == drawn


def compared(ours: Ours, theirs: Theirs, peer: str = "dcap-qvl") -> Compared:
    return Compared(peer, 1, "case", "quote body", "quote: bit 1 of byte 0x40 flipped", ours, theirs)


def test_a_disagreement_that_nobody_explained_is_found() -> None:
    bad = [
        compared(Ours("accepted", detail="UpToDate"), Theirs(False, why="signature is invalid")),
        compared(Ours("refused", ("tdx.signature.invalid",)), Theirs(True, "UpToDate")),
        compared(Ours("accepted", detail="UpToDate"), Theirs(True, "OutOfDate")),
        compared(Ours("denied", ("policy.tdx.debug",)), Theirs(False, why="panic: at the disco")),
    ]
    assert unexplained(bad) == bad
    good = [
        compared(Ours("refused", ("tdx.signature.invalid",)), Theirs(False, why="signature is invalid")),
        compared(Ours("accepted", detail="UpToDate"), Theirs(True, "UpToDate")),
        compared(Ours("denied", ("policy.tdx.tcb-status",), "OutOfDate"), Theirs(True, "OutOfDate")),
    ]
    assert [one.way for one in good] == ["", "", ""]


@pytest.mark.parametrize(
    "code", ["tdx.signature.invalid", "snp.signature.invalid", "x509.revoked", "nvidia.rim.digest"]
)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_no_reason_excuses_a_signature_or_a_revocation_that_only_one_of_both_minds(
    peer: Peer, code: str
) -> None:
    for stratum, what in (("quote body", "quote: x"), ("swapped part", "vcek of y"), ("time", "at z")):
        only_ours = Compared(peer.name, 1, "case", stratum, what, Ours("refused", (code,)), Theirs(True))
        revoked = Theirs(False, why="verify: certificate was revoked")
        only_theirs = Compared(peer.name, 1, "case", stratum, what, Ours("accepted"), revoked)
        assert unexplained([only_ours, only_theirs]) == [only_ours, only_theirs]


def test_reasons_are_whole() -> None:
    for reason in REASONS:
        assert reason.right in ("ours", "theirs", "both")
        assert reason.ours or reason.theirs, reason.title
        assert {peer.name for peer in PEERS} >= set(reason.peers)
    for peer in PEERS:
        titles = [reason.title for reason in REASONS if peer.name in reason.peers]
        assert len(titles) == len(set(titles))


def test_text_of_a_peer_is_escaped_on_the_page() -> None:
    one = compared(
        Ours("denied", ("policy.tdx.x",)), Theirs(False, why="SEPT_VE_DISABLE is not enabled \x1b[2J")
    )
    text = page([one], {"dcap-qvl": "dcap-qvl 0"}, Read())
    assert "\x1b" not in text
    assert "SEPT_VE_DISABLE is not enabled" in text


@pytest.fixture(scope="module", params=PEERS, ids=lambda peer: peer.name)
def peer(request: pytest.FixtureRequest, vectors: Vectors) -> Peer:
    chosen: Peer = request.param
    if chosen.program.parent == GO and not chosen.installed:
        if shutil.which("go") is None:
            pytest.skip("Go is not installed")
        if subprocess.run(["make", "build/peers/go/.installed"], cwd=ROOT, capture_output=True).returncode:
            pytest.skip("Go modules cannot be had")
    if not chosen.installed:
        pytest.skip(f"{chosen.name} is not installed: make peers")
    return chosen


def test_vectors_as_they_are_leave_nothing_unexplained(peer: Peer) -> None:
    made = [one for one, _ in chunk((peer.name, None, 0))]
    assert made
    assert not any(one.crashed for one in made)
    assert unexplained(made) == []


def test_mutations_leave_nothing_unexplained(peer: Peer) -> None:
    assert unexplained([one for one, _ in chunk((peer.name, 0, 60))]) == []


def test_a_peer_is_asked_at_the_time_of_the_case(peer: Peer) -> None:
    """Long before anything was issued nobody accepts; the wall clock would."""
    accepted = [case for case in all_vectors().cases if case.platform == peer.platform and peer.through(case)]
    with closing(peer.start()) as child:
        case = next(case for case in accepted if child.ask(case).accepts)
        assert not child.ask(replace(case, at=datetime(2001, 1, 1, tzinfo=UTC))).accepts
        assert child.ask(case).accepts, "nothing of one question is left for the next"


def test_an_answer_is_told_from_what_a_peer_prints() -> None:
    """A child that dies or talks nonsense has no verdict, and the next question starts another."""
    script = "import sys\nprint('{\"ready\": \"x\"}', flush=True)\nsys.stdin.readline()\nprint('WARN', flush=True)\n"
    case = Case("one", "snp", {"report": b"\0"}, datetime(2026, 1, 1, tzinfo=UTC))
    with Lines(["/usr/bin/env", "python3", "-c", script], lambda case: case.parts) as child:
        for _ in range(2):
            said = child.ask(case)
            assert not said.accepts
            assert said.why.startswith("crashed: ")
