"""What a person should know although no rule refused it, in Rego: `attest.policy.warn` says what it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from attest.policy.document import Policy
from attest.policy.identity import workload_pins
from attest.policy.interchange.rego_rule import judges_by_floors, reading, seconds_of, sets_of
from attest.policy.interchange.rego_text import call, quoted, rule
from attest.policy.machine import asks_fixed
from attest.policy.model import Body
from attest.policy.warn import by_default


def warnings_in_rego(policy: Policy, identified: Collection[str]) -> Iterator[str]:
    """Rules of the partial set `warnings`, for every input; each input has some of its own.

    identified: platforms on which the export says whose program runs.
    """
    body, floors = policy.body, policy.floors
    yield _contains("revocation-unchecked", 'get(part("snp"), "crl") == "absent"')
    if by_default(policy, "gpu", "mode"):
        yield _contains("gpu-mode-unknown", "some index, device in gpus", "mode_unsaid(device, index)")
    for section, found in (("gpu", "gpus"), ("switch", "switches")):
        if section not in body.sections:
            yield _contains("unappraised", f"count({found}) > 0")
    for platform in sorted(body.platforms):
        if platform in identified:
            yield from _covered(body, platform)
        else:
            yield _contains("no-workload-identity", f"platform == {quoted(platform)}")
    begins = min((seconds_of(one.begins) for one in floors.evaluations), default=None)
    if by_default(policy, "tdx", "tcb-evaluation"):
        later = () if begins is None else (f"now < {begins}",)
        yield _contains("no-floors", 'present("tdx")', *later)
    if floors.expires is None:
        return
    ended = f"now > {seconds_of(floors.expires)}"
    if begins is not None and judges_by_floors(body):
        yield _contains("floors-expired", 'present("tdx")', f"now >= {begins}", ended)
    if asks_fixed(body.sections.get("snp", ())):
        yield _contains("floors-expired", 'present("snp")', ended)


def _covered(body: Body, platform: str) -> Iterator[str]:
    here = f"platform == {quoted(platform)}"
    pins = workload_pins(body, platform)
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
