"""What an owner's people sign: that one version of a secret may be released, and whose signatures count.

    {"act": "release", "broker": ID, "owner": NAME, "sequence": "7", "path": PATH, "version": "3",
     "policies": {OWNER: [DIGEST, …], …}, "max-releases": "5" | null, "not-before": INSTANT | null, "expires": INSTANT}
    {"act": "keys", "broker": ID, "owner": NAME, "sequence": "1", "threshold": "2", "keys": [PEM, …], "paths": [PATTERN, …]}
    {"act": "owners", "broker": ID, "owner": NAME, "sequence": "8", "path": PATH, "owners": [NAME, …]}

Each is signed as a DSSE envelope of kind `consent`, by keys that are registered for nothing else (T-SIGTYPE), and says what
it is: an agreement to a release is none to other keys. Numbers are texts, as everywhere in what is signed. A sequence is
used once, and each is higher than all the owner used before, so that nothing signed comes back. No database, no web.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final, TypeAlias

from attest.canonical import canonical, read_json
from attest.claims import instant, read_instant
from attest.dsse import MAX_SIGNATURES, Envelope, TrustedKey, TrustedKeys, open_envelope
from attest.errors import Malformed, Problem, Rejected
from kbs.domain import InvalidName, PathPattern, ResourcePath, owner_name
from kbs.problems import problem
from kbs.terms import MOST, UNGIVEN, Count, Terms

LIMIT: Final = 64 << 10
"""Bytes of one signed document."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_NAME = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"sha384:[0-9a-f]{96}")
Policies: TypeAlias = Mapping[str, tuple[str, ...]]
"""Owner → digests of his rules for the path, sorted."""


@dataclass(frozen=True, slots=True)
class ConsentKeys:
    """Whose signatures make an owner's consent. threshold: how many. paths: the secrets that need it. Without keys none
    does."""

    act: ClassVar = "keys"
    broker: str
    owner: str
    sequence: int
    threshold: int
    keys: tuple[str, ...]
    paths: tuple[PathPattern, ...]

    def covers(self, path: ResourcePath) -> bool:
        return bool(self.keys) and any(pattern.matches(path) for pattern in self.paths)

    def trusted(self) -> TrustedKeys:
        return TrustedKeys(TrustedKey.read("consent", pem.encode()) for pem in self.keys)

    def members(self) -> dict[str, Any]:
        return {
            "threshold": str(self.threshold),
            "keys": list(self.keys),
            "paths": [str(pattern) for pattern in self.paths],
        }


@dataclass(frozen=True, slots=True)
class ReleaseConsent:
    """That this version of the secret may be released, under exactly these policies."""

    act: ClassVar = "release"
    broker: str
    owner: str
    sequence: int
    path: ResourcePath
    version: int
    policies: Policies
    max_releases: int | None
    not_before: datetime | None
    expires: datetime

    @property
    def terms(self) -> Terms:
        return Terms(self.max_releases, self.not_before, self.expires)

    def members(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "version": str(self.version),
            "policies": {name: list(digests) for name, digests in sorted(self.policies.items())},
            "max-releases": None if self.max_releases is None else str(self.max_releases),
            "not-before": None if self.not_before is None else instant(self.not_before),
            "expires": instant(self.expires),
        }


@dataclass(frozen=True, slots=True)
class OwnersConsent:
    """That a secret's owners become these."""

    act: ClassVar = "owners"
    broker: str
    owner: str
    sequence: int
    path: ResourcePath
    owners: tuple[str, ...]

    def members(self) -> dict[str, Any]:
        return {"path": str(self.path), "owners": list(self.owners)}


