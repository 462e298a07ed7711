"""Challenges, attested sessions and the collateral memory in the database."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from attest.canonical import canonical, read_json
from attest.memory import Memory
from kbs.domain import Challenge, Session
from kbs.store.instants import from_row, to_row
from kbs.store.tables import challenges, collateral_memory, sessions


class SessionRows:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def forget_expired(self, now: datetime) -> None:
        for table in (challenges, sessions):
            self._connection.execute(delete(table).where(table.c.expires <= to_row(now)))

    def forget_all(self) -> None:
        """Every guest attests anew."""
        for table in (challenges, sessions):
            self._connection.execute(delete(table))

    def newest(self) -> datetime | None:
        """When the challenge that ends last was given; None where none is open."""
        query = select(challenges.c.created).order_by(challenges.c.expires.desc()).limit(1)
        created = self._connection.execute(query).scalar_one_or_none()
        return None if created is None else from_row(created)

    def open_challenges(self) -> int:
        return self._connection.execute(select(func.count()).select_from(challenges)).scalar_one()

    def open_now(self, now: datetime) -> tuple[int, int]:
        """How many challenges wait for an answer, and how many sessions have not ended."""
        waiting = select(func.count()).where(
            challenges.c.consumed.is_(None), challenges.c.expires > to_row(now)
        )
        attested = select(func.count()).where(sessions.c.expires > to_row(now))
        return self._connection.execute(waiting).scalar_one(), self._connection.execute(attested).scalar_one()

    def add_challenge(self, challenge: Challenge) -> None:
        self._connection.execute(
            insert(challenges).values(
                id=challenge.id,
                tee=challenge.tee,
                protocol=challenge.protocol,
                nonce=challenge.nonce,
                created=to_row(challenge.created),
                expires=to_row(challenge.expires),
            )
        )

    def consume(self, challenge_id: bytes, body: bytes, now: datetime) -> bool:
        """Whether this caller, and nobody before it, consumed the nonce: one conditional UPDATE."""
        done = self._connection.execute(
            update(challenges)
            .where(
                challenges.c.id == challenge_id,
                challenges.c.consumed.is_(None),
                challenges.c.expires > to_row(now),
            )
            .values(consumed=to_row(now), body=body)
        )
        return done.rowcount == 1

    def challenge(self, challenge_id: bytes) -> Challenge | None:
        row = self._connection.execute(select(challenges).where(challenges.c.id == challenge_id)).first()
        if row is None:
            return None
        return Challenge(
            id=row.id,
            tee=row.tee,
            protocol=row.protocol,
            nonce=row.nonce,
            created=from_row(row.created),
            expires=from_row(row.expires),
            consumed=None if row.consumed is None else from_row(row.consumed),
            body=row.body,
            answer=row.answer,
        )

    def answer(self, challenge_id: bytes, token: str) -> None:
        self._connection.execute(
            update(challenges).where(challenges.c.id == challenge_id).values(answer=token)
        )

    def add_session(self, session: Session) -> None:
        self._connection.execute(insert(sessions).values(values_of(session)))

    def session(self, session_id: bytes) -> Session | None:
        return self._session(sessions.c.id == session_id)

    def session_of_token(self, token_id: str) -> Session | None:
        return self._session(sessions.c.token_id == token_id)

    def _session(self, condition: object) -> Session | None:
        row = self._connection.execute(select(sessions).where(condition)).first()  # type: ignore[arg-type] # SQLAlchemy's == is typed for its own expressions only
        return None if row is None else session_of(row)

    def memory(self) -> Memory:
        """The newest collateral seen by any request; empty at first."""
        content = self._connection.execute(select(collateral_memory.c.content)).scalar_one_or_none()
        return Memory() if content is None else Memory.from_dict(read_json(content, where="memory"))

    def remember(self, seen: Memory) -> None:
        """Merge what one verification saw; dates only ever grow."""
        kept = self.memory()
        merged = kept.merged(seen)
        if merged == kept:
            return
        document = merged.as_dict()
        values = {"content": canonical(document).decode(), "lists": canonical(document["crls"]).decode()}
        if self._connection.execute(update(collateral_memory).values(values)).rowcount == 0:
            self._connection.execute(insert(collateral_memory).values(id=1, **values))

    def lists(self) -> str:
        """The newest revocation list seen of each issuer, as `Memory.as_dict` has them, in JSON; of the memory, what each
        release reads."""
        found = self._connection.execute(select(collateral_memory.c.lists)).scalar_one_or_none()
        return found or "{}"


def values_of(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "tee": session.tee,
        "protocol": session.protocol,
        "key": json.dumps(session.key),
        "attested": to_row(session.attested),
        "expires": to_row(session.expires),
        "collateral": session.collateral,
        "token_id": session.token_id,
        "sealed": session.sealed,
    }


def session_of(row: Any) -> Session:
    return Session(
        id=row.id,
        tee=row.tee,
        protocol=row.protocol,
        key=json.loads(row.key),
        attested=from_row(row.attested),
        expires=from_row(row.expires),
        collateral=row.collateral,
        token_id=row.token_id,
        sealed=row.sealed,
    )
