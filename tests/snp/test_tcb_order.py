"""TCBs: the layout of each product, and comparison component by component."""

from __future__ import annotations

import pytest

from attest.snp.tcb import Tcb, product_of

RAW = bytes([1, 2, 3, 4, 5, 6, 7, 8])


def test_each_product_has_its_own_layout() -> None:
    classic = {"bootloader": 1, "tee": 2, "snp": 7, "microcode": 8}
    assert Tcb.decode(RAW, "milan").components == classic
    assert Tcb.decode(RAW, "genoa").components == classic
    assert Tcb.decode(RAW, "turin").components == {
        "fmc": 1,
        "bootloader": 2,
        "tee": 3,
        "snp": 4,
        "microcode": 8,
    }


def test_t_tcb_rollback_a_higher_microcode_does_not_make_up_for_a_lower_snp() -> None:
    lower = Tcb.decode(bytes([4, 0, 0, 0, 0, 0, 24, 10]), "milan")
    higher = Tcb.decode(bytes([4, 0, 0, 0, 0, 0, 23, 255]), "milan")
    assert not lower.at_most(higher)
    assert not higher.at_most(lower)
    assert lower.at_most(lower)


@pytest.mark.parametrize(
    ("family", "model", "product"),
    [
        (0x19, 0x00, "milan"),
        (0x19, 0x0F, "milan"),
        (0x19, 0x10, "genoa"),
        (0x19, 0x1F, "genoa"),
        (0x19, 0x20, None),
        (0x19, 0x9F, None),
        (0x19, 0xA0, "genoa"),
        (0x19, 0xAF, "genoa"),
        (0x19, 0xB0, None),
        (0x1A, 0x00, "turin"),
        (0x1A, 0x11, "turin"),
        (0x1A, 0x12, None),
        (0x1A, 0x50, None),
        (0x17, 0x31, None),
    ],
)
def test_products_by_family_and_model(family: int, model: int, product: str | None) -> None:
    assert product_of(family, model) == product
