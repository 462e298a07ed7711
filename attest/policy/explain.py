"""The record of one judged rule, and the sentence of its denial.

The sentences come from what decided, never from a second look: a record holds the Finding itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

from attest.claims import instant
from attest.errors import Problem
from attest.policy.compare import ABSENT, Finding
from attest.policy.fixed import FLOOR
from attest.policy.model import Reference
from attest.policy.words import NAMES, STATUS_FIXES, WORDS, Words
from attest.untrusted import escape

Outcome: TypeAlias = Literal["pass", "observed", "accepted", "grace", "deny"]

_LONG_HEX = re.compile(r"[0-9a-f]{32,}", re.ASCII)
# Known only to a verifier who says what it asked for.
_ASKED = frozenset({"binding.nonce", "binding.key", "binding.gpu-to-cpu"})
_LABELS = {"gpu": "GPU", "switch": "Switch"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One rule on one device, with its outcome.

    device: index and number of devices, None for what is no device. claim: the claim, or any, all, none,
    present. place: `file:line:column` or `default`; line: as in sentences, `file:line`. others: how many
    of the other devices pass the same rule. topic: key into WORDS where the claim alone does not give it.
    facts: what sentences need besides: the device's id, the report's version, the TDX standing.
    """

    section: str
    claim: str
    device: tuple[int, int] | None
    place: str
    line: str
    order: int
    finding: Finding
    outcome: Outcome
    until: datetime | None = None
    why: str | None = None
    fix: str | None = None
    others: int | None = None
    topic: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rule(self) -> str:
        if not self.section:
            return self.claim
        index = f"[{self.device[0]}]" if self.device else ""
        return f"{self.section}{index}.{self.claim}"

    @property
    def name(self) -> str:
        return f"{self.section}.{self.claim}" if self.section else self.claim

    @property
    def code(self) -> str:
        return f"policy.{self.name}"

    def record(self) -> dict[str, str | None]:
        finding = self.finding
        words, fix = self._words()
        passed = self.outcome in ("pass", "observed")
        return {
            "rule": self.rule,
            "at": self.place,
            "result": f"{finding.result} {finding.note}" if finding.note else finding.result,
            "outcome": self.outcome,
            "expected": finding.expected,
            "found": finding.found,
            "code": self.code,
            "why": self.why if self.why is not None or passed else words.why,
            "fix": self.fix if passed else fix,
            "until": None if self.until is None else instant(self.until),
        }

    def problem(self, policy: str) -> Problem:
        """The denial. Its message is the sentence a person reads first."""
        return Problem(
            code=self.code,
            message=self.sentence(),
            expected=self.finding.expected,
            found=self.finding.found,
            where=self.rule,
            source=f"policy {policy}, {self.place}",
            remedy=self._words()[1],
        )

    def sentence(self) -> str:
        """`GPU 3 of 8: VBIOS is too old (gpu[3].vbios, p.yaml:21). Wanted …, found …. Update GPU …`"""
        finding = self.finding
        words, fix = self._words()
        head, details = words.headline, []
        if self.until is not None and finding.result == "F":
            head = f"A grace period ended on {_day(self.until)}"
        elif finding.result == "U":
            head = "Cannot tell"
            details = [f"{self._unknown()}; unknown counts as not met"]
        elif finding.sets:
            head, details, fix = self._reference_words(fix)
        elif self.name == "tdx.tcb-status":
            details = self._behind()
        elif self.name == "snp.fixed":
            details = ["; ".join(f"{want}, found {got}" for want, got in finding.misses)]
        elif self.name == "tdx.tcb-evaluation" and finding.misses:
            want, got = finding.misses[0]
            details = [f"Number {got}, wanted {want}: it may hide findings"]
        elif words.detail:
            details = [self._wanted_found()]
        if finding.result == "F" and self.facts.get("because"):
            details.append(str(self.facts["because"]))
        if finding.result == "F" and self.until is None and words.why:
            details.append(words.why)
        if self.why:
            details.append(self.why)
        label = f"{_LABELS[self.section]} {self.device[0]} of {self.device[1]}: " if self.device else ""
        if not label:
            head = head[:1].upper() + head[1:]
        text = [f"{label}{head} ({self.rule}, {self.line})", *details, *([fix] if fix else [])]
        return " ".join(part if part.endswith((".", "?", "!")) else part + "." for part in text)

    # -- pieces -----------------------------------------------------------------------------------

    def _words(self) -> tuple[Words, str | None]:
        """Words for this failure, and what to do: the policy's own fix before ours."""
        finding = self.finding
        keys = (self.topic, f"{self.name} {finding.operator}", f"{self.name} {finding.found}", self.name)
        found = next((WORDS[key] for key in keys if key in WORDS), None)
        if found is None:
            what = NAMES.get(self.name, self.claim.replace("-", " "))
            found = Words(f"{what} is not as wanted", None, None, True)
        values = {
            "found": _short(finding.found),
            "wanted": _short(finding.expected),
            "id": self._device_id(),
            "stale": str(self.facts.get("stale")),
        }
        ours = found.fix.format_map(values) if found.fix else None
        if finding.result == "U":
            ours = self._unknown_fix()
        elif self.name == "tdx.tcb-status":
            ours = STATUS_FIXES.get(finding.found or "", ours)
        return found._replace(headline=found.headline.format_map(values)), self.fix or ours

    def _wanted_found(self) -> str:
        misses = self.finding.misses or ((self.finding.expected, self.finding.found or "nothing"),)
        detail = "Wanted " + "; ".join(f"{_short(want)}, found {_short(got)}" for want, got in misses)
        if self.device and self.device[1] > 1 and self.others:
            rest = self.device[1] - 1
            detail += (
                f"; the other {rest} pass" if self.others == rest else f"; {self.others} of the others pass"
            )
        return detail

    def _unknown(self) -> str:
        unknown = self.finding.unknown or ABSENT
        if unknown == ABSENT and self.claim.startswith("mitigations-") and "report-version" in self.facts:
            return f"Report version {self.facts['report-version']} does not carry it (5 does)"
        if unknown == ABSENT and self.facts.get("paravisor-unknown"):
            return "The paravisor that says it is not the one that the policy pins"
        if unknown == ABSENT and self.name in _ASKED:
            return "No nonce was given to compare with"
        return unknown

    def _unknown_fix(self) -> str:
        if self.name == "snp.fixed":
            return "Update the floor data, or write the minimum as a tcb rule"
        if self.place == FLOOR:
            return "Update the floor data, or write tcb-evaluation with an override"
        if self.facts.get("paravisor-unknown"):
            return "See what is wrong with the paravisor first; nothing it says is known until then"
        if self.finding.remedy:
            return self.finding.remedy
        if self.claim.startswith("mitigations-"):
            return "Drop the rule or update firmware"
        if self.name in _ASKED:
            return "Give what the machine was asked with: --nonce, and --key for a key"
        if self.place == "default":
            return "Collect evidence that carries it"
        return "Drop the rule or collect evidence that carries it"

    def _behind(self) -> list[str]:
        """What Intel's algorithm found too low, module first, and the advisories of the levels missed."""
        tcb = self.facts.get("tcb")
        if not isinstance(tcb, Mapping):
            return []
        behind: list[str] = []
        advisories: list[str] = []
        for name in ("module", "platform", "qe"):
            part = tcb.get(name)
            if isinstance(part, Mapping):
                behind += _texts(part.get("behind"))
                advisories += [text for text in _texts(part.get("advisories")) if text not in advisories]
        details = ["Behind: " + "; ".join(behind)] if behind else []
        return details + ([", ".join(advisories)] if advisories else [])

    def _device_id(self) -> str:
        value = self.facts.get("id")
        if not isinstance(value, str):
            return str(self.device[0]) if self.device else ""
        text = escape(value).upper()
        return text if len(text) <= 12 else f"{text[:4]}…{text[-4:]}"

    def _reference_words(self, fix: str | None) -> tuple[str, list[str], str | None]:
        """Sentences 7 and 8: a value that no set lists, or that one lists as no longer good."""
        finding = self.finding
        what = NAMES.get(self.name, self.claim)
        entry, sets = finding.entry, " and ".join(f'"{found.name}"' for found in finding.sets)
        if entry is None:
            valid = sum(found.valid for found in finding.sets)
            detail = f"Found {_short(finding.found)}, none of the {valid} valid values of {sets}"
            return f"Unknown {what}", [detail], fix
        name = escape(entry.name) if entry.name else _short(finding.found)
        names = [one for found in finding.sets for one in found.suggested if one != entry.name]
        if not self.fix:
            fix = f"Deploy {escape(names[0])}" if names else f"Deploy a valid value of {sets}"
        head = {"revoked": "Revoked", "expired": "Expired", "not yet": "Not yet valid"}[
            finding.note or "revoked"
        ]
        return f"{head} {what}", [f"This is {name}{_history(entry, finding.note)}"], fix


def _history(entry: Reference, note: str | None) -> str:
    if note == "expired" and entry.ends is not None:
        return f", valid until {_day(entry.ends)}"
    if note == "not yet" and entry.begins is not None:
        return f", valid from {_day(entry.begins)}"
    since = f", revoked {_day(entry.since)}" if entry.since is not None else ", revoked"
    return since + (f": {escape(entry.because)}" if entry.because else "")


def _day(value: datetime) -> str:
    """The day alone where an instant is a day's start or end."""
    text = instant(value)
    return text[:10] if text.endswith(("T00:00:00Z", "T23:59:59Z")) else text


def _short(text: str | None) -> str:
    """`41d0…9c` for long hex."""
    if text is None:
        return "nothing"
    return _LONG_HEX.sub(lambda match: f"{match[0][:4]}…{match[0][-2:]}", text)


def _texts(value: object) -> list[str]:
    return [escape(str(item)) for item in value] if isinstance(value, (list, tuple)) else []
