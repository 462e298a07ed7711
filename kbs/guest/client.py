"""The guest's side of protocol 0.4.0: challenge, evidence, secret.

A 401 on the resource means "attest again" and is tried three times in all; a broker that is busy or away
is tried five times, with growing pauses; every other refusal is final.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from attest.canonical import read_json
from attest.claims import read_instant
from attest.errors import Malformed
from attest.untrusted import escape
from kbs.audit import Head
from kbs.domain import ResourcePath
from kbs.guest.attester import Attester
from kbs.guest.opening import GuestKey

_ANSWER_LIMIT: Final = 4 << 20
_BUSY: Final = frozenset({429, 502, 503, 504})
ATTESTATIONS: Final = 3
TRIES: Final = 5


class GuestError(Exception):
    """The secret was not received."""


class Refused(GuestError):
    """The broker said no: status, kind (last part of `type`) and its sentence, escaped."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(f"{detail} [{status} {kind}]")
        self.status = status
        self.kind = kind
        self.detail = detail


class NotFound(Refused):
    """There is no such resource."""


class Unreachable(GuestError):
    """No broker answered."""


class BadAnswer(GuestError):
    """What answered does not speak the protocol."""


@dataclass(frozen=True, slots=True)
class Received:
    """receipt: the release's place in the broker's trail, by which it can be held to it. lease: until when this may be
    used, and then attest again; nothing erases it. Each None where the broker said none."""

    secret: bytes
    receipt: Head | None
    lease: datetime | None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    receipt: Head | None
    lease: datetime | None


class KbsClient:
    """url: of the broker, without `/kbs/v0`. verify: as httpx takes it, an ssl.SSLContext or True.
    pause: sleeps between tries. transport: for tests in one process."""

    def __init__(
        self,
        url: str,
        attester: Attester,
        *,
        verify: Any = True,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._attester = attester
        self._pause = pause
        self._http = httpx.Client(
            base_url=url.rstrip("/") + "/kbs/v0/",
            verify=verify,
            transport=transport,
            timeout=60.0,
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, resource: ResourcePath) -> Received:
        """The secret. Raises Refused, NotFound, Unreachable, BadAnswer, or CannotOpen."""
        for attempt in range(1, ATTESTATIONS + 1):
            key = self._attest()
            answer = self._send("GET", f"resource/{resource}")
            if answer.status == 200:
                return Received(key.open(answer.body), answer.receipt, answer.lease)
            refusal = _refusal(answer)
            if answer.status != 401 or attempt == ATTESTATIONS:
                raise refusal
        raise AssertionError("unreachable")

    def _attest(self) -> GuestKey:
        self._http.cookies.clear()
        key = GuestKey()
        request = {"version": "0.4.0", "tee": self._attester.tee, "extra-params": {}}
        challenge = _members(self._expect("POST", "auth", request), "nonce", "extra-params")
        nonce = challenge["nonce"]
        if not isinstance(nonce, str) or not nonce.isascii() or not nonce.isprintable() or len(nonce) > 256:
            raise BadAnswer("the challenge holds no nonce")
        evidence = self._attester.evidence(nonce, key.jwk)
        attestation = {
            "init-data": None,
            "runtime-data": {"nonce": nonce, "tee-pubkey": key.jwk},
            "tee-evidence": {
                "primary_evidence": evidence.primary,
                "additional_evidence": evidence.additional,
            },
        }
        token = _members(self._expect("POST", "attest", attestation), "token")["token"]
        if not isinstance(token, str) or token.count(".") != 2:
            raise BadAnswer("the token has not three parts")
        return key

    def _expect(self, method: str, path: str, content: Any) -> bytes:
        answer = self._send(method, path, json.dumps(content, separators=(",", ":")).encode())
        if answer.status != 200:
            raise _refusal(answer)
        return answer.body

    def _send(self, method: str, path: str, content: bytes | None = None) -> _Answer:
        for attempt in range(1, TRIES + 1):
            try:
                with self._http.stream(method, path, content=content) as response:
                    body = bytearray()
                    for chunk in response.iter_bytes():
                        body += chunk
                        if len(body) > _ANSWER_LIMIT:
                            raise BadAnswer("the answer is too large")
                    answer = _Answer(
                        response.status_code,
                        bytes(body),
                        _receipt(response.headers.get("kbs-receipt")),
                        _lease(response.headers.get("kbs-lease-expires")),
                    )
            except httpx.TransportError as error:
                if attempt == TRIES:
                    raise Unreachable(f"no broker answers: {type(error).__name__}") from None
            else:
                if answer.status not in _BUSY or attempt == TRIES:
                    return answer
            self._pause(0.2 * 2 ** (attempt - 1))
        raise AssertionError("unreachable")


def _members(body: bytes, *names: str) -> dict[str, Any]:
    try:
        message = read_json(body, where="answer", limit=_ANSWER_LIMIT)
    except Malformed:
        raise BadAnswer("the answer is not JSON") from None
    if not isinstance(message, dict) or not set(names) <= set(message):
        raise BadAnswer(f"the answer lacks {' or '.join(names)}")
    return message


def _receipt(text: str | None) -> Head | None:
    """None for what is no receipt: other brokers give none."""
    with suppress(ValueError):
        return None if text is None else Head.parse(text)
    return None


def _lease(text: str | None) -> datetime | None:
    with suppress(ValueError):
        return None if text is None else read_instant(text)
    return None


def _refusal(answer: _Answer) -> Refused:
    status, message = answer.status, _members(answer.body, "type", "detail")
    kind = escape(str(message["type"]).rpartition("/")[2], 60)
    return (NotFound if status == 404 else Refused)(status, kind, escape(str(message["detail"])))
