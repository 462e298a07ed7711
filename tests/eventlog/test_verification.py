"""A log beside signed registers: replayed, mismatch, absent, and never silently anything (T-EVENTLOG)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from attest.anchors import Anchors
from attest.azure.facts import AzurePart
from attest.binding import Expected
from attest.cache import Cache
from attest.checks import CheckLog
from attest.endorsements import Endorsements
from attest.errors import Malformed, Rejected
from attest.eventlog.log import EventLog
from attest.eventlog.verify import check_event_logs
from attest.evidence import Evidence
from attest.loader import load
from attest.parts import Part
from attest.policy import Policy, appraise
from attest.simulator import Simulated, Simulator
from attest.simulator.eventlog import EventLogPlan, tied
from attest.verified import Verified
from attest.verifier import verify
from tests.conftest import Vectors
from tests.eventlog.conftest import read

GCE = "tdx-v4-gce-cos113-outofdate-2026"
DSTACK = "tdx-v4-uptodate-dstack-eventlog"


def outcome(verified: Verified, check: str = "tdx.event-log") -> str:
    return next(record.outcome for record in verified.checks if record.name == check)


def mismatches(verified: Verified) -> list[str | None]:
    return [warning.where for warning in verified.warnings if warning.code == "event-log.mismatch"]


class Real:
    """A real quote with its collateral, verified beside any log."""

    def __init__(self, vectors: Vectors, case: str) -> None:
        files = vectors.cases[case]["files"]
        self.at = vectors.at(case)
        evidence, self.endorsements = load(*(vectors.path(files[role]) for role in ("quote", "collateral")))
        self.cpu, self.cache = evidence.cpu, Cache()

    def verify(self, *logs: EventLog) -> Verified:
        evidence = Evidence(self.cpu, event_logs=logs)
        return verify(evidence, endorsements=self.endorsements, at=self.at, cache=self.cache)


@pytest.fixture(scope="module")
def gce(vectors: Vectors) -> Real:
    return Real(vectors, GCE)


# -- real evidence ----------------------------------------------------------------------------------


def test_the_real_log_of_a_real_quote_replays(gce: Real, vectors: Vectors) -> None:
    verified = gce.verify(EventLog.parse(vectors.read("ccel-gce-cos113-match", "event_log")))
    assert verified.claims["tdx"]["event-log"] == "replayed"
    assert verified.claims["boot"] == {"secure-boot": "false"}
    assert outcome(verified) == "passed"
    assert mismatches(verified) == []
    shown = verified.claims["raw"]["tdx"]["event_log"]
    assert (shown["form"], shown["events"], len(shown["images"])) == ("ccel", "43", 2)
    assert set(shown["boot_unknown"]) == {"kernel", "initrd", "cmdline"}


@pytest.mark.parametrize(
    ("case", "registers"),
    [
        ("ccel-gce-cos113-dupe-separator", ["rtmr0", "rtmr1"]),
        ("ccel-parse-ovmf-trustee", ["rtmr0", "rtmr1", "rtmr2"]),
        ("ccel-dstack-rtmr0-only", ["rtmr0", "rtmr1", "rtmr2"]),
    ],
)
def test_t_eventlog_an_altered_or_foreign_log_is_a_mismatch(
    gce: Real, vectors: Vectors, case: str, registers: list[str]
) -> None:
    verified = gce.verify(EventLog.parse(vectors.read(case, "event_log")))
    assert verified.claims["tdx"]["event-log"] == "mismatch"
    assert "boot" not in verified.claims
    assert outcome(verified) == "failed"
    assert mismatches(verified) == registers
    assert set(verified.claims["raw"]["tdx"]["event_log"]["replayed"]) == set(registers)


def test_a_log_of_another_run_of_the_same_firmware_matches_rtmr0_only(vectors: Vectors) -> None:
    """Its quote has no TCB level that Intel lists, so it is compared without verifying the quote."""
    from attest.eventlog.verify import compare_rtmrs
    from attest.tdx.quote import Quote

    case = "ccel-dstack-rtmr0-only"
    body = Quote.parse(vectors.read(case, "quote")).body
    log = EventLog.parse(vectors.read(case, "event_log"))
    found = compare_rtmrs(log, (body.rtmr0, body.rtmr1, body.rtmr2, body.rtmr3))
    assert found.matching == {1, 3}, "RTMR2 has no entries and is zero"
    assert set(found.named_differences()) == {"rtmr1", "rtmr3"}
    assert found.facts().claims() == {}


def test_a_real_dstack_answer_brings_its_log(vectors: Vectors) -> None:
    files = vectors.cases[DSTACK]["files"]
    evidence, endorsements = load(
        *(vectors.path(files[role]) for role in ("quote_report_json", "collateral"))
    )
    verified = verify(evidence, endorsements=endorsements, at=vectors.at(DSTACK))
    assert verified.claims["tdx"]["event-log"] == "replayed"
    assert set(verified.claims["boot"]) == {"kernel", "initrd", "cmdline", "secure-boot"}
    identities = verified.claims["raw"]["tdx"]["event_log"]["dstack"]
    assert identities["app-id"] == "3763bc34552cf3a27ff71ad5f7a90471562a1a2d"
    assert "LIUM_MINER_HOTKEY" not in identities, "the workload's own entry"


def test_without_a_log_it_is_absent_and_said_so(gce: Real) -> None:
    verified = gce.verify()
    assert verified.claims["tdx"]["event-log"] == "absent"
    assert "boot" not in verified.claims
    assert outcome(verified) == "not-run"


def test_a_tpms_log_beside_a_quote_without_pcrs_is_said_to_be_unused(gce: Real, vectors: Vectors) -> None:
    verified = gce.verify(EventLog.parse(vectors.read("tcg-log-ubuntu2404-snp-gce", "event_log")))
    assert verified.claims["tdx"]["event-log"] == "absent"
    assert "event-log.unused" in {warning.code for warning in verified.warnings}
    assert "boot" not in verified.claims


def test_every_flipped_bit_of_a_real_log_is_a_mismatch_or_malformed_or_changes_no_claim(
    gce: Real, vectors: Vectors
) -> None:
    """The first 400 bytes, and one bit of every further byte of the log: data, digests, types, sizes, padding."""
    raw = EventLog.parse(vectors.read("ccel-gce-cos113-match", "event_log")).raw + b"\xff" * 16
    honest = gce.verify(EventLog.parse(raw)).claims
    seen = dict.fromkeys(("malformed", "mismatch", "same", "less"), 0)
    for bit in _bits(len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            log = EventLog.parse(bytes(changed))
        except Malformed:
            seen["malformed"] += 1
            continue
        claims = gce.verify(log).claims
        if claims["tdx"]["event-log"] == "mismatch":
            assert "boot" not in claims
            seen["mismatch"] += 1
        elif claims.get("boot") == honest["boot"]:
            seen["same"] += 1
        else:
            assert "boot" not in claims, "a flip takes facts away and makes none"
            seen["less"] += 1
    assert all(seen.values()), seen


def _bits(size: int) -> Iterator[int]:
    yield from range(400 * 8)
    yield from (byte * 8 + byte % 8 for byte in range(400, size, 3))


# -- simulated --------------------------------------------------------------------------------------


def judge(made: Simulated, anchors: Anchors, evidence: Evidence | None = None) -> Verified:
    return verify(evidence or made.evidence, endorsements=made.endorsements, at=made.at, anchors=anchors)


@pytest.fixture(scope="module")
def logged(simulator: Simulator) -> Simulated:
    return simulator.tdx(event_log=True)


def with_log(made: Simulated, *logs: EventLog) -> Evidence:
    return replace(made.evidence, event_logs=logs)


def test_a_simulated_boot_has_every_fact(logged: Simulated, anchors: Anchors) -> None:
    verified = judge(logged, anchors)
    assert verified.claims["tdx"]["event-log"] == "replayed"
    assert set(verified.claims["boot"]) == {"kernel", "initrd", "cmdline", "secure-boot"}


def test_a_log_without_entries_replays_only_into_zeros(
    logged: Simulated, simulator: Simulator, anchors: Anchors
) -> None:
    empty = read(EventLogPlan([]))
    assert judge(logged, anchors, with_log(logged, empty)).claims["tdx"]["event-log"] == "mismatch"
    zeros: Mapping[str, Any] = {f"rtmr{number}": bytes(48) for number in range(4)}
    nothing = simulator.tdx(**zeros)
    verified = judge(nothing, anchors, with_log(nothing, empty))
    assert verified.claims["tdx"]["event-log"] == "replayed"
    assert "boot" not in verified.claims


@pytest.mark.parametrize("number", range(4))
def test_a_register_that_the_log_does_not_explain_is_a_mismatch(
    simulator: Simulator, anchors: Anchors, number: int
) -> None:
    extended: Mapping[str, Any] = {f"rtmr{number}": b"\x5a" * 48}
    made = simulator.tdx(event_log=True, **extended)
    verified = judge(made, anchors)
    assert verified.claims["tdx"]["event-log"] == "mismatch"
    assert mismatches(verified) == [f"rtmr{number}"]


def test_entries_at_mrtds_index_prove_nothing(
    logged: Simulated, anchors: Anchors, boot: EventLogPlan
) -> None:
    boot.events.insert(0, tied(0, 4, bytes(4)))
    verified = judge(logged, anchors, with_log(logged, read(boot)))
    assert verified.claims["tdx"]["event-log"] == "replayed"
    assert verified.claims["boot"] == judge(logged, anchors).claims["boot"]


def test_a_refused_quote_gives_its_log_no_say(simulator: Simulator, anchors: Anchors) -> None:
    made = (
        simulator.tdx(event_log=True, fault="tdx-quote-signature") if False else simulator.tdx(event_log=True)
    )
    broken = Endorsements()
    with pytest.raises(Rejected) as refusal:
        verify(made.evidence, endorsements=broken, at=made.at, anchors=anchors)
    record = next(record for record in refusal.value.checks if record.name == "tdx.event-log")
    assert (record.outcome, record.why) == ("not-run", "the evidence was refused: its registers say nothing")


def test_a_log_beside_an_snp_report_is_said_to_be_unused(
    simulator: Simulator, anchors: Anchors, boot: EventLogPlan, tpm: EventLogPlan
) -> None:
    made = simulator.snp()
    verified = judge(made, anchors, with_log(made, read(boot), read(tpm)))
    unused = [warning.where for warning in verified.warnings if warning.code == "event-log.unused"]
    assert unused == ["ccel event log", "tpm event log"]
    assert not any("event-log" in record.name for record in verified.checks)
    assert "boot" not in verified.claims


def test_a_machines_composite_evidence_carries_the_log(simulator: Simulator, anchors: Anchors) -> None:
    nonce = bytes(range(32))
    made = simulator.machine(cpu="tdx", gpus=1, nonce=nonce, event_log=True)
    verified = verify(
        made.evidence,
        endorsements=made.endorsements,
        at=made.at,
        anchors=anchors,
        expected=Expected(nonce=nonce),
    )
    assert verified.claims["tdx"]["event-log"] == "replayed"
    assert "simulated-ccel.bin" not in made.files


# -- what policies make of it -----------------------------------------------------------------------

POLICY = """policy: 1
name: booted
platforms: [tdx]
require:
  tdx: {event-log: replayed}
  boot: {secure-boot: true, kernel: %s}
