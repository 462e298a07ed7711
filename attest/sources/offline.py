"""The offline bundle: one signed file with the endorsements that a fleet's evidence needs.

The payload of a DSSE envelope of kind `endorsements`, RFC 8785 JSON:

    {"made": "…Z", "expires": "…Z", "serial": "…", "earliest-end": "…Z" | null,
     "entries": [{"kind", "about", "this-update", "next-update", "sha256", "data", "chain"?, "id"?}, …]}

kind, data: `certificate` (DER), `crl` (DER), `intel-collateral` (the answer of Intel's service, with its issuer
`chain`), `rim` (XML, with its `id` where that is known), `ocsp` (DER). this-update, next-update: notBefore and
notAfter of a certificate or of a manifest's signers, issueDate and nextUpdate of collateral; null where there
is none. A payload has one form: whoever reads it writes it again from the entries and compares the bytes.

The signature says who put the file together. It says nothing of the entries: each is verified to its vendor's
root like any other file, and judged at its own dates.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from attest import strict_base64
from attest.canonical import canonical, read_json
from attest.claims import instant, read_instant
from attest.endorsements import Endorsements, SignedDocument
from attest.errors import Malformed
from attest.nvidia.rim import Rim
from attest.problems import malformed, problem
from attest.sources.dated import Dates, dates_of
from attest.tdx.collateral import read_pcs
from attest.x509 import Certificate, Crl

EntryKind = Literal["certificate", "crl", "intel-collateral", "rim", "ocsp"]
ENTRY_KINDS: tuple[EntryKind, ...] = get_args(EntryKind)
MAX_ENTRIES = 20_000
MAX_CHAIN = 4
_MEMBERS = {"made", "expires", "serial", "earliest-end", "entries"}
_PLAIN = {"kind", "about", "this-update", "next-update", "sha256", "data"}
_SERIAL = re.compile(r"0|[1-9][0-9]{0,18}")
RIM_ID = re.compile(r"NV_[A-Z0-9._]{1,120}")
_PCS_MEMBER = {"tcb-info": "tcbInfo", "qe-identity": "enclaveIdentity"}

Item = Certificate | Crl | SignedDocument | Rim | bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """One endorsement, parsed and believed by nobody. data: its exact bytes. item: what they parse to; an
    OCSP answer stays bytes. chain: of Intel's collateral. id: of a manifest, where it is known."""

    kind: EntryKind
    data: bytes
    item: Item
    dates: Dates
    chain: tuple[Certificate, ...] = ()
    id: str | None = None

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "kind": self.kind,
            "about": self.dates.about,
            "this-update": _optional(self.dates.this_update),
            "next-update": _optional(self.dates.next_update),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "data": base64.b64encode(self.data).decode(),
        }
        if self.kind == "intel-collateral":
            document["chain"] = [base64.b64encode(link.der).decode() for link in self.chain]
        if self.id is not None:
            document["id"] = self.id
        return document


@dataclass(frozen=True, slots=True)
class Bundle:
    """made, expires: the bundle's own time, both ends included. serial: never goes back for one signer."""

    made: datetime
    expires: datetime
    serial: int
    entries: tuple[Entry, ...]

    @classmethod
    def of(
        cls,
        endorsements: Endorsements,
        *,
        made: datetime,
        expires: datetime,
        serial: int,
        rim_ids: Mapping[bytes, str] | None = None,
    ) -> Bundle:
        """Put together whatever is given, each once, kind by kind in the order given: of a device's chain that
        came in a file of its own the order says which is the leaf. rim_ids: SHA-256 of a manifest → its id.
        """
        if not made <= expires:
            raise ValueError("a bundle ends after it is made")
        if not 0 <= serial < 10**19:
            raise ValueError("a serial has at most 19 digits")
        entries = _entries(endorsements, rim_ids or {})
        if len(entries) > MAX_ENTRIES:
            raise ValueError(f"a bundle holds at most {MAX_ENTRIES} entries, not {len(entries)}")
        order = {kind: index for index, kind in enumerate(ENTRY_KINDS)}
        entries.sort(key=lambda entry: order[entry.kind])
        return cls(made, expires, serial, tuple(entries))

    @property
    def first_to_end(self) -> Entry | None:
        """The entry whose nextUpdate comes first."""
        dated = [entry for entry in self.entries if entry.dates.next_update is not None]
        return min(dated, key=lambda entry: entry.dates.next_update or entry.dates.this_update, default=None)

    def payload(self) -> bytes:
        first = self.first_to_end
        return canonical(
            {
                "made": instant(self.made),
                "expires": instant(self.expires),
                "serial": str(self.serial),
                "earliest-end": None if first is None else _optional(first.dates.next_update),
                "entries": [entry.document() for entry in self.entries],
            }
        )

    @classmethod
    def parse(cls, payload: bytes) -> Bundle:
        """The bundle that a verified payload holds. Raises Malformed: `bundle.malformed`, `bundle.digest`, or
        what a broken endorsement raises."""
        document = read_json(payload, where="bundle")
        if not isinstance(document, dict) or set(document) != _MEMBERS:
            raise _broken("bundle", ", ".join(sorted(_MEMBERS)))
        serial, entries = document["serial"], document["entries"]
        if not isinstance(serial, str) or not _SERIAL.fullmatch(serial):
            raise _broken("bundle.serial", "a decimal number")
        if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
            raise _broken("bundle.entries", f"at most {MAX_ENTRIES} entries")
        signers: dict[bytes, Certificate] = {}
        bundle = cls(
            _instant(document["made"], "bundle.made"),
            _instant(document["expires"], "bundle.expires"),
            int(serial),
            tuple(_entry(entry, f"bundle.entries[{index}]", signers) for index, entry in enumerate(entries)),
        )
        if bundle.payload() != payload:
            # Dates and names beside an entry that are not its own, or a second spelling of the same.
            raise _broken("bundle", "what its entries say, as RFC 8785 JSON")
        return bundle

    def endorsements(self) -> Endorsements:
        """Everything in it, for `attest.sources.coverage.select` or a service."""
        kept: dict[str, list[Any]] = {kind: [] for kind in ENTRY_KINDS}
        for entry in self.entries:
            kept[entry.kind].append(entry.item)
        return Endorsements(
            certificates=tuple(kept["certificate"]),
            crls=tuple(kept["crl"]),
            documents=tuple(kept["intel-collateral"]),
            rims=tuple(kept["rim"]),
            ocsp=tuple(kept["ocsp"]),
        )

    def rim_ids(self) -> dict[bytes, str]:
        """SHA-256 of a manifest → its id, where that is known."""
        return {e.item.digest: e.id for e in self.entries if isinstance(e.item, Rim) and e.id is not None}


