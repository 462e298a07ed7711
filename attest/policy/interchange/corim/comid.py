"""A CoMID's reference values (draft-ietf-rats-corim-11 §5.1): for each state of a target, its environment and what is
measured there. Everything else in a CoMID goes to the draft's list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attest.policy.interchange.corim.items import Item, broken, shape
from attest.policy.interchange.draft import Draft
from attest.untrusted import escape

_IDENTITY, _LINKED, _TRIPLES = 1, 3, 4
_COMID = {
    0: "language",
    _IDENTITY: "tag-identity",
    2: "entities",
    _LINKED: "linked-tags",
    _TRIPLES: "triples",
}
_REFERENCE = 0
_OTHER_TRIPLES = {
    1: "endorsed-triples",
    2: "identity-triples",
    3: "attest-key-triples",
    4: "dependency-triples",
    5: "membership-triples",
    6: "coswid-triples",
    8: "conditional-endorsement-series-triples",
    10: "conditional-endorsement-triples",
}
_CLASS = {0: "class-id", 1: "vendor", 2: "model", 3: "layer", 4: "index"}
VERSION, SVN, DIGESTS, FLAGS, RAW, MASK, NAME, REGISTERS, RANGE = 0, 1, 2, 3, 4, 5, 11, 14, 15
_VALUES = {
    VERSION: "version", SVN: "svn", DIGESTS: "digests", FLAGS: "flags", RAW: "raw-value", MASK: "raw-value-mask",
    6: "mac-addr", 7: "ip-addr", 8: "serial-number", 9: "ueid", 10: "uuid", NAME: "name", 13: "cryptokeys",
    REGISTERS: "integrity-registers", RANGE: "int-range",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Environment:
    """class_id: `OID 1.2.3`, `UUID …` or the like; empty where there is none. Of the rest None is absent."""

    path: str
    class_id: str
    vendor: str | None
    model: str | None
    rest: tuple[Item, ...]
    """layer, index and group, which narrow the class."""
    instance: Item | None

    @property
    def identity(self) -> tuple[str, str | None, str | None]:
        return self.class_id, self.vendor, self.model

    @property
    def named(self) -> str:
        """As a person would tell it from others; text of the producer's."""
        return ", ".join(part[:60] for part in self.identity if part) or "an instance alone"


@dataclass(frozen=True, slots=True)
class Measurement:
    """key: a number, a text, or `OID …` and `UUID …` as a text; None where the measured element is the environment
    itself. values: by their key. name: what the measurement is called, or its tag."""

    path: str
    key: int | str | None
    values: dict[int | str | bytes, Item]
    name: str


@dataclass(frozen=True, slots=True)
class Triple:
    """One state of an environment: all its measurements together."""

    path: str
    environment: Environment
    measurements: tuple[Measurement, ...]


def triples(comid: Item, draft: Draft) -> Iterator[Triple]:
    """Raises Malformed (`corim.malformed`)."""
    found = comid.members(_COMID, needs=(_IDENTITY, _TRIPLES), closed=False)
    identity = found[_IDENTITY].members({0: "tag-id", 1: "tag-version"}, needs=(0,))
    name = escape(identity[0].name(), 80)
    if _LINKED in found:
        draft.lost(found[_LINKED].path, "linked-tags", "nothing is replaced; take out what this tag replaces")
    for key, extension in found.items():
        if key not in _COMID:
            draft.lost(extension.path, "an extension", "no rule comes of it")
    kinds = found[_TRIPLES].members({_REFERENCE: "reference-triples", **_OTHER_TRIPLES}, closed=False)
    for key, others in kinds.items():
        if key != _REFERENCE:
            count = len(others.value) if isinstance(others.value, (list, tuple)) else 1
            draft.lost(
                others.path, f"{count} entries", "not reference values; a policy's rules say no such thing"
            )
    for one in kinds[_REFERENCE].items() if _REFERENCE in kinds else ():
        yield _triple(one, name, draft)


def _triple(item: Item, tag: str, draft: Draft) -> Triple:
    environment, measured = (
        item.at(name, part.value)
        for name, part in zip(("ref-env", "ref-claims"), item.items(least=2, most=2), strict=True)
    )
    if not isinstance(measured.value, (list, tuple)):
        broken(
            measured.path,
            "a list of measurements (drafts 01 to 05 have one, without a list)",
            shape(measured.value),
        )
    return Triple(
        item.path,
        _environment(environment),
        tuple(_measurement(one, tag, draft) for one in measured.items()),
    )


def _environment(item: Item) -> Environment:
    found = item.members({0: "class", 1: "instance", 2: "group"})
    if not found:
        broken(item.path, "a class, an instance or a group", "none")
    kind = found[0].members(_CLASS) if 0 in found else {}
    if 0 in found and not kind:
        broken(found[0].path, "something in it", "nothing")
    rest = [kind[key] for key in (3, 4) if key in kind] + ([found[2]] if 2 in found else [])
    return Environment(
        item.path,
        _identifier(kind[0]) if 0 in kind else "",
        kind[1].text() if 1 in kind else None,
        kind[2].text() if 2 in kind else None,
        tuple(rest),
        found.get(1),
    )


def _identifier(item: Item) -> str:
    """Of a class: an OID, a UUID, bytes, or what an older draft or a profile has."""
    if item.tag == 111:
        return f"OID {item.oid()}"
    if item.tag == 37:
        return f"UUID {item.name()}"
    inner = item.inner(560, 551, 600)
    return f"{item.tag} {inner.value.hex() if isinstance(inner.value, bytes) else shape(inner.value)}"


def _measurement(item: Item, tag: str, draft: Draft) -> Measurement:
    found = item.members({0: "mkey", 1: "mval", 2: "authorized-by"}, needs=(1,))
    values = found[1].members(_VALUES, closed=False)
    if not values:
        broken(found[1].path, "a value", "none")
    if 2 in found:
        draft.lost(found[2].path, "authorized-by", "the signer that was named counts, and nobody besides")
    name = escape(values.pop(NAME).text(), 80) if NAME in values else tag
    return Measurement(found[1].path, _key(found.get(0)), values, name)


def _key(item: Item | None) -> int | str | None:
    if item is None:
        return None
    if isinstance(item.value, str):
        return item.value
    if item.is_number():
        return item.number()
    return f"OID {item.oid()}" if item.tag == 111 else f"{shape(item.value)}"
