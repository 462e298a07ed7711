"""Certificates and revocation lists, parsed once and kept with their exact bytes."""

from __future__ import annotations

import binascii
import hashlib
import re
import warnings
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from attest import strict_base64
from attest.cache import Cache
from attest.problems import malformed
from attest.untrusted import Untrusted
from attest.x509_parts import (
    COMMON_NAME,
    ORGANISATION,
    certificate_names,
    list_issuer,
    name_parts,
    public_key_info,
    signed_part,
)

MAX_CERTIFICATE = 16 << 10
MAX_CRL = 4 << 20
MAX_CHAIN = 16

# 2.25 is the arc of UUIDs: nobody else can own this number.
SIMULATOR_EXTENSION = x509.ObjectIdentifier("2.25.317540295370981127894103546287190466307")

# Possessive runs: one pass over hostile text, where backtracking would take the square of its length. What is
# base64 is told by the decoder.
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]++)-----([^-]++)-----END \1-----")
_AROUND_PEM = b"\0 \t\r\n"
# What `cryptography` raises on bytes that are no certificate, list or extension; not all are ValueErrors.
_UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_Which = Literal["subject", "issuer"]


class _Sorted(NamedTuple):
    """A certificate's extensions. modelled: by their class; a second one of a class would be doubled, and
    `Certificate.extensions` None. raw: those without a class, by name."""

    modelled: Mapping[type[x509.ExtensionType], x509.ExtensionType]
    raw: Mapping[x509.ObjectIdentifier, bytes]
    critical: tuple[x509.ObjectIdentifier, ...]


