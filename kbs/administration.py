"""What administrators do, each act in one transaction with its audit row. No HTTP, and no secret comes out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from attest import Malformed, Policy
from kbs.acts import Acts, named
from kbs.approvals import Approvals
from kbs.clock import Clock
from kbs.collateral import Collateral, NoCollateral
from kbs.consent_administration import ConsentAdministration
from kbs.domain import (
    Envelope,
    Owner,
    PathPattern,
    ResourcePath,
    Rule,
    Secret,
    Version,
    owner_name,
)
from kbs.expiring import Expiring
from kbs.foresight import Foresight
from kbs.key_administration import KeyAdministration, key_store
from kbs.keys.envelope import seal
from kbs.keys.ring import KeyRing
from kbs.people import People
from kbs.record_administration import RecordAdministration
from kbs.refusals import Refusal
from kbs.sign_in import SignIn
from kbs.stop_administration import StopAdministration
from kbs.store.database import Store
from kbs.store.repository import Repository
from kbs.terms import FREE, Terms
from kbs.tries import Tries

MAX_SECRET: Final = 1 << 20
MAX_POLICY: Final = 256 << 10
_TRIES: Final = 5
_LONGEST_OVERLAP: Final = 30 * 24 * 3600


class Administration:
    """Every method takes the principal's name first, for the trail. Raises Refusal."""

    def __init__(
        self,
        store: Store,
        keys: KeyRing,
        clock: Clock | None = None,
        *,
        four_eyes: bool = False,
        sign_in: SignIn | None = None,
        collateral: Collateral | None = None,
        wrong_keys_a_minute: int = 60,
    ) -> None:
        """collateral: what the broker keeps, to tell when it ends. wrong_keys_a_minute: from one address, at the door."""
        self._store = store
        self._keys = keys
        self._clock = clock or Clock()
        self.acts = self._acts = Acts(store, self._clock)
        self.four_eyes = four_eyes
        self.tries = Tries(wrong_keys_a_minute)
        self.approvals = Approvals(store, self._acts)
        self.sign_in = sign_in or SignIn()
        self.people = People(store, self._acts, self.sign_in.names)
        self.keys = KeyAdministration(store, keys, self._clock)
        self.record = RecordAdministration(store, keys, self._acts)
        self.foresight = Foresight(store, keys, self._acts)
        self.expiring = Expiring(
            store, self._acts, lambda: (collateral or NoCollateral()).current().endorsements
        )
        self.stops = StopAdministration(store, self._acts)
        self.consents = ConsentAdministration(store, keys, self._acts)

    def now_in(self, tx: Repository) -> datetime:
        return self._clock.now(tx)

    def now(self) -> datetime:
        return self._store.read(self._clock.now)

    # -- owners -------------------------------------------------------------------------------------

    def add_owner(self, who: str, name: str) -> Owner:
        named(owner_name, name)
        self._acts.act(who, "owner-added", {"owner": name}, lambda tx, now: tx.registry.add_owner(name, now))
        return Owner(name, True)

    def enable_owner(self, who: str, name: str, enabled: bool) -> Owner:
        event = "owner-enabled" if enabled else "owner-disabled"
        changed: Owner = self._acts.act(
            who, event, {"owner": name}, lambda tx, _: tx.registry.enable_owner(name, enabled)
        )
        return changed

    def give_paths(self, who: str, name: str, paths: Iterable[str]) -> Owner:
        """Where the owner's own key may put first secrets besides the repository of his name, instead of those of before."""
        patterns = sorted({named(PathPattern.parse, path) for path in paths}, key=str)
        facts = {"owner": name, "paths": [str(pattern) for pattern in patterns]}
        changed: Owner = self._acts.act(
            who, "owner-paths", facts, lambda tx, _: tx.registry.set_paths(name, patterns)
        )
        return changed

    def limit_owner(self, who: str, name: str, releases_an_hour: int | None) -> Owner:
        """None: what the configuration says."""
        facts: dict[str, Any] = {"owner": name}
        if releases_an_hour is not None:
            facts["releases-an-hour"] = releases_an_hour

        changed: Owner = self._acts.act(
            who, "owner-limited", facts, lambda tx, _: tx.registry.limit_owner(name, releases_an_hour)
        )
        return changed

    def owners(self) -> list[Owner]:
        return self._store.read(lambda tx: tx.registry.owners())

    # -- rules --------------------------------------------------------------------------------------

    def put_rule(self, who: str, owner: str, path: str, text: str) -> Rule:
        """The owner's policy for `path`; it must load, or nothing changes."""
        pattern = named(PathPattern.parse, path)
        if len(text.encode("utf-8", "replace")) > MAX_POLICY:
            raise Refusal(413, "RequestTooLarge", f"a policy is at most {MAX_POLICY} bytes")
        try:
            digest = Policy.from_text(text, where=f"{owner}:{pattern}").digest
        except Malformed as error:
            sentences = "; ".join(problem.message for problem in error.problems)  # each with its place
            raise Refusal(
                400, "InvalidRequest", f"the policy does not load: {sentences}", problems=error.problems
            ) from None
        facts: dict[str, Any] = {"owner": owner, "path": str(pattern), "policy": digest}

        def change(tx: Repository, now: datetime) -> Rule:
            rule = tx.registry.put_rule(owner, pattern, text, digest, now)
            facts["rule"] = rule.id
            return rule

        put: Rule = self._acts.act(who, "rule-put", facts, change)
        return put

    def enable_rule(self, who: str, rule_id: int, enabled: bool) -> None:
        event = "rule-enabled" if enabled else "rule-disabled"
        self._act_on_rule(who, event, rule_id, lambda tx: tx.registry.enable_rule(rule_id, enabled))

    def delete_rule(self, who: str, rule_id: int) -> None:
        self._act_on_rule(who, "rule-deleted", rule_id, lambda tx: tx.registry.delete_rule(rule_id))

    def _act_on_rule(self, who: str, event: str, rule_id: int, change: Callable[[Repository], None]) -> None:
        """The row says whose rule it is and for what: its number says nothing once it is deleted."""
        facts: dict[str, Any] = {"rule": rule_id}

        def noted(tx: Repository, _: datetime) -> None:
            for rule in tx.registry.rules():
                if rule.id == rule_id:
                    facts.update(owner=rule.owner, path=str(rule.pattern), policy=rule.digest)
            change(tx)

        self._acts.act(who, event, facts, noted)

    def rules(self, owner: str | None) -> list[Rule]:
        return self._store.read(lambda tx: tx.registry.rules(owner))

    # -- secrets ------------------------------------------------------------------------------------

    def put_secret(
        self,
        who: str,
        path: str,
        owners: Iterable[str],
        value: bytes,
        terms: Terms = FREE,
        overlap_seconds: int = 0,
        *,
        made: bool = False,
    ) -> tuple[ResourcePath, int]:
        """A new version, current at once. The first fixes the set of owners.

        overlap_seconds: how long sessions that have the version before it get that one again. made: by the broker.

        The version is sealed before the transaction that puts it, for a key store may be slow; where somebody
        else put one meanwhile, it is sealed again for the number that comes now.
        """
        resource = named(ResourcePath.parse, path)
        if not 0 < len(value) <= MAX_SECRET:
            raise Refusal(413, "RequestTooLarge", f"a secret is 1 to {MAX_SECRET} bytes")
        names = sorted(set(owners))
        # The row names the act, not the content: a digest of a short secret could be searched for.
        facts: dict[str, Any] = {"resource": str(resource), "owners": names}
        if terms != FREE:
            facts["terms"] = terms.as_dict()
        if not 0 <= overlap_seconds <= _LONGEST_OVERLAP:
            raise Refusal(400, "InvalidRequest", f"an overlap is at most {_LONGEST_OVERLAP} seconds")

        def put(coming: int, envelope: Envelope, tx: Repository, now: datetime) -> int:
            version = tx.registry.next_version(resource, names, now)
            if version != coming:
                raise _Overtaken
            overlaps = now + timedelta(seconds=overlap_seconds) if overlap_seconds else None
            tx.registry.put_version(resource, version, envelope, now, terms, overlaps)
            facts["version"] = version
            return version

        for _ in range(_TRIES):
            coming = self._store.read(lambda tx: tx.registry.coming_version(resource))
            with key_store():
                envelope = seal(value, resource, coming, names, self._keys.wrap, terms)
            with suppress(_Overtaken):
                event = "secret-generated" if made else "secret-put"
                return resource, self._acts.act(who, event, facts, partial(put, coming, envelope))
        raise Refusal(503, "InternalError", "others put versions of this secret at the same time; try again")

    def delete_secret(self, who: str, path: str) -> None:
        resource = named(ResourcePath.parse, path)
        self._acts.act(
            who,
            "secret-deleted",
            {"resource": str(resource)},
            lambda tx, _: tx.registry.delete_secret(resource),
        )

    def generate_secret(
        self,
        who: str,
        path: str,
        owners: Iterable[str],
        size: int,
        terms: Terms = FREE,
        overlap_seconds: int = 0,
    ) -> tuple[ResourcePath, int]:
        """A new version of `size` random bytes that nobody ever sees but machines that conform."""
        if not 16 <= size <= 4096:
            raise Refusal(400, "InvalidRequest", "a generated secret is 16 to 4096 bytes")
        return self.put_secret(who, path, owners, os.urandom(size), terms, overlap_seconds, made=True)

    def enable_version(self, who: str, path: str, version: int, enabled: bool) -> None:
        resource = named(ResourcePath.parse, path)
        event = "version-enabled" if enabled else "version-disabled"
        self._acts.act(
            who,
            event,
            {"resource": str(resource), "version": version},
            lambda tx, _: tx.registry.enable_version(resource, version, enabled),
        )

    def destroy_version(self, who: str, path: str, version: int) -> None:
        """Its keys are gone from the database; backups, and copies that machines have, are not touched."""
        resource = named(ResourcePath.parse, path)
        self._acts.act(
            who,
            "version-destroyed",
            {"resource": str(resource), "version": version},
            lambda tx, _: tx.registry.destroy_version(resource, version),
        )

    def secrets(self) -> list[Secret]:
        return self._store.read(lambda tx: tx.registry.secrets())

    def versions(self, path: str) -> list[Version]:
        resource = named(ResourcePath.parse, path)
        return self._store.read(lambda tx: tx.registry.versions(resource))


class _Overtaken(Exception):
    """The version that was sealed is not the one that comes next."""
