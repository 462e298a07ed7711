"""The process that speaks PKCS#11: one module, one token, one session, one request after the other.

It runs apart from the broker because a module is somebody else's machine code: where it hangs the process
is ended, where it crashes the broker lives, and where the token lost its sessions the next process starts
with none of them. It ends with the first failure of the token, and with its parent.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kbs.keys import KEY_BYTES, KeyStoreError
from kbs.keys.files import read_private

if TYPE_CHECKING:
    from pkcs11 import Session, Token

_IV: Final = 12


@dataclass(frozen=True, slots=True)
class TokenAddress:
    """module: the vendor's library. token, label: CKA_LABEL of token and keys. pin: the file with the PIN."""

    module: Path
    token: str
    label: str
    pin: Path


class Refused(Exception):
    """The token does not accept the PIN. Asking again with it may lock the token."""


def serve(connection: Connection, address: TokenAddress) -> None:
    """Answer requests, JSON each way, until the token fails.

    {"done": …}; {"wrong": sentence}, the token is well; {"gone": sentence} or {"refused": sentence}, and
    the process ends.
    """
    import pkcs11

    def answer(**content: Any) -> None:
        connection.send_bytes(json.dumps(content).encode())

    try:
        keys: _Keys | None = None
        while True:
            request = json.loads(connection.recv_bytes())
            try:
                keys = keys or _Keys(*_login(address), address)
                answer(done=keys.act(request))
            except KeyStoreError as error:
                answer(wrong=str(error))
    except EOFError:
        return  # the broker is gone
    except Refused as error:
        answer(refused=str(error))
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        # The kind of the error only: a module's own text might hold anything.
        answer(gone=f"the token {address.token} fails with {type(error).__name__}")


def _login(address: TokenAddress) -> tuple[Token, Session]:
    """Raises Refused, KeyStoreError and PKCS11Error."""
    import pkcs11

    pin = read_private(address.pin).decode("utf-8", "replace").strip()
    token = pkcs11.lib(str(address.module)).get_token(token_label=address.token)
    try:
        return token, token.open(user_pin=pin)
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
        raise Refused(f"the token {address.token} does not accept the PIN in {address.pin}") from None
    except (pkcs11.PinLocked, pkcs11.PinExpired):
        raise Refused(f"the token {address.token} says that its PIN is locked or has expired") from None


class _Keys:
    """The AES keys of one label. An id is CKA_ID in hex; the largest, as a number, is the newest."""

    def __init__(self, token: Token, session: Session, address: TokenAddress) -> None:
        self._token = token
        self._session = session
        self._address = address
        self._known: dict[str, list[Any]] = {}

    def act(self, request: dict[str, Any]) -> Any:
        """Raises KeyStoreError and PKCS11Error."""
        match request["do"]:
            case "keys":
                return self._ids()
            case "wrap":
                return self._wrap(bytes.fromhex(request["key"]), bytes.fromhex(request["context"]))
            case "unwrap":
                box, context = bytes.fromhex(request["box"]), bytes.fromhex(request["context"])
                return self._unwrap(request["id"], box, context).hex()
            case "make":
                return self._make(request["id"])
            case "retire":
                return self._retire(request["id"], request["label"])
        raise RuntimeError("no such request")

    def _ids(self) -> list[str]:
        self._known = {}
        for key_id, key in self._find():
            self._known.setdefault(key_id, []).append(key)
        return sorted(self._known, key=lambda key_id: int(key_id, 16))

    def _find(self) -> Iterator[tuple[str, Any]]:
        from pkcs11 import Attribute, KeyType, ObjectClass

        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self._address.label,
        }
        for key in list(self._session.get_objects(wanted)):
            key_id = key[Attribute.ID].hex()
            if not key_id:
                raise KeyStoreError(f"a key labelled {self._address.label} has no CKA_ID: give it one")
            if key[Attribute.VALUE_LEN] != KEY_BYTES:
                raise KeyStoreError(f"the key {key_id} has not the 256 bits that a wrapping key has")
            if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
                raise KeyStoreError(
                    f"the token would give the key {key_id} out: make one that is sensitive and not extractable"
                )
            yield key_id, key

    def _wrap(self, data_key: bytes, context: bytes) -> list[str]:
        ids = self._ids()
        if not ids:
            raise KeyStoreError(
                f"the token {self._address.token} has no AES key labelled {self._address.label}: "
                "kbs keys create makes the first"
            )
        return [ids[-1], _encrypt(self._known[ids[-1]][0], data_key, context).hex()]

    def _unwrap(self, key_id: str, box: bytes, context: bytes) -> bytes:
        from pkcs11 import PKCS11Error

        if key_id not in self._known and key_id not in self._ids():
            raise KeyStoreError(f"the token has no key {key_id} labelled {self._address.label} any more")
        keys = self._known[key_id]  # an id is not unique by force of the standard
        for key in keys:
            with suppress(PKCS11Error):
                return _decrypt(key, box, context)
        # Tokens have one word for a wrong tag and for a failure of theirs. What a token refuses again, when
        # it just opened what it closed, is wrong.
        for key in keys:
            _decrypt(key, _encrypt(key, os.urandom(KEY_BYTES), b"probe"), b"probe")
            with suppress(PKCS11Error):
                return _decrypt(key, box, context)
        raise KeyStoreError("a wrapped key does not open: other key in the token, or the row was changed")

    def _make(self, key_id: str) -> str:
        from pkcs11 import Attribute, KeyType, MechanismFlag

        # Logged in with the session that is open: rights are the token's, not a session's.
        session = self._token.open(rw=True)
        session.generate_key(
            KeyType.AES,
            KEY_BYTES * 8,
            id=bytes.fromhex(key_id),
            label=self._address.label,
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True},
        )
        session.close()
        return key_id

    def _retire(self, key_id: str, label: str) -> None:
        from pkcs11 import Attribute, KeyType, ObjectClass

        session = self._token.open(rw=True)
        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self._address.label,
            Attribute.ID: bytes.fromhex(key_id),
        }
        for key in list(session.get_objects(wanted)):
            key[Attribute.LABEL] = label
        session.close()
        self._known = {}


def _encrypt(key: Any, data_key: bytes, context: bytes) -> bytes:
    from pkcs11 import GCMParams, Mechanism

    iv = os.urandom(_IV)
    parameters = GCMParams(iv, context)
    closed: bytes = key.encrypt(data_key, mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    return iv + closed


def _decrypt(key: Any, box: bytes, context: bytes) -> bytes:
    from pkcs11 import GCMParams, Mechanism

    parameters = GCMParams(box[:_IV], context)
    opened: bytes = key.decrypt(box[_IV:], mechanism=Mechanism.AES_GCM, mechanism_param=parameters)
    return opened


if __name__ == "__main__":
    module, token_label, key_label, pin_file, descriptor = sys.argv[1:]
    serve(Connection(int(descriptor)), TokenAddress(Path(module), token_label, key_label, Path(pin_file)))
