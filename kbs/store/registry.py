"""Owners, rules, secrets and principals in the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, tuple_, update

from attest.canonical import canonical, read_json
from kbs.access import Principal, Subject
from kbs.domain import (
    Envelope,
    Owner,
    PathPattern,
    ResourcePath,
    Rule,
    Secret,
    SecretVersion,
    Version,
    WrappedRow,
)
from kbs.store.count_rows import CountRows, of_version
from kbs.store.instants import from_row, to_row
from kbs.store.tables import owners, principals, rules, secret_owners, secret_versions, secrets
from kbs.terms import Terms


class Conflict(Exception):
    """The change contradicts what is there."""


class Registry:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # -- principals ---------------------------------------------------------------------------------

    def add_principal(self, one: Principal, key_hash: bytes | None, now: datetime) -> None:
        """key_hash: SHA-256 of the key; None for one who signs in by an identity provider."""
        known = self._connection.execute(
            select(principals.c.name).where(principals.c.name == one.name)
        ).first()
        if known is not None:
            raise Conflict(f"principal {one.name} exists")
        if one.subject is not None:
            same = [other for other, _ in self.principals() if other.subject == one.subject]
            if same:
                raise Conflict(f"principal {same[0].name} is that subject of {one.subject.provider}")
        self._connection.execute(
            insert(principals).values(
                name=one.name,
                key_hash=key_hash,
                created=to_row(now),
                role=one.role,
                owners=canonical(sorted(one.owners)).decode(),
                expires=None if one.expires is None else to_row(one.expires),
                provider=None if one.subject is None else one.subject.provider,
                subject=None if one.subject is None else one.subject.subject,
            )
        )

    def remove_principal(self, name: str) -> None:
        self._connection.execute(delete(principals).where(principals.c.name == name))

    def principals(self) -> list[tuple[Principal, bytes | None]]:
        """Each with the SHA-256 of its key, where it has one."""
        rows = self._connection.execute(select(principals).order_by(principals.c.name))
        return [
            (
                Principal(
                    row.name,
                    row.role,
                    frozenset(read_json(row.owners, where="principal")),
                    None if row.expires is None else from_row(row.expires),
                    None if row.provider is None else Subject(row.provider, row.subject),
                ),
                row.key_hash,
            )
            for row in rows
        ]

    # -- owners -------------------------------------------------------------------------------------

    def add_owner(self, name: str, now: datetime) -> None:
        if self.owner(name) is not None:
            raise Conflict(f"owner {name} exists")
        self._connection.execute(insert(owners).values(name=name, enabled=True, created=to_row(now)))

    def enable_owner(self, name: str, enabled: bool) -> Owner:
        return self._change_owner(name, enabled=enabled)

    def limit_owner(self, name: str, releases_an_hour: int | None) -> Owner:
        return self._change_owner(name, releases_an_hour=releases_an_hour)

    def _change_owner(self, name: str, **values: bool | int | str | None) -> Owner:
        self._connection.execute(update(owners).where(owners.c.name == name).values(**values))
        changed = self.owner(name)
        if changed is None:
            raise Conflict(f"there is no owner {name}")
        return changed

    def owner(self, name: str) -> Owner | None:
        row = self._connection.execute(select(owners).where(owners.c.name == name)).first()
        return None if row is None else _owner(row)

    def owners(self) -> list[Owner]:
        rows = self._connection.execute(select(owners).order_by(owners.c.name))
        return [_owner(row) for row in rows]

    def set_paths(self, name: str, paths: Iterable[PathPattern]) -> Owner:
        """Where his own key puts first secrets, in the place of those of before."""
        return self._change_owner(name, paths=canonical(sorted({str(path) for path in paths})).decode())

    # -- rules --------------------------------------------------------------------------------------

    def put_rule(self, owner: str, pattern: PathPattern, policy: str, digest: str, now: datetime) -> Rule:
        """The owner's rule for `pattern`: new, or in the place of the one that was there."""
        if self.owner(owner) is None:
            raise Conflict(f"there is no owner {owner}")
        values = {"policy": policy, "digest": digest, "enabled": True, "changed": to_row(now)}
        same = (rules.c.owner == owner) & (rules.c.pattern == str(pattern))
        if self._connection.execute(update(rules).where(same).values(values)).rowcount == 0:
            self._connection.execute(insert(rules).values(owner=owner, pattern=str(pattern), **values))
        return self._rules(select(rules).where(same))[0]

    def delete_rule(self, rule_id: int) -> None:
        if self._connection.execute(delete(rules).where(rules.c.id == rule_id)).rowcount == 0:
            raise Conflict(f"there is no rule {rule_id}")

    def enable_rule(self, rule_id: int, enabled: bool) -> None:
        changed = self._connection.execute(update(rules).where(rules.c.id == rule_id).values(enabled=enabled))
        if changed.rowcount == 0:
            raise Conflict(f"there is no rule {rule_id}")

    def rules(self, owner: str | None = None) -> list[Rule]:
        query = select(rules).order_by(rules.c.id)
        return self._rules(query if owner is None else query.where(rules.c.owner == owner))

    def matching_rules(self, path: ResourcePath) -> list[Rule]:
        """Enabled rules of any owner whose pattern matches `path`."""
        candidates = [
            str(path),
            f"{path.repository}/{path.type}/*",
            f"{path.repository}/*",
        ]
        query = select(rules).where(rules.c.pattern.in_(candidates), rules.c.enabled).order_by(rules.c.id)
        return [rule for rule in self._rules(query) if rule.pattern.matches(path)]

    def _rules(self, query: object) -> list[Rule]:
        rows = self._connection.execute(query)  # type: ignore[call-overload] # a Select of the rules table
        return [
            Rule(row.id, row.owner, PathPattern.parse(row.pattern), row.policy, row.digest, row.enabled)
            for row in rows
        ]

    # -- secrets ------------------------------------------------------------------------------------

    def next_version(self, path: ResourcePath, owner_names: Iterable[str], now: datetime) -> int:
        """Reserve the next version number of a secret whose set of owners is exactly `owner_names`.

        The first call fixes the set; a later call with another set raises Conflict, also after deletion:
        leaving it needs everybody's consent.
        """
        wanted = tuple(sorted(set(owner_names)))
        if not wanted:
            raise Conflict("a secret has at least one owner")
        for name in wanted:
            if self.owner(name) is None:
                raise Conflict(f"there is no owner {name}")
        last = self._connection.execute(
            select(secrets.c.last_version).where(secrets.c.path == str(path))
        ).scalar_one_or_none()
        if last is None:
            self._connection.execute(
                insert(secrets).values(path=str(path), last_version=1, created=to_row(now))
            )
            self._connection.execute(
                insert(secret_owners), [{"path": str(path), "owner": name} for name in wanted]
            )
            return 1
        fixed = self.owners_of(path)
        if fixed != wanted:
            raise Conflict(f"the owners of {path} are {', '.join(fixed)}; that set is fixed")
        self._connection.execute(
            update(secrets).where(secrets.c.path == str(path)).values(last_version=last + 1)
        )
        return int(last) + 1

    def change_owners(self, path: ResourcePath, owner_names: Iterable[str]) -> None:
        """The set itself. Whoever calls has everybody's consent; versions of before do not open under another set."""
        for name in owner_names:
            if self.owner(name) is None:
                raise Conflict(f"there is no owner {name}")
        self._overwrite(secret_versions.c.path == str(path))
        self._connection.execute(delete(secret_owners).where(secret_owners.c.path == str(path)))
        self._connection.execute(
            insert(secret_owners), [{"path": str(path), "owner": name} for name in owner_names]
        )

    def coming_version(self, path: ResourcePath) -> int:
        """What `next_version` will say if nobody else asks first."""
        last = self._connection.execute(
            select(secrets.c.last_version).where(secrets.c.path == str(path))
        ).scalar_one_or_none()
        return 1 if last is None else int(last) + 1

    def put_version(
        self,
        path: ResourcePath,
        version: int,
        envelope: Envelope,
        now: datetime,
        terms: Terms,
        overlaps: datetime | None,
    ) -> None:
        """Store the reserved version and make it the current one. overlaps: until when sessions that have the version
        before it get that one again."""
        if overlaps is not None:
            before = select(secrets.c.current_version).where(secrets.c.path == str(path)).scalar_subquery()
            self._connection.execute(
                update(secret_versions)
                .where(secret_versions.c.path == str(path), secret_versions.c.version == before)
                .values(overlaps=to_row(overlaps))
            )
        self._connection.execute(
            insert(secret_versions).values(
                path=str(path),
                version=version,
                wrapped_key=envelope.wrapped_key,
                iv=envelope.iv,
                ciphertext=envelope.ciphertext,
                created=to_row(now),
                terms=canonical(terms.as_dict()).decode(),
                enabled=True,
            )
        )
        self._connection.execute(
            update(secrets).where(secrets.c.path == str(path)).values(current_version=version)
        )

    def delete_secret(self, path: ResourcePath) -> None:
        """Remove every version; the name, its owners and its numbering stay."""
        changed = self._connection.execute(
            update(secrets)
            .where(secrets.c.path == str(path), secrets.c.current_version.is_not(None))
            .values(current_version=None)
        )
        if changed.rowcount == 0:
            raise Conflict(f"there is no secret {path}")
        self._overwrite(secret_versions.c.path == str(path))
        self._connection.execute(delete(secret_versions).where(secret_versions.c.path == str(path)))

    def enable_version(self, path: ResourcePath, version: int, enabled: bool) -> None:
        changed = self._connection.execute(
            update(secret_versions)
            .where(_one(path, version), secret_versions.c.ciphertext != b"")
            .values(enabled=enabled)
        )
        if changed.rowcount == 0:
            raise Conflict(f"there is no version {version} of {path}")

    def destroy_version(self, path: ResourcePath, version: int) -> None:
        """Its number stays, so that it is never used again."""
        if self._overwrite(_one(path, version)) == 0:
            raise Conflict(f"there is no version {version} of {path}")

    def _overwrite(self, which: ColumnElement[bool]) -> int:
        """How many versions lost their keys: bytes as long as theirs stood in their place for a moment."""
        rows = self._connection.execute(
            select(
                secret_versions.c.path,
                secret_versions.c.version,
                secret_versions.c.wrapped_key,
                secret_versions.c.ciphertext,
            ).where(which, secret_versions.c.ciphertext != b"")
        ).all()
        for row in rows:
            same = _one(ResourcePath.parse(row.path), row.version)
            for key, content in ((bytes(len(row.wrapped_key)), bytes(len(row.ciphertext))), (b"", b"")):
                self._connection.execute(
                    update(secret_versions)
                    .where(same)
                    .values(wrapped_key=key, iv=bytes(12), ciphertext=content, enabled=False)
                )
        return len(rows)

    def version(self, path: ResourcePath, version: int) -> SecretVersion | None:
        """One that is there, current or not; a destroyed one is not."""
        row = self._connection.execute(
            select(secret_versions).where(_one(path, version), secret_versions.c.ciphertext != b"")
        ).first()
        return None if row is None else self._version(path, row)

    def _version(self, path: ResourcePath, row: Any) -> SecretVersion:
        return SecretVersion(
            path,
            row.version,
            self.owners_of(path),
            Envelope(row.wrapped_key, row.iv, row.ciphertext),
            _terms(row.terms),
            row.enabled,
            None if row.overlaps is None else from_row(row.overlaps),
        )

    def current(self, path: ResourcePath) -> SecretVersion | None:
        row = self._connection.execute(
            select(secret_versions)
            .join(secrets, secrets.c.path == secret_versions.c.path)
            .where(
                secrets.c.path == str(path),
                secrets.c.current_version == secret_versions.c.version,
                secret_versions.c.ciphertext != b"",
            )
        ).first()
        return None if row is None else self._version(path, row)

    def wrapped_rows(self, after: tuple[str, int], limit: int) -> list[WrappedRow]:
        """At most `limit` versions of all secrets, in order of path and version, those past `after`."""
        place = tuple_(secret_versions.c.path, secret_versions.c.version)
        rows = self._connection.execute(
            select(
                secret_versions.c.path,
                secret_versions.c.version,
                secret_versions.c.wrapped_key,
                secret_versions.c.terms,
            )
            .where(place > after, secret_versions.c.ciphertext != b"")
            .order_by(secret_versions.c.path, secret_versions.c.version)
            .limit(limit)
        )
        return [
            WrappedRow(ResourcePath.parse(row.path), row.version, row.wrapped_key, _terms(row.terms))
            for row in rows
        ]

    def replace_wrapped_key(self, row: WrappedRow, wrapped_key: bytes) -> bool:
        """Whether the row was still as it was read, and now holds `wrapped_key`."""
        changed = self._connection.execute(
            update(secret_versions)
            .where(
                secret_versions.c.path == str(row.path),
                secret_versions.c.version == row.version,
                secret_versions.c.wrapped_key == row.wrapped_key,
            )
            .values(wrapped_key=wrapped_key)
        )
        return changed.rowcount == 1

    def versions(self, path: ResourcePath) -> list[Version]:
        counted = CountRows(self._connection)
        rows = self._connection.execute(
            select(secret_versions)
            .where(secret_versions.c.path == str(path))
            .order_by(secret_versions.c.version)
        ).all()
        return [
            Version(
                row.version,
                from_row(row.created),
                row.enabled,
                row.ciphertext == b"",
                None if row.overlaps is None else from_row(row.overlaps),
                _terms(row.terms),
                counted.of(of_version(path, row.version)).given,
            )
            for row in rows
        ]

    def secrets(self) -> list[Secret]:
        rows = self._connection.execute(select(secrets).order_by(secrets.c.path)).all()
        found = []
        for row in rows:
            path = ResourcePath.parse(row.path)
            found.append(Secret(path, self.owners_of(path), row.current_version, from_row(row.created)))
        return found

    def owners_of(self, path: ResourcePath) -> tuple[str, ...]:
        """The fixed set of a secret's owners, sorted; empty where there is no such secret."""
        query = select(secret_owners.c.owner).where(secret_owners.c.path == str(path))
        return tuple(self._connection.execute(query.order_by(secret_owners.c.owner)).scalars())

    def secrets_of(self, owner: str) -> list[ResourcePath]:
        """All that he owns, alone or with others."""
        query = select(secret_owners.c.path).where(secret_owners.c.owner == owner)
        found = self._connection.execute(query.order_by(secret_owners.c.path)).scalars()
        return [ResourcePath.parse(path) for path in found]


def _one(path: ResourcePath, version: int) -> ColumnElement[bool]:
    return (secret_versions.c.path == str(path)) & (secret_versions.c.version == version)


def _terms(text: str) -> Terms:
    """Raises Malformed or InvalidTerms for what no broker wrote; the envelope does not open under other terms."""
    return Terms.parse(read_json(text, where="terms"))


def _owner(row: Any) -> Owner:
    paths = read_json(row.paths, where="owner")
    return Owner(
        row.name, row.enabled, tuple(PathPattern.parse(path) for path in paths), row.releases_an_hour
    )
