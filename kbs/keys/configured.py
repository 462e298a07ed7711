"""From a configuration to the door: each section of keys is one store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kbs.config.keys import FileKeys, Keys, Pkcs11Keys
from kbs.keys import KeyStore, KeyStoreError
from kbs.keys.file import FileStore
from kbs.keys.wrap import KeyWrap


def key_wrap(keys: Keys, former: Sequence[Keys], folder: Path) -> KeyWrap:
    """keys: what wraps. former: what still unwraps. folder: for files, where a section names none.

    Raises KeyStoreError.
    """
    store, *others = [_store(one, folder) for one in (keys, *former)]
    places = [one.place for one in (store, *others)]
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise KeyStoreError(f"two key stores are {twice}: their keys could not be told apart")
    return KeyWrap(store, others)


def _store(keys: Keys, folder: Path) -> KeyStore:
    # Each kind brings libraries that the others have no use for.
    if isinstance(keys, FileKeys):
        return FileStore(keys.folder or folder)
    if isinstance(keys, Pkcs11Keys):
        from kbs.keys.hsm_worker import TokenAddress
        from kbs.keys.pkcs11 import Pkcs11Store

        return Pkcs11Store(TokenAddress(keys.module, keys.token, keys.label, keys.pin), keys.seconds)
    from kbs.keys.transit import TransitAddress, TransitStore

    address = TransitAddress(keys.server, keys.mount, keys.key, keys.token, keys.ca, keys.namespace)
    return TransitStore(address, keys.seconds)
