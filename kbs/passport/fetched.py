"""The keys of an issuer from its own address, which the configuration names and no token does (T-SSRF).

They are asked for again after ten minutes, and sooner where a token comes under a key that is not among them, but never
twice in half a minute, so that tokens of strangers make no traffic. What was had last counts for an hour while the
issuer does not answer, and then nothing does. While one asks, who can go on with what is there does not wait: an issuer
that is slow would hold up every release (T-DOS).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final

import httpx
import structlog

from attest import Malformed
from attest.result.passport import IssuerKey, read_jwks
from kbs.passport.keys import KeysUnavailable

_log = structlog.get_logger("kbs.passport")
FRESH: Final = timedelta(minutes=10)
KEPT: Final = timedelta(hours=1)
PAUSE: Final = timedelta(seconds=30)
_LIMIT: Final = 256 << 10


class FetchedKeys:
    """url: `https://`, of a JWK set. verify: as httpx takes it. seconds: how long an answer may take in all. Safe for
    threads: one asks, and only who has no keys at all waits for it."""

    def __init__(self, url: str, *, verify: Any = True, seconds: float = 10.0) -> None:
        """Raises ValueError."""
        parsed = httpx.URL(url)
        if parsed.scheme != "https" or not parsed.host or parsed.userinfo:
            raise ValueError(
                f"the keys of an issuer are had over https, without a password in the address: {url}"
            )
        self._url = url
        self._http = httpx.Client(verify=verify, timeout=seconds, follow_redirects=False, trust_env=False)
        self._seconds = seconds
        self._asking = Lock()
        self._asked: datetime | None = None
        self._held: tuple[datetime, Sequence[IssuerKey]] | None = None

    def current(self, now: datetime) -> Sequence[IssuerKey]:
        held = self._held
        if held is None or now - held[0] >= FRESH:
            self._ask(now, wait=held is None or now - held[0] >= KEPT)
            held = self._held
        if held is None or now - held[0] >= KEPT:
            raise KeysUnavailable
        return held[1]

    def renewed(self, now: datetime) -> Sequence[IssuerKey] | None:
        return self._held[1] if self._ask(now, wait=False) and self._held else None

    def _ask(self, now: datetime, *, wait: bool) -> bool:
        """Whether the keys are as the issuer has them now. wait: where another asks, until it was answered."""
        if not self._asking.acquire(blocking=wait):
            return False
        try:
            if self._asked is not None and now - self._asked < PAUSE:
                return False
            self._asked = now
            self._held = now, read_jwks(self._fetch())
        except (httpx.HTTPError, Malformed) as error:
            _log.error("an issuer's keys cannot be had", url=self._url, cause=type(error).__name__)
            return False
        finally:
            self._asking.release()
        return True

    def _fetch(self) -> bytes:
        end = time.monotonic() + self._seconds
        with self._http.stream("GET", self._url, headers={"accept": "application/json"}) as answer:
            if answer.status_code != 200:
                raise httpx.HTTPError(f"status {answer.status_code}")
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > _LIMIT or time.monotonic() > end:
                    raise httpx.HTTPError("too large or too slow")
        return bytes(body)
