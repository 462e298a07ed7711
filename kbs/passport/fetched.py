"""The keys of an issuer from an address that the configuration names and no token does (T-SSRF).

They are asked for again after ten minutes, and sooner where a token comes under a key that is not among them, but never
twice in half a minute, so that tokens of strangers make no traffic. What was had last counts for an hour while the
issuer does not answer, and then nothing does. While one asks, who can go on with what is there does not wait: an issuer
that is slow would hold up every release (T-DOS).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final, Generic, TypeVar

import httpx
import structlog

from attest import Malformed
from kbs.passport.keys import KeysUnavailable

_log = structlog.get_logger("kbs.passport")
FRESH: Final = timedelta(minutes=10)
KEPT: Final = timedelta(hours=1)
PAUSE: Final = timedelta(seconds=30)
_LIMIT: Final = 256 << 10
_THIS_MACHINE: Final = ("127.0.0.1", "::1", "localhost")
T = TypeVar("T")


class FetchedKeys(Generic[T]):
    """url: `https://`, of a JWK set. read: what its bytes are. verify: as httpx takes it. seconds: how long an answer may
    take in all. or_here: as `require_https` has it. Safe for threads: one asks, and only who has no keys at all waits for
    it."""

    def __init__(
        self,
        url: str,
        read: Callable[[bytes], T],
        *,
        verify: Any = True,
        seconds: float = 10.0,
        or_here: bool = False,
    ) -> None:
        """Raises ValueError."""
        self._url = require_https(url, or_here=or_here)
        self._read = read
        self._http = httpx.Client(verify=verify, timeout=seconds, follow_redirects=False, trust_env=False)
        self._seconds = seconds
        self._asking = Lock()
        self._asked: datetime | None = None
        self._held: tuple[datetime, T] | None = None

    def current(self, now: datetime) -> T:
        held = self._held
        if held is None or now - held[0] >= FRESH:
            self._ask(now, wait=held is None or now - held[0] >= KEPT)
            held = self._held
        if held is None or now - held[0] >= KEPT:
            raise KeysUnavailable
        return held[1]

    def renewed(self, now: datetime) -> T | None:
        return self._held[1] if self._ask(now, wait=False) and self._held else None

    def _ask(self, now: datetime, *, wait: bool) -> bool:
        """Whether the keys are as the issuer has them now. wait: where another asks, until it was answered."""
        if not self._asking.acquire(blocking=wait):
            return False
        try:
            if self._asked is not None and now - self._asked < PAUSE:
                return False
            self._asked = now
            self._held = now, self._read(self._document())
        except (httpx.HTTPError, Malformed) as error:
            _log.error("an issuer's keys cannot be had", url=self._url, cause=type(error).__name__)
            return False
        finally:
            self._asking.release()
        return True

    def _document(self) -> bytes:
        return self._fetch(self._url)

    def _fetch(self, url: str) -> bytes:
        end = time.monotonic() + self._seconds
        with self._http.stream("GET", url, headers={"accept": "application/json"}) as answer:
            if answer.status_code != 200:
                raise httpx.HTTPError(f"status {answer.status_code}")
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _LIMIT or time.monotonic() > end:
                    raise httpx.HTTPError("too large or too slow")
        return bytes(body)


def require_https(url: str, *, or_here: bool = False) -> str:
    """The address. or_here: `http` will do for one of this machine. Raises ValueError."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError(f"no address: {url}") from None
    here = or_here and parsed.scheme == "http" and parsed.host in _THIS_MACHINE
    if (parsed.scheme != "https" and not here) or not parsed.host or parsed.userinfo:
        raise ValueError(
            f"the keys of an issuer are had over https, without a password in the address: {url}"
        )
    return url
