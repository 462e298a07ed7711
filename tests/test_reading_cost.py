"""Reading hostile text takes time in proportion to its length, never to the square of it."""

from __future__ import annotations

import time

import pytest

from attest.errors import Malformed
from attest.recognise import Found, recognise
from attest.x509 import parse_certificates

MEGABYTE = 1 << 20
HOSTILE = {
    "a PEM body of white space": b"-----BEGIN CERTIFICATE-----" + b"\n" * MEGABYTE + b"!",
    "a PEM label without end": b"-----BEGIN " + b"A" * MEGABYTE,
    "beginnings without end": b"-----BEGIN CERTIFICATE-----\n" * (MEGABYTE // 28),
    "base64 with a long gap": b"A" + b" " * MEGABYTE + b"!",
    "base64 of nothing but pads": b"A" + b"=" * MEGABYTE,
    "hex with gaps": b"0x" + b"0 " * (MEGABYTE // 2) + b"!",
    "XML that declares and declares": b"<?xml " + b"encoding " * (MEGABYTE // 9) + b"=",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_is_refused_in_no_time(name: str) -> None:
    started = time.process_time()
    with pytest.raises(Malformed):
        recognise("file", HOSTILE[name], Found())
    # Linear readers need milliseconds, quadratic ones an hour.
    assert time.process_time() - started < 2


def test_a_chain_inside_evidence_is_held_to_the_same() -> None:
    started = time.process_time()
    with pytest.raises(Malformed):
        parse_certificates(HOSTILE["a PEM body of white space"], where="quote")
    assert time.process_time() - started < 2
