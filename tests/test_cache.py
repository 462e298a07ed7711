"""What was verified once serves only the same question again (T-CACHE)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attest.anchors import Anchors
from attest.cache import Cache

ASKED = ("device", b"\x01" * 32, (b"leaf", b"issuer"))


@pytest.mark.parametrize(
    "other",
    [
        ("rim", ASKED[1], ASKED[2]),
        ("device", b"\x02" * 32, ASKED[2]),
        ("device", b"", ASKED[2]),
        ("device", ASKED[1], (b"issuer", b"leaf")),
        ("device", ASKED[1], (b"leaf",)),
        ("device", ASKED[1], (b"leaf", b"issuer", b"")),
        ("device", ASKED[1], (b"leafissuer",)),
        ("device", ASKED[1], (b"leafi", b"ssuer")),
    ],
)
def test_t_cache_role_anchors_and_parts_in_order_are_in_the_key(
    other: tuple[str, bytes, tuple[bytes, ...]],
) -> None:
    assert Cache.key(*ASKED) == Cache.key(*ASKED)
    assert Cache.key(*other) != Cache.key(*ASKED)


def test_the_digest_of_anchors_tells_a_vendors_root_from_a_simulators() -> None:
    production = Anchors.production()
    first, *rest = production.roots
    others = (
        replace(production, roots=(replace(first, simulated=True), *rest)),
        replace(production, roots=(*rest, first)),
        replace(production, roots=tuple(rest)),
        replace(production, intermediates=production.intermediates[1:]),
    )
    assert production.digest not in {other.digest for other in others}
