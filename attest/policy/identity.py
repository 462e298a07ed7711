"""What a policy pins: the workload, and on Azure the paravisor that speaks for it.

Only deny rules outside `any` and `none` pin, by `is`, `one-of` or `in`. Claims that the host or the
guest chooses (host-data, init-data, rtmr3, pcr8, pcr16, pcr23) pin nothing alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attest.policy.model import Body, Entry, Rule

_AZURE_PCRS = ("pcr4", "pcr9", "pcr11")


def standing(entries: tuple[Entry, ...]) -> Iterator[Rule]:
    """Deny rules that must pass whatever else does: in the section itself, or within `all`."""
    for entry in entries:
        if isinstance(entry, Rule):
            if not entry.warn:
                yield entry
        elif entry.kind == "all":
            for branch in entry.branches:
                yield from standing(branch)


def pins(body: Body, section: str) -> Mapping[str, tuple[Rule, ...]]:
    """Claim → the rules that pin it; `guest-svn` counts with a minimum."""
    found: dict[str, tuple[Rule, ...]] = {}
    for rule in standing(body.sections.get(section, ())):
        counts = rule.operator("at-least") if rule.claim.name == "guest-svn" else None
        if counts or rule.operator("is", "one-of", "in"):
            found[rule.claim.name] = (*found.get(rule.claim.name, ()), rule)
    return found


def paravisor_pins(body: Body, platform: str) -> tuple[Rule, ...]:
    """The rules that pin Azure's paravisor; none: anyone can write its runtime data on a machine of his own.

    All of them must pass before anything it says is known.
    """
    if platform == "azure-tdx":
        return pins(body, "tdx").get("mrtd", ())
    found = _snp_pins(body)
    if any(rule.claim.name == "id-key" for rule in found):
        # The key alone signs old paravisors too.
        return (*found, *pins(body, "snp").get("guest-svn", ()))
    return found


def _snp_pins(body: Body) -> tuple[Rule, ...]:
    found = pins(body, "snp")
    if "measurement" in found:
        return found["measurement"]
    svn = any(rule.operator("at-least") for rule in found.get("guest-svn", ()))
    return found.get("id-key", ()) if svn else ()


def workload_pins(body: Body, platform: str) -> tuple[Rule, ...]:
    """The rules that pin what runs on `platform`; none: the policy does not say whose program it is."""
    if platform == "snp":
        return _snp_pins(body)
    if platform == "tdx":
        found = pins(body, "tdx")
        wanted = ("mrtd", "rtmr1", "rtmr2")
        if all(name in found for name in wanted):
            return tuple(rule for name in wanted for rule in found[name])
        return ()
    if platform in ("azure-snp", "azure-tdx"):
        paravisor = paravisor_pins(body, platform)
        found = pins(body, "azure")
        pcrs = tuple(rule for name in _AZURE_PCRS for rule in found.get(name, ()))
        return (*paravisor, *pcrs) if paravisor and pcrs else ()
    return ()