Signed: TypeAlias = ConsentKeys | ReleaseConsent | OwnersConsent


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database holds of one owner for one secret. keys: those in force, None where the owner registered none.
    consent: a release's, as it was put, under which sequence. counted: the name that releases under it are counted under.
    count: of them."""

    keys: bytes | None
    consent: bytes | None = None
    sequence: int | None = None
    counted: str | None = None
    count: Count = UNGIVEN


def payload_of(signed: Signed) -> bytes:
    """The bytes to sign."""
    return canonical(
        {
            "act": signed.act,
            "broker": signed.broker,
            "owner": signed.owner,
            "sequence": str(signed.sequence),
            **signed.members(),
        }
    )


def parse(payload: bytes) -> Signed:
    """Raises Malformed (`kbs.consent.malformed`): unknown, missing or doubled members, another spelling of a value."""
    document = read_json(payload, where="consent", limit=LIMIT)
    if not isinstance(document, dict):
        raise _broken("consent", "an object")
    read = _Members(document)
    act = document.get("act")
    head: dict[str, Any] = {
        "broker": read.text("broker", _NAME, "32 hex digits"),
        "owner": read.owner("owner"),
        "sequence": read.number("sequence", 1),
    }
    found: Signed
    if act == "release":
        most = None if document.get("max-releases") is None else read.number("max-releases", 1)
        start = None if document.get("not-before") is None else read.instant("not-before")
        found = ReleaseConsent(
            **head,
            path=read.path(),
            version=read.number("version", 1),
            policies=read.policies(),
            max_releases=most,
            not_before=start,
            expires=read.instant("expires"),
        )
        if start is not None and start > found.expires:
            raise _broken("expires", "after not-before")
    elif act == "keys":
        found = ConsentKeys(
            **head,
            threshold=read.number("threshold", 0),
            keys=read.texts("keys"),
            paths=tuple(read.pattern(one) for one in read.texts("paths")),
        )
        _check_keys(found)
    elif act == "owners":
        owners = read.texts("owners")
        if (
            not owners
            or list(owners) != sorted(set(owners))
            or any(read.named(name) is None for name in owners)
        ):
            raise _broken("owners", "names of owners, sorted, each once")
        found = OwnersConsent(**head, path=read.path(), owners=owners)
    else:
        raise _broken("act", "release, keys or owners")
    if payload_of(found) != canonical(document):
        raise _broken("consent", "the members of its act, no other, each in its one spelling")
    return found


def claimed_in(document: bytes) -> Signed:
    """What a signed document says, whoever signed it. Raises Malformed."""
    return parse(Envelope.parse(document).payload)


def signed_by(document: bytes, keys: ConsentKeys) -> Signed:
    """What the document says, where enough of `keys` signed it. Raises Malformed and Rejected."""
    envelope = Envelope.parse(document)
    opened = open_envelope(envelope, "consent", keys.trusted())
    if len(opened.signers) < max(1, keys.threshold):
        raise Rejected(
            [
                problem(
                    "kbs.consent.threshold",
                    keys.owner,
                    expected=f"{max(1, keys.threshold)} signatures",
                    found=str(len(opened.signers)),
                )
            ]
        )
    return parse(opened.payload)


def keys_in(document: bytes) -> ConsentKeys:
    """The key set that the database holds; it signed itself. Raises Malformed and Rejected."""
    said = claimed_in(document)
    if not isinstance(said, ConsentKeys):
        raise _broken("act", "keys")
    if said.keys:
        signed_by(document, said)
    return said


def policies_of(rules: Iterable[tuple[str, str]], owners: Sequence[str]) -> Policies:
    """The digests that a consent must name. rules: owner and digest of each."""
    known = tuple(rules)
    return {
        name: tuple(sorted(digest for owner, digest in known if owner == name)) for name in sorted(owners)
    }


def against(
    standing: Standing,
    *,
    broker: str,
    owner: str,
    path: ResourcePath,
    version: int,
    policies: Policies,
    at: datetime,
    counted: bool,
) -> list[Problem]:
    """What is wanting of an owner's consent to a release. counted: whether it would be one release more, and no repeat.

    The signatures are verified again, over what is in force now.
    """
    if standing.keys is None:
        return []
    try:
        keys = keys_in(standing.keys)
        if not keys.covers(path):
            return []
        if standing.consent is None:
            return [
                problem("kbs.consent.missing", owner, expected=f"{keys.threshold} of {len(keys.keys)} keys")
            ]
        said = signed_by(standing.consent, keys)
    except (Malformed, Rejected) as error:
        return list(error.problems)
    if not isinstance(said, ReleaseConsent):
        return [problem("kbs.consent.mismatch", f"{owner}: act", expected="release", found=said.act)]
    differing = [
        problem("kbs.consent.mismatch", f"{owner}: {name}", expected=wanted, found=found)
        for name, wanted, found in (
            ("broker", broker, said.broker),
            ("owner", owner, said.owner),
            ("path", str(path), str(said.path)),
            ("version", str(version), str(said.version)),
            ("policies", _shown(policies), _shown(said.policies)),
        )
        if wanted != found
    ]
    if said.sequence != standing.sequence:
        differing.append(
            problem("kbs.consent.sequence", owner, expected=str(standing.sequence), found=str(said.sequence))
        )
    if said.sequence <= keys.sequence:
        # Signed before these keys were in force: whoever puts it back into the database has not asked them.
        differing.append(
            problem(
                "kbs.consent.sequence",
                owner,
                expected=f"above {keys.sequence}, that of the keys",
                found=str(said.sequence),
            )
        )
    unmet = said.terms.against(standing.count if counted else UNGIVEN, at)
    return differing + [replace(one, where=f"{owner}: consent") for one in unmet]


def _shown(policies: Policies) -> str:
    return "; ".join(f"{name}: {', '.join(digests) or 'none'}" for name, digests in sorted(policies.items()))


def _check_keys(keys: ConsentKeys) -> None:
    if not keys.keys:
        if keys.threshold or keys.paths:
            raise _broken("threshold", "0, and no paths, where there are no keys")
        return
    if len(keys.keys) > MAX_SIGNATURES or not 1 <= keys.threshold <= len(keys.keys):
        raise _broken("threshold", f"1 to as many as there are keys, at most {MAX_SIGNATURES}")
    if not keys.paths:
        raise _broken("paths", "at least one: repository/type/tag, repository/type/* or repository/*")
    try:
        names = {TrustedKey.read("consent", pem.encode()).key_id for pem in keys.keys}
    except ValueError as error:
        raise _broken("keys", f"public keys in PEM: {error}") from None
    if len(names) != len(keys.keys):
        raise _broken("keys", "each key once")


class _Members:
    """Reads one member after the other. Raises Malformed."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def text(self, name: str, form: re.Pattern[str], said: str) -> str:
        value = self._document.get(name)
        if not isinstance(value, str) or not form.fullmatch(value):
            raise _broken(name, said)
        return value

    def number(self, name: str, least: int) -> int:
        value = int(self.text(name, _NUMBER, f"a number of at least {least}, as text"))
        if not least <= value <= MOST:
            raise _broken(name, f"{least} to {MOST}, as text")
        return value

    def instant(self, name: str) -> datetime:
        value = self._document.get(name)
        try:
            return read_instant(value if isinstance(value, str) else "")
        except ValueError:
            raise _broken(name, "an instant, as 2026-12-31T18:00:00Z") from None

    def owner(self, name: str) -> str:
        found = self.named(self._document.get(name))
        if found is None:
            raise _broken(name, "an owner's name")
        return found

    @staticmethod
    def named(value: object) -> str | None:
        try:
            return owner_name(value) if isinstance(value, str) else None
        except InvalidName:
            return None

    def path(self) -> ResourcePath:
        value = self._document.get("path")
        try:
            return ResourcePath.parse(value if isinstance(value, str) else "")
        except InvalidName as error:
            raise _broken("path", str(error)) from None

    @staticmethod
    def pattern(value: str) -> PathPattern:
        try:
            return PathPattern.parse(value)
        except InvalidName as error:
            raise _broken("paths", str(error)) from None

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._document.get(name)
        if not isinstance(value, list) or len(value) > 64 or not all(isinstance(one, str) for one in value):
            raise _broken(name, "a list of texts")
        return tuple(value)

    def policies(self) -> Policies:
        value = self._document.get("policies")
        if not isinstance(value, dict) or not 1 <= len(value) <= 64:
            raise _broken("policies", "a map of owners to digests")
        found: dict[str, tuple[str, ...]] = {}
        for name, digests in value.items():
            good = isinstance(digests, list) and all(
                isinstance(one, str) and _DIGEST.fullmatch(one) for one in digests
            )
            if self.named(name) is None or not good or digests != sorted(digests):
                raise _broken("policies", "owners with the digests of their policies, sorted")
            found[name] = tuple(digests)
        return found


def _broken(where: str, expected: str) -> Malformed:
    return Malformed(problem("kbs.consent.malformed", where, expected=expected))
