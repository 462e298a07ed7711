"""Principals: made, listed, removed. A key is shown once, to whoever made it."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
from kbs.store.registry import Conflict
from kbs.store.repository import Repository

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True, slots=True)
class NewPrincipal:
    """key: kept nowhere; None for one who signs in by an identity provider."""

    principal: Principal
    key: str | None


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
