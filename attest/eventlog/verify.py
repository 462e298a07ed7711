"""Is a log that of this boot? Replayed registers against signed ones; only then do facts follow.

A log that does not replay refuses nothing by itself: the registers are signed and known without it. It is a
failed check, the claim `tdx.event-log: mismatch` for policies, and a warning, which withholds a release.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from attest.checks import CheckLog
from attest.errors import Malformed
from attest.eventlog.facts import BootFacts, boot_facts, dstack_identities, images
from attest.eventlog.log import EventLog
from attest.eventlog.replay import RTMRS, replay_pcrs, replay_rtmrs

if TYPE_CHECKING:
    from attest.parts import Part

AFTER_BOOT = frozenset({8, 10, 11, 14, 15, 16, 23})
"""PCRs that software extends or resets after the boot: a boot's log cannot give their last value."""


@dataclass(frozen=True, slots=True)
class Replay:
    """One log beside signed registers.

    bank: `sha384` or `sha256`. matching: indices of signed registers that the log gives. differing: index →
    signed value, replayed value. Made by `compare_rtmrs` and `compare_pcrs` alone.
    """

    log: EventLog
    bank: str
    matching: frozenset[int]
    differing: Mapping[int, tuple[bytes, bytes]]

    @property
    def state(self) -> Literal["replayed", "mismatch"]:
        return "replayed" if self.matching and not self.differing else "mismatch"

    def named_differences(self) -> dict[str, tuple[bytes, bytes]]:
        """Register name, `rtmr0` or `pcr7` → signed value, replayed value."""
        prefix, first = ("pcr", 0) if self.log.form == "tpm" else ("rtmr", 1)
        return {f"{prefix}{index - first}": pair for index, pair in self.differing.items()}

    def facts(self) -> BootFacts:
        """Facts of the boot; all unknown unless every register agrees."""
        if self.state != "replayed":
            return BootFacts(unknown={"boot": "the log does not replay to the signed registers"})
        return boot_facts(self.log, self.bank, self.matching)

    def raw(self) -> dict[str, Any]:
        """What a person may want to see of it, as canonical text."""
        fields: dict[str, Any] = {
            "form": self.log.form,
            "events": str(len(self.log.events)),
            "state": self.state,
        }
        if self.differing:
            fields["replayed"] = {name: found.hex() for name, (_, found) in self.named_differences().items()}
        if self.state == "replayed":
            fields["images"] = [digest.hex() for digest in images(self.log, self.bank, self.matching)]
            fields["boot_unknown"] = dict(self.facts().unknown)
            if self.log.form == "dstack":
                fields["dstack"] = {name: data.hex() for name, data in dstack_identities(self.log).items()}
        return fields


def compare_rtmrs(log: EventLog, signed: Sequence[bytes]) -> Replay:
    """A TD's log against RTMR0 to RTMR3 of a verified quote: all four, zeros where nothing was logged.

    Raises Malformed when the log is a TPM's.
    """
    return _compare(log, "sha384", dict(zip(RTMRS, signed, strict=True)), replay_rtmrs(log))


def compare_pcrs(log: EventLog, signed: Mapping[int, bytes], bank: str = "sha256") -> Replay:
    """A TPM's log against the PCRs of a verified quote, without those of AFTER_BOOT.

    signed: index → value, of the quoted ones. Raises Malformed when the log is a TD's, has no digests of
    that bank or names an impossible startup locality.
    """
    found = replay_pcrs(log, bank)
    wanted = {index: value for index, value in signed.items() if index not in AFTER_BOOT}
    return _compare(log, bank, wanted, [found[index] for index in wanted])


def _compare(log: EventLog, bank: str, signed: Mapping[int, bytes], found: Sequence[bytes]) -> Replay:
    pairs = {index: (value, mine) for (index, value), mine in zip(signed.items(), found, strict=True)}
    differing = {index: pair for index, pair in pairs.items() if pair[0] != pair[1]}
    return Replay(log, bank, frozenset(pairs) - frozenset(differing), differing)


def check_event_logs(
    logs: Sequence[EventLog], section: str, parts: list[Part], beneath: Sequence[Part], log: CheckLog
) -> dict[str, dict[str, str]]:
    """Compare the logs beside a machine's CPU evidence with its registers, once those are verified.

    section: of the CPU evidence, "" without one. parts: what its verifier gave, empty when it was refused;
    the part is replaced by one that carries the outcome. beneath: the hardware under an Azure machine.
    Returns the claims of section boot. Never raises on evidence.
    """
    check, form = _WANTED.get(section, ("", ""))
    used = [one for one in logs if form and (one.form == "tpm") == (form == "tpm")]
    for one in logs:
        if one not in used:
            log.warn("event-log.unused", where=f"{one.form} event log")
    if any(part.section == "tdx" for part in beneath):
        log.not_run("tdx.event-log", "under Azure's paravisor nothing is measured into RTMRs")
    if not check:
        return {}
    if not used:
        log.not_run(check, "no event log was given: registers are known, the events behind them not")
    elif not parts:
        log.not_run(check, "the evidence was refused: its registers say nothing")
    else:
        parts[0], facts = (_check_td if form == "td" else _check_tpm)(used[0], parts[0], log)
        return {"boot": facts} if facts else {}
    return {}


_WANTED = {"tdx": ("tdx.event-log", "td"), "azure": ("azure.event-log", "tpm")}
"""Section of the CPU evidence → check, and whose log has the registers of its evidence."""


def _check_td(one: EventLog, part: Part, log: CheckLog) -> tuple[Part, dict[str, str]]:
    from attest.tdx.facts import TdxPart

    assert isinstance(part, TdxPart)
    body = part.quote.body
    found = compare_rtmrs(one, (body.rtmr0, body.rtmr1, body.rtmr2, body.rtmr3))
    _record(found, "tdx.event-log", log)
    judged = part._replace(replay=found)
    return judged, found.facts().claims()


def _check_tpm(one: EventLog, part: Part, log: CheckLog) -> tuple[Part, dict[str, str]]:
    from attest.azure.facts import AzurePart

    assert isinstance(part, AzurePart)
    if part.pcrs is None:
        log.not_run("azure.event-log", "the values of the registers were not given")
        return part, {}
    try:
        found = compare_pcrs(one, part.pcrs)
    except Malformed as error:
        log.left_to_policy("azure.event-log", "event-log.mismatch", found=str(error.problems[0]))
        return part, {}
    _record(found, "azure.event-log", log)
    judged: AzurePart = replace(part, replay=found)
    return judged, found.facts().claims()


def _record(found: Replay, check: str, log: CheckLog) -> None:
    if found.state == "replayed":
        log.passed(check)
        return
    for name, (signed, replayed) in found.named_differences().items():
        log.left_to_policy(check, "event-log.mismatch", where=name, expected=signed, found=replayed)
    if not found.differing:
        log.left_to_policy(check, "event-log.mismatch", found="no register that the boot measures into")
