"""Principals: made, listed, renewed, removed. A key is shown once, to whoever made it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from attest.claims import instant
from kbs.access import ROLES, Principal, Role, Subject, may_give
from kbs.acts import Acts, named
from kbs.domain import InvalidName, hashed, owner_name
from kbs.http.auth import make_key
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.failures import Unavailable
from kbs.store.principal_rows import FormerKey
from kbs.store.registry import Conflict
from kbs.store.repository import Repository

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True, slots=True)
class NewPrincipal:
    """key: kept nowhere; None for one who signs in by an identity provider."""

    principal: Principal
    key: str | None


@dataclass(frozen=True, slots=True)
class ListedPrincipal:
    """used: the day he was last here. former_ends: until when the key before his counts; None where none does."""

    principal: Principal
    used: datetime | None
    former_ends: datetime | None


class People:
    """Raises Refusal."""

    def __init__(self, store: Store, acts: Acts, providers: frozenset[str] = frozenset()) -> None:
        """providers: names of the identity providers whose tokens count."""
        self._store = store
        self._acts = acts
        self._providers = providers

    def add(
        self,
        by: Principal,
        name: str,
        role: str,
        owners: Sequence[str],
        days: int | None,
        subject: Subject | None = None,
    ) -> NewPrincipal:
        """days: until the principal ends; None for never. subject: who signs in, in the place of a key."""
        named(_principal_name, name)
        known = _role(role)
        if not may_give(by, known):
            raise Refusal(403, "AdminAuthAccess", f"an {by.role} makes no {known}")
        names = frozenset(named(owner_name, one) for one in owners)
        if (known == "owner") != bool(names):
            raise Refusal(
                400, "InvalidRequest", "a principal of the role owner names owners, and no other does"
            )
        if subject is not None and subject.provider not in self._providers:
            configured = ", ".join(sorted(self._providers)) or "none"
            raise Refusal(
                400, "InvalidRequest", f"no identity provider of that name; people.sign-in has {configured}"
            )
        key = make_key() if subject is None else None
        facts: dict[str, Any] = {"principal": name, "role": known, "owners": sorted(names)}
        if subject is not None:
            facts["signs-in"] = {"provider": subject.provider, "subject": subject.subject}

        def change(tx: Repository, now: datetime) -> Principal:
            for one in names:
                if tx.registry.owner(one) is None:
                    raise Conflict(f"there is no owner {one}")
            expires = None if days is None else now + timedelta(days=days)
            if expires is not None:
                facts["expires"] = instant(expires)
            made = Principal(name, known, names, expires, subject)
            tx.registry.add_principal(made, None if key is None else hashed(key), now)
            return made

        return NewPrincipal(self._acts.act(by.name, "principal-added", facts, change), key)

    def remove(self, by: Principal, name: str) -> None:
        """Its key is nobody's from the next request on."""
        facts = {"principal": name}

        def change(tx: Repository, now: datetime) -> None:
            listed = {one.name: one for one, _ in tx.registry.principals()}
            found = listed.get(name)
            if found is None:
                raise Conflict(f"there is no principal {name}")
            if not may_give(by, found.role):
                raise Refusal(403, "AdminAuthAccess", f"an {by.role} removes no {found.role}")
            lasting = [
                one.name
                for one in listed.values()
                if one.role == "administrator" and one.expires is None and one.subject is None
            ]
            if lasting == [name]:
                raise Conflict(
                    f"{name} is the last administrator with a key: make another first, or nobody can"
                )
            tx.registry.remove_principal(name)

        self._acts.act(by.name, "principal-removed", facts, change)

    def rotate(self, by: Principal, name: str, overlap_seconds: int) -> NewPrincipal:
        """Another key for a principal; the one before counts for `overlap_seconds` still, and one before that no more.
        His own, or another's whom `by` could have made."""
        key = make_key()
        facts: dict[str, Any] = {"principal": name}

        def change(tx: Repository, now: datetime) -> Principal:
            listed = {one.name: (one, key_hash) for one, key_hash in tx.registry.principals()}
            found, key_hash = listed.get(name, (None, None))
            if found is None:
                raise Conflict(f"there is no principal {name}")
            if by.name != name and not may_give(by, found.role):
                raise Refusal(403, "AdminAuthAccess", f"an {by.role} takes no key of an {found.role}'s")
            if key_hash is None:
                raise Conflict(f"{name} signs in by an identity provider and has no key")
            if found.expires is not None and now >= found.expires:
                raise Conflict(f"{name} has ended: add another")
            ends = now + timedelta(seconds=overlap_seconds)
            facts["former-ends"] = instant(ends)
            tx.principals.renew(name, hashed(key), FormerKey(key_hash, ends) if overlap_seconds else None)
            return found

        return NewPrincipal(self._acts.act(by.name, "principal-rotated", facts, change), key)

    def here(self, who: Principal, now: datetime, used: datetime | None) -> None:
        """used: the day that is noted for him: one write a day, so that asking stays a read."""
        day = now.replace(hour=0, minute=0, second=0)
        if used == day:
            return
        # Whoever only reads is served by a database that takes no writes, too.
        with suppress(Unavailable):
            self._store.write(lambda tx: tx.principals.use(who.name, day))

    def listed(self) -> list[ListedPrincipal]:
        def look(tx: Repository) -> list[ListedPrincipal]:
            former, used = tx.principals.former(self._acts.now_in(tx)), tx.principals.used()
            return [
                ListedPrincipal(
                    one, used.get(one.name), former[one.name].ends if one.name in former else None
                )
                for one, _ in tx.registry.principals()
            ]

        return self._store.read(look)

    def all(self) -> list[Principal]:
        return self._store.read(lambda tx: [one for one, _ in tx.registry.principals()])


def _principal_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidName("a principal's name is a-z, 0-9, inner - and dots, at most 63 characters")
    return text


def _role(text: str) -> Role:
    for role in ROLES:
        if role == text:
            return role
    raise Refusal(400, "InvalidRequest", f"a role is {', '.join(ROLES)}")