class Certificate:
    """A parsed X.509 certificate with the exact bytes it came in. Equal when the bytes are."""

    __slots__ = (
        "__dict__",
        "der",
        "fingerprint",
        "issuer_der",
        "not_after",
        "not_before",
        "parsed",
        "serial",
        "subject_der",
    )

    def __init__(self, der: bytes, *, where: str = "certificate") -> None:
        if len(der) > MAX_CERTIFICATE:
            raise malformed(
                "The certificate is too large", where=where, code="x509.malformed", found=len(der)
            )
        try:
            with warnings.catch_warnings():
                # AMD's VCEK and VLEK have serial number 0, which RFC 5280 forbids; odd names warn too.
                warnings.simplefilter("ignore", UserWarning)
                self.parsed = x509.load_der_x509_certificate(der)
                self.serial = self.parsed.serial_number
                # cryptography decodes these when first read: better here than amid a verification.
                self.not_before = self.parsed.not_valid_before_utc
                self.not_after = self.parsed.not_valid_after_utc
        except _UNREADABLE as error:
            raise malformed(
                "A certificate does not parse", where=where, code="x509.malformed", found=str(error)[:120]
            ) from None
        if der[-len(self.parsed.signature) - 1] != 0:
            # Whole bytes only: with unused bits one certificate would have several encodings.
            raise malformed("A signature has unused bits", where=where, code="x509.malformed")
        self.issuer_der, self.subject_der = certificate_names(der)
        self.der = der
        self.fingerprint = hashlib.sha256(der).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and self.der == other.der

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        return f"<Certificate {self.common_name.shown}>"

    @cached_property
    def extensions(self) -> x509.Extensions | None:
        """None when the extensions are unreadable or doubled."""
        try:
            return self.parsed.extensions
        except _UNREADABLE:
            return None

    def extension(self, kind: type[_Extension]) -> _Extension | None:
        value = self._sorted.modelled.get(kind)
        return value if isinstance(value, kind) else None

    def raw_extension(self, oid: x509.ObjectIdentifier) -> bytes | None:
        """The DER inside the extension's OCTET STRING, for extensions that cryptography does not model."""
        return self._sorted.raw.get(oid)

    @property
    def critical(self) -> tuple[x509.ObjectIdentifier, ...]:
        """Names of the critical extensions."""
        return self._sorted.critical

    @cached_property
    def _sorted(self) -> _Sorted:
        modelled: dict[type[x509.ExtensionType], x509.ExtensionType] = {}
        raw: dict[x509.ObjectIdentifier, bytes] = {}
        critical = []
        for one in self.extensions or ():
            value = one.value
            if type(value) is x509.UnrecognizedExtension:
                raw[one.oid] = value.value
            else:
                modelled[type(value)] = value
            if one.critical:
                critical.append(one.oid)
        return _Sorted(modelled, raw, tuple(critical))

    @cached_property
    def common_name(self) -> Untrusted:
        """ "" where there is none, several, or one that does not decode."""
        return _one(_read(self.subject_der, COMMON_NAME, self.parsed, "subject"))

    @cached_property
    def issuer_common_name(self) -> Untrusted:
        return _one(_read(self.issuer_der, COMMON_NAME, self.parsed, "issuer"))

    @property
    def issuer_text(self) -> str:
        """All of the issuer's name in one line, for people (RFC 4514); untrusted text."""
        return _text(self.parsed)

    @cached_property
    def organisations(self) -> tuple[Untrusted, ...]:
        """Of the subject; none where the name does not decode."""
        return tuple(map(Untrusted, _read(self.subject_der, ORGANISATION, self.parsed, "subject")))

    @cached_property
    def public_key(self) -> Any:
        """The public key, or None when its algorithm or point is not acceptable."""
        try:
            return self.parsed.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None

    @cached_property
    def spki_sha256(self) -> bytes:
        if self.public_key is None:
            return b""
        return hashlib.sha256(public_key_info(self.der)).digest()

    @cached_property
    def hash_name(self) -> str:
        """The hash of the signature on this certificate, `none` where it has no known one."""
        try:
            algorithm = self.parsed.signature_hash_algorithm
        except (ValueError, UnsupportedAlgorithm):
            return "none"
        return algorithm.name if algorithm is not None else "none"

    def issued_by(self, issuer: Certificate) -> bool:
        """Issuer name equal byte for byte and signature valid under the issuer's key, which is loaded once for
        all it issued."""
        signed = signed_part(self.der)
        if self.issuer_der != issuer.subject_der or signed is None:
            return False
        parsed, key = self.parsed, issuer.public_key
        try:
            scheme = parsed.signature_algorithm_parameters
            if isinstance(key, rsa.RSAPublicKey) and isinstance(scheme, padding.PSS | padding.PKCS1v15):
                algorithm = parsed.signature_hash_algorithm
                if algorithm is None:
                    return False
                key.verify(parsed.signature, signed, scheme, algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(scheme, ec.ECDSA):
                key.verify(parsed.signature, signed, scheme)
            else:
                return False
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            return False
        return True


class Crl:
    """A parsed certificate revocation list with the exact bytes it came in."""

    __slots__ = ("__dict__", "der", "fingerprint", "parsed")

    def __init__(self, der: bytes, *, where: str = "CRL") -> None:
        if len(der) > MAX_CRL:
            raise malformed("The CRL is too large", where=where, code="x509.malformed", found=len(der))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                self.parsed = x509.load_der_x509_crl(der)
                self.this_update = self.parsed.last_update_utc
                self.next_update = self.parsed.next_update_utc
                self.number = _crl_number(self.parsed)
        except _UNREADABLE as error:
            raise malformed(
                "A CRL does not parse", where=where, code="x509.malformed", found=str(error)[:120]
            ) from None
        if der[-len(self.parsed.signature) - 1] != 0:
            raise malformed("A signature has unused bits", where=where, code="x509.malformed")
        self.issuer_der = list_issuer(der)
        self.der = der
        self.fingerprint = hashlib.sha256(der).digest()

    @property
    def issuer_text(self) -> str:
        """All of the issuer's name in one line, for people (RFC 4514); untrusted text."""
        return _text(self.parsed)

    def signed_by(self, issuer: Certificate) -> bool:
        try:
            return bool(self.parsed.is_signature_valid(issuer.public_key))
        except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
            return False

    def revokes(self, serial: int) -> bool:
        return serial in self._revoked

    @cached_property
    def _revoked(self) -> frozenset[int]:
        """Read once: asking the parsed list walks all of it at every verification."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return frozenset(entry.serial_number for entry in self.parsed)

    @cached_property
    def unknown_critical(self) -> bool:
        """A CRL with critical extensions (delta, partitioned) is not the complete list we need."""
        return any(extension.critical for extension in self.parsed.extensions)


def _crl_number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return None


def _read(name: bytes, attribute: bytes, parsed: x509.Certificate, which: _Which) -> tuple[str, ...]:
    """Values of an attribute of a name; none where the name does not decode."""
    parts = name_parts(name, attribute)
    if parts is not None:
        return parts
    oid = NameOID.COMMON_NAME if attribute == COMMON_NAME else NameOID.ORGANIZATION_NAME
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # odd names warn, on standard error
            slow = parsed.subject if which == "subject" else parsed.issuer
            return tuple(str(part.value) for part in slow.get_attributes_for_oid(oid))
    except _UNREADABLE:
        return ()


def _one(parts: tuple[str, ...]) -> Untrusted:
    return Untrusted(parts[0]) if len(parts) == 1 else Untrusted("")


def _text(parsed: x509.Certificate | x509.CertificateRevocationList) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return parsed.issuer.rfc4514_string()
    except _UNREADABLE:
        return "a name that does not decode"


def parse_certificates(
    data: bytes, *, where: str, limit: int = MAX_CHAIN, cache: Cache | None = None
) -> tuple[Certificate, ...]:
    """Certificates of a PEM text in its order, or the one of DER bytes.

    Between and after PEM blocks only white space and NUL may stand. cache: holds those that were parsed before,
    by their bytes. Raises Malformed.
    """
    if data[:1] == b"\x30":
        return (_parsed(data, where, cache),)
    blocks = _pem_texts(data, where)
    if len(blocks) > limit:
        raise malformed(
            "Too many certificates",
            where=where,
            expected=f"≤ {limit}",
            found=len(blocks),
            code="x509.malformed",
        )
    for label, _, _ in blocks:
        if label != b"CERTIFICATE":
            raise malformed("Not a certificate", where=where, found=label.decode(), code="x509.malformed")
    return tuple(_from_text(text, f"{where}[{i}]", cache) for i, (_, text, _) in enumerate(blocks))


def _from_text(text: bytes, where: str, cache: Cache | None) -> Certificate:
    """Without decoding a text that was read before: most chains end in the same few issuers."""
    if cache is None:
        return Certificate(_decoded(text, where), where=where)
    key = cache.key("certificate-text", b"", (text,))
    certificate: Certificate | None = cache.get(key)
    if certificate is None:
        certificate = Certificate(_decoded(text, where), where=where)
        cache.put(key, certificate)
    return certificate


def _parsed(der: bytes, where: str, cache: Cache | None) -> Certificate:
    if cache is None:
        return Certificate(der, where=where)
    key = cache.key("certificate", b"", (der,))
    certificate: Certificate | None = cache.get(key)
    if certificate is None:
        certificate = Certificate(der, where=where)
        cache.put(key, certificate)
    return certificate


def pem_blocks(data: bytes, *, where: str) -> list[tuple[str, bytes]]:
    """(label, DER) of each PEM block. Raises Malformed, with the line, on text outside blocks or broken base64.

    RFC 7468 §2 would pass over such text; but a list of revoked certificates whose first line is damaged is such
    text too, and would be missing without a word.
    """
    return [
        (label.decode(), _decoded(text, f"{where} line {_line(data, at)}"))
        for label, text, at in _pem_texts(data, where)
    ]


def _pem_texts(data: bytes, where: str) -> list[tuple[bytes, bytes, int]]:
    """Label and text of each block, and where it begins; nothing but white space and NUL around them."""
    blocks = []
    rest = 0
    for match in _PEM.finditer(data):
        start, end = match.span()
        if start > rest:
            _nothing_but_white(data, rest, start, where)
        rest = end
        label, text = match.groups()
        blocks.append((label, text, start))
    _nothing_but_white(data, rest, len(data), where)
    if not blocks:
        raise malformed("Not PEM", where=where, code="x509.malformed")
    return blocks


def _decoded(text: bytes, place: str) -> bytes:
    try:
        return strict_base64.decode(text.translate(None, b" \t\n\r\v\f"))
    except binascii.Error:
        raise malformed("PEM is not base64", where=place, code="x509.malformed") from None


def _nothing_but_white(data: bytes, start: int, end: int, where: str) -> None:
    between = data[start:end]
    text = between.strip(_AROUND_PEM)
    if not text:
        return
    first = start + len(between) - len(between.lstrip(_AROUND_PEM))
    place, line = f"{where} line {_line(data, first)}", text.splitlines()[0]
    if line.startswith(b"-----BEGIN"):
        raise malformed(
            "A PEM block is not whole",
            where=place,
            expected="base64 lines, then an END line with the words of its BEGIN line",
            found=line[:60].decode("ascii", "replace"),
            code="x509.malformed",
        )
    raise malformed(
        "Text stands outside the PEM blocks",
        where=place,
        expected="blocks alone, as `sed -n '/^-----BEGIN/,/^-----END/p' FILE` leaves them",
        found=line[:60].decode("ascii", "replace"),
        code="x509.malformed",
    )


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def simulator_role(certificate: Certificate) -> str | None:
    """The role that a simulator's critical extension names, or None."""
    if certificate.extensions is None:
        return None
    for extension in certificate.extensions:
        if extension.oid == SIMULATOR_EXTENSION and extension.critical:
            value = extension.value
            raw = value.value if isinstance(value, x509.UnrecognizedExtension) else b""
            # DER UTF8String, short form
            if len(raw) >= 2 and raw[0] == 0x0C and raw[1] == len(raw) - 2:
                return raw[2:].decode("ascii", "replace")
            return ""
    return None
