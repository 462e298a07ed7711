"""Who asks the vendors for the broker: few at once, within the budget, and ahead of time in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import BoundedSemaphore, Lock
from typing import Final, Protocol, TypeAlias

import structlog

from attest import Endorsements, Evidence
from attest.sources.failure import FetchFailed, NotNow
from attest.sources.fetch_for import Fetched, fetch_for
from attest.sources.question import Question
from attest.sources.sources import Sources
from attest.x509 import Certificate
from kbs.budget import Budget
from kbs.problems import problem

_log = structlog.get_logger("kbs.fetching")
_DUE: Final = 256
"""Renewals that may wait. One that is left out is noticed again by the next guest."""

Fetch: TypeAlias = Callable[[Evidence, Endorsements], Fetched]
"""What this evidence needs and these endorsements lack."""


class Fetcher(Protocol):
    def fetch(self, address: str) -> Fetch | None:
        """For a guest at `address`; None where nobody is ever asked."""

    def close(self) -> None: ...


class NoFetcher:
    """Only what guests bring along and the folder holds."""

    def fetch(self, address: str) -> Fetch | None:
        return None

    def close(self) -> None:
        return None


class VendorFetcher:
    """at_once: guests for whom vendors are asked at the same time. waiting: guests that may wait for their turn, for
    `patience` seconds; all others are told to come again. Safe for threads."""

    def __init__(
        self, sources: Sources, budget: Budget, *, at_once: int = 4, waiting: int = 8, patience: float = 10.0
    ) -> None:
        self._sources = sources
        self._budget = budget
        self._places = BoundedSemaphore(at_once)
        self._room = BoundedSemaphore(at_once + waiting)
        self._patience = patience
        self._renewals = _Renewals(sources)

    def fetch(self, address: str) -> Fetch:
        def ask(evidence: Evidence, have: Endorsements) -> Fetched:
            with self._turn(address) as turn:
                sources = replace(self._sources, before=turn.before, ahead=self._renewals.add)
                return fetch_for(evidence, sources, have=have)

        return ask

    def close(self) -> None:
        self._renewals.close()
        self._sources.client.close()

    @contextmanager
    def _turn(self, address: str) -> Iterator[_Turn]:
        turn = _Turn(self, address)
        try:
            yield turn
        finally:
            turn.end()

    def enter(self, question: Question) -> None:
        """Raises NotNow where too many ask."""
        if not self._room.acquire(blocking=False):
            raise _not_now("kbs.fetch.busy", question)
        if not self._places.acquire(timeout=self._patience):
            self._room.release()
            raise _not_now("kbs.fetch.busy", question)

    def leave(self) -> None:
        self._places.release()
        self._room.release()

    def spend(self, address: str, question: Question) -> None:
        """Raises NotNow where nothing is left."""
        spent = self._budget.spend(address)
        if spent is not None:
            raise _not_now("kbs.fetch.budget", question, spent.rate.said)


@dataclass
class _Turn:
    """One guest's questions, which come from several threads: it takes its place with the first that is asked, so
    that whoever needs only what is kept needs no place."""

    fetcher: VendorFetcher
    address: str
    entered: bool = False
    lock: Lock = field(default_factory=Lock)

    def before(self, question: Question) -> None:
        """Raises NotNow."""
        with self.lock:
            if not self.entered:
                self.fetcher.enter(question)
                self.entered = True
        self.fetcher.spend(self.address, question)

    def end(self) -> None:
        if self.entered:
            self.fetcher.leave()


class _Renewals:
    """Answers that serve for a while yet, asked for anew where no guest waits."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._pool = ThreadPoolExecutor(1, "endorsements")
        self._lock = Lock()
        self._due: set[str] = set()

    def add(self, question: Question, beside: tuple[Certificate, ...]) -> None:
        with self._lock:
            if question.key in self._due or len(self._due) >= _DUE:
                return
            self._due.add(question.key)
        try:
            self._pool.submit(self._renew, question, beside)
        except RuntimeError:  # closed
            self._done(question)

    def _renew(self, question: Question, beside: tuple[Certificate, ...]) -> None:
        try:
            self._sources.ask(question, beside=beside)
        except FetchFailed as failure:
            _log.warning("an endorsement is due for renewal", cause=failure.reason.code, about=question.about)
        finally:
            self._done(question)

    def _done(self, question: Question) -> None:
        with self._lock:
            self._due.discard(question.key)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _not_now(code: str, question: Question, spent: str | None = None) -> NotNow:
    return NotNow(problem(code, question.about, expected=spent))
