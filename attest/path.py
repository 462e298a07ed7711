"""One path validator for all vendors.

No ready path builder takes AMD's PSS parameters, NVIDIA's date encodings and Intel's missing EKU
together, so paths are checked here, link by link, over `verify_directly_issued_by`. A chain is never
searched for: each vendor has one shape, and a chain either has it or is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from attest.anchors import Anchor, Anchors, Role
from attest.cache import Cache, Key
from attest.checks import CheckLog
from attest.claims import instant
from attest.x509 import SIMULATOR_EXTENSION, Certificate, simulator_role

_Curve = Literal["P-256", "P-384", "RSA-2048", "RSA-4096"]
"""RSA-2048: of at least that size."""
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_UNDERSTOOD_CRITICAL = frozenset(
    {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE}
)


@dataclass(frozen=True, slots=True)
class PathRule:
    """The one shape a chain of this role may have.

    role: part of the cache key. names: expected subject common name for each certificate, leaf first,
    root last; None accepts any. keys: kind of each key. leaf_constraints: whether the leaf carries
    BasicConstraints and KeyUsage at all (AMD's do not). leaf_usage: needs digitalSignature.
    """

    role: str
    names: tuple[str | None, ...]
    keys: tuple[_Curve, ...]
    leaf_constraints: bool = True
    check: str = "x509"
    cached_as: str = field(init=False, repr=False, compare=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "cached_as", f"{self.role}/{self.check}/{self.names}")


class Path(NamedTuple):
    """A chain whose links, names, usages and anchor were checked.

    certificates: leaf first, our pinned root last. Validity in time is *not* part of it: see `in_time`.
    """

    rule: PathRule
    certificates: tuple[Certificate, ...]
    simulated: bool
    not_before: datetime
    not_after: datetime

    @property
    def leaf(self) -> Certificate:
        return self.certificates[0]

    @property
    def root(self) -> Certificate:
        return self.certificates[-1]

    def in_time(self, at: datetime, log: CheckLog, *, of: str | None = None) -> bool:
        """Record each certificate that is not valid at `at`; both ends belong to the validity period.

        of: what carries the chain, where several do whose signers have one name.
        """
        if self.not_before <= at <= self.not_after:
            return True
        for certificate in self.certificates:
            name = certificate.common_name.shown if of is None else f"{of}: {certificate.common_name.shown}"
            if at < certificate.not_before:
                log.failed(
                    self.rule.check,
                    "x509.not-yet-valid",
                    where=name,
                    expected=f"from {instant(certificate.not_before)}",
                    found=instant(at),
                )
            elif at > certificate.not_after:
                log.failed(
                    self.rule.check,
                    "x509.expired",
                    where=name,
                    expected=f"until {instant(certificate.not_after)}",
                    found=instant(at),
                )
        return False


class _Issuers(NamedTuple):
    """The chain above a leaf, whose links, names, usages and anchor were checked; our pinned root last."""

    certificates: tuple[Certificate, ...]
    simulated: bool
    not_before: datetime
    not_after: datetime


def check_path(
    chain: Sequence[Certificate],
    *,
    anchors: Anchors,
    anchor_role: Role,
    rule: PathRule,
    log: CheckLog,
    cache: Cache | None = None,
) -> Path | None:
    """Check a chain, leaf first, against the pinned anchors of its role.

    chain: without the root, or with it as sent by the attester; a sent root is dropped and ours used,
    after its key was found equal to a pinned one.
    Returns the path, or None after recording why in `log`. Does not look at the clock: ask
    `Path.in_time` each time. A cache hit saves the signatures and structure checks of this very chain, or of
    what stands above its leaf, under these very anchors and this rule.
    Source: RFC 5280 §6.1, restricted to fixed shapes; every link is checked, failures are all reported.
    """
    if cache is None:
        return _check_path(chain, anchors, anchor_role, rule, log, None)
    key = cache.key(
        f"{anchor_role}/{rule.cached_as}", anchors.digest, [certificate.fingerprint for certificate in chain]
    )
    path: Path | None = cache.get(key)
    if path is None:
        path = _check_path(chain, anchors, anchor_role, rule, log, cache)
        if path is not None:
            cache.put(key, path)
    return path


def _check_path(
    chain: Sequence[Certificate],
    anchors: Anchors,
    anchor_role: Role,
    rule: PathRule,
    log: CheckLog,
    cache: Cache | None,
) -> Path | None:
    check, depth = rule.check, len(rule.names)
    before = len(log.problems)
    roots = anchors.for_role(anchor_role)
    if not roots:
        log.failed(check, "x509.anchor", where=rule.role, found="no root is pinned for this role")
        return None
    if not depth - 1 <= len(chain) <= depth:
        log.failed(check, "x509.depth", where=rule.role, expected=depth, found=len(chain))
        return None
    links = chain[: depth - 1]
    if len({c.fingerprint for c in links}) != len(links):
        log.failed(check, "x509.duplicate", where=rule.role)
        return None
    issuers: _Issuers | None = None
    key: Key = ()
    if cache is not None and depth > 2:
        # Leaves come and go under the same few issuers.
        key = cache.key(
            f"issuers/{anchor_role}/{rule.cached_as}", anchors.digest, [c.fingerprint for c in chain[1:]]
        )
        issuers = cache.get(key)
    if issuers is None:
        issuers = _check_issuers(chain, roots, rule, log, cache)
        if issuers is None:
            return None
        if cache is not None and key and len(log.problems) == before:
            cache.put(key, issuers)
    leaf = chain[0]
    _check_one(leaf, 0, rule, issuers.simulated, log)
    if depth > 2:
        _check_link(leaf, issuers.certificates[0], check, log, cache)
    _check_key_identifiers(leaf, issuers.certificates[0], check, log)
    if len(log.problems) > before:
        return None
    return Path(
        rule,
        (leaf, *issuers.certificates),
        issuers.simulated,
        max(leaf.not_before, issuers.not_before),
        min(leaf.not_after, issuers.not_after),
    )


def _check_issuers(
    chain: Sequence[Certificate],
    anchors: Sequence[Anchor],
    rule: PathRule,
    log: CheckLog,
    cache: Cache | None,
) -> _Issuers | None:
    """What stands above the leaf, to the pinned root; None without such a root."""
    check, depth = rule.check, len(rule.names)
    sent = chain[depth - 1] if len(chain) == depth else None
    top = chain[depth - 2]
    anchor = next((a for a in anchors if issued(top, a.certificate, cache)), None)
    if anchor is None or not (sent is None or _same_key(sent, anchor.certificate)):
        _tell_roots_apart(top, sent, anchors, rule, log)
        return None
    certificates = (*chain[1 : depth - 1], anchor.certificate)
    for index, certificate in enumerate(certificates, 1):
        _check_one(certificate, index, rule, anchor.simulated, log)
        if index < depth - 2:
            _check_link(certificate, certificates[index], check, log, cache)
        if index < depth - 1:
            _check_key_identifiers(certificate, certificates[index], check, log)
    return _Issuers(
        certificates,
        anchor.simulated,
        max(c.not_before for c in certificates),
        min(c.not_after for c in certificates),
    )


def _tell_roots_apart(
    top: Certificate, sent: Certificate | None, anchors: Sequence[Anchor], rule: PathRule, log: CheckLog
) -> None:
    """Say why no pinned root stands above `top`."""
    check = rule.check
    if sent is not None and sent.spki_sha256 not in {a.certificate.spki_sha256 for a in anchors}:
        log.failed(
            check,
            "x509.anchor",
            where=rule.role,
            expected=" or ".join(a.certificate.spki_sha256.hex()[:16] for a in anchors),
            found=f"{sent.common_name.shown} {sent.spki_sha256.hex()[:16]}",
        )
        if simulator_role(sent) is not None and not any(a.simulated for a in anchors):
            log.failed(check, "evidence.simulated", where=rule.role, found=sent.common_name)
    elif any(top.issuer_der == a.certificate.subject_der for a in anchors):
        log.failed(check, "x509.signature", where=top.common_name.shown, expected="signed by the pinned root")
    else:
        log.failed(
            check,
            "x509.anchor",
            where=rule.role,
            expected=" or ".join(
                f"{a.certificate.common_name.shown}, key {a.certificate.spki_sha256.hex()[:16]}"
                for a in anchors
            ),
            found=f"issuer {top.issuer_text}",
        )


def _check_link(
    subject: Certificate, issuer: Certificate, check: str, log: CheckLog, cache: Cache | None
) -> None:
    if not issued(subject, issuer, cache):
        log.failed(
            check,
            "x509.signature",
            where=subject.common_name.shown,
            expected=f"signed by {issuer.common_name.shown}",
            found=f"issuer {subject.issuer_common_name.shown}",
        )


def _same_key(one: Certificate, other: Certificate) -> bool:
    """A vendor may re-issue its root; the same bytes have the same key without another look."""
    return one.fingerprint == other.fingerprint or one.spki_sha256 == other.spki_sha256


def issued(subject: Certificate, issuer: Certificate, cache: Cache | None) -> bool:
    """Whether one certificate issued the other; a fact about their bytes alone, so chains share it."""
    if cache is None:
        return subject.issued_by(issuer)
    key = cache.key("link", b"", [subject.fingerprint, issuer.fingerprint])
    if cache.get(key) is None:
        if not subject.issued_by(issuer):
            return False
        cache.put(key, True)
    return True


def _check_one(certificate: Certificate, index: int, rule: PathRule, simulated: bool, log: CheckLog) -> None:
    check = rule.check
    is_root = index == len(rule.names) - 1
    name = rule.names[index]
    if name is not None and certificate.common_name != name:
        log.failed(check, "x509.name", where=rule.role, expected=name, found=certificate.common_name)
    if not _key_is(certificate.public_key, rule.keys[index]):
        log.failed(
            check,
            "x509.key",
            where=certificate.common_name.shown,
            expected=rule.keys[index],
            found=_key_name(certificate.public_key),
        )
    if not is_root and certificate.hash_name not in _HASHES:
        log.failed(
            check,
            "x509.signature-algorithm",
            where=certificate.common_name.shown,
            expected="SHA-256 or longer",
            found=certificate.hash_name,
        )
    if certificate.extensions is None:
        log.failed(
            check,
            "x509.malformed",
            where=certificate.common_name.shown,
            found="unreadable or doubled extensions",
        )
        return
    for oid in certificate.critical:
        if oid in _UNDERSTOOD_CRITICAL or (oid == SIMULATOR_EXTENSION and simulated and is_root):
            continue
        log.failed(
            check, "x509.critical-extension", where=certificate.common_name.shown, found=oid.dotted_string
        )
    constraints = certificate.extension(x509.BasicConstraints)
    usage = certificate.extension(x509.KeyUsage)
    if index == 0:
        if constraints is not None and constraints.ca:
            log.failed(check, "x509.leaf-is-ca", where=certificate.common_name.shown)
        if rule.leaf_constraints and (usage is None or not usage.digital_signature or usage.key_cert_sign):
            log.failed(
                check,
                "x509.key-usage",
                where=certificate.common_name.shown,
                expected="digitalSignature, not keyCertSign",
            )
        return
    if constraints is None or not constraints.ca:
        log.failed(check, "x509.not-a-ca", where=certificate.common_name.shown)
    elif constraints.path_length is not None and constraints.path_length < index - 1:
        log.failed(
            check,
            "x509.path-length",
            where=certificate.common_name.shown,
            expected=f"≤ {constraints.path_length}",
            found=index - 1,
        )
    if (usage is not None and not usage.key_cert_sign) or (usage is None and not is_root):
        log.failed(check, "x509.key-usage", where=certificate.common_name.shown, expected="keyCertSign")


def _check_key_identifiers(subject: Certificate, issuer: Certificate, check: str, log: CheckLog) -> None:
    authority = subject.extension(x509.AuthorityKeyIdentifier)
    own = issuer.extension(x509.SubjectKeyIdentifier)
    if authority is None or own is None or authority.key_identifier is None:
        return
    if authority.key_identifier != own.digest:
        log.failed(
            check,
            "x509.key-identifier",
            where=subject.common_name.shown,
            expected=own.digest,
            found=authority.key_identifier,
        )


def _key_is(key: object, kind: _Curve) -> bool:
    if kind == "RSA-4096":
        return isinstance(key, rsa.RSAPublicKey) and key.key_size == 4096
    if kind == "RSA-2048":
        return isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048
    curve = ec.SECP256R1 if kind == "P-256" else ec.SECP384R1
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, curve)


def _key_name(key: object) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name
    return "none that is acceptable" if key is None else type(key).__name__
