"""Compare what NVIDIA's local verifier found of each device with what this verifier found, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attest.checks import CheckLog, CheckRecord
from attest.nvidia.second_opinion.opinion import DeviceOpinion, SecondOpinion
from attest.nvidia.second_opinion.runner import Outcome, PeerAnswer
from attest.untrusted import escape

CHECK = "second-opinion.nvidia"
_OUR_CHECK = {"parsed": "opaque"}
"""Where a step of theirs and a check of ours have two names."""
_MUST_RUN = ("parsed", "chain", "signature", "nonce")
_MEASURED: Mapping[str, Outcome] = {"match": "passed", "mismatch": "failed", "no-rim": "not-run"}


def compare(
    who: str,
    answers: Mapping[str, PeerAnswer],
    *,
    checks: Sequence[CheckRecord],
    measurements: Mapping[str, str],
    nonce_expected: bool,
) -> SecondOpinion:
    """Their opinion of devices that this verifier found authentic.

    who: their version. answers: `gpu[0]` → what they found. checks: those of the Verified. measurements:
    `gpu[0]` → match, mismatch or no-rim. A step that failed there refuses, whatever ours says; so does one
    that nobody there ran although it decides. OCSP is not part of it: see our own check.
    """
    log = CheckLog()
    ours = {record.name: record.outcome for record in checks}
    opinions = []
    for part, answer in answers.items():
        before = len(log.problems)
        code: str | None
        for name, step in answer.steps.items():
            mine = _mine(part, name, ours, measurements)
            found = step.outcome + (f": {step.why}" if step.why else "")
            where = f"{part}.{name}"
            if step.outcome == "failed":
                code = "second-opinion.disagrees" if mine == "passed" else "second-opinion.refuses"
            elif step.outcome == "passed" and mine == "failed":
                code = "second-opinion.disagrees"
            elif (
                step.outcome == "not-run" and name != "revocation" and (mine == "passed" or name in _MUST_RUN)
            ):
                # What decided here, nobody looked at there: that is no agreement.
                code = "second-opinion.refuses" if name != "nonce" or nonce_expected else None
            else:
                code = None
            if code is not None:
                log.failed(CHECK, code, where=where, expected=mine, found=found)
        for name in _MUST_RUN:
            if name not in answer.steps:
                log.failed(
                    CHECK,
                    "second-opinion.refuses",
                    where=f"{part}.{name}",
                    expected="passed",
                    found="nothing",
                )
        said = {
            name: step.outcome + (f" ({escape(step.why)})" if step.why else "")
            for name, step in answer.steps.items()
        }
        opinions.append(DeviceOpinion(part, len(log.problems) == before, said))
    if not answers:
        log.failed(CHECK, "second-opinion.nothing-to-ask")
    log.passed(CHECK)
    return SecondOpinion(who, log.good, tuple(opinions), tuple(log.problems), log.records())


def _mine(part: str, step: str, ours: Mapping[str, Outcome], measurements: Mapping[str, str]) -> Outcome:
    if step == "measurements":
        return _MEASURED[measurements[part]]
    if step == "nonce":
        return ours.get("binding.gpu-nonce", "not-run")
    return ours.get(f"{part}.{_OUR_CHECK.get(step, step)}", "not-run")
