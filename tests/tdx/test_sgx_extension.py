"""The extension as Intel writes it is read at one stroke, and never otherwise than entry by entry."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import Malformed
from attest.simulator import Simulator
from attest.simulator.der import integer, octets
from attest.tdx import sgx_extension
from attest.tdx.quote import Quote
from attest.tdx.sgx_extension import SGX_EXTENSION, PckFacts
from attest.x509 import parse_certificates
from tests.conftest import Sample


def entry_by_entry(der: bytes) -> PckFacts | None:
    with patch.object(sgx_extension, "_usual", return_value=None):
        try:
            return PckFacts.parse(der)
        except Malformed:
            return None


def at_one_stroke(der: bytes) -> PckFacts | None:
    return sgx_extension._usual(der)


@pytest.fixture
def real(td: Sample) -> bytes:
    leaf = parse_certificates(Quote.parse(td.read("quote.bin")).certification_data, where="quote")[0]
    value = leaf.raw_extension(SGX_EXTENSION)
    assert value is not None
    return value


def test_a_real_extension_is_read_at_one_stroke(real: bytes) -> None:
    assert at_one_stroke(real) == entry_by_entry(real) != None  # noqa: E711


def _changed(der: bytes) -> Iterator[bytes]:
    for at in range(len(der)):
        for bit in range(8):
            yield der[:at] + bytes([der[at] ^ 1 << bit]) + der[at + 1 :]
        yield der[:at] + der[at + 1 :]
        yield der[:at] + b"\0" + der[at:]


def test_of_an_extension_with_any_bit_flipped_or_byte_lost_or_added_both_say_the_same(real: bytes) -> None:
    taken = 0
    for der in _changed(real):
        facts = at_one_stroke(der)
        if facts is not None:
            taken += 1
            assert facts == entry_by_entry(der), der.hex()
    assert taken > 100  # flips of values: the comparison was made


@given(
    st.lists(st.integers(0, 255), min_size=16, max_size=16),
    st.sampled_from([0, 1, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF]),
    st.booleans(),
    st.binary(min_size=16, max_size=16) | st.none(),
)
def test_svns_of_every_size_and_a_platform_id_or_none(
    simulator: Simulator, svns: list[int], pce_svn: int, flag: bool, instance: bytes | None
) -> None:
    plan = simulator.plan_tdx(components=dict(enumerate(svns)))
    plan.sgx.pcesvn = pce_svn
    plan.sgx.platform_instance_id = instance
    plan.sgx.cached_keys = flag
    der = plan.sgx.encode()
    facts = at_one_stroke(der)
    assert facts is not None
    assert facts == entry_by_entry(der)
    assert (list(facts.components), facts.pce_svn) == (svns, pce_svn)
    assert (facts.platform_instance_id, facts.cached_keys) == (
        instance,
        None if instance is None else flag,
    )


@pytest.mark.parametrize("tail", ["1", "2", "2.3", "2.17", "2.18", "3", "4", "5", "7.2"])
def test_what_is_not_written_as_intels_is_left_to_the_long_way(simulator: Simulator, tail: str) -> None:
    plan = simulator.plan_tdx()
    plan.sgx.edit[tail] = b"\x05\x00"
    assert at_one_stroke(plan.sgx.encode()) is None


def test_svns_that_contradict_cpusvn_are_left_to_the_long_way(simulator: Simulator) -> None:
    plan = simulator.plan_tdx()
    plan.sgx.cpusvn = bytes(16)
    assert at_one_stroke(plan.sgx.encode()) is None


@pytest.mark.parametrize(
    ("tail", "value"),
    [
        ("1", octets(bytes(15))),
        ("1", octets(bytes(17))),
        ("2.17", integer(0x10000)),
        ("2.17", integer(-1)),
        ("2.18", octets(bytes((8, 8, 2, 2, 4, 1, 0, 6)))),
        ("3", octets(bytes(3))),
        ("4", octets(bytes(5))),
        ("6", octets(bytes(15))),
    ],
)
def test_a_member_of_another_size_is_malformed(simulator: Simulator, tail: str, value: bytes) -> None:
    plan = simulator.plan_tdx()
    plan.sgx.edit[tail] = value
    with pytest.raises(Malformed):
        PckFacts.parse(plan.sgx.encode())
