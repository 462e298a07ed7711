"""Mutations of a case, each a function of its seed alone.

A case has strata, one for each structure it is made of; a mutation draws the stratum first, so that a long
text does not take the draws of a short signature.
"""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from attest.errors import Malformed
from attest.nvidia.spdm import Report as DeviceReport
from attest.x509 import Certificate, Crl
from tests.differential.cases import TEXT_PARTS, Case

_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P384 = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SIGNER = re.compile(rb"<ds:X509Certificate>([^<]+)</ds:X509Certificate>")

Change = Callable[[Case, Sequence[Case], random.Random], tuple[Case, str] | None]


@dataclass(frozen=True)
class Mutation:
    """case: changed. stratum: which structure. what: the change in words."""

    case: Case
    stratum: str
    what: str


def mutate(cases: Sequence[Case], others: Sequence[Case], rng: random.Random) -> Mutation:
    """One mutation of one of `cases`, never the case unchanged. others: of the same platform, to take parts from."""
    while True:
        case = rng.choice(cases)
        strata = strata_of(case)
        stratum = rng.choice(sorted(strata))
        changed = strata[stratum](case, others, rng)
        if changed is None:
            continue
        made, what = changed
        if (made.parts, made.at, made.nonce) != (case.parts, case.at, case.nonce):
            return Mutation(made, stratum, what)


def strata_of(case: Case) -> Mapping[str, Change]:
    strata = {"snp": _snp, "tdx": _tdx, "nvidia": _nvidia}[case.platform](case)
    return {**strata, "time": _time, "swapped part": _swap, "truncated or extended": _length}


def _snp(case: Case) -> dict[str, Change]:
    strata: dict[str, Change] = {
        "report header and policy": _span("report", 0, 0x38),
        "report body": _span("report", 0x38, 0x2A0),
        "report signature": _span("report", 0x2A0, 0x330),
        "report tail": _span("report", 0x330, 0x4A0),
        "signature's twin": _snp_twin,
    }
    for part in ("vcek", "vlek", "ca", "root", "crl"):
        if part in case.parts:
            strata[f"{'CRL' if part == 'crl' else 'certificate'} {part}"] = _whole(part)
    return strata


def _tdx(case: Case) -> dict[str, Change]:
    quote = case.parts["quote"]
    body = 54 + int.from_bytes(quote[50:54], "little") if quote[0] == 5 else (432 if quote[0] == 3 else 632)
    data = body + 4
    wrapped = 0 if quote[0] == 3 else 6
    report = data + 128 + wrapped
    auth = report + 448
    pem = quote.find(b"-----BEGIN", auth)
    end = data + int.from_bytes(quote[body:data], "little")
    strata: dict[str, Change] = {
        "quote header": _span("quote", 0, 54 if quote[0] == 5 else 48),
        "quote body": _span("quote", 54 if quote[0] == 5 else 48, body),
        "quote signature": _span("quote", data, data + 64),
        "signature's twin": _tdx_twin(data, report + 384),
        "attestation key": _span("quote", data + 64, data + 128),
        "sizes and types": _spans(
            "quote", [(body, data), (data + 128, report), (auth, auth + 2), (pem - 6, pem)]
        ),
        "QE report": _span("quote", report, report + 384),
        "QE report signature": _span("quote", report + 384, auth),
        "QE authentication data": _span("quote", auth + 2, pem - 6),
        "PCK chain, certificate": _in_pem("quote", pem, end),
        "PCK chain, text": _span("quote", pem, end),
        "PCK chain, order": _pem_order("quote", pem, end),
        "TCB info": _whole("tcb_info"),
        "QE identity": _whole("qe_identity"),
        "collateral signatures": _either("tcb_info_signature", "qe_identity_signature"),
        "collateral chains, certificate": _either_pem(
            *(part for part in TEXT_PARTS if part.endswith("chain"))
        ),
        "collateral chains, text": _either(*(part for part in TEXT_PARTS if part.endswith("chain"))),
        "root CRL": _whole("root_ca_crl"),
        "PCK CRL": _whole("pck_crl"),
    }
    if len(quote) > end:
        strata["after the quote"] = _span("quote", end, len(quote))
    return strata


