"""How a question to the shelf is split, and how its answers are written: a closed grammar, nothing decoded."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from attest.snp.tcb import PRODUCTS, Product
from attest.x509 import Certificate, Crl

MAX_TARGET = 2048
MAX_REQUEST = 4096
"""Bytes of an OCSP request about one certificate, nonce included; a hundred is usual."""
_PATH = re.compile(r"(?:/[A-Za-z0-9_.-]+)+|/")
_PAIR = re.compile(r"([A-Za-z_]{1,32})=([A-Za-z0-9]{0,256})")

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """status: of HTTP. headers: besides type and length."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """A question that is not answered, with the reply that says so."""

    def __init__(self, status: int, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.reply = Reply(status, "text/plain; charset=utf-8", text.encode() + b"\n", headers)


def split(target: str) -> tuple[str, dict[str, str]]:
    path, mark, text = target.partition("?")
    if len(target) > MAX_TARGET or not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise Refusal(400, "a path of plain words is wanted")
    query: dict[str, str] = {}
    for pair in text.split("&") if mark else ():
        match = _PAIR.fullmatch(pair)
        if match is None or match.group(1) in query:
            raise Refusal(400, "each parameter once, as name=value of letters and digits")
        query[match.group(1)] = match.group(2)
    return path, query


def only(query: Query, *names: str) -> None:
    unknown = sorted(set(query) - set(names))
    if unknown:
        raise Refusal(400, f"unknown parameter {unknown[0]}")


def product(title: str) -> Product:
    return next(product for product in PRODUCTS if product == title.lower())


def spl(query: Query, name: str) -> int:
    text = query.get(name, "")
    if not re.fullmatch(r"[0-9]{1,3}", text) or int(text) > 255:
        raise Refusal(400, f"{name} is a number from 0 to 255")
    return int(text)


def evaluation(query: Query, held: Mapping[int, object]) -> int:
    """The number that is asked for, else the highest: whether a set was `early` or `standard` when it was
    fetched, nobody wrote into it."""
    text = query.get("tcbEvaluationDataNumber")
    if query.get("update", "standard") not in ("standard", "early") or (
        text is not None and "update" in query
    ):
        raise Refusal(400, "Invalid request parameters.")
    if text is not None and not re.fullmatch(r"[0-9]{1,9}", text):
        raise Refusal(400, "Invalid request parameters.")
    number = max(held, default=None) if text is None else int(text)
    if number is None or number not in held:
        raise Refusal(404, "No cache data for this platform.")
    return number


# -- how answers are written -------------------------------------------------------------------------------


def text(text: str) -> Reply:
    return Reply(200, "text/plain; charset=utf-8", text.encode())


def crl_reply(crl: Crl, encoding: str, *headers: tuple[str, str]) -> Reply:
    if encoding == "der":
        return Reply(200, "application/pkix-crl", crl.der, headers)
    if encoding == "pem":
        return Reply(200, "application/x-pem-file", _armour("X509 CRL", crl.der), headers)
    if encoding == "hex":
        return Reply(200, "application/pkix-crl", crl.der.hex().encode(), headers)
    raise Refusal(400, "Invalid request parameters.")


def pem(certificates: Iterable[Certificate]) -> bytes:
    return b"".join(_armour("CERTIFICATE", certificate.der) for certificate in certificates)


def _armour(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    head, tail = f"-----BEGIN {label}-----".encode(), f"-----END {label}-----".encode()
    return b"\n".join([head, *lines, tail, b""])


def percent(pem: bytes) -> str:
    return quote(pem.decode("ascii"), safe="")
