"""The outermost shapes of a CoRIM: which are unsigned, which are signed.

501(map)   18([…])                      drafts 07 to 11
500(501(map))   500(502(18([…])))       drafts 00 to 06
map                                     Veraison's package up to 1.1, NVIDIA's signed payloads
"""

from __future__ import annotations

from attest import cose
from attest.policy.interchange.corim.items import TAGS, Item, broken, opened

_ANY, _UNSIGNED, _SIGNED = 500, 501, 502
MAX_BYTES = 512 << 10


def outermost(data: bytes) -> Item:
    """The map of an unsigned CoRIM, or the tag 18 of a signed one. Raises Malformed (`corim.malformed`)."""
    if len(data) > MAX_BYTES:
        broken("corim", f"≤ {MAX_BYTES} bytes", len(data))
    item = opened(data, "corim", tags=TAGS | {cose.SIGN1})
    if item.tag == _ANY:
        item = item.inner(_ANY)
    if item.tag == _SIGNED:
        item = item.inner(_SIGNED)
        item.inner(cose.SIGN1)
    return item if item.tag == cose.SIGN1 else corim_map(item)


def corim_map(item: Item) -> Item:
    return item.inner(_UNSIGNED) if item.tag is not None else item