def _nvidia(case: Case) -> dict[str, Change]:
    report = case.parts["report"]
    record = 45 + int.from_bytes(report[42:45], "little")
    opaque = record + 34
    end = opaque + int.from_bytes(report[record + 32 : opaque], "little")
    strata: dict[str, Change] = {
        "report request": _span("report", 0, 37),
        "report response header": _span("report", 37, 45),
        "measurements": _span("report", 45, record),
        "response nonce and opaque length": _span("report", record, opaque),
        "opaque data": _span("report", opaque, end),
        "report signature": _span("report", end, end + 96),
        "signature's twin": _device_twin(end),
        "certificate order": _certificate_order,
    }
    for part in case.parts:
        if part.startswith("certificate."):
            strata[part] = _whole(part)
        elif part.startswith("rim."):
            for where in ("document", "signature", "signers"):
                strata[f"{part}, {where}"] = _rim(part, where)
    if case.nonce is not None:
        strata["expected nonce"] = _nonce
    return strata


def _with(case: Case, part: str, data: bytes) -> Case:
    return replace(case, parts={**case.parts, part: data})


def _altered(
    data: bytes, start: int, end: int, rng: random.Random, *, text: bool
) -> tuple[bytes, str] | None:
    """A bit, a byte, or a run of zeros between start and end. text: what was ASCII stays ASCII."""
    end = min(end, len(data))
    if end <= start:
        return None
    changed = bytearray(data)
    at = rng.randrange(start, end)
    how = rng.choice(("bit", "bit", "byte", "zeros" if not text else "byte"))
    if how == "bit":
        bit = rng.randrange(7 if text else 8)
        changed[at] ^= 1 << bit
        return bytes(changed), f"bit {bit} of byte {at:#x} flipped"
    if how == "byte":
        changed[at] = rng.randrange(32, 127) if text else rng.randrange(256)
        return bytes(changed), f"byte {at:#x} is {changed[at]:#04x}"
    size = min(rng.choice((2, 4, 8, 32)), end - at)
    changed[at : at + size] = bytes(size)
    return bytes(changed), f"{size} bytes from {at:#x} are zero"


