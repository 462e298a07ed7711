"""What a broker left in a database of each released schema: written in that schema's own words.

The tables of the program are not used here, because they are today's. Whoever adds a migration adds what a
broker leaves after it; a test asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from attest.canonical import canonical
from attest.claims import read_instant
from attest.memory import Memory
from kbs.access import Principal
from kbs.audit import AuditRow
from kbs.domain import Challenge, Owner, ResourcePath, Rule, SecretVersion, Session
from kbs.store.repository import Repository
from tests.kbs.conftest import PATH, Bench


@dataclass(frozen=True)
class Left:
    """What a broker keeps, apart from how."""

    principals: Sequence[tuple[Principal, bytes | None]]
    owners: Sequence[Owner]
    rules: Sequence[Rule]
    secret: SecretVersion
    sessions: Sequence[Session]
    challenges: Sequence[Challenge]
    releases: Sequence[tuple[bytes, str, int, str, int, int]]
    memory: Memory
    audit: Sequence[AuditRow]


def left_by(bench: Bench, sessions: Sequence[bytes], challenges: Sequence[bytes]) -> Left:
    releases = [
        tuple(row) for row in bench.sql("SELECT session, path, version, key, audit, expires FROM releases")
    ]

    def look(tx: Repository) -> Left:
        secret = tx.registry.current(ResourcePath.parse(PATH))
        assert secret is not None
        attested = [tx.sessions.session(name) for name in sessions]
        asked = [tx.sessions.challenge(name) for name in challenges]
        return Left(
            tx.registry.principals(),
            tx.registry.owners(),
            tx.registry.rules(),
            secret,
            [session for session in attested if session],
            [challenge for challenge in asked if challenge],
            releases,
            tx.sessions.memory(),
            list(tx.audit.rows()),
        )

    return bench.store.read(look)


def _into(connection: Connection, table: str, **values: Any) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def fill_0001(connection: Connection, left: Left) -> None:
    for one, key_hash in left.principals:
        _into(connection, "principals", name=one.name, key_hash=key_hash, created=1)
    for owner in left.owners:
        _into(connection, "owners", name=owner.name, enabled=owner.enabled, created=2)
    for rule in left.rules:
        _into(
            connection,
            "rules",
            owner=rule.owner,
            pattern=str(rule.pattern),
            policy=rule.policy,
            digest=rule.digest,
            enabled=rule.enabled,
            changed=3,
        )
    secret, path = left.secret, str(left.secret.path)
    _into(
        connection,
        "secrets",
        path=path,
        last_version=secret.version,
        current_version=secret.version,
        created=4,
    )
    for name in secret.owners:
        _into(connection, "secret_owners", path=path, owner=name)
    _into(
        connection,
        "secret_versions",
        path=path,
        version=secret.version,
        wrapped_key=secret.envelope.wrapped_key,
        iv=secret.envelope.iv,
        ciphertext=secret.envelope.ciphertext,
        created=5,
    )
    for challenge in left.challenges:
        _into(
            connection,
            "challenges",
            id=challenge.id,
            tee=challenge.tee,
            protocol=challenge.protocol,
            nonce=challenge.nonce,
            created=int(challenge.created.timestamp()),
            expires=int(challenge.expires.timestamp()),
        )
    for session in left.sessions:
        _into(
            connection,
            "sessions",
            id=session.id,
            tee=session.tee,
            protocol=session.protocol,
            key=json.dumps(session.key),
            attested=int(session.attested.timestamp()),
            expires=int(session.expires.timestamp()),
            collateral=session.collateral,
            token_id=session.token_id,
            sealed=session.sealed,
        )
    _into(connection, "collateral_memory", id=1, content=canonical(left.memory.as_dict()).decode())
    for row in left.audit:
        _into(connection, "audit", number=row.number, body=row.body, hash=row.hash)
    last = left.audit[-1]
    _into(connection, "audit_head", id=1, number=last.number, hash=last.hash)


def fill_0002(connection: Connection, left: Left) -> None:
    fill_0001(connection, left)
    for session, path, version, key, audit, expires in left.releases:
        _into(
            connection,
            "releases",
            session=session,
            path=path,
            version=version,
            key=key,
            audit=audit,
            expires=expires,
        )


LEASE: Final[dict[str, Any]] = {
    "audit": 1,
    "session": bytes(32),
    "path": "acme/key/model",
    "version": 1,
    "key": "k",
    "given": 1,
    "ends": 2,
}


def fill_0003(connection: Connection, left: Left) -> None:
    fill_0002(connection, left)
    _into(connection, "broker", id=1, name="ab" * 16, epoch=7, tag="cd" * 16)
    _into(connection, "leases", **LEASE)


def fill_0004(connection: Connection, left: Left) -> None:
    fill_0003(connection, left)
    for session in left.sessions:
        _into(
            connection,
            "kept_sessions",
            id=session.id,
            tee=session.tee,
            protocol=session.protocol,
            key=json.dumps(session.key),
            attested=int(session.attested.timestamp()),
            expires=int(session.expires.timestamp()),
            collateral=session.collateral,
            token_id=session.token_id,
            sealed=session.sealed,
            until=int(session.expires.timestamp()) + 86_400,
        )


def fill_0005(connection: Connection, left: Left) -> None:
    fill_0004(connection, left)
    owners = canonical([left.owners[0].name]).decode()
    _into(
        connection,
        "principals",
        name="ann",
        key_hash=bytes(32),
        created=1,
        role="owner",
        owners=owners,
        expires=9,
    )


def fill_0006(connection: Connection, left: Left) -> None:
    fill_0005(connection, left)
    _into(
        connection, "approvals", digest="ab" * 32, by="ann", method="DELETE", template="/x", path="/x", owners="[]", expires=9
    )  # fmt: skip


def fill_0007(connection: Connection, left: Left) -> None:
    fill_0006(connection, left)
    more = {"audit": 2, "machine": "ab" * 32, "platforms": '["ab"]', "renewed": 3}
    _into(connection, "leases", **{**LEASE, **more})


def fill_0008(connection: Connection, left: Left) -> None:
    fill_0007(connection, left)
    _into(
        connection, "approvals", digest="cd" * 32, by="ann", method="DELETE", template="/x", path="/x", owners="[]", expires=9,
        said="DELETE /x?owner=a", role="auditor",
    )  # fmt: skip


def fill_0009(connection: Connection, left: Left) -> None:
    fill_0008(connection, left)
    _into(connection, "stops", owner="gone", role="owner", reason="x")
    _into(
        connection, "revocations", kind="token", value="another", reason="x", at=1, lifted=None, role="owner"
    )


def fill_0010(connection: Connection, left: Left) -> None:
    fill_0009(connection, left)
    _into(
        connection, "principals", name="bob", key_hash=None, created=1, role="auditor", owners="[]", expires=None,
        provider="corp", subject="bob",
    )  # fmt: skip


def fill_0011(connection: Connection, left: Left) -> None:
    fill_0010(connection, left)
    _into(connection, "owners", name="lab", enabled=True, created=1, paths='["shared/*"]')


def fill_0012(connection: Connection, left: Left) -> None:
    fill_0011(connection, left)
    _into(connection, "console_sessions", id=bytes(32), holder=bytes(32), created=1, expires=9)


def fill_0013(connection: Connection, left: Left) -> None:
    fill_0012(connection, left)
    connection.execute(
        text("UPDATE principals SET former_hash = :hash, former_ends = 9, used = 0"), {"hash": bytes(32)}
    )
    _into(connection, "owners", name="limited", enabled=True, created=2, releases_an_hour=100)
    _into(connection, "counts", name="hour limited", given=1, first=1)


def fill_0014(connection: Connection, left: Left) -> None:
    fill_0013(connection, left)
    for row in left.audit:
        said = row.content
        at = int(read_instant(said["at"]).timestamp())
        connection.execute(
            text(
                "UPDATE audit SET reason = :reason, session = :session, path = :path, at = :at WHERE number = :number"
            ),
            {
                "number": row.number,
                "reason": said.get("reason"),
                "session": said.get("session"),
                "path": said.get("resource", said.get("path")),
                "at": at,
            },
        )


FILL: Final[dict[str, Callable[[Connection, Left], None]]] = {
    "0001": fill_0001,
    "0002": fill_0002,
    "0003": fill_0003,
    "0004": fill_0004,
    "0005": fill_0005,
    "0006": fill_0006,
    "0007": fill_0007,
    "0008": fill_0008,
    "0009": fill_0009,
    "0010": fill_0010,
    "0011": fill_0011,
    "0012": fill_0012,
    "0013": fill_0013,
    "0014": fill_0014,
}
"""Schema → what writes `Left` into its tables."""