"""


def verdict(verified: Verified, kernel: str) -> tuple[str, set[str]]:
    appraisal = appraise(verified, Policy.from_text(POLICY % kernel), at=verified.at)
    return appraisal.verdict, {problem.code for problem in appraisal.problems}


def test_a_policy_judges_facts_and_refuses_where_they_are_unknown(
    logged: Simulated, anchors: Anchors, boot: EventLogPlan
) -> None:
    verified = judge(logged, anchors)
    kernel = verified.claims["boot"]["kernel"]
    assert verdict(verified, kernel)[0] == "conforms-with-warnings"
    assert verdict(verified, "00" * 48) == ("refused", {"policy.boot.kernel"})
    boot.events.pop()
    altered = judge(logged, anchors, with_log(logged, read(boot)))
    wanted = {"policy.tdx.event-log", "policy.boot.secure-boot", "policy.boot.kernel"}
    assert verdict(altered, kernel) == ("refused", wanted)
    without = judge(logged, anchors, with_log(logged))
    assert verdict(without, kernel) == ("refused", wanted)


def test_by_the_defaults_a_mismatch_is_a_warning_never_silence(
    logged: Simulated, anchors: Anchors, boot: EventLogPlan
) -> None:
    boot.events.pop()
    appraisal = appraise(judge(logged, anchors, with_log(logged, read(boot))), None, at=logged.at)
    assert appraisal.verdict == "conforms-with-warnings"
    assert "event-log.mismatch" in {warning.code for warning in appraisal.warnings}


# -- Azure: the TPM's log against the quoted PCRs ---------------------------------------------------


@pytest.fixture(scope="module")
def machine(simulator: Simulator) -> Simulated:
    return simulator.azure(event_log=True)


def test_an_azure_machines_log_replays_into_the_quoted_pcrs(machine: Simulated, anchors: Anchors) -> None:
    verified = judge(machine, anchors)
    assert outcome(verified, "azure.event-log") == "passed"
    assert set(verified.paravisor_claims["boot"]) == {"kernel", "initrd", "cmdline", "secure-boot"}
    assert verified.claims["raw"]["azure"]["event_log"]["state"] == "replayed"


def test_an_azure_machine_without_a_log_or_with_a_tds_is_told_so(
    machine: Simulated, anchors: Anchors, boot: EventLogPlan
) -> None:
    for logs in ((), (read(boot),)):
        verified = judge(machine, anchors, with_log(machine, *logs))
        assert outcome(verified, "azure.event-log") == "not-run"
        assert "boot" not in verified.paravisor_claims
        unused = [warning.where for warning in verified.warnings if warning.code == "event-log.unused"]
        assert unused == ["ccel event log"] * len(logs)


@pytest.mark.parametrize(("index", "said"), [(7, "failed"), (4, "failed"), (10, "passed"), (16, "passed")])
def test_only_pcrs_of_the_boot_are_compared(
    simulator: Simulator, anchors: Anchors, index: int, said: str
) -> None:
    made = simulator.azure(event_log=True, pcrs={index: b"\x5a" * 32})
    verified = judge(made, anchors)
    assert outcome(verified, "azure.event-log") == said
    assert mismatches(verified) == ([f"pcr{index}"] if said == "failed" else [])
    assert ("boot" in verified.paravisor_claims) == (said == "passed")


def test_an_azure_tds_registers_measure_nothing(simulator: Simulator, anchors: Anchors) -> None:
    made = simulator.azure(kind="tdx", event_log=True)
    verified = judge(made, anchors)
    assert outcome(verified, "tdx.event-log") == "not-run"
    assert outcome(verified, "azure.event-log") == "passed"
    assert verified.claims["tdx"]["event-log"] == "absent"


@pytest.mark.parametrize(("pcrs", "said"), [(None, "not-run"), ({10: bytes(32)}, "failed"), ({}, "failed")])
def test_a_quote_of_no_register_of_the_boot_replays_nothing(
    machine: Simulated, anchors: Anchors, tpm: EventLogPlan, pcrs: dict[int, bytes] | None, said: str
) -> None:
    part = next(part for part in judge(machine, anchors)._parts if isinstance(part, AzurePart))
    parts: list[Part] = [replace(part, pcrs=pcrs)]
    log = CheckLog()
    assert check_event_logs((read(tpm),), "azure", parts, [], log) == {}
    assert [(record.name, record.outcome) for record in log.records()] == [("azure.event-log", said)]
    assert bool(log.warnings) == (said == "failed")


AZURE = """policy: 1
name: booted
platforms: [azure-snp]
require:
  snp: {measurement: %s}
  azure: {secure-boot: true}
  boot: {secure-boot: true}
"""


def test_boot_facts_of_a_paravisor_that_is_not_pinned_are_unknown(
    machine: Simulated, anchors: Anchors
) -> None:
    """Whoever launched the machine wrote the registers and the log (T-PARAVISOR)."""
    verified = judge(machine, anchors)
    right = verified.claims["snp"]["measurement"]
    for measurement, refused in ((right, False), ("00" * 48, True)):
        appraisal = appraise(verified, Policy.from_text(AZURE % measurement), at=verified.at)
        codes = {problem.code for problem in appraisal.problems}
        assert ("policy.boot.secure-boot" in codes) == refused
