"""A corim-map: what it is about, from when to when, and its CoMIDs (draft-ietf-rats-corim-11 §4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from attest.policy.interchange.corim.items import Item, broken, opened, refused
from attest.policy.interchange.corim.validity import Validity, read_validity
from attest.policy.interchange.draft import Draft
from attest.untrusted import escape

Profile: TypeAlias = Literal["amd", "intel"]
PROFILES: dict[str, Profile] = {
    "tag:amd.com,2024:snp-corim-profile": "amd",
    "tag:amd.com,2025:snp-corim-profile": "amd",
    "2.16.840.1.113741.1.16.1": "intel",
}
"""draft-deeglaze-amd-sev-snp-corim-profile-02 and its editor's copy; draft-cds-rats-intel-corim-profile."""
_ID, _TAGS, _DEPENDENT, _PROFILE, _VALIDITY, _ENTITIES = range(6)
_CORIM = {
    _ID: "id", _TAGS: "tags", _DEPENDENT: "dependent-rims", _PROFILE: "profile", _VALIDITY: "rim-validity",
    _ENTITIES: "entities",
}  # fmt: skip
_COMID = 506
_OTHERS = {
    505: ("CoSWID", "it names files and their hashes, and no claim says what a file system holds"),
    507: ("CoTS", "trust anchors are given to verify, not in a policy"),
    508: ("CoTL", "which tags are active now is not followed; import what is"),
}
_WRAPPED = {b"\xd9\x01" + bytes([number & 0xFF]): number for number in (_COMID, *_OTHERS)}
"""How a byte string begins in which older producers put a whole tag."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """id: escaped. profile: None where the CoRIM names none. comids: each the map of a CoMID."""

    id: str
    profile: Profile | None
    validity: Validity
    comids: tuple[Item, ...]


def read_manifest(item: Item, draft: Draft) -> Manifest:
    """Raises Malformed (`corim.malformed`, `corim.profile`). Tags that are no CoMID go to `draft`."""
    found = item.members(_CORIM, needs=(_ID, _TAGS), closed=False)
    profile = _profile(found.get(_PROFILE))
    comids = []
    for tag in found[_TAGS].items():
        number, inner = _opened(tag)
        if number == _COMID:
            comids.append(inner)
        else:
            what, why = _OTHERS[number]
            draft.lost(tag.path, what, why)
    if _DEPENDENT in found:
        draft.lost(
            found[_DEPENDENT].path, "dependent-rims", "nothing is fetched; import them as policies too"
        )
    for key, extension in found.items():
        if key not in _CORIM:
            draft.lost(extension.path, "an extension", "no rule comes of it")
    validity = read_validity(found.get(_VALIDITY))
    return Manifest(escape(found[_ID].name(), 80), profile, validity, tuple(comids))


def _opened(tag: Item) -> tuple[int, Item]:
    """Number and content of a tag. Since draft 02 the content is in a byte string; before, and in Veraison's package
    up to 1.1, the tag is, or nothing."""
    if isinstance(tag.value, bytes):
        number = _WRAPPED.get(tag.value[:3])
        if number is None:
            broken(tag.path, f"tag {_COMID} or {', '.join(map(str, _OTHERS))}", tag.value[:3].hex())
        return number, opened(tag.value, tag.path).inner(number) if number == _COMID else tag
    inner = tag.inner(_COMID, *_OTHERS)
    number = tag.value.tag
    if number == _COMID and isinstance(inner.value, bytes):
        inner = opened(inner.value, tag.path)
    return number, inner


def _profile(item: Item | None) -> Profile | None:
    """Of drafts 00 and 01 the profile is a list. A CoRIM of a profile that is not known means what nobody here
    knows, so it is refused whole (§4.1, profile)."""
    if item is None:
        return None
    if isinstance(item.value, (list, tuple)):
        (item,) = item.items(most=1)
    name = item.oid() if item.tag == 111 else item.uri()
    if name not in PROFILES:
        raise refused("corim.profile", item.path, " or ".join(PROFILES), name)
    return PROFILES[name]
