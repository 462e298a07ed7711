"""Comparison with golden values: numbering, alternatives, the one skip, the missing block."""

from __future__ import annotations

from attest.nvidia.golden import compare

A, B, ZERO = b"a" * 48, b"b" * 48, bytes(48)


def test_manifest_index_i_is_block_i_plus_1() -> None:
    blocks = {1: ZERO, 2: A, 3: B}
    assert compare({1: (A,), 2: (B,)}, blocks, None).mismatches == ()
    assert {one.index for one in compare({0: (A,), 3: (B,)}, blocks, None).mismatches} == {0, 3}


def test_any_one_alternative_suffices() -> None:
    assert compare({0: (B, A)}, {1: A}, None).mismatches == ()


def test_zero_is_a_value() -> None:
    assert compare({0: (ZERO,)}, {1: ZERO}, None).mismatches == ()
    assert len(compare({0: (A,)}, {1: ZERO}, None).mismatches) == 1


def test_a_missing_block_is_a_mismatch() -> None:
    (mismatch,) = compare({5: (A,)}, {1: A}, None).mismatches
    assert (mismatch.index, mismatch.expected, mismatch.found) == (5, A, None)


def test_index_35_is_skipped_only_where_the_report_says_the_decoder_is_off() -> None:
    golden = {35: (A,), 36: (A,)}
    off = compare(golden, {}, 0x55)
    assert (off.skipped, off.compared) == ((35,), (36,))
    assert {one.index for one in off.mismatches} == {36}
    for status in (0xAA, None):
        assert compare(golden, {}, status).skipped == ()
