"""Names and signed bytes, cut out of certificates and lists exactly as they were signed.

`cryptography` has parsed the document strictly before: lengths are definite, minimal and in bounds. What it
offers of these parts is decoded and written again, which costs as much as verifying a signature in places,
and a name is compared far more often than it is read (RFC 5280 §4.1, §5.1).
"""

from __future__ import annotations

_VERSION, _INTEGER = 0xA0, 0x02
COMMON_NAME, ORGANISATION = b"\x06\x03\x55\x04\x03", b"\x06\x03\x55\x04\x0a"
"""Attributes of a name, as DER writes their OIDs."""
_TEXT = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii"}
"""UTF8String, PrintableString, IA5String."""


def certificate_names(der: bytes) -> tuple[bytes, bytes]:
    """Issuer and subject of a certificate that parsed; DER each."""
    issuer = _end(der, _algorithm(der))
    validity = _end(der, issuer)
    subject = _end(der, validity)
    return der[issuer:validity], der[subject : _end(der, subject)]


def public_key_info(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate that parsed, DER."""
    start = _algorithm(der)
    for _ in range(4):  # algorithm, issuer, validity, subject
        start = _end(der, start)
    return der[start : _end(der, start)]


def signed_part(der: bytes) -> bytes | None:
    """The bytes under a certificate's signature; None where the algorithm inside them is not the one outside
    (RFC 5280 §4.1.1.2)."""
    start = _content(der, 0)
    end = _end(der, start)
    inner = _algorithm(der)
    if der[inner : _end(der, inner)] != der[end : _end(der, end)]:
        return None
    return der[start:end]


def _algorithm(der: bytes) -> int:
    """Where a certificate's signed part names its algorithm: behind version and serial number."""
    at = _content(der, _content(der, 0))
    if der[at] == _VERSION:
        at = _end(der, at)
    return _end(der, at)


def list_issuer(der: bytes) -> bytes:
    """The issuer of a revocation list that parsed, DER."""
    at = _content(der, _content(der, 0))
    if der[at] == _INTEGER:
        at = _end(der, at)
    issuer = _end(der, at)  # behind the algorithm
    return der[issuer : _end(der, issuer)]


def name_parts(name: bytes, attribute: bytes) -> tuple[str, ...] | None:
    """Every value of one attribute in a Name that parsed; None where one is written in a rare string type or does
    not decode."""
    at, end = _content(name, 0), len(name)
    found = []
    while at < end:
        stop = _end(name, at)
        pair = _content(name, at)
        while pair < stop:  # a SET: of one as a rule
            inner = _content(name, pair)
            pair = _end(name, pair)
            if name.startswith(attribute, inner):
                value = inner + len(attribute)
                encoding = _TEXT.get(name[value])
                if encoding is None:
                    return None
                try:
                    found.append(name[_content(name, value) : pair].decode(encoding))
                except UnicodeDecodeError:
                    return None
        at = stop
    return tuple(found)


def _content(der: bytes, at: int) -> int:
    """Where the content of the element at `at` begins."""
    length = der[at + 1]
    return at + 2 if length < 0x80 else at + 2 + (length & 0x7F)


def _end(der: bytes, at: int) -> int:
    """Where the element at `at` ends."""
    length = der[at + 1]
    if length < 0x80:
        return at + 2 + length
    start = at + 2 + (length & 0x7F)
    return start + int.from_bytes(der[at + 2 : start], "big")
