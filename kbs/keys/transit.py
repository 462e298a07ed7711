"""KEKs in the transit engine of an OpenBao or Vault server: versions of one key that never leaves it.

The context goes as `associated_data`, so the key must be of an AEAD kind. The server counts versions; its
newest wraps. No request follows a redirect: it carries the token.
Source: OpenBao HTTP API, transit secrets engine.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, Final

import httpx

from kbs.keys import Kek, KeyStoreError, KeyStoreUnavailable, Wrapped
from kbs.keys.files import read_private

_AEAD: Final = frozenset({"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"})
_TYPE: Final = "aes256-gcm96"
_CIPHERTEXT: Final = re.compile(r"vault:v([1-9][0-9]{0,8}):[A-Za-z0-9+/]{80,}={0,2}")
_LIMIT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class TransitAddress:
    """url: scheme, host and port. ca: PEM; the system's CAs where None. token: the file with the token, read
    for each request, so that an agent may renew it. namespace: of the mount, None for the root."""

    url: str
    mount: str
    key: str
    token: Path
    ca: Path | None = None
    namespace: str | None = None


class TransitStore:
    """An id is `transit:MOUNT/KEY/vN`, with `NAMESPACE:` before the mount where there is one."""

    def __init__(self, address: TransitAddress, seconds: float) -> None:
        """seconds: within which an answer must come. Raises KeyStoreError where `ca` is no certificate."""
        self._address = address
        self._seconds = seconds
        within = f"{address.namespace}:" if address.namespace else ""
        self._prefix = f"transit:{within}{address.mount}/{address.key}/v"
        try:
            trusted = ssl.create_default_context(cafile=None if address.ca is None else str(address.ca))
        except (OSError, ssl.SSLError):
            raise KeyStoreError(f"{address.ca}: no certificates in PEM") from None
        self._http = httpx.Client(
            base_url=address.url, verify=trusted, timeout=seconds, trust_env=False, follow_redirects=False
        )

    @property
    def place(self) -> str:
        return self._prefix

    def keks(self) -> list[Kek]:
        facts = self._facts()
        if facts is None:
            return []
        try:
            oldest = int(facts["min_decryption_version"])
            made = {
                int(version): datetime.fromtimestamp(second, UTC) for version, second in facts["keys"].items()
            }
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            raise self._strange() from None
        return [
            Kek(f"{self._prefix}{version}", made[version]) for version in sorted(made) if version >= oldest
        ]

    def name(self, key_id: str) -> str | None:
        return key_id if key_id.startswith(self._prefix) else None

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        body = {"plaintext": _base64(key), "associated_data": _base64(context)}
        ciphertext = self._ask("POST", "encrypt", body).get("ciphertext")
        found = _CIPHERTEXT.fullmatch(ciphertext) if isinstance(ciphertext, str) else None
        if found is None:
            raise self._strange()
        return Wrapped(f"{self._prefix}{found[1]}", found[0].encode())

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        body = {"ciphertext": wrapped.box.decode("ascii", "replace"), "associated_data": _base64(context)}
        plaintext: Any = self._ask("POST", "decrypt", body).get("plaintext")
        try:
            return base64.b64decode(plaintext, validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise self._strange() from None

    def rotate(self, now: datetime) -> Kek:
        if self._facts() is None:
            self._ask("POST", "keys", {"type": _TYPE})
        else:
            self._ask("POST", "keys", {}, "/rotate")
        return self.keks()[-1]

    def goes_with(self, kek: Kek) -> list[str]:
        """The server knows a smallest version that decrypts: those before it go together."""
        return [one.id for one in self.keks() if self._version(one) <= self._version(kek)]

    def retire(self, kek: Kek) -> None:
        """Sets `min_decryption_version`; set back, the versions decrypt again."""
        self._ask("POST", "keys", {"min_decryption_version": self._version(kek) + 1}, "/config")

    def close(self) -> None:
        self._http.close()

    def _version(self, kek: Kek) -> int:
        return int(kek.id.removeprefix(self._prefix))

    def _facts(self) -> dict[str, Any] | None:
        """What the server says of the key, None where there is none. Raises KeyStoreError for a key that
        could not keep what it is given."""
        try:
            facts = self._ask("GET", "keys")
        except _NoSuchKey:
            return None
        if "type" not in facts:
            raise self._strange()
        name = f"{self._address.mount}/{self._address.key}"
        if facts.get("type") not in _AEAD:
            raise KeyStoreError(f"{name} is of type {facts.get('type')}, which binds no context: use {_TYPE}")
        if facts.get("derived"):
            raise KeyStoreError(f"{name} derives its keys: make one that does not")
        if facts.get("exportable") or facts.get("allow_plaintext_backup"):
            raise KeyStoreError(f"the server would give {name} out: make one that is not exportable")
        return facts

    def _ask(
        self, method: str, what: str, body: dict[str, Any] | None = None, act: str = ""
    ) -> dict[str, Any]:
        """`data` of the answer. What a server says about an error is not repeated: it may hold anything."""
        address = self._address
        headers = {"X-Vault-Token": _token(address.token), "X-Vault-Request": "true"}
        if address.namespace:
            headers["X-Vault-Namespace"] = address.namespace
        url = f"/v1/{address.mount}/{what}/{address.key}{act}"
        try:
            with self._http.stream(method, url, headers=headers, json=body) as response:
                raw = self._body(response)
        except httpx.TimeoutException:
            raise KeyStoreUnavailable(f"{address.url} did not answer in {self._seconds:g} s") from None
        except httpx.HTTPError as error:
            raise KeyStoreUnavailable(f"{address.url} does not answer: {type(error).__name__}") from None
        if not response.is_success:
            raise self._refusal(response.status_code, what)
        try:
            answer = json.loads(raw)["data"] if raw else {}
        except (ValueError, LookupError, TypeError):
            answer = None
        if not isinstance(answer, dict):
            raise self._strange()
        return answer

    def _strange(self) -> KeyStoreUnavailable:
        return KeyStoreUnavailable(f"{self._address.url} does not answer as a transit server does")

    def _body(self, response: httpx.Response) -> bytes:
        end, raw = monotonic() + self._seconds, b""
        for part in response.iter_bytes():
            raw += part
            if len(raw) > _LIMIT:
                raise self._strange()
            if monotonic() > end:
                raise httpx.ReadTimeout("a body without end")
        return raw

    def _refusal(self, status: int, what: str) -> KeyStoreError:
        address = self._address
        if status == 400 and what == "decrypt":
            return KeyStoreError(
                "a wrapped key does not open: other key, a retired version, or the row was changed"
            )
        if status == 404:
            return _NoSuchKey(
                f"{address.url} has no key {address.key} at {address.mount}: kbs keys create makes it"
            )
        if status == 403:
            return KeyStoreUnavailable(
                f"{address.url} does not let the token in {address.token} use {what}/{address.key}"
            )
        return KeyStoreUnavailable(f"{address.url} answers with status {status}: is it sealed, or a standby?")


class _NoSuchKey(KeyStoreError):
    pass


def _token(file: Path) -> str:
    """Raises KeyStoreError."""
    text = read_private(file).decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable():
        raise KeyStoreError(f"{file} holds no token")
    return text


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
