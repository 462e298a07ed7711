"""Each question of one run is asked once, for however many machines, devices and manifests it comes up.

The cache does not see to that: answers that lead to no pinned root, and those out of date, are not kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from threading import Lock

from attest.sources.question import Item, Question
from attest.sources.sources import Sources
from attest.x509 import Certificate


class Once:
    """May be used from several threads: who comes second waits for the first one's answer."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._lock = Lock()
        self._asked: dict[str, Future[Item]] = {}

    def ask(self, question: Question, *, beside: Iterable[Certificate] = ()) -> Item:
        """As `Sources.ask`: the same answer, or the same FetchFailed. An answer that led to no root is judged
        again by the certificates of whoever asks now."""
        with self._lock:
            known = self._asked.get(question.key)
            mine: Future[Item] = known if known is not None else Future()
            self._asked[question.key] = mine
        if known is not None:
            item = known.result()
            return item if item.authentic else self._sources.judge_again(item, beside)
        try:
            item = self._sources.ask(question, beside=beside)
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(item)
        return item
