"""JSON documents of the field that hold a TDX quote."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping

from attest import strict_base64
from attest.problems import malformed

# Hex of a quote header cannot be base64 of one (the first bytes would be d3 8d), so no text fits both.
_HEX_QUOTE = re.compile(r"(?:0x)?0[345]000[23]00[0-9a-fA-F]*\Z")
_MAX_TEXT = 256 << 10


def read_json(document: Mapping[str, object], where: str) -> bytes | None:
    """The quote's bytes, unparsed.

    Known: Confidential Containers `{"quote": base64, "cc_eventlog": …}`, dstack `{"quote": hex,
    "event_log": …}` and `{"intel_quote": hex}`, with or without 0x. None when the document is of
    another kind. Raises Malformed when the member is there and does not decode.
    """
    name = next((name for name in ("quote", "intel_quote") if isinstance(document.get(name), str)), None)
    if name is None:
        return None
    text = document[name]
    assert isinstance(text, str)
    place = f"{where} {name}"
    if len(text) > _MAX_TEXT:
        raise malformed("The quote is too large", where=place, expected=f"≤ {_MAX_TEXT}", found=len(text))
    if _HEX_QUOTE.match(text):
        digits = text.removeprefix("0x")
        if len(digits) % 2:
            raise malformed("The hex text has an odd number of digits", where=place, found=len(digits))
        return bytes.fromhex(digits)
    if name == "intel_quote":
        raise malformed("The quote is not hex", where=place, expected="hex of a quote")
    try:
        return strict_base64.decode(text)
    except (binascii.Error, ValueError):
        raise malformed("The quote is neither base64 nor hex of a quote", where=place) from None