def pcs_answer(document: SignedDocument) -> bytes:
    """The answer of Intel's service around a signed document: the signed octets stand in it as they are."""
    member = _PCS_MEMBER[document.kind].encode()
    return b'{"%b":%b,"signature":"%b"}' % (member, document.body, document.signature.hex().encode())


def _entries(endorsements: Endorsements, rim_ids: Mapping[bytes, str]) -> list[Entry]:
    signers: dict[bytes, Certificate] = {}
    made: dict[tuple[str, bytes], Entry] = {}

    def add(kind: EntryKind, data: bytes, item: Item, **more: Any) -> None:
        made.setdefault((kind, data), Entry(kind, data, item, dates_of(item), **more))

    for certificate in endorsements.certificates:
        add("certificate", certificate.der, certificate)
    for crl in endorsements.crls:
        add("crl", crl.der, crl)
    for document in endorsements.documents:
        add("intel-collateral", pcs_answer(document), document, chain=document.chain)
    for given in endorsements.rims:
        rim = given if isinstance(given, Rim) else Rim.parse(given, signers)
        add("rim", rim.raw, rim, id=rim_ids.get(rim.digest))
    for answer in endorsements.ocsp:
        add("ocsp", answer, answer)
    return list(made.values())


def _entry(entry: object, where: str, signers: dict[bytes, Certificate]) -> Entry:
    if not isinstance(entry, dict) or not set(entry) >= _PLAIN:
        raise _broken(where, ", ".join(sorted(_PLAIN)))
    kind = entry["kind"]
    more = {"intel-collateral": {"chain"}, "rim": {"id"} & set(entry)}.get(str(kind), set())
    if kind not in ENTRY_KINDS or set(entry) != _PLAIN | more:
        raise _broken(where, f"a kind of {', '.join(ENTRY_KINDS)} and its members")
    data = _base64(entry["data"], f"{where}.data")
    if entry["sha256"] != hashlib.sha256(data).hexdigest():
        raise malformed(
            "An entry of the bundle has another digest than is written beside it",
            where=where,
            expected=entry["sha256"],
            found=hashlib.sha256(data).hexdigest(),
            code="bundle.digest",
        )
    chain = _chain(entry["chain"], f"{where}.chain") if kind == "intel-collateral" else ()
    name = entry.get("id")
    if name is not None and not (isinstance(name, str) and RIM_ID.fullmatch(name)):
        raise _broken(f"{where}.id", "NV_ and capitals, digits, dots")
    item = _item(kind, data, chain, where, signers)
    return Entry(kind, data, item, dates_of(item), chain, name)


def _item(
    kind: EntryKind,
    data: bytes,
    chain: tuple[Certificate, ...],
    where: str,
    signers: dict[bytes, Certificate],
) -> Item:
    if kind == "certificate":
        return Certificate(data, where=where)
    if kind == "crl":
        return Crl(data, where=where)
    if kind == "intel-collateral":
        return read_pcs(data, chain)
    if kind == "rim":
        return Rim.parse(data, signers)
    return data


def _chain(value: object, where: str) -> tuple[Certificate, ...]:
    if not isinstance(value, list) or len(value) > MAX_CHAIN:
        raise _broken(where, f"at most {MAX_CHAIN} certificates")
    return tuple(Certificate(_base64(link, where), where=where) for link in value)


def _base64(value: object, where: str) -> bytes:
    try:
        return strict_base64.decode(value) if isinstance(value, str) else _not_text(where)
    except binascii.Error:
        raise _broken(where, "padded standard base64") from None


def _not_text(where: str) -> bytes:
    raise _broken(where, "padded standard base64")


def _instant(value: object, where: str) -> datetime:
    try:
        if isinstance(value, str):
            return read_instant(value)
    except ValueError:
        pass
    raise _broken(where, "a time like 2026-11-23T12:00:00Z")


def _optional(value: datetime | None) -> str | None:
    return None if value is None else instant(value)


def _broken(where: str, expected: str) -> Malformed:
    return Malformed(problem("bundle.malformed", where=where, expected=expected))


def rim_ids_of(names: Iterable[tuple[str, bytes]]) -> dict[bytes, str]:
    """Ids of manifests by their digests, from (name of a file or service answer, SHA-256 of the manifest)."""
    return {digest: name for name, digest in names if RIM_ID.fullmatch(name)}
