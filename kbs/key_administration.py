"""What administrators do with the broker's own keys: list, rotate, rewrap, retire; each act with its audit row.

No key store is asked while a transaction is open: it may be slow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Final

from attest.claims import instant
from attest.result.ear import SigningKey
from kbs.agreement import given
from kbs.clock import Clock
from kbs.domain import WrappedRow
from kbs.keys import Kek, KeyStoreError, KeyStoreUnavailable
from kbs.keys.envelope import rewrap
from kbs.keys.ring import KeyRing
from kbs.keys.wrapped import read
from kbs.refusals import Refusal
from kbs.store.database import Store
from kbs.store.registry import Conflict
from kbs.store.repository import Repository

Cursor = tuple[str, int]
"""Path and version of the last row that was looked at."""
START: Final[Cursor] = ("", 0)
_PAGE: Final = 1000
_BATCH: Final = 100
_BATCH_SECONDS: Final = 10.0
_SETTLED: Final = timedelta(minutes=5)
"""A secret that was being put when another KEK took over stands in its row long before this."""


@dataclass(frozen=True, slots=True)
class KekUse:
    """kek: None for an id in rows that no open key store holds. versions: of secrets, that it wraps."""

    id: str
    kek: Kek | None
    versions: int
    wraps: bool


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """One batch. after: where the next one starts, None at the end. failed: what does not open, and why."""

    done: int
    after: Cursor | None
    failed: tuple[tuple[WrappedRow, str], ...]


class KeyAdministration:
    """Whatever changes something takes the principal's name first, for the trail. Raises Refusal."""

    def __init__(self, store: Store, keys: KeyRing, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    # -- keys that wrap secrets ---------------------------------------------------------------------

    def uses(self) -> list[KekUse]:
        """Oldest first, the last one wraps; then ids of rows that no key store holds."""
        with key_store():
            keks, current, counts = self._keys.wrap.keks(), self._keys.wrap.current(), self._counts()
        uses = [KekUse(kek.id, kek, counts.pop(kek.id, 0), kek == current) for kek in keks]
        return uses + [KekUse(key_id, None, versions, False) for key_id, versions in sorted(counts.items())]

    def rotate(self, who: str) -> Kek:
        """A new KEK wraps from now on; those before it still unwrap."""
        with key_store():
            kek = self._keys.wrap.rotate(self._now())
        self._note(who, "key-rotated", {"key": kek.id})
        return kek

    def rewrap(self, who: str, after: Cursor) -> Rewrapped:
        """The next rows past `after` that another KEK wraps, or that carry no id, under the one of now.

        A row that was changed or deleted meanwhile is left alone. Where the key store fails, what was done
        until then is kept; whoever starts anew goes on there.
        """
        with key_store():
            current = self._keys.wrap.current()

        def look(tx: Repository) -> tuple[list[WrappedRow], list[tuple[WrappedRow, tuple[str, ...]]]]:
            page = tx.registry.wrapped_rows(after, _PAGE)
            old = [row for row in page if _id(row) != current.id][:_BATCH]
            return page, [(row, tx.registry.owners_of(row.path)) for row in old]

        page, old = self._store.read(look)
        new: list[tuple[WrappedRow, bytes]] = []
        failed: list[tuple[WrappedRow, str]] = []
        gone: KeyStoreUnavailable | None = None
        end, looked_at = monotonic() + _BATCH_SECONDS, 0
        for row, owners in old:
            try:
                new.append((row, rewrap(row, owners, self._keys.wrap)))
            except KeyStoreUnavailable as error:
                gone = error
                break
            except KeyStoreError as error:
                failed.append((row, str(error)))
            looked_at += 1
            if monotonic() > end:
                break
        done = self._replace(who, current, new, failed)
        with key_store():
            if gone is not None:
                raise gone
        if looked_at < len(old) or len(old) == _BATCH:
            last, _ = old[looked_at - 1]
        elif len(page) == _PAGE:
            last = page[-1]
        else:
            return Rewrapped(done, None, tuple(failed))
        return Rewrapped(done, (str(last.path), last.version), tuple(failed))

    def _replace(
        self,
        who: str,
        current: Kek,
        new: list[tuple[WrappedRow, bytes]],
        failed: list[tuple[WrappedRow, str]],
    ) -> int:
        if not new and not failed:
            return 0

        def put(tx: Repository) -> int:
            done = sum(tx.registry.replace_wrapped_key(row, wrapped) for row, wrapped in new)
            tx.audit.append(
                {
                    "event": "keys-rewrapped",
                    "at": instant(self._clock.now(tx)),
                    "by": who,
                    "key": current.id,
                    "versions": done,
                    "failed": [
                        {"resource": str(row.path), "version": row.version, "cause": cause}
                        for row, cause in failed
                    ],
                }
            )
            return done

        return self._store.write(put)

    def retire(self, who: str, key_id: str) -> None:
        """Take a KEK out of use that wraps nothing any more."""
        wrap, now = self._keys.wrap, self._now()
        with key_store():
            kek = next((kek for kek in wrap.keks() if kek.id == key_id), None)
            if kek is None:
                raise Refusal(404, "ResourceNotFound", "no key store of this broker has such a key")
            current = wrap.current()
            if kek == current:
                raise Refusal(409, "InvalidRequest", f"{kek.id} is the key that wraps: rotate first")
            if current.created is not None and current.created + _SETTLED > now:
                until = instant(current.created + _SETTLED)
                raise Refusal(
                    409, "InvalidRequest", f"a secret may still be on its way: retire it after {until}"
                )
            counts = self._counts()
            for one in wrap.goes_with(kek):
                if counts[one]:
                    raise Refusal(
                        409, "InvalidRequest", f"{one} still wraps {counts[one]} version(s): kbs keys rewrap"
                    )
            self._spend_agreement()
            wrap.retire(kek)
        self._note(who, "key-retired", {"key": kek.id})

    def _counts(self) -> Counter[str]:
        """Rows by KEK, or by the id in them where no key store holds it. Raises KeyStoreError."""
        literal: Counter[str] = Counter()
        after: Cursor = START
        while True:
            page = self._store.read(partial(_page, after))
            literal.update(_id(row) for row in page)
            if len(page) < _PAGE:
                break
            after = (str(page[-1].path), page[-1].version)
        named = self._keys.wrap.named(literal)
        counts: Counter[str] = Counter()
        for key_id, versions in literal.items():
            kek = named[key_id]
            counts[key_id if kek is None else kek.id] += versions
        return counts

    # -- keys that sign and seal --------------------------------------------------------------------

    def token_keys(self) -> list[str]:
        """Key ids of the token keys that count, the one that signs first."""
        with key_store():
            return [SigningKey(key).public.kid for key in self._keys.tokens(self._now())]

    def rotate_token(self, who: str) -> str:
        """A new key signs tokens from now on; the one before counts until its tokens have ended."""
        with key_store():
            removed = self._keys.rotate_token(self._now())
            key_id = SigningKey(self._keys.token).public.kid
        self._note(who, "token-key-rotated", {"key": key_id, "removed": removed})
        return key_id

    def rotate_session(self, who: str) -> None:
        """A new key seals sessions from now on; the one before counts until its sessions have ended."""
        with key_store():
            removed = self._keys.rotate_session(self._now())
        self._note(who, "session-key-rotated", {"removed": removed})

    def _spend_agreement(self) -> None:
        """Before the act, which no transaction holds: one that fails costs the agreement."""
        agreement = given()
        if agreement is not None:
            try:
                self._store.write(lambda tx: agreement.spend(tx, self._clock.now(tx)))
            except Conflict as error:
                raise Refusal(409, "InvalidRequest", str(error)) from None
            agreement.committed()

    def _note(self, who: str, event: str, facts: Mapping[str, Any]) -> None:
        def note(tx: Repository) -> None:
            tx.audit.append({**facts, "event": event, "at": instant(self._clock.now(tx)), "by": who})

        self._store.write(note)

    def _now(self) -> datetime:
        return self._store.read(self._clock.now)


@contextmanager
def key_store() -> Iterator[None]:
    """Failures of a key store as an administrator may read them: with their cause."""
    try:
        yield
    except KeyStoreUnavailable as error:
        raise Refusal(503, "InternalError", f"the key store does not answer: {error}") from None
    except KeyStoreError as error:
        raise Refusal(500, "InternalError", f"the key store refuses: {error}") from None


def _page(after: Cursor, tx: Repository) -> list[WrappedRow]:
    return tx.registry.wrapped_rows(after, _PAGE)


def _id(row: WrappedRow) -> str:
    try:
        return read(row.wrapped_key).key_id
    except KeyStoreError:
        return "unreadable"