def _span(part: str, start: int, end: int) -> Change:
    def change(case: Case, _: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        if part not in case.parts:
            return None
        made = _altered(case.parts[part], start, end, rng, text=part in TEXT_PARTS)
        return made and (_with(case, part, made[0]), f"{part}: {made[1]}")

    return change


def _spans(part: str, spans: Sequence[tuple[int, int]]) -> Change:
    def change(case: Case, others: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        return _span(part, *rng.choice(spans))(case, others, rng)

    return change


def _whole(part: str) -> Change:
    """Anywhere in a part; of a certificate or a list in DER, half of the draws fall on its outermost signature."""

    def change(case: Case, others: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        data = case.parts[part]
        start = len(data) - 110 if data[:1] == b"\x30" and rng.random() < 0.5 else 0
        return _span(part, max(start, 0), len(data))(case, others, rng)

    return change


def _either(*parts: str) -> Change:
    def change(case: Case, others: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        return _whole(rng.choice(parts))(case, others, rng)

    return change


def _in_pem(part: str, start: int = 0, end: int | None = None) -> Change:
    """A change of one certificate's DER, whose size stays; the text around it is as before."""

    def change(case: Case, _: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        data = case.parts[part]
        blocks = list(_PEM.finditer(data, start, len(data) if end is None else end))
        if not blocks:
            return None
        index = rng.randrange(len(blocks))
        der = base64.b64decode(blocks[index][1])
        made = _altered(der, rng.choice((0, len(der) - 80)), len(der), rng, text=False)
        if made is None:
            return None
        # The line breaks stay where they were: the text keeps its size.
        digits = iter(base64.b64encode(made[0]))
        body = bytes(one if one in b"\r\n" else next(digits) for one in blocks[index][1])
        changed = data[: blocks[index].start(1)] + body + data[blocks[index].end(1) :]
        return _with(case, part, changed), f"{part}: certificate {index}: {made[1]}"

    return change


def _either_pem(*parts: str) -> Change:
    def change(case: Case, others: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        return _in_pem(rng.choice(parts))(case, others, rng)

    return change


def _pem_order(part: str, start: int, end: int) -> Change:
    """The certificates of the quote's chain in another order, doubled or one of them replaced by another's."""

    def change(case: Case, others: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        data = case.parts[part]
        blocks = [block[0] + b"\n" for block in _PEM.finditer(data, start, end)]
        tail = data[max((block.end() for block in _PEM.finditer(data, start, end)), default=end) : end]
        if not blocks:
            return None
        index = rng.randrange(len(blocks))
        how = rng.choice(("order", "without", "twice", "of another quote"))
        if how == "order":
            rng.shuffle(blocks)
        elif how == "without":
            del blocks[index]
        elif how == "twice":
            blocks.insert(rng.randrange(len(blocks) + 1), blocks[index])
        else:
            another = [block[0] + b"\n" for block in _PEM.finditer(rng.choice(others).parts[part])]
            if index >= len(another):
                return None
            blocks[index] = another[index]
        made = b"".join(blocks) + tail.lstrip(b"\n")
        # Every size that counts the chain is set anew, so that only the chain is wrong.
        changed = bytearray(data[:start] + made + data[end:])
        grown = len(made) - (end - start)
        body = 54 + int.from_bytes(data[50:54], "little") if data[0] == 5 else (432 if data[0] == 3 else 632)
        places = [body, start - 4] + ([body + 4 + 130] if data[0] != 3 else [])
        for place in places:
            size = int.from_bytes(data[place : place + 4], "little") + grown
            changed[place : place + 4] = size.to_bytes(4, "little")
        return _with(case, part, bytes(changed)), f"{part}: PCK chain, {how}" + (
            f" {index}" if how != "order" else ""
        )

    return change


def _rim(part: str, where: str) -> Change:
    """document: what the signature covers. signature: SignedInfo and SignatureValue. signers: the certificates."""

    def change(case: Case, _: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        data = case.parts[part]
        at, keys = data.find(b"<ds:Signature"), data.find(b"<ds:KeyInfo")
        signers = [found.span(1) for found in _SIGNER.finditer(data)]
        if at < 0 or keys < at or not signers:
            return None
        index = rng.randrange(len(signers))
        start, end = {"document": (0, at), "signature": (at, keys), "signers": signers[index]}[where]
        made = _altered(data, start, end, rng, text=True)
        named = f"{part}: signer {index}" if where == "signers" else part
        return made and (_with(case, part, made[0]), f"{named}: {made[1]}")

    return change


def _snp_twin(case: Case, _: Sequence[Case], __: random.Random) -> tuple[Case, str] | None:
    report = case.parts["report"]
    s = _P384 - int.from_bytes(report[0x2E8:0x330], "little")
    if s <= 0:
        return None
    made = report[:0x2E8] + s.to_bytes(72, "little") + report[0x330:]
    return _with(case, "report", made), "report: s is n - s"


def _tdx_twin(*places: int) -> Change:
    def change(case: Case, _: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
        quote, place = case.parts["quote"], rng.choice(places)
        s = (_P256 - int.from_bytes(quote[place + 32 : place + 64], "big")) % _P256
        made = quote[: place + 32] + s.to_bytes(32, "big") + quote[place + 64 :]
        return _with(case, "quote", made), f"quote: s at {place + 32:#x} is n - s"

    return change


def _device_twin(place: int) -> Change:
    def change(case: Case, _: Sequence[Case], __: random.Random) -> tuple[Case, str] | None:
        report = case.parts["report"]
        s = (_P384 - int.from_bytes(report[place + 48 : place + 96], "big")) % _P384
        made = report[: place + 48] + s.to_bytes(48, "big") + report[place + 96 :]
        return _with(case, "report", made), "report: s is n - s"

    return change


def _certificate_order(case: Case, others: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
    names = sorted(part for part in case.parts if part.startswith("certificate."))
    chain = [case.parts[name] for name in names]
    if len(chain) < 2:
        return None
    how = rng.choice(("order", "without", "twice", "of another device"))
    index = rng.randrange(len(chain))
    if how == "order":
        rng.shuffle(chain)
    elif how == "without":
        del chain[index]
    elif how == "twice":
        chain.insert(index, chain[index])
    else:
        other = rng.choice(others).parts.get(names[index])
        if other is None:
            return None
        chain[index] = other
    parts = {name: data for name, data in case.parts.items() if name not in names}
    parts |= {f"certificate.{place}": der for place, der in enumerate(chain)}
    return replace(case, parts=parts), f"chain: {how}" + (f" {index}" if how != "order" else "")


def _nonce(case: Case, _: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
    assert case.nonce is not None
    nonce = bytearray(case.nonce)
    at = rng.randrange(32)
    nonce[at] ^= 1 << rng.randrange(8)
    return replace(case, nonce=bytes(nonce)), f"expected nonce: byte {at} is another"


def _swap(case: Case, others: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
    part = rng.choice(sorted(case.parts))
    other = rng.choice(others)
    if part not in other.parts:
        return None
    changed = _with(case, part, other.parts[part])
    signed = f"{part}_signature"
    if signed in case.parts and rng.random() < 0.8:
        # A document goes with its signature and its chain: it is genuine, and about something else.
        for beside in (signed, f"{part}_issuer_chain"):
            changed = _with(changed, beside, other.parts[beside])
    return changed, f"{part} of {other.name}"


def _length(case: Case, _: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
    part = rng.choice(sorted(case.parts))
    data = case.parts[part]
    how = rng.choice(("cut", "cut a little", "zeros", "bytes"))
    if how == "cut":
        data = data[: rng.randrange(len(data))]
    elif how == "cut a little":
        data = data[: len(data) - rng.randrange(1, min(9, len(data)))]
    elif how == "zeros":
        data += bytes(rng.choice((1, 8, 64)))
    elif part in TEXT_PARTS:
        data += bytes(rng.choices(b" \n{}x", k=3))
    else:
        data += rng.randbytes(rng.choice((1, 8, 64)))
    return _with(case, part, data), f"{part}: {how}, {len(data)} bytes now"


def _time(case: Case, _: Sequence[Case], rng: random.Random) -> tuple[Case, str] | None:
    """A second about one of the dates that the case itself carries, or some days off."""
    dates = _dates(case)
    if dates and rng.random() < 0.6:
        at = rng.choice(dates) + timedelta(seconds=rng.choice((-1, 0, 1)))
    else:
        at = case.at + timedelta(days=rng.choice((-1, 1)) * rng.choice((1, 7, 40, 400, 4000)))
    if not 2000 < at.year < 2100:
        return None
    return replace(case, at=at), f"at {at:%Y-%m-%dT%H:%M:%SZ}"


def _dates(case: Case) -> list[datetime]:
    dates: list[datetime] = []
    for part, data in sorted(case.parts.items()):
        if part in ("tcb_info", "qe_identity"):
            for found in re.findall(rb'"(?:issueDate|nextUpdate)":"([^"]+)"', data):
                dates.append(datetime.fromisoformat(found.decode()).astimezone(UTC))
            continue
        ders = [base64.b64decode(block[1]) for block in _PEM.finditer(data)]
        if part.startswith("certificate.") or part in ("vcek", "vlek", "ca", "root"):
            ders = [data]
        for der in ders:
            certificate = Certificate(der)
            dates += [certificate.not_before, certificate.not_after]
        if part in ("crl", "root_ca_crl", "pck_crl"):
            parsed = Crl(data).parsed
            dates += [one for one in (parsed.last_update_utc, parsed.next_update_utc) if one is not None]
    # Some never end: a second later there is no date.
    return sorted({one for one in dates if one.year < 2100})


def readable(case: Case) -> bool:
    """Whether mutations can find their way in it: an NVIDIA report that does not parse has no strata."""
    if case.platform != "nvidia":
        return True
    try:
        DeviceReport.parse(case.parts["report"])
    except Malformed:
        return False
    return True
