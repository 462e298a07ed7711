"""Computed values as reference values of a policy: what each covers, where it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from attest.untrusted import escape

Covers = Literal["firmware", "image"]
_SET_NAME = re.compile(r"[a-z0-9-]{1,52}", re.ASCII)
MAX_ORIGIN = 2000


@dataclass(frozen=True, slots=True)
class LaunchValue:
    """claim: of a policy, such as snp.measurement. value: its bytes. covers: firmware, or an image with its
    operating system; None where the value alone covers neither. means: the same in words. variant: what
    tells it from others of its claim, such as the number of vCPUs. observed: parts that were taken from a
    machine's log and not computed; a policy then warns."""

    claim: str
    value: bytes
    covers: Covers | None
    means: str
    variant: str | None = None
    observed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """values: computed. left_out: register → why it has no value. limits: what none of the values covers.
    origin: tool with version and all inputs."""

    kind: str
    values: tuple[LaunchValue, ...]
    origin: str
    limits: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        return {
            "kind": self.kind,
            "values": [
                {
                    "claim": value.claim,
                    "value": value.value.hex(),
                    "covers": value.covers,
                    "means": value.means,
                    "variant": value.variant,
                    "observed": list(value.observed),
                }
                for value in self.values
            ],
            "left-out": dict(self.left_out),
            "limits": list(self.limits),
            "origin": self.origin,
        }

    def reference_sets(self, name: str, *, release: str | None = None, begins: date) -> str:
        """YAML: the `references` of a policy, one set for each claim.

        name: of the set; with several claims, each set's name ends in its claim's. release: what people call
        this image; default the set's name. begins: the first day the values count. Raises ValueError.
        """
        if not _SET_NAME.fullmatch(name):
            raise ValueError("a set's name is 1 to 52 of a-z, 0-9 and -")
        return "\n".join(self._lines(name, release or name, begins)) + "\n"

    def _lines(self, name: str, release: str, begins: date) -> Iterator[str]:
        claims = list(dict.fromkeys(value.claim for value in self.values))
        sets = {claim: name if len(claims) == 1 else f"{name}-{claim.partition('.')[2]}" for claim in claims}
        for register, why in self.left_out.items():
            yield f"# {register} is not computed: {escape(why, MAX_ORIGIN)}"
        yield "references:"
        for claim in claims:
            yield f"  {sets[claim]}:"
            yield f"    type: {claim}"
            yield "    values:"
            for value in self.values:
                if value.claim != claim:
                    continue
                label = release if value.variant is None else f"{release}, {value.variant}"
                yield f'      - value: "{value.value.hex()}"'
                yield f"        name: {_quoted(label)}"
                if value.covers is not None:
                    yield f"        covers: {value.covers}"
                if value.observed:
                    yield "        state: observed"
                yield f"        from: {begins.isoformat()}"
                yield f"        origin: {_quoted(self.origin)}"
        yield "# In the policy's require:"
        section = claims[0].partition(".")[0]
        rules = ", ".join(f"{claim.partition('.')[2]}: {{in: {sets[claim]}}}" for claim in claims)
        yield f"#   {section}: {{{rules}}}"


def _quoted(text: str) -> str:
    """A YAML scalar on one line, whatever the text holds."""
    return '"' + escape(text, MAX_ORIGIN).replace("\\", "\\\\").replace('"', '\\"') + '"'
