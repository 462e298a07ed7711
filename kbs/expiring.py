"""What ends soon, of all kinds, in one list: for those who must see to it in time. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

from attest import Endorsements, Malformed
from kbs.acts import Acts
from kbs.consent import ReleaseConsent, claimed_in
from kbs.domain import Rule
from kbs.endorsement_ends import named_ends
from kbs.policies import policy_of
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.repository import Repository

Kind = Literal[
    "principal", "endorsement", "floors", "lease", "consent", "secret", "reference", "rule", "accepted"
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""The first three are what an operator sees to; the others name secrets and policies."""
_MOST: Final = 1000
"""Of leases."""


@dataclass(frozen=True, slots=True, order=True)
class Ending:
    """owner: whose it is, empty where it is nobody's in particular. what: escaped where a stranger wrote it."""

    ends: datetime
    kind: Kind
    owner: str
    what: str


class Expiring:
    """endorsements: those of the folder, as they are now. Raises Refusal."""

    def __init__(self, store: Store, acts: Acts, endorsements: Callable[[], Endorsements]) -> None:
        self._store = store
        self._acts = acts
        self.endorsements = endorsements

    def ending(
        self, owner: str | None, days: int, *, service_only: bool = False
    ) -> tuple[datetime, list[Ending]]:
        """Now, and what ends within so many days or ended within as many, the first first. owner: only what is his.
        service_only: only what an operator sees to."""

        endorsements = named_ends(self.endorsements()) if owner is None else []

        def look(tx: Repository) -> tuple[datetime, list[Ending]]:
            now = self._acts.now_in(tx)
            found = [Ending(end, "endorsement", "", what) for end, what in endorsements]
            if owner is None:
                found += _of_service(tx)
            if not service_only:
                found += _of_owners(tx, now, owner)
            span = timedelta(days=days)
            return now, sorted({one for one in found if now - span <= one.ends <= now + span})

        if not 1 <= days <= 3650:
            raise Refusal(400, "InvalidRequest", "give 1 to 3650 days")
        return self._store.read(look)


def _of_service(tx: Repository) -> Iterator[Ending]:
    for one, _ in tx.registry.principals():
        if one.expires is not None:
            yield Ending(one.expires, "principal", ", ".join(sorted(one.owners)), f"{one.name}, {one.role}")
    for rule in tx.registry.rules():
        with suppress(Malformed):
            floors = policy_of(rule).floors
            if floors.expires is not None:
                yield Ending(floors.expires, "floors", "", f"floor data, serial {floors.serial}")


def _of_owners(tx: Repository, now: datetime, owner: str | None) -> Iterator[Ending]:
    owners = {secret.path: secret.owners for secret in tx.registry.secrets()}
    for lease in tx.leases.ending_after(now, _MOST):
        of = owners.get(lease.path, ())
        if owner is None or owner in of:
            yield Ending(lease.ends, "lease", ", ".join(of), f"{lease.path} version {lease.version}")
    for name, path, _ in tx.consents.all():
        if owner not in (None, name):
            continue
        with suppress(Malformed):
            said = claimed_in(tx.consents.standing(name, path).consent or b"")
            if isinstance(said, ReleaseConsent):
                yield Ending(said.expires, "consent", name, f"{path} version {said.version}")
    for path, of in owners.items():
        secret = tx.registry.current(path) if owner is None or owner in of else None
        if secret is not None and secret.terms.not_after is not None:
            what = f"{path} version {secret.version}, by its terms"
            yield Ending(secret.terms.not_after, "secret", ", ".join(of), what)
    for rule in tx.registry.rules(owner):
        with suppress(Malformed):
            yield from _of_rule(rule)


def _of_rule(rule: Rule) -> Iterator[Ending]:
    """Raises Malformed."""
    body = policy_of(rule).body
    where = f"rule {rule.id}, {rule.pattern}"
    for name, listed in body.references.items():
        for value in listed.values:
            if value.ends is not None:
                said = value.name or (value.value.hex() if isinstance(value.value, bytes) else value.value)
                yield Ending(value.ends, "reference", rule.owner, f"{name} {said}: {where}")
    for entries in body.sections.values():
        for entry in entries:
            until = getattr(entry, "until", None)
            if until is not None:
                yield Ending(until, "rule", rule.owner, f"a grace period: {where}")
    for one in body.accepted:
        yield Ending(one.until, "accepted", rule.owner, f"{one.advisory}: {where}")
