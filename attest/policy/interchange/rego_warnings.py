"""What a person should know although no rule refused it, in Rego: `attest.policy.warn` says what it is."""

from __future__ import annotations

from collections.abc import Iterator

from attest.policy.defaults import replaces
from attest.policy.document import Policy
from attest.policy.identity import workload_pins
from attest.policy.interchange.rego_rule import reading, seconds_of, sets_of
from attest.policy.interchange.rego_text import call, quoted, rule
from attest.policy.model import Body, Entry, Rule


def warnings_in_rego(policy: Policy) -> Iterator[str]:
    """Rules of the partial set `warnings`, for every input; each input has some of its own."""
    body, floors = policy.body, policy.floors
    yield _contains("revocation-unchecked", 'get(part("snp"), "crl") == "absent"')
    if not _replaced(body, "gpu", "mode"):
        yield _contains("gpu-mode-unknown", "some index, device in gpus", "mode_unsaid(device, index)")
    for section, found in (("gpu", "gpus"), ("switch", "switches")):
        if section not in body.sections:
            yield _contains("unappraised", f"count({found}) > 0")
    for platform in sorted(body.platforms):
        yield from _workload(body, platform)
    judges_tdx = not _replaced(body, "tdx", "tcb-evaluation")
    begins = min((seconds_of(one.begins) for one in floors.evaluations), default=None)
    if judges_tdx:
        later = () if begins is None else (f"now < {begins}",)
        yield _contains("no-floors", 'present("tdx")', *later)
    if floors.expires is None:
        return
    ended = f"now > {seconds_of(floors.expires)}"
    overridden = any(
        isinstance(one, Rule) and one.claim.name == "tcb-evaluation" and replaces(one) and one.override
        for one in body.sections.get("tdx", ())
    )
    if begins is not None and not overridden:
        yield _contains("floors-expired", 'present("tdx")', f"now >= {begins}", ended)
    if _asks_fixed(body.sections.get("snp", ())):
        yield _contains("floors-expired", 'present("snp")', ended)


def _workload(body: Body, platform: str) -> Iterator[str]:
    here = f"platform == {quoted(platform)}"
    pins = workload_pins(body, platform)
    if not pins:
        yield _contains("no-workload-identity", here)
        return
    listed = []
    for pin in pins:
        operator = pin.operator("in")
        if operator is None and pin.covers == "image":
            return
        if operator is not None:
            raw = f"get(section({quoted(pin.section)}), {quoted(pin.claim.name)})"
            listed.append(f"not {call('covers_image', reading(pin.claim, raw), sets_of(operator))}")
    yield _contains("os-unmeasured", here, *listed)


def _contains(code: str, *conditions: str) -> str:
    return rule(f"warnings contains {quoted(code)}", *conditions)


def _replaced(body: Body, section: str, claim: str) -> bool:
    return any(
        isinstance(one, Rule) and one.claim.name == claim and replaces(one)
        for one in body.sections.get(section, ())
    )


def _asks_fixed(entries: tuple[Entry, ...]) -> bool:
    return any(
        one.is_fixed if isinstance(one, Rule) else any(map(_asks_fixed, one.branches)) for one in entries
    )
