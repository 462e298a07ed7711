"""KEKs in a PKCS#11 token: AES-256 keys of one label that never leave it, told apart by CKA_ID.

CKM_AES_GCM with the context as associated data. The largest CKA_ID wraps; a key that the broker makes has
the seconds since 1970 for one, eight bytes, and is sensitive and not extractable.
Source: PKCS#11 v2.40, §2.12 (AES-GCM).
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Final

from kbs.keys import Kek, KeyStoreError, Wrapped
from kbs.keys.hsm import Hsm
from kbs.keys.hsm_worker import TokenAddress

_ID_BYTES: Final = 8
_FIRST_SECOND: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
_LAST_SECOND: Final = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp())


class Pkcs11Store:
    """An id is `pkcs11:TOKEN/LABEL/CKA_ID`."""

    def __init__(self, address: TokenAddress, seconds: float) -> None:
        """seconds: within which an answer must come. Raises KeyStoreError where python-pkcs11 is missing."""
        if find_spec("pkcs11") is None:
            raise KeyStoreError("keys of kind pkcs11 need python-pkcs11: pip install 'attest[pkcs11]'")
        self._address = address
        self._prefix = f"pkcs11:{address.token}/{address.label}/"
        self._hsm = Hsm(address, seconds)

    @property
    def place(self) -> str:
        return self._prefix

    def keks(self) -> list[Kek]:
        return [self._kek(key_id) for key_id in self._hsm.ask(do="keys")]

    def name(self, key_id: str) -> str | None:
        return key_id if key_id.startswith(self._prefix) else None

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        key_id, box = self._hsm.ask(do="wrap", key=key.hex(), context=context.hex())
        return Wrapped(self._kek(key_id).id, bytes.fromhex(box))

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        answer = self._hsm.ask(
            do="unwrap",
            id=wrapped.key_id.removeprefix(self._prefix),
            box=wrapped.box.hex(),
            context=context.hex(),
        )
        return bytes.fromhex(answer)

    def rotate(self, now: datetime) -> Kek:
        key_id = int(now.timestamp()).to_bytes(_ID_BYTES, "big").hex()
        older = self.keks()
        if older and int(self._cka_id(older[-1]), 16) >= int(key_id, 16):
            raise KeyStoreError(f"{older[-1].id} is not older than this moment: look at the clock, or wait")
        return self._kek(self._hsm.ask(do="make", id=key_id))

    def goes_with(self, kek: Kek) -> list[str]:
        return [kek.id]

    def retire(self, kek: Kek) -> None:
        """The key's label gets ` (retired)` behind it; with its label back, it is in use again."""
        self._hsm.ask(do="retire", id=self._cka_id(kek), label=f"{self._address.label} (retired)")

    def close(self) -> None:
        self._hsm.close()

    def _cka_id(self, kek: Kek) -> str:
        return kek.id.removeprefix(self._prefix)

    def _kek(self, key_id: str) -> Kek:
        second = int(key_id, 16) if len(key_id) == 2 * _ID_BYTES else 0
        made_here = _FIRST_SECOND <= second < _LAST_SECOND
        return Kek(f"{self._prefix}{key_id}", datetime.fromtimestamp(second, UTC) if made_here else None)
