"""Registers from events: each real log gives the values it is known for."""

from __future__ import annotations

import hashlib

import pytest

from attest.errors import Malformed
from attest.eventlog.log import EventLog
from attest.eventlog.replay import extend, extend_all, replay, replay_pcrs, replay_rtmrs
from attest.simulator.eventlog import EventLogPlan, Logged, pcrs, separator, tied
from tests.conftest import Vectors
from tests.eventlog.conftest import read
from tests.eventlog.test_log_layout import CASES

SEPARATED = "3d458cfe55cc03ea1f443f1562beec8df51c75e14a9fcf9a7234a13f198e7969"
"""A SHA-256 PCR that holds one separator and nothing else, as every TPM shows it."""


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("ccel")])
def test_a_real_log_replays_to_the_values_it_is_known_for(vectors: Vectors, name: str) -> None:
    found = replay_rtmrs(EventLog.parse(vectors.read(name, "event_log")))
    known = vectors.cases[name]["facts"]["replayed"]
    assert {str(index + 1): value.hex() for index, value in enumerate(found) if any(value)} == known


def test_a_real_tpm_log_gives_every_register(vectors: Vectors) -> None:
    found = replay_pcrs(EventLog.parse(vectors.read("tcg-log-ubuntu2404-snp-gce", "event_log")))
    assert sorted(found) == list(range(24))
    assert found[2].hex() == found[3].hex() == found[6].hex() == SEPARATED
    for index in range(17, 23):
        assert found[index] == b"\xff" * 32
    for index in (10, 11, 12, 13, 15, 16, 23):
        assert found[index] == bytes(32)


def test_extending_hashes_the_digest_onto_the_register() -> None:
    digest = hashlib.sha384(b"measured").digest()
    once = hashlib.sha384(bytes(48) + digest).digest()
    assert extend(bytes(48), digest) == once
    assert extend_all([digest, digest]) == hashlib.sha384(once + digest).digest()
    assert extend_all([], "sha256") == bytes(32)
    assert extend_all([], "sha256", start=b"\xff" * 32) == b"\xff" * 32


def test_both_banks_of_one_log_replay(tpm: EventLogPlan) -> None:
    assert replay_pcrs(read(tpm)) == pcrs(tpm)
    assert replay(read(tpm), "sha384")[7] == tpm.registers(0x0C)[7]


@pytest.mark.parametrize("index", [1, 4])
def test_no_action_is_not_measured_and_every_other_type_is(boot: EventLogPlan, index: int) -> None:
    before = replay_rtmrs(read(boot))
    boot.events.append(tied(index, 3, b"an informative entry"))
    assert replay_rtmrs(read(boot)) == before
    boot.events.append(tied(index, 0x12345678, b"of a type nobody knows"))
    after = replay_rtmrs(read(boot))
    assert [one for one in range(4) if after[one] != before[one]] == [index - 1]


def test_entries_of_mrtd_change_no_register(boot: EventLogPlan) -> None:
    before = replay_rtmrs(read(boot))
    boot.events.insert(0, separator(0))
    assert replay_rtmrs(read(boot)) == before


def _locality(value: bytes) -> Logged:
    return tied(0, 3, b"StartupLocality\0" + value)


@pytest.mark.parametrize("locality", [0, 3, 4])
def test_the_startup_locality_is_where_pcr_0_starts(tpm: EventLogPlan, locality: int) -> None:
    digests = [event.digests((0x0B,))[0x0B] for event in tpm.events if event.index == 0]
    tpm.events.insert(0, _locality(bytes([locality])))
    wanted = extend_all(digests, "sha256", start=bytes(31) + bytes([locality]))
    assert replay_pcrs(read(tpm))[0] == wanted


@pytest.mark.parametrize("value", [b"\1", b"\5", b"\xff", b"", b"\3\0"])
def test_an_impossible_startup_locality_is_malformed(tpm: EventLogPlan, value: bytes) -> None:
    tpm.events.insert(0, _locality(value))
    with pytest.raises(Malformed, match="locality"):
        replay_pcrs(read(tpm))


def test_a_second_or_late_startup_locality_is_malformed(tpm: EventLogPlan) -> None:
    tpm.events.append(_locality(b"\3"))
    with pytest.raises(Malformed, match="locality"):
        replay_pcrs(read(tpm))
    tpm.events.pop()
    tpm.events[:0] = [_locality(b"\3"), _locality(b"\3")]
    with pytest.raises(Malformed, match="locality"):
        replay_pcrs(read(tpm))


def test_a_log_is_replayed_into_its_own_kind_of_registers_only(boot: EventLogPlan, tpm: EventLogPlan) -> None:
    with pytest.raises(Malformed, match="TPM's event log, not a TD's"):
        replay_rtmrs(read(tpm))
    with pytest.raises(Malformed, match="TD's event log, not a TPM's"):
        replay_pcrs(read(boot))
    with pytest.raises(Malformed, match="sha1"):
        replay_pcrs(read(tpm), "sha1")


@pytest.mark.parametrize(
    "event",
    [
        tied(1, 3, b"StartupLocality\0\x07"),
        tied(0, 3, b"startuplocality\0\x07"),
        tied(0, 3, b""),
    ],
    ids=["another register", "another name", "no data"],
)
def test_only_its_own_entry_names_a_startup_locality(tpm: EventLogPlan, event: Logged) -> None:
    before = replay_pcrs(read(tpm))
    tpm.events.append(event)
    assert replay_pcrs(read(tpm)) == before


def test_an_entry_that_is_measured_names_no_startup_locality(tpm: EventLogPlan) -> None:
    tpm.events.append(tied(0, 8, b"StartupLocality\0\x07"))
    assert replay_pcrs(read(tpm)) == pcrs(tpm)


def test_the_startup_locality_may_follow_other_registers_and_informative_entries(tpm: EventLogPlan) -> None:
    tpm.events[:0] = [separator(1), tied(0, 3, b"informative"), _locality(b"\3")]
    digests = [event.digests((0x0B,))[0x0B] for event in tpm.events if event.index == 0 and event.type != 3]
    assert replay_pcrs(read(tpm))[0] == extend_all(digests, "sha256", start=bytes(31) + b"\3")
