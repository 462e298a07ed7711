"""Consents and consent keys: what there is to sign, and what was signed, put and taken back. Each act with its row.

Who administers cannot consent: without the owner's keys he can only carry what others signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attest.errors import Malformed, Rejected
from kbs import consent
from kbs.acts import Acts, named
from kbs.consent import ConsentKeys, OwnersConsent, ReleaseConsent, Signed, Standing, keys_in, policies_of
from kbs.domain import ResourcePath, Rule, owner_name
from kbs.key_administration import key_store
from kbs.keys.envelope import open_envelope, seal
from kbs.keys.ring import KeyRing
from kbs.policies import policy_of
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.registry import Conflict
from kbs.store.repository import Repository
from kbs.terms import Count


@dataclass(frozen=True, slots=True)
class InForce:
    """What a consent has to name. version: None where there is no such secret. sequence: the next."""

    broker: str
    owner: str
    sequence: int
    path: ResourcePath | None
    version: int | None
    owners: tuple[str, ...]
    policies: consent.Policies
    keys: ConsentKeys | None


class ConsentAdministration:
    """Whatever changes something takes the principal's name first, for the trail. Raises Refusal."""

    def __init__(self, store: Store, keys: KeyRing, acts: Acts) -> None:
        self._store = store
        self._keys = keys
        self._acts = acts

    def in_force(self, owner: str, path: str | None) -> InForce:
        """What there is to sign."""
        name = named(owner_name, owner)
        resource = None if path is None else named(ResourcePath.parse, path)

        def look(tx: Repository) -> InForce:
            secret = None if resource is None else tx.registry.current(resource)
            owners = () if secret is None else secret.owners
            rules = [] if resource is None else tx.registry.matching_rules(resource)
            keys = tx.consents.keys(name)
            return InForce(
                tx.broker.state().name,
                name,
                tx.consents.sequence(name) + 1,
                resource,
                None if secret is None else secret.version,
                owners,
                _policies(rules, owners),
                None if keys is None else keys_in(keys),
            )

        try:
            with _readable():
                return self._store.read(look)
        except Conflict as error:
            raise Refusal(409, "InvalidRequest", str(error)) from None

    def put(self, who: str, document: bytes) -> Signed:
        """A release's consent, or a set of keys: signed by the keys in force, and a set of keys by itself too."""
        with _readable():
            claimed = consent.claimed_in(document)
        facts: dict[str, Any] = {"owner": claimed.owner, "sequence": claimed.sequence}
        change: Callable[[Repository, datetime], Signed]
        if isinstance(claimed, ConsentKeys):
            facts |= {
                "threshold": claimed.threshold,
                "keys": len(claimed.keys),
                "paths": claimed.members()["paths"],
            }
            event, change = "consent-keys-put", self._put_keys(claimed, document)
        elif isinstance(claimed, ReleaseConsent):
            facts |= {"resource": str(claimed.path), "version": claimed.version, **claimed.terms.as_dict()}
            event, change = "consent-put", self._put_release(claimed, document)
        else:
            raise Refusal(
                400, "InvalidRequest", "consents to other owners are put all together: kbs secret owners"
            )
        with _readable():
            return self._acts.act(who, event, facts, change)

    def _put_keys(self, claimed: ConsentKeys, document: bytes) -> Callable[[Repository, datetime], Signed]:
        def change(tx: Repository, now: datetime) -> Signed:
            _require_broker(tx, claimed)
            before = tx.consents.keys(claimed.owner)
            known = None if before is None else keys_in(before)
            if known is not None and known.keys:
                consent.signed_by(document, known)
            elif not claimed.keys:
                raise Conflict(f"{claimed.owner} has no consent keys")
            keys_in(document)  # whoever is named has signed, so that nobody names a key that nobody holds
            tx.consents.use(claimed.owner, claimed.sequence)
            tx.consents.put_keys(claimed.owner, document)
            return claimed

        return change

    def _put_release(
        self, claimed: ReleaseConsent, document: bytes
    ) -> Callable[[Repository, datetime], Signed]:
        def change(tx: Repository, now: datetime) -> Signed:
            keys = tx.consents.keys(claimed.owner)
            if keys is None or not keys_in(keys).covers(claimed.path):
                raise Conflict(
                    f"{claimed.owner} has no consent keys for {claimed.path}: nothing of it is needed"
                )
            secret = tx.registry.current(claimed.path)
            if secret is None or claimed.owner not in secret.owners:
                raise Conflict(f"{claimed.owner} owns no secret {claimed.path}")
            problems = consent.against(
                Standing(keys, document, claimed.sequence),
                broker=tx.broker.state().name,
                owner=claimed.owner,
                path=secret.path,
                version=secret.version,
                policies=_policies(tx.registry.matching_rules(claimed.path), secret.owners),
                at=now,
                counted=False,
            )
            wrong = [one for one in problems if one.code != "kbs.terms.early"]
            if wrong:
                raise Rejected(wrong)
            tx.consents.use(claimed.owner, claimed.sequence)
            tx.consents.put(claimed.owner, claimed.path, claimed.sequence, document)
            return claimed

        return change

    def withdraw(self, who: str, owner: str, path: str) -> None:
        """In force at the next request. Anybody who administers may: it only ever stops a release."""
        name, resource = named(owner_name, owner), named(ResourcePath.parse, path)
        facts = {"owner": name, "resource": str(resource)}
        self._acts.act(who, "consent-withdrawn", facts, lambda tx, _: tx.consents.withdraw(name, resource))

    def consents(self) -> list[tuple[ReleaseConsent, Count, list[str]]]:
        """Each with its count, and what is wanting of it now."""

        def look(tx: Repository) -> list[tuple[str, ResourcePath, Standing, list[Any]]]:
            found = []
            for owner, path, _ in tx.consents.all():
                secret = tx.registry.current(path)
                rules = tx.registry.matching_rules(path)
                found.append(
                    (owner, path, tx.consents.standing(owner, path), [secret, rules, tx.broker.state().name])
                )
            return found

        now, listed = self._acts.now(), []
        for owner, path, standing, (secret, rules, broker) in self._store.read(look):
            said = consent.claimed_in(standing.consent or b"")
            assert isinstance(said, ReleaseConsent)
            owners = () if secret is None else secret.owners
            try:
                problems = consent.against(
                    standing,
                    broker=broker,
                    owner=owner,
                    path=path,
                    version=0 if secret is None else secret.version,
                    policies=_policies(rules, owners),
                    at=now,
                    counted=True,
                )
            except Malformed as error:  # a policy that was put once and does not load now
                problems = list(error.problems)
            listed.append((said, standing.count, [str(one) for one in problems]))
        return listed

    def change_owners(
        self, who: str, path: str, owners: Sequence[str], documents: Sequence[bytes]
    ) -> tuple[ResourcePath, int]:
        """A secret's owners become these, where everybody who is one consents: leaving, and joining, are no one's to
        decide alone. The content is sealed again for them, as a new version."""
        resource = named(ResourcePath.parse, path)
        wanted = tuple(sorted({named(owner_name, name) for name in owners}))
        if not wanted:
            raise Refusal(400, "InvalidRequest", "a secret has at least one owner")
        with _readable():
            said = {}
            for document in documents:
                one = consent.claimed_in(document)
                if not isinstance(one, OwnersConsent) or (one.path, one.owners) != (resource, wanted):
                    raise Refusal(
                        400,
                        "InvalidRequest",
                        f"a consent is not to {', '.join(wanted)} as owners of {resource}",
                    )
                said[one.owner] = one, document
        secret = self._store.read(lambda tx: tx.registry.current(resource))
        if secret is None:
            raise Refusal(409, "InvalidRequest", f"there is no secret {resource}")
        with key_store():
            content = open_envelope(secret, self._keys.wrap)
            envelope = seal(content, resource, secret.version + 1, wanted, self._keys.wrap, secret.terms)
        facts: dict[str, Any] = {
            "resource": str(resource),
            "owners": list(wanted),
            "before": list(secret.owners),
        }

        def change(tx: Repository, now: datetime) -> int:
            if tx.registry.current(resource) != secret:
                raise Conflict("the secret changed meanwhile; try again")
            for name in secret.owners:
                held = tx.consents.keys(name)
                keys = None if held is None else keys_in(held)
                if keys is None or not keys.keys:
                    raise Conflict(
                        f"{name} has no consent keys, so nobody can say that {name} agrees: put some first"
                    )
                if name not in said:
                    raise Conflict(f"the consent of {name} is missing")
                one, document = said[name]
                _require_broker(tx, one)
                consent.signed_by(document, keys)
                tx.consents.use(name, one.sequence)
            tx.registry.change_owners(resource, wanted)
            version = tx.registry.next_version(resource, wanted, now)
            if version != secret.version + 1:
                raise Conflict("the secret changed meanwhile; try again")
            tx.registry.put_version(resource, version, envelope, now, secret.terms, None)
            facts["version"] = version
            return version

        with _readable():
            return resource, self._acts.act(who, "owners-changed", facts, change)


def _policies(rules: Sequence[Rule], owners: Sequence[str]) -> consent.Policies:
    """By what each owner's policy says now. Raises Malformed."""
    own = [rule for rule in rules if rule.owner in owners]
    return policies_of([(rule.owner, policy_of(rule).digest) for rule in own], owners)


def _require_broker(tx: Repository, signed: Signed) -> None:
    name = tx.broker.state().name
    if signed.broker != name:
        raise Conflict(f"it is signed for broker {signed.broker}, and this is {name}")


@contextmanager
def _readable() -> Iterator[None]:
    """Raises Refusal for what is no consent, or not signed as it must be."""
    try:
        yield
    except (Malformed, Rejected) as error:
        sentences = "; ".join(str(one) for one in error.problems)
        raise Refusal(400, "InvalidRequest", f"not accepted: {sentences}", problems=error.problems) from None
