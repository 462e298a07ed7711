"""One claim's rule for one piece of evidence, and the narrowest rule that passes several."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from attest.claims import CLAIMS
from attest.policy.author_table import Pin
from attest.policy.kinds import read

Shown: TypeAlias = Any
"""A claim's text as the tree has it: text, a list, a map of components; None where absent."""

ABSENT = "{exists: false}"
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9._-])?", re.ASCII)


def quoted(text: str) -> str:
    """A scalar that reads back as `text`; long hex in quotes, as people expect it. What is not printable is escaped: as it
    is, YAML would refuse it, or take it for a line's end."""
    if _PLAIN.fullmatch(text) and len(text) < 32:
        return text
    return "".join(
        char if char.isprintable() else f"\\U{ord(char):08x}" for char in json.dumps(text, ensure_ascii=False)
    )


def rule(pin: Pin, shown: Sequence[Shown], products: Sequence[str | None]) -> str | None:
    """The narrowest YAML value of this claim's rule that passes everything shown; None where none is written.

    shown: of one piece of evidence, or of several; products: the SNP product of each.
    """
    values = [value for value in shown if value is not None]
    if not values:
        return ABSENT if pin.absence else None
    if len(values) < len(shown):
        return None
    claim = CLAIMS[pin.section][pin.claim]
    texts = [*dict.fromkeys(value if isinstance(value, str) else "" for value in values)]
    if pin.style == "good":
        return quoted(pin.good) if texts == [pin.good] else None
    if claim.kind == "bits" and pin.style == "same":
        texts = [f"{int(text):#x}" for text in texts]
    if pin.style in ("same", "reference"):
        return quoted(texts[0]) if len(texts) == 1 else f"{{one-of: [{', '.join(map(quoted, texts))}]}}"
    if pin.style == "bits":
        common = ~0
        for text in texts:
            common &= int(text)
        return f"{{has-bits: {common:#x}}}" if common else None
    if pin.style == "tcb":
        return _tcb(values, products)
    if pin.style == "svn":
        return _svn(texts)
    if pin.style == "branch":
        return _branches(texts)
    least = min(texts, key=lambda text: read(claim, text))  # type: ignore[arg-type, return-value]  # ordered kinds
    if not least.strip("0."):
        return None  # nothing lies below it
    return f"{{at-least: {quoted(least)}}}"


def exact(pin: Pin, shown: Sequence[Shown], products: Sequence[str | None]) -> bool:
    """Whether the rule for all passes nothing that the rules for each would not, as far as this claim goes."""
    alone = {rule(pin, [value], [product]) for value, product in zip(shown, products, strict=True)}
    if len(alone) == 1 or pin.style in ("same", "reference"):
        return (None not in alone and ABSENT not in alone) or len(alone) == 1
    if pin.style == "good":
        return False  # what is not safe everywhere is not asked for by itself
    together = rule(pin, shown, products)
    return together in alone or pin.style == "branch"


def _tcb(values: Sequence[Mapping[str, str]], products: Sequence[str | None]) -> str | None:
    minimums: dict[str, dict[str, int]] = {}
    for value, product in zip(values, products, strict=True):
        if product is None:
            return None
        found = minimums.setdefault(product, {name: int(number) for name, number in value.items()})
        for name, number in value.items():
            found[name] = min(found[name], int(number))
    texts = []
    for product, components in minimums.items():
        # Zero is no minimum, but a component that is named must be there.
        parts = ", ".join(f"{name}: {number}" for name, number in components.items())
        texts.append(f"{product}: {{{parts}}}")
    return f"{{at-least: {{{', '.join(texts)}}}}}"


def _svn(texts: Sequence[str]) -> str | None:
    values = [bytes.fromhex(text) for text in texts]
    if len({value[1] for value in values}) > 1:
        return None  # of another module major nothing can be said
    least = {index: min(value[index] for value in values) for index in range(16)}
    parts = ", ".join(f"{index}: {number}" for index, number in least.items() if number or index == 1)
    return f"{{at-least: {{{parts}}}}}"


def _branches(texts: Sequence[str]) -> str:
    minimums: dict[int, str] = {}
    claim = CLAIMS["gpu"]["driver"]
    for text in sorted(texts, key=lambda text: read(claim, text), reverse=True):  # type: ignore[arg-type, return-value]
        minimums[int(text.partition(".")[0])] = text
    parts = ", ".join(f"{branch}: {minimums[branch]}" for branch in sorted(minimums))
    return f"{{at-least: {{{parts}, newer: ok}}}}"
