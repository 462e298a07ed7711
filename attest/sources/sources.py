"""Asking for endorsements: from the cache while they are fresh, else from the service, once for all who wait.

    fresh                   served from the cache
    due for renewal         one asks, the others are served the kept one; it is also served when asking fails
    ended, or never there   one asks, the others wait for its answer

Only what leads to a pinned root is kept: bytes of a stranger are handed on for verify to name, and asked
for again. A refusal is kept for a short while, so that those who waited do not all ask again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from attest.anchors import Anchors
from attest.endorsements import Endorsements
from attest.errors import Malformed
from attest.problems import problem
from attest.sources.cache import Entry, Store, default_folder
from attest.sources.client import Client
from attest.sources.failure import FetchFailed, NotNow, failed
from attest.sources.hosts import Hosts
from attest.sources.judge import Judge, earliest_end
from attest.sources.question import Item, Question
from attest.x509 import Certificate

_REFUSED: dict[str, timedelta] = {
    "sources.not-found": timedelta(minutes=10),
    "sources.gone": timedelta(minutes=10),
    "sources.content": timedelta(minutes=1),
    "sources.redirect": timedelta(minutes=1),
}
_OTHERWISE = timedelta(seconds=15)
_LONGEST = timedelta(hours=1)
_AFTER_A_FAILURE = timedelta(minutes=5)
"""How long a kept answer serves without another try, when renewing it failed."""


@dataclass
class Sources:
    """The services, the cache before them, and the roots by which answers are kept.

    early: whether Intel's collateral is asked for as soon as it is published (`update=early`), months
    before platforms are expected to meet it. renew: ask again whatever is kept. service_key: a bearer key
    for NVIDIA's services, sent to them alone. before: called before a service is asked; it may raise NotNow. ahead:
    takes the questions whose answers are due for renewal and serve meanwhile; None to renew them on the spot.
    """

    store: Store
    client: Client
    hosts: Hosts = field(default_factory=Hosts)
    anchors: Anchors = field(default_factory=Anchors.production)
    early: bool = False
    renew: bool = False
    service_key: str | None = None
    azure_host: bool = False
    before: Callable[[Question], None] = lambda question: None
    ahead: Callable[[Question, tuple[Certificate, ...]], None] | None = None

    @classmethod
    def open(cls, folder: Path | None = None, **keywords: object) -> Sources:
        """With the cache in `folder`, or where ATTEST_CACHE says. Raises FetchFailed (`sources.cache`)."""
        store = Store((folder or default_folder()) / "answers")
        client = Client(folder=store.folder)
        return cls(store, client, **keywords)  # type: ignore[arg-type] # the class's own fields

    def ask(self, question: Question, *, beside: Iterable[Certificate] = (), renew: bool = False) -> Item:
        """The answer. beside: certificates that help to follow it to a root. renew: ask again whatever is
        kept; what is kept still serves where that fails.

        Raises FetchFailed when there is none, kept or new.
        """
        beside = tuple(beside)
        key = self._key(question)
        kept = self.store.get(key)
        item = self._kept(question, kept, beside)
        if (
            item is not None
            and kept is not None
            and not (renew or self.renew)
            and self.store.now() < kept.refresh
        ):
            return item
        if item is not None and self.ahead is not None and not renew:
            self.ahead(question, beside)
            return item
        # Whoever has an answer that still serves waits for nobody.
        patience = 0.0 if item is not None and not renew else question.request.budget * 1.5
        name = self.store.name(key)
        with self.store.folder.locked(name, patience=patience) as held:
            again = self.store.get(key)
            if again is not None and again != kept:
                # Somebody else asked while we waited, or was refused.
                newer = self._kept(question, again, beside)
                if newer is not None:
                    return newer
            if not held:
                if item is not None:
                    return item
                raise failed("sources.slow", where=question.about, found="another process is still asking")
            try:
                self.before(question)
                return self._fetch(question, beside)
            except NotNow:
                if item is None:
                    raise  # and nothing is remembered: nobody was asked
                return item
            except FetchFailed as failure:
                if item is None or kept is None:
                    self._remember_refusal(question, failure)
                    raise
                return self._served_old(question, kept, item, failure)

    def _key(self, question: Question) -> str:
        """Answers that are authentic under a simulator's roots are kept apart (T-CACHE)."""
        if not self.anchors.simulated:
            return question.key
        return f"{question.key} simulated {self.anchors.digest.hex()}"

    def judge_again(self, item: Item, beside: Iterable[Certificate]) -> Item:
        """An answer just come, with more at hand to follow it; kept if that helps."""
        judged = self._judged(item.question, item.endorsements, tuple(beside), item.fetched)
        judged = replace(judged, body=item.body, chain=item.chain)
        self._keep(judged)
        return judged

    def _keep(self, item: Item) -> None:
        """Put an authentic answer into the cache, until the first thing in it ends."""
        now = self.store.now()
        if not item.authentic or item.ends is None or item.ends <= now:
            return
        # Half of its life at most, so that a service that is down for a day hurts nobody.
        life = item.ends - now
        renew = life if item.question.renew is None else min(item.question.renew, life / 2)
        self.store.put(Entry(self._key(item.question), now, now + renew, item.ends, item.body, item.chain))

    def _fetch(self, question: Question, beside: tuple[Certificate, ...]) -> Item:
        self.client.tell(
            f"asking {question.request.url.partition('://')[2].partition('/')[0]}: {question.about}"
        )
        try:
            answer = self.client.send(question.request)
        except FetchFailed as failure:
            raise _about(failure, question) from None
        now = self.store.now()
        try:
            chain = question.chain(answer)
            found = question.read(answer.body, chain)
            question.check(answer.body)
        except FetchFailed:
            raise
        except Malformed as error:
            raise failed(
                "sources.content", where=question.about, found=str(error.problems[0]), temporary=False
            ) from None
        item = replace(self._judged(question, found, beside, now), body=answer.body, chain=chain)
        self._keep(item)
        return item

    def _judged(
        self, question: Question, found: Endorsements, beside: tuple[Certificate, ...], fetched: datetime
    ) -> Item:
        judgements = Judge(self.anchors, beside=beside).judge(found, self.store.now())
        authentic = bool(judgements) and all(judgement.authentic for judgement in judgements)
        return Item(question, found, fetched, authentic, False, earliest_end(judgements))

    def _kept(self, question: Question, entry: Entry | None, beside: tuple[Certificate, ...]) -> Item | None:
        """What the cache holds. Raises FetchFailed for a refusal that still counts."""
        if entry is None:
            return None
        if entry.code:
            if self.renew:
                return None
            raise FetchFailed(
                problem(entry.code, where=question.about, found=entry.found or None), retry_at=entry.expires
            )
        try:
            found = question.read(entry.body, entry.chain)
        except (Malformed, FetchFailed):
            return None
        self.store.used(entry)
        return Item(question, found, entry.fetched, True, True, entry.expires)

    def _served_old(self, question: Question, kept: Entry, item: Item, failure: FetchFailed) -> Item:
        now = self.store.now()
        wait = _AFTER_A_FAILURE
        if failure.retry_at is not None:
            wait = min(max(wait, failure.retry_at - now), _LONGEST)
        later = min(now + wait, kept.expires)
        self.store.put(Entry(kept.key, kept.fetched, later, kept.expires, kept.body, kept.chain))
        note = problem(
            "sources.stale-served", where=question.about, found=f"{failure.reason}", expected="a newer one"
        )
        return Item(question, item.endorsements, item.fetched, True, True, item.ends, note)

    def _remember_refusal(self, question: Question, failure: FetchFailed) -> None:
        reason = failure.reason
        if reason.code == "sources.cache":
            return
        now = self.store.now()
        until = now + _REFUSED.get(reason.code, _OTHERWISE)
        if failure.retry_at is not None and reason.code == "sources.rate-limited":
            until = min(failure.retry_at, now + _LONGEST)
        if until > now:
            self.store.put(
                Entry(self._key(question), now, until, until, code=reason.code, found=reason.found or "")
            )


def _about(failure: FetchFailed, question: Question) -> FetchFailed:
    """The client knows the address; all OCSP questions go to one."""
    reason = failure.reason
    if reason.code == "sources.cache":
        return failure
    where = question.about if reason.where is None else f"{question.about}: {reason.where}"
    return FetchFailed(replace(reason, where=where), retry_at=failure.retry_at, temporary=failure.temporary)
