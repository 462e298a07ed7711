"""The audit trail for those who read it: pages, searches, checkpoints, and the proof that it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.errors import Malformed
from kbs.acts import Acts
from kbs.audit import MOST, AuditRow
from kbs.audit_proof import Proof, Witness, examine
from kbs.checkpoint import Checkpoint
from kbs.keys.ring import KeyRing
from kbs.store.audit_marks import marks
from kbs.store.database import Store
from kbs.store.repository import Repository

SCANNED: Final = 20_000
"""Rows that one search looks at; the next goes on where it ended."""


@dataclass(frozen=True, slots=True)
class Search:
    """Each that is given must hold. text: anywhere in the row. since, until: of the row's time, as `at` is written."""

    event: str | None = None
    owner: str | None = None
    path: str | None = None
    session: str | None = None
    policy: str | None = None
    since: str | None = None
    until: str | None = None
    text: str | None = None

    def holds(self, row: AuditRow) -> bool:
        try:
            said = row.content
        except Malformed:
            return False
        at = str(said.get("at", ""))
        asked = [*_texts(said.get("agreed")), *_texts(said.get("refusing"))]
        rules = [one for one in asked if isinstance(one, dict)]
        owners = {said.get("owner"), *_texts(said.get("owners")), *(one.get("owner") for one in rules)}
        policies = {said.get("policy"), *(one.get("policy") for one in rules)}
        return (
            (self.event is None or said.get("event") == self.event)
            and (self.owner is None or self.owner in owners or self._blamed(said))
            and (self.path is None or self.path in (said.get("resource"), said.get("path")))
            and (self.session is None or said.get("session") == self.session)
            and (self.policy is None or self.policy in policies)
            and (self.since is None or at >= self.since)
            and (self.until is None or at <= self.until)
            and (self.text is None or self.text.encode() in row.body)
        )

    def _blamed(self, said: dict[str, Any]) -> bool:
        """Whether a problem of a denial names the owner, alone or before a colon."""
        return any(
            str(one.get("where") or "").partition(":")[0] == self.owner
            for one in said.get("problems", ())
            if isinstance(one, dict)
        )


def _held(rows: Iterable[AuditRow], wanted: Search, limit: int) -> tuple[list[AuditRow], int | None]:
    """The first `limit` that hold, and the last number that was looked at; None where no more can follow.

    rows: SCANNED at most."""
    found: list[AuditRow] = []
    for looked, row in enumerate(rows, 1):
        if wanted.holds(row):
            found.append(row)
        if len(found) == limit or looked == SCANNED:
            return found, row.number
    return found, None


def _texts(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def _about(wanted: Search) -> dict[str, str | None]:
    """By which marks rows are looked for; what can be no mark is in no row, and is looked for among all."""
    made = marks({"session": wanted.session, "path": wanted.path})
    return {"session": made["session"], "path": made["path"]}


class RecordAdministration:
    def __init__(self, store: Store, keys: KeyRing, acts: Acts) -> None:
        self._store = store
        self._keys = keys
        self._acts = acts

    def rows(self, after: int, limit: int) -> list[AuditRow]:
        return self._store.read(lambda tx: list(tx.audit.rows(after=after, limit=limit)))

    def search(self, wanted: Search, after: int, limit: int) -> tuple[list[AuditRow], int | None]:
        """Rows past `after` for which it holds, and where the next search goes on; None at the end."""
        about = _about(wanted)

        def look(tx: Repository) -> tuple[list[AuditRow], int | None]:
            found, last = _held(tx.audit.rows(after=after, limit=SCANNED, **about), wanted, limit)
            return found, None if last is None or last >= tx.audit.head().number else last

        return self._store.read(look)

    def search_back(
        self, wanted: Search, before: int | None, limit: int
    ) -> tuple[list[AuditRow], int | None]:
        """The same with the newest first: those before this number, and before which the next search goes on."""
        about = _about(wanted)

        def look(tx: Repository) -> tuple[list[AuditRow], int | None]:
            found, last = _held(tx.audit.rows_back(before=before, limit=SCANNED, **about), wanted, limit)
            return found, None if last is None or last <= 1 else last

        return self._store.read(look)

    def proof(self, witnesses: Iterable[Witness]) -> Proof:
        """A search by session or path believes columns that the chain does not cover, so they are proved here too."""

        def look(tx: Repository) -> Proof:
            strays: list[int] = []
            proof = examine(tx.audit.proved(strays.append), tx.audit.head(), witnesses)
            told = tuple(
                f"row {number} is kept under marks that are not its own: changed" for number in strays[:MOST]
            )
            if len(strays) > MOST:
                told += (f"so are {len(strays) - MOST} more",)
            return replace(proof, faults=proof.faults + told)

        return self._store.read(look)

    # -- checkpoints --------------------------------------------------------------------------------

    def checkpoint(self) -> tuple[Checkpoint, bytes] | None:
        """Of now, signed; None before the first row."""

        def look(tx: Repository) -> Callable[[datetime], Checkpoint] | None:
            head, state = tx.audit.head(), tx.broker.state()
            if head.number == 0:
                return None
            return lambda at: Checkpoint(state.name, head, at, state.epoch)

        made = self._store.read(look)
        if made is None:
            return None
        checkpoint = made(self._acts.now())
        return checkpoint, checkpoint.sign(self._keys.checkpoint)

    def checkpoint_key(self) -> str:
        """The public half, PEM."""
        public = self._keys.checkpoint.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
