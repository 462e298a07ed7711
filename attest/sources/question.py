"""One question to a service: what it is about, how it is asked, and what counts as its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from attest.endorsements import Endorsements
from attest.errors import Problem
from attest.sources.client import Answer, Request


@dataclass(frozen=True, slots=True)
class Question:
    """about: for people. name: what distinguishes the answer beyond the URL, as an OCSP request does.

    chain: reads the PEM issuer chain out of the answer's headers. read: turns body and chain into
    endorsements and raises Malformed, or FetchFailed (`sources.content`), when they are not what was asked.
    renew: at the latest after this time a newer answer is asked for; None for what never changes. check: looks at an answer just come
    (a nonce), and at no kept one.
    """

    about: str
    request: Request
    read: Callable[[bytes, bytes], Endorsements]
    renew: timedelta | None
    name: str = ""
    chain: Callable[[Answer], bytes] = lambda answer: b""
    check: Callable[[bytes], None] = lambda body: None

    @property
    def key(self) -> str:
        return f"{self.request.method} {self.request.url} {self.name}".rstrip()


@dataclass(frozen=True, slots=True)
class Item:
    """An answered question. authentic: whether everything in it leads to a pinned root. kept: it came from
    the cache. ends: when the first thing in it ends. note: what a person should know. body, chain: of an
    answer just come, as it came."""

    question: Question
    endorsements: Endorsements
    fetched: datetime
    authentic: bool
    kept: bool
    ends: datetime | None
    note: Problem | None = None
    body: bytes = field(default=b"", repr=False)
    chain: bytes = field(default=b"", repr=False)

    def ended(self, at: datetime) -> bool:
        """Whether it was out of date when it came; what names no end never is in date."""
        return self.ends is None or self.ends < at
